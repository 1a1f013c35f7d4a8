//! One directory held open by its descriptor, so that nobody can redirect a name while we work in it.
//!
//! Every name is looked up from the descriptor and never through a symbolic link. A path is kept for messages only.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid};
use rustix::io::{Errno, Result};

use crate::error::{Code, Error};

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open directory.
pub(in crate::delivery) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the project directory. It is the one directory that may be reached through symbolic links: it and
    /// what is above it are the user's choice, what is below may come out of a repository.
    pub(in crate::delivery) fn open(path: &Path) -> Result<Self> {
        Ok(Self { fd: fs::open(path, OPEN_DIRECTORY, Mode::empty())?, path: path.to_owned() })
    }

    /// The same directory, opened once more.
    pub(in crate::delivery) fn again(&self) -> Result<Self> {
        Ok(Self { fd: fs::openat(&self.fd, ".", OPEN_DIRECTORY, Mode::empty())?, path: self.path.clone() })
    }

    /// Where it was found: for messages.
    pub(in crate::delivery) fn path(&self) -> &Path {
        &self.path
    }

    /// Where an entry is: for messages.
    pub(in crate::delivery) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Its own kind, owner and mode.
    pub(in crate::delivery) fn stat(&self) -> Result<Stat> {
        fs::fstat(&self.fd)
    }

    /// An entry's kind, owner and mode; of a link itself, not of what it points to. `None` when there is none.
    pub(in crate::delivery) fn stat_of(&self, name: &OsStr) -> Result<Option<Stat>> {
        present(fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Opens a directory in it; `None` when there is no such entry, `ELOOP` when the entry is a symbolic link.
    pub(in crate::delivery) fn child(&self, name: &OsStr) -> Result<Option<Directory>> {
        match present(fs::openat(&self.fd, name, OPEN_DIRECTORY | OFlags::NOFOLLOW, Mode::empty())) {
            // O_DIRECTORY with O_NOFOLLOW answers ENOTDIR for a link too: tell them apart for the message.
            Err(Errno::NOTDIR) if self.stat_of(name)?.is_some_and(|s| kind(&s) == FileType::Symlink) => {
                Err(Errno::LOOP)
            }
            found => Ok(found?.map(|fd| Directory { fd, path: self.path_of(name) })),
        }
    }

    /// Opens a directory in it, made with the given mode when there is none. Returns it and whether it was made.
    pub(in crate::delivery) fn child_or_new(&self, name: &OsStr, mode: u32) -> Result<(Directory, bool)> {
        let is_new = match fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        let child = self.child(name)?.ok_or(Errno::NOENT)?;
        if is_new {
            fs::fchmod(&child.fd, Mode::from_raw_mode(mode))?; // the umask may have taken bits away
        }
        Ok((child, is_new))
    }

    /// Opens a regular file for reading; `None` when there is no such entry. Anything else than a file is `EINVAL`,
    /// and is not waited for (a named pipe would block).
    pub(in crate::delivery) fn open_file(&self, name: &OsStr) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Some(fd) = present(fs::openat(&self.fd, name, flags, Mode::empty()))? else {
            return Ok(None);
        };
        if kind(&fs::fstat(&fd)?) == FileType::RegularFile {
            Ok(Some(File::from(fd)))
        } else {
            Err(Errno::INVAL)
        }
    }

    /// Makes a file that was not there, mode 0600 from its first instant: at no time can others open it.
    pub(in crate::delivery) fn create_file(&self, name: &OsStr) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Gives an entry a second name in another directory; a symbolic link is linked as such.
    pub(in crate::delivery) fn link(&self, name: &OsStr, to: &Directory, new_name: &OsStr) -> Result<()> {
        fs::linkat(&self.fd, name, &to.fd, new_name, AtFlags::empty())
    }

    /// Renames an entry, replacing what is there (or not, by the flags).
    pub(in crate::delivery) fn rename(
        &self,
        name: &OsStr,
        to: &Directory,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.is_empty() {
            return fs::renameat(&self.fd, name, &to.fd, new_name);
        }
        fs::renameat_with(&self.fd, name, &to.fd, new_name, flags)
    }

    /// Removes a file, link or the like; returns whether there was one.
    pub(in crate::delivery) fn remove_file(&self, name: &OsStr) -> Result<bool> {
        Ok(present(fs::unlinkat(&self.fd, name, AtFlags::empty()))?.is_some())
    }

    /// Removes an empty directory. Returns false, and changes nothing, when there is none or it is not empty.
    pub(in crate::delivery) fn remove_empty(&self, name: &OsStr) -> Result<bool> {
        match fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a directory in it that must be there.
    pub(in crate::delivery) fn existing_child(&self, name: &OsStr) -> std::result::Result<Directory, Error> {
        self.child(name).and_then(|found| found.ok_or(Errno::NOENT)).at("open", &self.path_of(name))
    }

    /// The directory that a path below it (`name` or `sub-directory/name`) is in, and the name there. `None` when there
    /// is no such sub-directory.
    pub(in crate::delivery) fn find<'p>(
        &self,
        path: &'p Path,
    ) -> std::result::Result<Option<(Directory, &'p OsStr)>, Error> {
        let name = path.file_name().ok_or_else(|| Error::new(Code::Internal, "a path without a name"))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let found = match self.sub_directory(parent) {
            Err(Errno::NOTDIR) => None,
            found => found.at("open", &self.path.join(parent))?,
        };
        Ok(found.map(|directory| (directory, name)))
    }

    /// As [`Self::find`], where the sub-directory must be there.
    pub(in crate::delivery) fn locate<'p>(
        &self,
        path: &'p Path,
    ) -> std::result::Result<(Directory, &'p OsStr), Error> {
        self.find(path)?.ok_or_else(|| {
            let shown = self.path.join(path);
            Error::new(Code::DeliveryFailed, format!("the directory of {} vanished", shown.display()))
                .help("Something else removes files there: stop that, then run again.")
        })
    }

    /// A directory in it by name, or it itself by the empty path.
    pub(in crate::delivery) fn sub_directory(&self, path: &Path) -> Result<Option<Directory>> {
        if path == Path::new("") { self.again().map(Some) } else { self.child(path.as_os_str()) }
    }

    /// Whether there is an entry of that name, of any kind.
    pub(in crate::delivery) fn has(&self, name: impl AsRef<OsStr>) -> bool {
        matches!(self.stat_of(name.as_ref()), Ok(Some(_)))
    }

    /// Whether there is a directory of that name.
    pub(in crate::delivery) fn has_directory(&self, name: impl AsRef<OsStr>) -> bool {
        matches!(self.stat_of(name.as_ref()), Ok(Some(stat)) if kind(&stat) == FileType::Directory)
    }

    /// The names of its entries, sorted.
    pub(in crate::delivery) fn entries(&self) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Waits until its entries are on the disk.
    pub(in crate::delivery) fn sync(&self) -> Result<()> {
        match fs::fsync(&self.fd) {
            Err(Errno::INVAL) => Ok(()), // some network file systems cannot sync a directory
            other => other,
        }
    }

    /// Sets its mode, and its owner where we may: without root a directory belongs to whoever runs us.
    pub(in crate::delivery) fn settle(&self, mode: u32, owner: (u32, u32)) -> Result<()> {
        let now = self.stat()?;
        if (now.st_uid, now.st_gid) != owner {
            match chown(&self.fd, owner) {
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(error),
            }
        }
        if now.st_mode & 0o7777 != mode {
            fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?;
        }
        Ok(())
    }

    /// The descriptor, for a lock.
    pub(in crate::delivery) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Whether something is mounted on it: then it cannot be renamed.
    pub(in crate::delivery) fn is_mount_point(&self) -> bool {
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        fs::statx(&self.fd, "", flags, fs::StatxFlags::BASIC_STATS)
            .is_ok_and(|s| s.stx_attributes.contains(fs::StatxAttributes::MOUNT_ROOT))
    }
}

/// The kind of what was looked up.
pub(in crate::delivery) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether two looks were at the same file.
pub(in crate::delivery) fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Changes the owner and group of an open file.
pub(in crate::delivery) fn chown(fd: impl AsFd, (uid, gid): (u32, u32)) -> Result<()> {
    fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// Turns "there is no such entry" into `None`.
fn present<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says what we were doing at which path when the operating system refused.
pub(in crate::delivery) trait At<T> {
    /// `doing` completes "cannot …", followed by the path.
    fn at(self, doing: &str, path: &Path) -> std::result::Result<T, Error>;
}

impl<T> At<T> for Result<T> {
    fn at(self, doing: &str, path: &Path) -> std::result::Result<T, Error> {
        self.map_err(std::io::Error::from).at(doing, path)
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, doing: &str, path: &Path) -> std::result::Result<T, Error> {
        self.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => {
                Error::new(Code::PathUnsafe, format!("{} is a symbolic link", path.display()))
                    .help("Replace the link by a real file or directory, or name another place.")
            }
            Some(Errno::NOTDIR) => {
                Error::new(Code::DeliveryFailed, format!("{} is no directory", path.display()))
                    .help("Move it away, or name another place.")
            }
            _ => Error::io(Code::DeliveryFailed, doing, path, &error),
        })
    }
}
