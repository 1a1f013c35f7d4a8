//! The list of what is ours in the secrets directory, kept in it as `.claude-secrets.json`. It holds no values.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use super::directory::{At, Directory, chown};
use crate::error::{Code, Error};
use crate::files::{self, LARGEST_VALUES};

/// The index's name in the secrets directory.
pub(in crate::delivery) const INDEX: &str = ".claude-secrets.json";
/// A file of ours that is being written; only ever seen after a killed run.
pub(in crate::delivery) const UNFINISHED: &str = ".claude-secrets.new";
/// Keeps `git add` away, also from a directory that nobody thought of ignoring.
pub(in crate::delivery) const GITIGNORE: &str = ".gitignore";
/// What our [`GITIGNORE`] holds. One with other content is the user's.
pub(in crate::delivery) const GITIGNORE_CONTENT: &[u8] = b"# Secret files are never committed.\n*\n";

const VERSION: u32 = 1;

/// What is ours in a secrets directory. Paths are relative to it, but for `made`.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::delivery) struct Index {
    pub(in crate::delivery) version: u32,
    /// The name of the Compose project that the files are of; empty where an earlier version did not note it.
    pub(in crate::delivery) project: String,
    /// The directory is a copy made for a swap (see `swap`), to be replaced by the original or removed.
    pub(in crate::delivery) staged: bool,
    /// The secret files: `name` or `service/name`.
    pub(in crate::delivery) files: BTreeSet<PathBuf>,
    /// The sub-directories that we made.
    pub(in crate::delivery) directories: BTreeSet<PathBuf>,
    /// In a staged directory: second names of files that are not ours.
    pub(in crate::delivery) linked: BTreeSet<PathBuf>,
    /// The directories that we made, as paths from the project directory: the secrets directory and those above it.
    pub(in crate::delivery) made: Vec<PathBuf>,
}

impl Index {
    /// Reads a directory's index; `None` when there is none. It may be anything: whoever can write in the workspace
    /// can have put it there. So its paths are checked, and a path outside the directory is never believed.
    ///
    /// # Errors
    /// `DeliveryFailed` when it is malformed or newer than this program.
    pub(in crate::delivery) fn read(directory: &Directory) -> Result<Option<Self>, Error> {
        let path = directory.path_of(OsStr::new(INDEX));
        let Some(file) = directory.open_file(OsStr::new(INDEX)).at("read", &path)? else {
            return Ok(None);
        };
        let contents = files::read_opened(file, LARGEST_VALUES).at("read", &path)?;
        let unusable = |why: &str| {
            Error::new(Code::DeliveryFailed, format!("{} {why}", path.display())).help(format!(
                "Delete the directory {} if nothing else in it matters: the next run makes it anew.",
                directory.path().display()
            ))
        };
        let index: Self = serde_json::from_slice(contents.value.expose())
            .map_err(|_| unusable("is no list of secret files of ours"))?;
        if index.version == 0 {
            return Err(unusable("is no list of secret files of ours")); // other JSON
        }
        if index.version > VERSION {
            return Err(unusable("was written by a newer version of this program"));
        }
        let paths = index.files.iter().chain(&index.directories).chain(&index.linked).chain(&index.made);
        if !paths.into_iter().all(|p| is_plain(p)) || !index.files.iter().all(|p| is_secret_path(p)) {
            return Err(unusable("lists paths outside its directory"));
        }
        Ok(Some(index))
    }

    /// Writes the index into the directory, in one step.
    pub(in crate::delivery) fn write(
        &mut self,
        directory: &Directory,
        owner: (u32, u32),
    ) -> Result<(), Error> {
        self.version = VERSION;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|_| Error::new(Code::Internal, "an index without text"))?;
        replace(directory, OsStr::new(INDEX), &text, owner)
    }

    /// The sub-directories that the files of this index are in.
    pub(in crate::delivery) fn parents(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        parents.filter(|parent| *parent != Path::new("")).map(Path::to_owned).collect()
    }

    /// Those sub-directories, then the secrets directory itself as the empty path.
    pub(in crate::delivery) fn parents_and_top(&self) -> Vec<PathBuf> {
        self.parents().into_iter().chain([PathBuf::new()]).collect()
    }
}

/// Writes a bookkeeping file of ours (never a secret) in one step: beside its place, then renamed.
pub(in crate::delivery) fn replace(
    directory: &Directory,
    name: &OsStr,
    text: &[u8],
    owner: (u32, u32),
) -> Result<(), Error> {
    let (path, unfinished) = (directory.path_of(name), OsStr::new(UNFINISHED));
    directory.remove_file(unfinished).at("remove", &directory.path_of(unfinished))?;
    let mut file = directory.create_file(unfinished).at("write", &path)?;
    // As far as we may: git, run by the workspace's owner, has to read the .gitignore.
    let _ = chown(&file, owner);
    file.write_all(text).and_then(|()| file.sync_all()).at("write", &path)?;
    directory.rename(unfinished, directory, name, RenameFlags::empty()).at("write", &path)
}

/// Whether the directory's `.gitignore` is the one that we write.
pub(in crate::delivery) fn has_our_gitignore(directory: &Directory) -> bool {
    let Ok(Some(file)) = directory.open_file(OsStr::new(GITIGNORE)) else {
        return false;
    };
    let most = GITIGNORE_CONTENT.len() as u64;
    files::read_opened(file, most).is_ok_and(|contents| contents.value.expose() == GITIGNORE_CONTENT)
}

/// Whether an entry of a secrets directory is our bookkeeping: `sub` is its directory's path in there.
pub(in crate::delivery) fn is_bookkeeping(directory: &Directory, sub: &Path, name: &OsStr) -> bool {
    let on_top = sub == Path::new("");
    name == UNFINISHED || (on_top && (name == INDEX || (name == GITIGNORE && has_our_gitignore(directory))))
}

/// Whether a path is `name` or `service/name`, and no name of our bookkeeping.
pub(in crate::delivery) fn is_secret_path(path: &Path) -> bool {
    let names: Vec<_> = path.components().collect();
    let reserved = [INDEX, UNFINISHED, GITIGNORE].map(OsStr::new);
    is_plain(path) && names.len() <= 2 && names.iter().all(|n| !reserved.contains(&n.as_os_str()))
}

fn is_plain(path: &Path) -> bool {
    path != Path::new("") && path.components().all(|c| matches!(c, Component::Normal(_)))
}
