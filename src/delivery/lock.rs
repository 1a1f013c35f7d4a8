//! One run at a time changes a project's files: an advisory lock on the project directory itself.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::place::open_project;
use crate::error::{Code, Error};

/// How often a waiting run looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// Held while a run changes a project's files. It is a flock(2) on the directory's descriptor, so it leaves no file
/// behind, and the kernel releases it when the process dies, however that happens. Children do not inherit it.
pub struct ProjectLock {
    _directory: OwnedFd,
    exclusive: bool,
}

impl ProjectLock {
    /// Waits up to `wait` for the lock of the project directory.
    ///
    /// It blocks the thread. Where signals must be answered meanwhile, call [`Self::try_lock`] in a loop instead.
    ///
    /// # Errors
    /// `Locked` when another run still holds it after the wait; `ProjectDirectoryMissing`.
    pub fn lock(project: &Path, wait: Duration) -> Result<Self, Error> {
        let end = Instant::now() + wait;
        loop {
            if let Some(lock) = Self::try_lock(project)? {
                return Ok(lock);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Self::locked(project, wait));
            }
            std::thread::sleep(left.min(PAUSE));
        }
    }

    /// Takes the lock if nobody holds it; `None` when another run does.
    pub fn try_lock(project: &Path) -> Result<Option<Self>, Error> {
        let directory = open_project(project)?.into_fd();
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _directory: directory, exclusive: true })),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            // A file system without locks (some network ones) must not make a project undeployable.
            Err(_) => Ok(Some(Self { _directory: directory, exclusive: false })),
        }
    }

    /// The error for a lock that another run held for the whole wait.
    pub fn locked(project: &Path, waited: Duration) -> Error {
        let seconds = waited.as_secs_f32();
        Error::new(
            Code::Locked,
            format!("another run has been changing {} for the whole {seconds:.0} s that we waited", project.display()),
        )
        .help(
            "Let the other run end. In a workflow, give the jobs that deploy this project one `concurrency:` group, \
             so that they queue up.",
        )
    }

    /// Whether the lock keeps others out; false on a file system that has no locks, worth a warning.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}
