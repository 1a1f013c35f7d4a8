//! Where the secrets directory is, and the hidden directories beside it in which a new set is staged.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::directory::{At, Directory};
use super::index::Index;
use crate::error::{Code, Error};

/// The secrets directory's place in the file system, and the owner and mode of directories in it.
pub(in crate::delivery) struct Site<'a> {
    /// The directory that the secrets directory is in.
    pub(in crate::delivery) parent: &'a Directory,
    /// The secrets directory's name there.
    pub(in crate::delivery) name: &'a OsStr,
    /// The workspace's owner, who owns every directory.
    pub(in crate::delivery) owner: (u32, u32),
    /// The sub-directories that containers mount whole.
    pub(in crate::delivery) mounted: &'a BTreeSet<PathBuf>,
    /// Whether to try the exchange; false in tests of the other way.
    pub(in crate::delivery) exchange: bool,
}

impl Site<'_> {
    /// The mode of a sub-directory, by its path.
    pub(in crate::delivery) fn mode_of(&self, sub_directory: &Path) -> u32 {
        if self.mounted.contains(sub_directory) { 0o755 } else { DIRECTORY_MODE }
    }

    /// Where the secrets directory is, for messages.
    pub(in crate::delivery) fn path(&self) -> PathBuf {
        self.parent.path_of(self.name)
    }

    /// The secrets directory, when there is one.
    pub(in crate::delivery) fn live(&self) -> Result<Option<Directory>, Error> {
        self.parent.child(self.name).at("open", &self.path())
    }
}

/// The mode of the secrets directory: everything in it is reached through it.
pub(in crate::delivery) const DIRECTORY_MODE: u32 = 0o700;

/// A new hidden name beside a file or directory of the given name.
pub(in crate::delivery) fn staging_name(name: &OsStr) -> Result<OsString, Error> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random)
        .map_err(|_| Error::new(Code::Internal, "the system gives no random bytes"))?;
    Ok(staging_name_with(name, &format!("{:016x}", u64::from_ne_bytes(random))))
}

/// Such a name with this in place of what is random; with `*`, the pattern of all of them.
pub(in crate::delivery) fn staging_name_with(name: &OsStr, random: &str) -> OsString {
    let mut staged = OsString::from(".");
    staged.push(name);
    staged.push(format!(".claude-secrets.{random}.tmp"));
    staged
}

/// Whether [`staging_name`] gave this name for a file or directory of the given name.
pub(in crate::delivery) fn is_staging_name(candidate: &OsStr, name: &OsStr) -> bool {
    let rest = candidate.as_encoded_bytes().strip_prefix(b".");
    let rest = rest.and_then(|r| r.strip_prefix(name.as_encoded_bytes()));
    let hex = rest.and_then(|r| r.strip_prefix(b".claude-secrets.")).and_then(|r| r.strip_suffix(b".tmp"));
    hex.is_some_and(|h| h.len() == 16 && h.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// A new set in its hidden directory.
pub(in crate::delivery) struct Staged<'a> {
    /// The directory that the hidden one is in: beside the secrets directory, or that itself where it is a mount point.
    pub(in crate::delivery) around: &'a Directory,
    /// The hidden directory's name.
    pub(in crate::delivery) hidden: OsString,
    /// Its index.
    pub(in crate::delivery) index: Index,
}
