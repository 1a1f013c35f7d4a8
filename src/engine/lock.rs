//! One run at a time for a project, also from different machines: a container of a fixed name, whose creation the
//! engine makes atomic. (Creating a volume is not: it succeeds when the volume is there.)

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::api::Request;
use super::containers::{self, NeverStarted};
use super::objects::Container;
use super::tools::Tools;
use super::{empty_image, objects};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::labels;

const POLL: Duration = Duration::from_millis(500);
/// How often a holder that is no container of the engine shows that it is still there.
const BEAT: Duration = Duration::from_secs(10);
/// After so long without a sign such a holder is gone. Only this process's own clock counts.
const LOST: Duration = Duration::from_mins(1);
/// How the label of a holder ends that gives signs.
const BEATS: &str = "|beats";

/// The lock. Release it with [`EngineLock::release`].
pub struct EngineLock {
    id: String,
    beating: Option<JoinHandle<()>>,
}

/// Who holds a lock: a container that still runs, or a process of this machine that is still there.
pub struct Holder {
    /// The id of our container, or empty.
    pub container: String,
    /// Boot id of the machine, process id and the process's start time; empty in a container.
    pub process: String,
}

impl Holder {
    /// This process.
    pub fn current(container: Option<&str>) -> Self {
        let process = format!("{}/{}/{}", boot_id(), std::process::id(), start_time(std::process::id()));
        Self { container: container.unwrap_or_default().to_owned(), process }
    }

    fn label(&self) -> String {
        let beats = if self.beats() { BEATS } else { "" };
        format!("{}|{}{beats}", self.container, self.process)
    }

    /// Whether it gives signs: from another machine nobody could tell that the process is still there.
    fn beats(&self) -> bool {
        self.container.is_empty()
    }
}

impl EngineLock {
    /// Takes the project's lock, waiting up to `wait` for another run. A lock whose holder is gone is taken over.
    /// Errors: [`Code::Locked`].
    pub async fn take(tools: &Tools, project: &str, holder: &Holder, wait: Duration) -> Result<Self> {
        let name = format!("claude-secrets-lock-{project}");
        let start = Instant::now();
        let mut last = None;
        loop {
            let holds = holder.label();
            let lock = NeverStarted {
                name: Some(&name),
                labels: &[(labels::PROJECT, project), (labels::LOCK, &holds)],
                ..NeverStarted::default()
            };
            let made = empty_image::create(tools, &lock).await?;
            if made.is_success() {
                let id = made.id()?;
                let beating = holder.beats().then(|| tokio::spawn(beat(tools.uninterrupted(), id.clone())));
                return Ok(Self { id, beating });
            }
            let others = objects::inspect(tools, std::slice::from_ref(&name)).await?;
            let Some(other) = others.first() else {
                if made.message.contains("is already in use") {
                    // It was released between the two calls.
                    sleep(POLL).await;
                    continue;
                }
                made.or_fail(Code::Locked, &format!("cannot take the lock of {project}"))?;
                continue;
            };
            let theirs = other.label(labels::LOCK).unwrap_or_default().to_owned();
            if is_gone(tools, &theirs, holder).await?
                || theirs.ends_with(BEATS) && is_silent(other, &mut last)
            {
                // By its id: a lock that someone else has taken meanwhile has another one.
                containers::remove(tools, &other.id).await?;
                continue;
            }
            if start.elapsed() >= wait {
                return Err(Error::new(
                    Code::Locked,
                    format!("another run is changing the project {project}"),
                )
                .help("Wait for it; in a workflow, `concurrency:` keeps two runs apart.")
                .help(format!("If no other run is under way: docker rm {name}")));
            }
            sleep(POLL).await;
        }
    }

    /// Gives the lock back.
    pub async fn release(self, tools: &Tools) {
        if let Some(beating) = &self.beating {
            beating.abort();
        }
        // Left behind it is taken over by the next run, since its holder is gone.
        let _ = containers::remove(&tools.uninterrupted(), &self.id).await;
    }
}

/// Shows again and again that the holder is there: by a number of the container that means nothing, since it is never
/// started.
async fn beat(tools: Tools, id: String) {
    for number in 1_u32.. {
        sleep(BEAT).await;
        let policy = json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": number } });
        let _ = Request::post(&["containers", &id, "update"]).json(&policy).send(&tools).await;
    }
}

/// The lock and its number when they were last seen to change, and when that was.
type Seen = Option<(String, u64, Instant)>;

/// Whether the holder of a lock has given no sign for long.
fn is_silent(lock: &Container, last: &mut Seen) -> bool {
    let number = lock.raw.pointer("/HostConfig/RestartPolicy/MaximumRetryCount");
    let number = number.and_then(serde_json::Value::as_u64).unwrap_or_default();
    match last {
        Some((id, seen, since)) if *id == lock.id && *seen == number => since.elapsed() >= LOST,
        _ => {
            *last = Some((lock.id.clone(), number, Instant::now()));
            false
        }
    }
}

async fn is_gone(tools: &Tools, theirs: &str, me: &Holder) -> Result<bool> {
    let theirs = theirs.strip_suffix(BEATS).unwrap_or(theirs);
    let (container, process) = theirs.split_once('|').unwrap_or((theirs, ""));
    if !container.is_empty() {
        let found = objects::inspect(tools, &[container.to_owned()]).await?;
        return Ok(!found.first().is_some_and(|c| matches!(c.state(), objects::State::Running(_))));
    }
    // Of a process of another machine nothing can be known.
    let mut parts = process.split('/');
    let (boot, id, start) = (parts.next(), parts.next().and_then(|id| id.parse().ok()), parts.next());
    let same_machine = boot.is_some_and(|boot| !boot.is_empty() && me.process.starts_with(boot));
    Ok(same_machine && id.is_some_and(|id: u32| Some(start_time(id).as_str()) != start))
}

fn boot_id() -> String {
    let text = files::told_by_the_kernel("/proc/sys/kernel/random/boot_id");
    text.trim().to_owned()
}

/// Field 22 of `/proc/PID/stat`, counted behind the command's closing bracket (proc(5)).
fn start_time(id: u32) -> String {
    let text = files::told_by_the_kernel(&format!("/proc/{id}/stat"));
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().nth(19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_holder_on_another_machine_is_gone_when_it_gives_no_sign() {
        let lock = |id: &str, number: u32| Container {
            id: id.to_owned(),
            name: String::new(),
            service: String::new(),
            raw: json!({"HostConfig": {"RestartPolicy": {"MaximumRetryCount": number}}}),
        };
        let mut last = None;
        for number in 0..20 {
            assert!(!is_silent(&lock("a", number), &mut last), "it beats");
            sleep(BEAT).await;
        }
        sleep(LOST).await;
        assert!(!is_silent(&lock("b", 19), &mut last), "another one has taken it");
        sleep(LOST).await;
        assert!(is_silent(&lock("b", 19), &mut last));
    }
}
