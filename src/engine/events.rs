//! What becomes of a project's containers, told by the engine as it happens (`/events`).
//!
//! That the engine tells nothing is no fault: it may stand behind a proxy that keeps this back. Whoever listens looks again
//! now and then, and more often where nothing is told at all.

use crate::labels;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::api::Request;
use super::tools::Tools;

/// What is listened for: everything that makes a container better or worse.
const KINDS: &[&str] =
    &["start", "restart", "die", "oom", "stop", "health_status", "pause", "unpause", "destroy"];
/// How long to wait until an engine has begun to tell.
const OPENING: Duration = Duration::from_secs(2);
/// How long until it is asked again after it broke off.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest line that is read. An event has the labels of its container.
const LONGEST_LINE: usize = 1024 * 1024;

/// The events of a project's containers, from the moment when this is made; they are no longer listened for when it is dropped.
pub struct Events {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    news: Notify,
}

#[derive(Default)]
struct Told {
    state: Listening,
    /// Containers of which something was told since [`Events::take`].
    changed: BTreeSet<String>,
    /// When each was started last, by our own clock.
    starts: BTreeMap<String, Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Listening {
    #[default]
    NotYet,
    Yes,
    /// The engine broke off, and will be asked again.
    No,
}

impl Events {
    /// Begins to listen.
    pub fn of(tools: &Tools, project: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(listen(tools.clone(), project.to_owned(), shared.clone()));
        Self { shared, task }
    }

    /// Waits until the engine tells what happens, or is known not to. What it does after that is not missed.
    pub(crate) async fn begun(&self) {
        let begun = async {
            while self.shared.lock().state == Listening::NotYet {
                self.shared.news.notified().await;
            }
        };
        // One that takes its time is looked at instead.
        let _ = timeout(OPENING, begun).await;
    }

    /// Whether the engine tells what happens.
    pub(crate) fn are_told(&self) -> bool {
        self.shared.lock().state == Listening::Yes
    }

    /// Waits until something was told that was not taken yet.
    pub(crate) async fn news(&self) {
        while self.shared.lock().changed.is_empty() {
            self.shared.news.notified().await;
        }
    }

    /// The containers of which something was told since the last call.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.shared.lock().changed)
    }

    /// When a container was started last, as far as that was told.
    pub(crate) fn start_of(&self, container: &str) -> Option<Instant> {
        self.shared.lock().starts.get(container).copied()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: Listening) {
        self.lock().state = state;
        self.news.notify_one();
    }

    fn note(&self, line: &[u8]) {
        let Some((container, is_start)) = event(line) else { return };
        let mut told = self.lock();
        if is_start {
            told.starts.insert(container.clone(), Instant::now());
        }
        told.changed.insert(container);
        drop(told);
        self.news.notify_one();
    }
}

/// Listens until it is stopped. Each time that the engine breaks off it is asked again.
async fn listen(tools: Tools, project: String, shared: Arc<Shared>) {
    let filters = json!({
        "type": ["container"], "event": KINDS, "label": [labels::with(labels::COMPOSE_PROJECT, &project)],
    });
    loop {
        let mut line = Vec::new();
        let mut take = |piece: &[u8]| {
            if piece.is_empty() {
                shared.set(Listening::Yes);
            }
            lines(&mut line, piece, &mut |line| shared.note(line));
        };
        let request = Request::get(&["events"]).query("filters", &filters.to_string());
        let ended = request.events(&tools, &mut take).await;
        shared.set(Listening::No);
        // One that may not be asked says so each time, and a run that is to end needs no news.
        if tools.interrupt().is_set() || ended.is_ok_and(|answer| !answer.is_success()) {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// Adds a piece to what is left of an unfinished line, and hands out each line that is whole.
fn lines(left: &mut Vec<u8>, piece: &[u8], take: &mut dyn FnMut(&[u8])) {
    for part in piece.split_inclusive(|byte| *byte == b'\n') {
        if left.len() < LONGEST_LINE {
            left.extend_from_slice(part);
        }
        if part.ends_with(b"\n") {
            take(left);
            left.clear();
        }
    }
}

/// The container that an event is about, and whether it was started.
fn event(line: &[u8]) -> Option<(String, bool)> {
    let told: Value = serde_json::from_slice(line).ok()?;
    let id = told.pointer("/Actor/ID")?.as_str()?;
    let action = told.get("Action").and_then(Value::as_str).unwrap_or_default();
    Some((id.to_owned(), action == "start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let of = |id: &str, action: &str| {
            json!({ "Type": "container", "Action": action, "Actor": { "ID": id, "Attributes": {} } })
                .to_string()
        };
        let text = format!(
            "{}\n{}\nno event\n{}\n",
            of("a", "start"),
            of("b", "health_status: healthy"),
            of("c", "die")
        );
        for size in 1..text.len() {
            let (mut left, mut seen) = (Vec::new(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines(&mut left, piece, &mut |line| seen.extend(event(line)));
            }
            let expected =
                [("a", true), ("b", false), ("c", false)].map(|(id, start)| (id.to_owned(), start));
            assert_eq!(seen, expected, "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_taken_in() {
        let (mut left, mut seen, piece) = (Vec::new(), 0, vec![b'x'; 64 * 1024]);
        for _ in 0..100 {
            lines(&mut left, &piece, &mut |_| seen += 1);
        }
        assert!(seen == 0 && left.len() <= LONGEST_LINE + 64 * 1024, "{}", left.len());
    }
}
