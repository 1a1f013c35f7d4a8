//! The locks on a project's files: one run at a time changes them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::delivery::ProjectLock;
use crate::error::Result;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// How long a run waits for another one that changes the same project.
pub(crate) const LOCK_WAIT: Duration = Duration::from_mins(5);

/// The lock on the project's files, waited for without blocking signals.
pub(crate) async fn project_lock(run: &Run, prepared: &Prepared) -> Result<ProjectLock> {
    lock_directory(run, &prepared.project.files.directory).await
}

/// The lock on the files of a project directory.
pub(crate) async fn lock_directory(run: &Run, directory: &std::path::Path) -> Result<ProjectLock> {
    let start = Instant::now();
    loop {
        if let Some(lock) = ProjectLock::try_lock(directory)? {
            if !lock.is_exclusive() {
                run.console.line(
                    "this file system knows no locks: two runs at once are kept apart by the engine alone",
                );
            }
            return Ok(lock);
        }
        if start.elapsed() >= LOCK_WAIT {
            return Err(ProjectLock::locked(directory, LOCK_WAIT));
        }
        tokio::select! {
            () = run.interrupt.wait() => return Err(run.interrupt.error()),
            () = sleep(Duration::from_millis(100)) => {}
        }
    }
}
