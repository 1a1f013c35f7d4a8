//! Directories in memory for what must be a file for the time of a call, and must not outlast a run that is killed: the next
//! run removes them.

use std::io::Result;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use tempfile::TempDir;

/// Memory, not a disk, where there is such a place.
const MEMORY: &str = "/dev/shm";

/// A directory that only this user can read, removed with this value.
pub(crate) struct MemoryDirectory {
    directory: TempDir,
    /// As long as it is held, the directory is no killed run's.
    _lock: OwnedFd,
}

impl MemoryDirectory {
    /// Makes one whose name starts with this.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        // Made for its owner alone (tempfile: 0700).
        let directory = tempfile::Builder::new().prefix(prefix).tempdir_in(place())?;
        let lock = lock(directory.path())?;
        Ok(Self { directory, _lock: lock })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Where they are made.
pub(crate) fn place() -> PathBuf {
    let memory = Path::new(MEMORY);
    let writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    if writable { memory.to_owned() } else { std::env::temp_dir() }
}

/// Removes what killed runs left: directories of this user whose names start with this, and that no living run has locked.
/// An empty one may be just being made.
pub(crate) fn remove_stale(prefix: &str) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(place()).into_iter().flatten().flatten() {
        let is_named = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        let is_own = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        let is_made = || std::fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_some());
        if is_named && is_own && is_made() && lock(&entry.path()).is_ok() {
            // What cannot be removed now is tried again by the next run.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn lock(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty())?;
    rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive)?;
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not() {
        let prefix = format!("claude-secrets-test-{}-", std::process::id());
        let living = MemoryDirectory::new(&prefix).unwrap();
        std::fs::write(living.path().join("x"), "x").unwrap();
        let killed = tempfile::Builder::new().prefix(&prefix).tempdir_in(place()).unwrap().keep();
        std::fs::write(killed.join("x"), "x").unwrap();
        let made_now = tempfile::Builder::new().prefix(&prefix).tempdir_in(place()).unwrap();
        remove_stale(&prefix);
        assert!(living.path().exists() && !killed.exists() && made_now.path().exists());
    }
}
