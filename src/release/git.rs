//! What git says of the files of a checkout: which it tracks, and which it ignores.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gix_ignore::Search;
use gix_ignore::glob::pattern::Case;
use gix_ignore::search::Ignore;

use crate::files::{self, LARGEST_SETTINGS};
use crate::tracked;

/// A repository, or a directory that is in none: there nothing is ignored.
pub(super) struct Git {
    top: PathBuf,
    tracked: BTreeSet<Vec<u8>>,
    ignored: Search,
    is_repository: bool,
}

impl Git {
    /// The repository that a directory is in; `None` when there is one that cannot be read.
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let mut this = Self {
            top: directory.to_owned(),
            tracked: BTreeSet::new(),
            ignored: Search::default(),
            is_repository: false,
        };
        let Some((top, git_dir)) = tracked::repository(directory) else { return Some(this) };
        let git_dir = git_dir?;
        let index = tracked::index(&git_dir)?;
        let paths = index.entries().iter().map(|entry| {
            let path: &[u8] = entry.path(&index);
            path.to_vec()
        });
        this.tracked = paths.collect();
        this.top = top;
        this.is_repository = true;
        this.add(&git_dir.join("info/exclude"), false);
        Some(this)
    }

    /// Its top.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Enters a directory: from here on its `.gitignore` counts as well. Returns what [`Git::leave`] takes.
    pub(super) fn enter(&mut self, directory: &Path) -> usize {
        let before = self.ignored.patterns.len();
        if self.is_repository {
            self.add(&directory.join(".gitignore"), true);
        }
        before
    }

    /// Leaves a directory again.
    pub(super) fn leave(&mut self, before: usize) {
        self.ignored.patterns.truncate(before);
    }

    /// Whether git knows the file, or would with `git add`. `path` is absolute, and all directories above it were entered.
    pub(super) fn takes(&self, path: &Path, is_directory: bool) -> bool {
        let Ok(relative) = path.strip_prefix(&self.top) else { return false };
        let name = relative.as_os_str().as_bytes();
        if self.tracked.contains(name) || is_directory && self.tracks_below(name) {
            return true;
        }
        let found =
            self.ignored.pattern_matching_relative_path(name.into(), Some(is_directory), Case::Sensitive);
        found.is_none_or(|found| found.pattern.is_negative())
    }

    fn tracks_below(&self, directory: &[u8]) -> bool {
        let start = [directory, b"/"].concat();
        self.tracked.range(start.clone()..).next().is_some_and(|path| path.starts_with(&start))
    }

    fn add(&mut self, file: &Path, of_directory: bool) {
        // What the crate would read by itself: it would wait for a pipe.
        if let Ok(contents) = files::read(file, LARGEST_SETTINGS) {
            let top = of_directory.then_some(self.top.as_path());
            let _ = self.ignored.add_patterns_buffer(
                contents.value.expose(),
                file.to_owned(),
                top,
                Ignore::default(),
            );
        }
    }
}
