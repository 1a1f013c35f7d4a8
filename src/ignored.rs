//! What git ignores in a repository, while its directories are walked (gitignore(5)).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix_ignore::Search;
use gix_ignore::glob::pattern::Case;
use gix_ignore::search::Ignore;

use crate::files::{self, LARGEST_SETTINGS};

/// The patterns that count where the walk is.
pub(crate) struct Ignored {
    top: PathBuf,
    patterns: Search,
}

impl Ignored {
    /// Takes the top of a repository and its git directory, whose own list of patterns counts everywhere.
    pub(crate) fn new(top: &Path, git_dir: &Path) -> Self {
        let mut this = Self { top: top.to_owned(), patterns: Search::default() };
        // What the crate would read by itself: it would wait for a pipe. Without it less is ignored.
        let exclude = git_dir.join("info/exclude");
        if let Ok(contents) = files::read(&exclude, LARGEST_SETTINGS) {
            this.add(contents.value.expose(), exclude, false);
        }
        this
    }

    /// Enters a directory with what its `.gitignore` holds. Returns what [`Ignored::leave`] takes.
    pub(crate) fn enter(&mut self, directory: &Path, gitignore: Option<&[u8]>) -> usize {
        let before = self.patterns.patterns.len();
        if let Some(bytes) = gitignore {
            self.add(bytes, directory.join(GITIGNORE), true);
        }
        before
    }

    /// Leaves a directory again.
    pub(crate) fn leave(&mut self, before: usize) {
        self.patterns.patterns.truncate(before);
    }

    /// Whether a path, relative to the top, is ignored. All directories above it were entered.
    pub(crate) fn has(&self, relative: &Path, is_directory: bool) -> bool {
        let path = relative.as_os_str().as_bytes();
        let found =
            self.patterns.pattern_matching_relative_path(path.into(), Some(is_directory), Case::Sensitive);
        found.is_some_and(|found| !found.pattern.is_negative())
    }

    fn add(&mut self, bytes: &[u8], file: PathBuf, of_directory: bool) {
        let top = of_directory.then_some(self.top.as_path());
        let _ = self.patterns.add_patterns_buffer(bytes, file, top, Ignore::default());
    }
}

/// The file of a directory that says what git ignores there.
pub(crate) const GITIGNORE: &str = ".gitignore";
