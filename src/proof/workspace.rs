//! What `git status` shows of the workspace: files that git does not ignore and that are new or changed. A value in one of
//! them is one commit away from being public.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::{self, Links};
use crate::ignored::{GITIGNORE, Ignored};
use crate::search::{Holds, Search};
use crate::tracked;

/// At most this many entries of directories are looked at.
const MOST_ENTRIES: usize = 50_000;
/// At most this many files are read.
const MOST_FILES: usize = 2_000;
/// At most this many bytes of a file are read.
const MOST_OF_A_FILE: u64 = 1 << 20;
/// At most this many bytes of all files together.
const MOST_OF_ALL: u64 = 64 << 20;

/// What was found.
#[derive(Default, Debug)]
pub struct Status {
    /// Whether there is a repository that could be searched.
    pub is_repository: bool,
    /// How many new or changed files were searched.
    pub searched: usize,
    /// Whether there was more than is searched.
    pub cut_short: bool,
    /// Files with values, as paths from the top of the repository, and the secrets' names.
    pub found: BTreeMap<PathBuf, Vec<String>>,
}

/// Searches the repository that a directory is in. What cannot be read is skipped: git could not add it either.
pub fn search(directory: &Path, search: &Search) -> Status {
    let Some((top, Some(git_dir))) =
        directory.canonicalize().ok().and_then(|path| tracked::repository(&path))
    else {
        return Status::default();
    };
    // Without a readable index, it is unknown which files are new.
    let Some(index) = tracked::index(&git_dir) else {
        return Status::default();
    };
    let tracked = index.entries().iter().map(|entry| {
        let path: &[u8] = entry.path(&index);
        (path, (entry.stat.size, entry.stat.mtime.secs))
    });
    let mut walk = Walk {
        top: &top,
        tracked: tracked.collect(),
        ignored: Ignored::new(&top, &git_dir),
        search,
        entries: 0,
        bytes: 0,
        status: Status { is_repository: true, ..Status::default() },
    };
    walk.directory(&top, 0);
    walk.status
}

struct Walk<'a> {
    top: &'a Path,
    /// Size and time of the last change of what git tracks, by path.
    tracked: BTreeMap<&'a [u8], (u32, u32)>,
    ignored: Ignored,
    search: &'a Search<'a>,
    entries: usize,
    bytes: u64,
    status: Status,
}

/// Deeper directories than this are not looked into.
const DEEPEST: usize = 64;

impl Walk<'_> {
    fn directory(&mut self, path: &Path, depth: usize) {
        if depth > DEEPEST {
            self.status.cut_short = true;
            return;
        }
        let gitignore = read(&path.join(GITIGNORE), MOST_OF_A_FILE);
        let before = self.ignored.enter(path, gitignore.as_ref().map(|(bytes, _)| bytes.as_slice()));
        let entries: BTreeSet<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        for entry in entries {
            self.entries += 1;
            if self.entries > MOST_ENTRIES || self.status.searched >= MOST_FILES || self.bytes >= MOST_OF_ALL
            {
                self.status.cut_short = true;
                break;
            }
            self.entry(&entry, depth);
        }
        self.ignored.leave(before);
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        let Ok(relative) = path.strip_prefix(self.top) else {
            return;
        };
        let Ok(meta) = fs::symlink_metadata(path) else {
            return;
        };
        let name = relative.as_os_str().as_bytes();
        if meta.is_dir() {
            // Nested repositories are not searched, and neither is the repository's own directory.
            if relative.file_name().is_some_and(|name| name == ".git")
                || path.join(".git").exists()
                || self.ignored.has(relative, true) && !self.tracks_below(name)
            {
                return;
            }
            return self.directory(path, depth + 1);
        }
        if !meta.is_file() {
            return;
        }
        match self.tracked.get(name) {
            // git itself considers a file of the same size and time unchanged, and keeps 32 bits of each.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some(known) if *known == (meta.size() as u32, meta.mtime() as u32) => return,
            None if self.ignored.has(relative, false) => return,
            _ => {}
        }
        let Some((bytes, size)) = read(path, MOST_OF_A_FILE) else {
            return;
        };
        self.status.searched += 1;
        self.bytes += bytes.len() as u64;
        self.status.cut_short |= size > MOST_OF_A_FILE;
        // Names and short values occur in any source text.
        let found = self.search.text(&String::from_utf8_lossy(&bytes), Holds::Name);
        if !found.is_empty() {
            self.status.found.insert(relative.to_owned(), found);
        }
    }

    /// Whether git tracks something below an ignored directory, as after `git add --force`.
    fn tracks_below(&self, directory: &[u8]) -> bool {
        let start = [directory, b"/"].concat();
        self.tracked.range(start.as_slice()..).next().is_some_and(|(path, _)| path.starts_with(&start))
    }
}

/// The beginning of a regular file, and the size of the whole; `None` for everything else. No link is followed.
fn read(path: &Path, most: u64) -> Option<(Zeroizing<Vec<u8>>, u64)> {
    let size = fs::symlink_metadata(path).ok()?.len();
    // Room for all of it at once: growing would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size.min(most)).ok()?));
    let size =
        files::read_beginning(path, most, Links::Refused, |piece| bytes.extend_from_slice(piece)).ok()?;
    Some((bytes, size))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const VALUE: &str = "canary-in-the-workspace";

    fn git(top: &Path, words: &[&str]) {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", top).current_dir(top);
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(words);
        assert!(command.output().expect("git is installed").status.success(), "git {words:?}");
    }

    /// A repository with these files; the ones with a `+` are committed.
    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        git(top.path(), &["init", "-q"]);
        for (path, text) in files {
            let tracked = path.strip_prefix('+');
            let path = top.path().join(tracked.unwrap_or(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            if tracked.is_some() {
                git(top.path(), &["add", "-f", path.to_str().unwrap()]);
            }
        }
        top
    }

    fn status(top: &Path) -> Status {
        let secrets_in =
            |text: &str| text.contains(VALUE).then(|| "KEY".to_owned()).into_iter().collect::<Vec<_>>();
        super::search(top, &Search::new(&secrets_in))
    }

    fn found(top: &Path) -> Vec<String> {
        status(top).found.into_keys().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn new_files_with_a_value_are_found_unless_git_ignores_them() {
        let top = repository(&[
            ("+.gitignore", "*.log\n/data/secrets/\n!keep.log\n"),
            ("data/secrets/key", VALUE),
            ("data/other/key", VALUE),
            ("deep/er/.gitignore", "/here\n"),
            ("deep/er/here", VALUE),
            ("deep/here", VALUE),
            ("a.log", VALUE),
            ("keep.log", VALUE),
            ("own/.gitignore", "*\n"),
            ("own/key", VALUE),
            ("excluded", VALUE),
            ("clean", "nothing"),
            ("+committed", VALUE),
            ("inner/.git/HEAD", "ref: x"),
            ("inner/file", VALUE),
        ]);
        fs::create_dir_all(top.path().join(".git/info")).unwrap();
        fs::write(top.path().join(".git/info/exclude"), "excluded\n").unwrap();
        fs::write(top.path().join(".git/of-git"), VALUE).unwrap();
        std::os::unix::fs::symlink("data/secrets/key", top.path().join("link")).unwrap();
        assert_eq!(found(top.path()), ["data/other/key", "deep/here", "keep.log"]);
        assert_eq!(found(&top.path().join("deep/er")), ["data/other/key", "deep/here", "keep.log"]);
    }

    #[test]
    fn what_git_itself_would_list_is_what_is_searched() {
        let top = repository(&[
            ("+.gitignore", "a/*\n!a/b\n**/x/y\nfoo[12]\n\\#odd\ntrailing \n"),
            ("a/b", VALUE),
            ("a/c", VALUE),
            ("p/x/y", VALUE),
            ("p/x/z", VALUE),
            ("foo1", VALUE),
            ("foo3", VALUE),
            ("#odd", VALUE),
            ("trailing", VALUE),
            ("ünï cöde", VALUE),
        ]);
        let mut command = Command::new("git");
        let listed = command
            .args(["ls-files", "--others", "--exclude-standard", "-z"])
            .current_dir(top.path())
            .output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let listed: BTreeSet<&str> = listed.split_terminator('\0').collect();
        let found = found(top.path());
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
        assert!(listed.len() >= 4, "{listed:?}");
    }

    #[test]
    fn a_changed_file_is_found_also_where_git_ignores_new_ones() {
        let top = repository(&[("+.gitignore", "ignored/\n"), ("+ignored/in", "before"), ("+in", "before")]);
        assert_eq!(found(top.path()), [""; 0]);
        fs::write(top.path().join("ignored/in"), VALUE).unwrap();
        fs::write(top.path().join("in"), VALUE).unwrap();
        assert_eq!(found(top.path()), ["ignored/in", "in"]);
    }

    #[test]
    fn there_is_nothing_to_say_outside_of_a_repository_and_pipes_are_not_waited_for() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), VALUE).unwrap();
        assert!(!status(outside.path()).is_repository);
        let top = repository(&[("new", VALUE)]);
        fs::remove_file(top.path().join(".git/info/exclude")).unwrap();
        fs::create_dir(top.path().join("in")).unwrap();
        for pipe in ["pipe", ".gitignore", "in/.gitignore", ".git/info/exclude"] {
            assert!(Command::new("mkfifo").arg(top.path().join(pipe)).status().unwrap().success());
        }
        assert_eq!(found(top.path()), ["new"]);
    }
}
