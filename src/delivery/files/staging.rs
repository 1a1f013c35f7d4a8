//! Writing a new set of secret files into a hidden directory, where nobody sees it half done.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FileType, Mode, fadvise, fchmod};
use rustix::io::Errno;

use super::directory::{At, Directory, chown, kind};
use super::index::{GITIGNORE, GITIGNORE_CONTENT, Index, is_bookkeeping, replace};
use super::secret_file::SecretFile;
use super::site::{DIRECTORY_MODE, Site, Staged, staging_name};
use super::swap::clear;
use crate::error::{Code, Error};

/// What the new set is made of.
pub(in crate::delivery) struct NewSet<'a> {
    /// Its files.
    pub(in crate::delivery) wanted: &'a [SecretFile],
    /// Those of them that are in the secrets directory already, as wanted.
    pub(in crate::delivery) unchanged: &'a [PathBuf],
    /// The directories that we have made, for the index.
    pub(in crate::delivery) made: Vec<PathBuf>,
    /// The name of the project that it is of, for the index.
    pub(in crate::delivery) project: String,
}

/// Stages a new set in `around`. `live` is the secrets directory with its index. On an error nothing is left of it.
pub(in crate::delivery) fn stage<'a>(
    site: &Site<'_>,
    around: &'a Directory,
    live: Option<(&Directory, &Index)>,
    set: &NewSet<'_>,
) -> Result<Staged<'a>, Error> {
    let hidden = staging_name(site.name)?;
    let shown = around.path_of(&hidden);
    let (directory, _) = around.child_or_new(&hidden, DIRECTORY_MODE).at("make the directory", &shown)?;
    let files = set.wanted.iter().map(|f| f.path.clone()).collect();
    let (made, project) = (set.made.clone(), set.project.clone());
    let mut index = Index { staged: true, project, files, made, ..Index::default() };
    let filled = match live {
        Some((live, old)) => fill_beside(site, &directory, &mut index, live, old),
        None => fill(site, &directory, &mut index),
    };
    let filled = filled.and_then(|()| write_files(&directory, &index, live.map(|(live, _)| live), set));
    if let Err(error) = filled {
        let _ = clear(around, &hidden, live.map(|(live, _)| live));
        return Err(error);
    }
    Ok(Staged { around, hidden, index })
}

/// The index, `.gitignore` and sub-directories of a staged directory, and second names for what is not ours.
fn fill_beside(
    site: &Site<'_>,
    directory: &Directory,
    index: &mut Index,
    live: &Directory,
    old: &Index,
) -> Result<(), Error> {
    index.linked = foreign_files(live, old, index)?.into_iter().collect();
    fill(site, directory, index)?;
    for path in &index.linked {
        link_if_possible(live, directory, path)?;
    }
    // A sub-directory that others made stays theirs.
    index.directories.retain(|path| old.directories.contains(path) || !live.has_directory(path));
    index.write(directory, site.owner)
}

fn fill(site: &Site<'_>, directory: &Directory, index: &mut Index) -> Result<(), Error> {
    index.directories = index.parents();
    index.write(directory, site.owner)?; // first of all: it marks the directory as ours
    directory.settle(DIRECTORY_MODE, site.owner).at("set the owner of", directory.path())?;
    if !index.linked.contains(Path::new(GITIGNORE)) {
        replace(directory, OsStr::new(GITIGNORE), GITIGNORE_CONTENT, site.owner)?;
    }
    for path in &index.directories {
        let shown = directory.path().join(path);
        let (child, _) =
            directory.child_or_new(path.as_os_str(), DIRECTORY_MODE).at("make the directory", &shown)?;
        child.settle(site.mode_of(path), site.owner).at("set the owner of", &shown)?;
    }
    Ok(())
}

/// The new set's files: a second name where nothing changed, so that a container that has mounted the file keeps it.
fn write_files(
    directory: &Directory,
    index: &Index,
    live: Option<&Directory>,
    set: &NewSet<'_>,
) -> Result<(), Error> {
    let unchanged: BTreeSet<&PathBuf> = set.unchanged.iter().collect();
    let mut unsynced = Vec::new();
    for file in set.wanted {
        let linked = match live {
            Some(live) if unchanged.contains(&file.path) => link_if_possible(live, directory, &file.path)?,
            _ => false,
        };
        if !linked {
            let (at, name) = directory.locate(&file.path)?;
            unsynced.push((write_secret(&at, name, file)?, at.path_of(name)));
            if unsynced.len() == SYNCED_AT_ONCE {
                sync(&mut unsynced)?;
            }
        }
    }
    sync(&mut unsynced)?;
    for path in index.parents_and_top() {
        let at = directory.sub_directory(&path).at("open", directory.path())?;
        at.map_or(Ok(()), |at| at.sync()).at("write", directory.path())?;
    }
    Ok(())
}

/// So many files are open until they are on the disk.
const SYNCED_AT_ONCE: usize = 128;

/// Waits until these files are on the disk, and closes them. The kernel began with all of them when they were written, so
/// that the file system's journal is written once for many, and not once for each.
fn sync(files: &mut Vec<(File, PathBuf)>) -> Result<(), Error> {
    files.drain(..).try_for_each(|(file, path)| file.sync_all().at("write", &path))
}

/// The files in the secrets directory, and in those of its sub-directories that the new set uses, that are not ours.
fn foreign_files(live: &Directory, old: &Index, new: &Index) -> Result<Vec<PathBuf>, Error> {
    let mut foreign = Vec::new();
    for path in new.parents_and_top() {
        // A file of ours in the place of a sub-directory is dealt with when the original is brought up to date.
        let Ok(Some(at)) = live.sub_directory(&path) else {
            continue;
        };
        for name in at.entries().at("list", at.path())? {
            let relative = path.join(&name);
            let ours = is_bookkeeping(&at, &path, &name)
                || old.files.contains(&relative)
                || new.files.contains(&relative);
            let stat = at.stat_of(&name).at("look at", at.path())?;
            // The index is text: a name that is none stays out of sight for the moment of the swap, as directories do.
            let linkable =
                stat.is_some_and(|s| kind(&s) != FileType::Directory) && relative.to_str().is_some();
            if linkable && !ours {
                foreign.push(relative);
            }
        }
    }
    Ok(foreign)
}

/// Writes a secret to a name that does not exist yet: 0600 until it is whole, then its owner and mode. It is on the disk
/// when [`sync`] says so.
fn write_secret(at: &Directory, name: &OsStr, secret: &SecretFile) -> Result<File, Error> {
    let path = at.path_of(name);
    let mut file = at.create_file(name).at("write", &path)?;
    file.write_all(secret.value.expose()).at("write", &path)?;
    if let Some((uid, gid)) = secret.owner {
        // The owner first: chown(2) by root may clear mode bits.
        match chown(&file, (uid, gid)) {
            Err(Errno::PERM) => {
                return Err(Error::new(
                    Code::DeliveryFailed,
                    format!(
                        "{} cannot be given to user {uid}, group {gid}: only root may do that",
                        path.display()
                    ),
                )
                .help("Run as root, or use `delivery: volume`, which needs no root on this side."));
            }
            other => other.at("set the owner of", &path)?,
        }
    }
    fchmod(&file, Mode::from_raw_mode(secret.mode)).at("set the mode of", &path)?;
    // Asks the kernel to begin to write it to the disk (posix_fadvise(2)). Where it does not, waiting for it does.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    Ok(file)
}

fn link_if_possible(from: &Directory, to: &Directory, path: &Path) -> Result<bool, Error> {
    let Some((at, name)) = from.find(path)? else {
        return Ok(false);
    };
    let (new, _) = to.locate(path)?;
    match at.link(name, &new, name) {
        Err(Errno::NOSPC) => Err(Errno::NOSPC).at("write", &new.path_of(name)),
        result => Ok(result.is_ok()),
    }
}
