//! What git says of the files of a checkout: which it tracks, and which it ignores.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::files::{self, LARGEST_SETTINGS};
use crate::ignored::{GITIGNORE, Ignored};
use crate::tracked;

/// A repository, or a directory that is in none: there nothing is ignored.
pub(super) struct Git {
    top: PathBuf,
    tracked: BTreeSet<Vec<u8>>,
    /// `None` outside of a repository.
    ignored: Option<Ignored>,
    /// What a run itself writes: never part of a release, and nobody's data.
    own: Vec<PathBuf>,
}

impl Git {
    /// The repository that a directory is in; `None` when there is one that cannot be read. `own` is what a run itself
    /// writes, as absolute paths.
    pub(super) fn of(directory: &Path, own: Vec<PathBuf>) -> Option<Self> {
        let Some((top, git_dir)) = tracked::repository(directory) else {
            return Some(Self { top: directory.to_owned(), tracked: BTreeSet::new(), ignored: None, own });
        };
        let git_dir = git_dir?;
        let index = tracked::index(&git_dir)?;
        let paths = index.entries().iter().map(|entry| {
            let path: &[u8] = entry.path(&index);
            path.to_vec()
        });
        let ignored = Some(Ignored::new(&top, &git_dir));
        Some(Self { tracked: paths.collect(), ignored, top, own })
    }

    /// Whether there is a repository: elsewhere nobody can tell a release from a service's data.
    pub(super) fn is_repository(&self) -> bool {
        self.ignored.is_some()
    }

    /// Whether a run itself writes this.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        self.own.iter().any(|own| own == path)
    }

    /// Its top.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Enters a directory: from here on its `.gitignore` counts as well. Returns what [`Git::leave`] takes.
    pub(super) fn enter(&mut self, directory: &Path) -> usize {
        let Some(ignored) = &mut self.ignored else { return 0 };
        let contents = files::read(&directory.join(GITIGNORE), LARGEST_SETTINGS).ok();
        ignored.enter(directory, contents.as_ref().map(|contents| contents.value.expose()))
    }

    /// Leaves a directory again.
    pub(super) fn leave(&mut self, before: usize) {
        if let Some(ignored) = &mut self.ignored {
            ignored.leave(before);
        }
    }

    /// Whether git knows the file, or would with `git add`. `path` is absolute, and all directories above it were entered.
    pub(super) fn takes(&self, path: &Path, is_directory: bool) -> bool {
        let Ok(relative) = path.strip_prefix(&self.top) else { return false };
        let name = relative.as_os_str().as_bytes();
        if self.tracked.contains(name) || is_directory && self.tracks_below(name) {
            return true;
        }
        self.ignored.as_ref().is_none_or(|ignored| !ignored.has(relative, is_directory))
    }

    fn tracks_below(&self, directory: &[u8]) -> bool {
        let start = [directory, b"/"].concat();
        self.tracked.range(start.clone()..).next().is_some_and(|path| path.starts_with(&start))
    }
}
