//! SIGINT and SIGTERM: as PID 1 of a container nothing would end us unless we handle them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::error::{Code, Error};

/// Whether the run was asked to stop, and by which signal. Clones share the same state.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Default)]
struct State {
    signal: AtomicI32,
    arrived: Notify,
}

impl Interrupt {
    /// Starts to listen for SIGINT and SIGTERM. Must be called inside the tokio runtime.
    pub fn listen() -> std::io::Result<Self> {
        let this = Self::default();
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let state = this.clone();
        tokio::spawn(async move {
            loop {
                let number = tokio::select! {
                    _ = int.recv() => 2,
                    _ = term.recv() => 15,
                };
                state.0.signal.store(number, Ordering::SeqCst);
                state.0.arrived.notify_waiters();
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
            .hint("What was there before is whole, and the next run goes on from it.")
    }
}
