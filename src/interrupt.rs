//! SIGINT and SIGTERM: as PID 1 of a container nothing would end us unless we handle them.
//!
//! They arrive on a thread of their own. The run is told, and ends by itself, in order. Where it cannot, since it hangs in
//! a call of the system that has no end (a share that does not answer, a pipe that nobody empties), it is ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::error::{Code, Error};

/// Whether the run was asked to stop, and by which signal. Clones share the same state.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Default)]
struct State {
    signal: AtomicI32,
    arrived: Notify,
    /// How often the run has shown since that it is not stuck.
    beats: AtomicU64,
}

/// How long a run that was told to end may be stuck. Seen twice in this time at most, it is over before the runner's grace
/// is (7 s, see `engine::call`).
const STUCK: Duration = Duration::from_secs(3);
/// How often it shows that it is not.
const BEAT: Duration = Duration::from_millis(200);

impl Interrupt {
    /// Starts to listen for SIGINT and SIGTERM. Must be called inside the tokio runtime.
    pub fn listen() -> std::io::Result<Self> {
        let this = Self::default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (mut int, mut term) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let state = this.clone();
        let listen = async move {
            let tell = async {
                loop {
                    let number = tokio::select! { _ = int.recv() => 2, _ = term.recv() => 15 };
                    state.0.signal.store(number, Ordering::SeqCst);
                    state.0.arrived.notify_waiters();
                }
            };
            tokio::join!(tell, end_when_stuck(&state))
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(listen);
        })?;
        let run = this.clone();
        tokio::spawn(async move {
            run.wait().await;
            loop {
                run.0.beats.fetch_add(1, Ordering::SeqCst);
                sleep(BEAT).await;
            }
        });
        Ok(this)
    }

    /// Returns when a signal has arrived, at once if one has before.
    pub async fn wait(&self) {
        loop {
            let arrived = self.0.arrived.notified();
            if self.is_set() {
                return;
            }
            arrived.await;
        }
    }

    /// Does some work, which a signal ends where it waits: nothing that it began may be left half-done by that.
    ///
    /// # Errors
    /// The run was stopped.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            () = self.wait() => Err(self.error()),
        }
    }

    /// Whether a signal has arrived.
    pub fn is_set(&self) -> bool {
        self.0.signal.load(Ordering::SeqCst) != 0
    }

    /// An error if a signal has arrived: between two steps that must not be torn apart.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_set() { Err(self.error()) } else { Ok(()) }
    }

    /// The error of an interrupted run.
    pub fn error(&self) -> Error {
        let name = if self.0.signal.load(Ordering::SeqCst) == 15 { "SIGTERM" } else { "SIGINT" };
        Error::new(Code::Interrupted, format!("the run was stopped by {name}"))
            .help("What was there before is whole, and the next run goes on from it.")
    }
}

/// Ends the process when a run that was told to end shows nothing of itself any more.
async fn end_when_stuck(interrupt: &Interrupt) {
    interrupt.wait().await;
    loop {
        let before = interrupt.0.beats.load(Ordering::SeqCst);
        sleep(STUCK).await;
        if interrupt.0.beats.load(Ordering::SeqCst) == before {
            end(interrupt);
        }
    }
}

/// Ends the process, whatever the run does: as if it were killed, which leaves what was there before whole. What is said
/// of it may find the same pipe full, and is not waited for.
fn end(interrupt: &Interrupt) {
    let error = interrupt.error();
    let text = format!("claude-secrets: {}, and ends in the middle of what it waits for\n", error.fact);
    std::thread::spawn(move || {
        use std::io::Write;
        let _ = std::io::stderr().write_all(text.as_bytes());
    });
    std::thread::sleep(BEAT);
    std::process::exit(i32::from(error.code.exit_status()));
}
