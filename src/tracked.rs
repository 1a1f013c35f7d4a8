//! Whether git tracks a path: read from the repository's index, since our image holds no git.
//!
//! The index is read by `gix-index` (all versions, split and sparse ones): measured, it adds 140 kB to the program and
//! 28 s to a cold release build on two cores. Its kind is SHA-1; of a SHA-256 repository we have no opinion.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::files::{self, LARGEST_SETTINGS};

/// The largest index that is looked into: some 100 bytes for each file of the repository.
const LARGEST_INDEX: u64 = 1024 * 1024 * 1024;

/// Takes a path that need not exist and says whether git tracks it, or anything below it.
/// `None` when there is a repository whose index cannot be read: then nobody knows.
pub fn is_tracked(path: &Path) -> Option<bool> {
    tracked_under(path).map(|paths| !paths.is_empty())
}

/// Whether the path is in a repository that can be read and that does not track it.
pub fn is_untracked(path: &Path) -> bool {
    resolve_parent(path).is_some_and(|path| repository(&path).is_some()) && is_tracked(path) == Some(false)
}

/// Takes a path that need not exist and returns what git tracks at it or below it, as paths from the top of the
/// repository, in the index's order. Empty outside of any repository; `None` when the index cannot be read.
///
/// Symbolic links above the path's last component are followed, the last one is not: git tracks a link as such.
pub fn tracked_under(path: &Path) -> Option<Vec<PathBuf>> {
    let path = resolve_parent(path)?;
    let Some((top, git_dir)) = repository(&path) else {
        return Some(Vec::new());
    };
    let index = index(&git_dir?)?;
    let wanted = path.strip_prefix(&top).ok()?.as_os_str().as_bytes();
    let tracked = index.entries().iter().map(|entry| -> &[u8] { entry.path(&index) });
    Some(tracked.filter(|entry| is_at_or_below(entry, wanted)).map(to_path).collect())
}

/// The index of a git directory, empty when nothing was ever added; `None` when it cannot be read.
pub(crate) fn index(git_dir: &Path) -> Option<gix_index::File> {
    let (path, kind) = (git_dir.join("index"), gix_index::hash::Kind::Sha1);
    if !path.exists() {
        return Some(gix_index::File::from_state(gix_index::State::new(kind), path));
    }
    files::check(&path, LARGEST_INDEX).ok()?;
    let options = gix_index::decode::Options { thread_limit: Some(1), ..Default::default() };
    gix_index::File::at(path, kind, true, options).ok()
}

fn is_at_or_below(entry: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || entry.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

/// The path with the links in its existing parents resolved, so that walking up finds the repository it really is in.
fn resolve_parent(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut rest = vec![path.file_name()?.to_owned()];
    let mut above = path.parent()?;
    loop {
        if let Ok(real) = above.canonicalize() {
            return Some(real.join(rest.iter().rev().collect::<PathBuf>()));
        }
        rest.push(above.file_name()?.to_owned());
        above = above.parent()?;
    }
}

/// The nearest repository that the path is in: its top, and its git directory (`None` when that cannot be found).
pub(crate) fn repository(path: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
    path.ancestors().find_map(|top| {
        let dot_git = top.join(".git");
        let kind = fs::metadata(&dot_git).ok()?;
        if kind.is_dir() {
            // As git does: a directory without HEAD is no repository.
            return dot_git.join("HEAD").exists().then(|| (top.to_owned(), Some(dot_git)));
        }
        // A worktree or a submodule: `gitdir: <path>` (gitrepository-layout(5)), relative to the file's directory.
        let text = files::read(&dot_git, LARGEST_SETTINGS).ok()?.value;
        let target = text.expose().strip_prefix(b"gitdir: ")?;
        let git_dir = top.join(OsStr::from_bytes(target.trim_ascii_end()));
        Some((top.to_owned(), git_dir.is_dir().then_some(git_dir)))
    })
}

#[cfg(test)]
#[path = "tracked_tests.rs"]
mod tests;
