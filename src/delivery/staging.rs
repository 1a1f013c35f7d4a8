//! Changing a directory of secret files as a set: staged beside it, swapped, and swapped back.
//!
//! The order, so that a run killed at any instant leaves the old set or the new one in sight:
//!
//! 1. *Stage.* A hidden directory beside the secrets directory (`.secrets.claude-secrets.<16 hex>.tmp`, 0700) gets the
//!    index (marked `staged`), then the whole new set. What did not change is a second name (hard link) of the file that is
//!    there; so are files that are not ours, so that these stay in sight too.
//! 2. *Swap.* renameat2(2) with `RENAME_EXCHANGE`: from here on the new set is in sight, the old directory is hidden.
//! 3. *Bring up to date.* The hidden old directory gets the new set, file by file, by further links; stale files of ours go.
//! 4. *Swap back.* The old directory, now with the new set, is in sight again; the staged one is removed.
//!
//! The second swap is what keeps everything else whole: the directory keeps its inode, so a container that has mounted it
//! sees the new files (rather than an empty, removed directory), and what is not ours never moves. Between the swaps, which
//! takes milliseconds, sub-directories that are not ours, and files of others that we may not link (without root,
//! `fs.protected_hardlinks`), are out of sight; a run killed there is finished by the next ([`recover`]).
//!
//! Where there is no directory yet, the staged one is simply renamed. Where the file system cannot exchange (overlay, NFS,
//! a mount point in the way), step 3 is done in sight: every single file is replaced in one step then, but the set is not.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, RenameFlags, fchmod, fstat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::directory::{At, Directory, chown, kind, same_file};
use super::files::SecretFile;
use super::index::{GITIGNORE, GITIGNORE_CONTENT, INDEX, Index, UNFINISHED, has_our_gitignore, replace};
use crate::error::{Code, Error};

/// What all steps need to know.
pub(super) struct Layout<'a> {
    /// The workspace's owner, whom every directory shall belong to.
    pub(super) owner: (u32, u32),
    /// The mode of a sub-directory, by its path.
    pub(super) mode_of: &'a dyn Fn(&Path) -> u32,
    /// Whether to try the exchange; false in tests of the other way.
    pub(super) exchange: bool,
}

/// The mode of the secrets directory: everything in it is reached through it.
pub(super) const DIRECTORY_MODE: u32 = 0o700;

/// A new hidden name beside a file or directory of the given name.
pub(super) fn staging_name(name: &OsStr) -> Result<OsString, Error> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random)
        .map_err(|_| Error::new(Code::Internal, "the system gives no random bytes"))?;
    let mut staged = OsString::from(".");
    staged.push(name);
    staged.push(format!(".claude-secrets.{:016x}.tmp", u64::from_ne_bytes(random)));
    Ok(staged)
}

/// Whether [`staging_name`] gave this name for a file or directory of the given name.
pub(super) fn is_staging_name(candidate: &OsStr, name: &OsStr) -> bool {
    let rest = candidate.as_encoded_bytes().strip_prefix(b".");
    let rest = rest.and_then(|r| r.strip_prefix(name.as_encoded_bytes()));
    let hex = rest
        .and_then(|r| r.strip_prefix(b".claude-secrets."))
        .and_then(|r| r.strip_suffix(b".tmp"));
    hex.is_some_and(|h| h.len() == 16 && h.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Makes the new set visible at `name` in `parent`, as the module says. `staged` (in `around`, usually `parent`)
/// is removed in the end.
pub(super) fn publish(
    parent: &Directory,
    name: &OsStr,
    around: &Directory,
    staged: &OsStr,
    mut new: Index,
    layout: &Layout<'_>,
) -> Result<(), Error> {
    let path = parent.path_of(name);
    let Some(live) = parent.child(name).at("open", &path)? else {
        parent
            .rename(staged, parent, name, RenameFlags::NOREPLACE)
            .or_else(|error| match error {
                // No flags on this file system. A plain rename replaces at most an empty directory.
                Errno::INVAL | Errno::NOSYS => parent.rename(staged, parent, name, RenameFlags::empty()),
                other => Err(other),
            })
            .at("make", &path)?;
        parent.sync().at("write", parent.path())?;
        let live = open(parent, name)?;
        new.staged = false;
        return new.write(&live, layout.owner);
    };
    let copy = open(around, staged)?;
    if !layout.exchange || !exchange(parent, name, around, staged)? {
        bring_up_to_date(&live, &copy, &new, layout)?;
        return clear(around, staged, Some(&live)).map(|_| ());
    }
    // `live` and `copy` stay what they are; only their names were swapped.
    parent.sync().at("write", parent.path())?;
    swap_back(parent, name, around, staged, &live, &copy, &new, layout)
}

#[allow(clippy::too_many_arguments)]
fn swap_back(
    parent: &Directory,
    name: &OsStr,
    around: &Directory,
    hidden: &OsStr,
    original: &Directory,
    copy: &Directory,
    new: &Index,
    layout: &Layout<'_>,
) -> Result<(), Error> {
    bring_up_to_date(original, copy, new, layout)?;
    if !exchange(parent, name, around, hidden)? {
        return Err(Error::new(
            Code::DeliveryFailed,
            format!(
                "{} could be swapped, but not swapped back",
                parent.path_of(name).display()
            ),
        ));
    }
    parent.sync().at("write", parent.path())?;
    clear(around, hidden, Some(original)).map(|_| ())
}

/// Finishes or undoes what a killed run left beside the secrets directory. Touches nothing but hidden directories of ours,
/// known by their name and the index in them; what in these is not ours goes back to its place.
pub(super) fn recover(parent: &Directory, name: &OsStr, layout: &Layout<'_>) -> Result<(), Error> {
    let live = parent.child(name).at("open", &parent.path_of(name))?;
    recover_in(parent, parent, name, layout)?;
    match live {
        // A mount point is staged within, not beside it.
        Some(live) if live.is_mount_point() => recover_in(&live, parent, name, layout),
        _ => Ok(()),
    }
}

fn recover_in(
    around: &Directory,
    parent: &Directory,
    name: &OsStr,
    layout: &Layout<'_>,
) -> Result<(), Error> {
    for hidden in around.entries().at("list", around.path())? {
        if !is_staging_name(&hidden, name) {
            continue;
        }
        let path = around.path_of(&hidden);
        if !around
            .stat_of(&hidden)
            .at("look at", &path)?
            .is_some_and(|s| kind(&s) == FileType::Directory)
        {
            continue;
        }
        let found = open(around, &hidden)?;
        let live = parent.child(name).at("open", &parent.path_of(name))?;
        let Ok(Some(index)) = Index::read(&found) else {
            // Killed before the index was written: then there is nothing in it but bookkeeping.
            if found.entries().at("list", &path)?.iter().all(|e| e == UNFINISHED) {
                found.remove_file(OsStr::new(UNFINISHED)).at("remove", &path)?;
                around.remove_empty(&hidden).at("remove", &path)?;
            }
            continue;
        };
        match live {
            // Killed between the swaps: what is hidden is the original.
            Some(copy) if !index.staged => match Index::read(&copy)? {
                Some(new) if new.staged => {
                    swap_back(parent, name, around, &hidden, &found, &copy, &new, layout)?
                }
                _ => clear(around, &hidden, Some(&copy)).map(|_| ())?,
            },
            None if !index.staged => {
                around
                    .rename(&hidden, parent, name, RenameFlags::empty())
                    .at("restore", &parent.path_of(name))?;
            }
            live => clear(around, &hidden, live.as_ref()).map(|_| ())?,
        }
    }
    Ok(())
}

/// Stages a new set in `around` and returns its hidden name and index. On an error nothing is left of it.
pub(super) fn stage(
    around: &Directory,
    name: &OsStr,
    live: Option<(&Directory, &Index)>,
    wanted: &[SecretFile],
    unchanged: &[PathBuf],
    made: Vec<PathBuf>,
    layout: &Layout<'_>,
) -> Result<(OsString, Index), Error> {
    let hidden = staging_name(name)?;
    let (directory, _) = around
        .child_or_new(&hidden, DIRECTORY_MODE)
        .at("make the directory", &around.path_of(&hidden))?;
    let mut index = Index {
        staged: true,
        made,
        ..Index::default()
    };
    index.files = wanted.iter().map(|f| f.path.clone()).collect();
    let filled = fill(&directory, &mut index, live, wanted, unchanged, layout);
    if let Err(error) = filled {
        let _ = clear(around, &hidden, live.map(|(d, _)| d));
        return Err(error);
    }
    Ok((hidden, index))
}

fn fill(
    directory: &Directory,
    index: &mut Index,
    live: Option<(&Directory, &Index)>,
    wanted: &[SecretFile],
    unchanged: &[PathBuf],
    layout: &Layout<'_>,
) -> Result<(), Error> {
    let parents = index.parents();
    index.directories.clone_from(&parents);
    if let Some((live, old)) = live {
        index
            .directories
            .retain(|d| old.directories.contains(d) || !exists(live, d));
        index.linked = foreign_files(live, old, index)?.into_iter().collect();
    }
    index.write(directory, layout.owner)?; // first of all: it marks the directory as ours
    directory
        .settle(DIRECTORY_MODE, layout.owner)
        .at("set the owner of", directory.path())?;
    if !index.linked.contains(Path::new(GITIGNORE)) {
        replace(directory, OsStr::new(GITIGNORE), GITIGNORE_CONTENT, layout.owner)?;
    }
    for path in &parents {
        let (child, _) = directory
            .child_or_new(path.as_os_str(), DIRECTORY_MODE)
            .at("make the directory", &directory.path().join(path))?;
        child
            .settle((layout.mode_of)(path), layout.owner)
            .at("set the owner of", child.path())?;
    }
    if let Some((live, _)) = live {
        for path in &index.linked {
            link_if_possible(live, directory, path)?;
        }
    }
    for file in wanted {
        let linked = match live {
            Some((live, _)) if unchanged.contains(&file.path) => {
                link_if_possible(live, directory, &file.path)?
            }
            _ => false,
        };
        if !linked {
            let (at, name) = locate(directory, &file.path)?;
            write_secret(&at, name, file)?;
        }
    }
    for path in &parents {
        open(directory, path.as_os_str())?
            .sync()
            .at("write", directory.path())?;
    }
    directory.sync().at("write", directory.path())
}

/// Gives the original directory the set of the staged copy, file by file. Can be done again after it was interrupted.
fn bring_up_to_date(
    original: &Directory,
    copy: &Directory,
    new: &Index,
    layout: &Layout<'_>,
) -> Result<(), Error> {
    let old = Index::read(original)?.unwrap_or_default();
    // From now on both sets are ours, so that nothing of ours can be taken for foreign after a kill.
    let mut index = old.clone();
    index.staged = false;
    index.files.extend(new.files.iter().cloned());
    index.directories.extend(new.directories.iter().cloned());
    index.made.clone_from(&new.made);
    index.write(original, layout.owner)?;

    remove_ours(original, old.files.difference(&new.files), &old)?;
    for path in new.parents() {
        let name = path.as_os_str();
        let (child, _) = original
            .child_or_new(name, DIRECTORY_MODE)
            .at("make the directory", &original.path_of(name))?;
        if new.directories.contains(&path) {
            child
                .settle((layout.mode_of)(&path), layout.owner)
                .at("set the owner of", child.path())?;
        }
    }
    for path in &new.files {
        take_over(original, copy, path)?;
    }
    if original
        .stat_of(OsStr::new(GITIGNORE))
        .at("look at", original.path())?
        .is_none()
    {
        replace(original, OsStr::new(GITIGNORE), GITIGNORE_CONTENT, layout.owner)?;
    }
    for path in new.parents() {
        open(original, path.as_os_str())?
            .sync()
            .at("write", original.path())?;
    }
    original
        .settle(DIRECTORY_MODE, layout.owner)
        .at("set the mode of", original.path())?;
    // A sub-directory of ours that still holds files of others stays on the list: it can go once it is empty.
    let kept = old
        .directories
        .difference(&new.directories)
        .filter(|d| exists(original, d))
        .cloned();
    index.directories = new.directories.iter().cloned().chain(kept).collect();
    index.files.clone_from(&new.files);
    index.write(original, layout.owner)?;
    original.sync().at("write", original.path())
}

/// Removes files of ours, then those of our sub-directories that are empty thereafter. Returns the files that went.
pub(super) fn remove_ours<'a>(
    directory: &Directory,
    files: impl Iterator<Item = &'a PathBuf>,
    index: &Index,
) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for path in files {
        let Some((at, name)) = find(directory, path)? else {
            continue;
        };
        let shown = at.path_of(name);
        // What took the place of our file and is none is not ours.
        if at
            .stat_of(name)
            .at("look at", &shown)?
            .is_some_and(|s| kind(&s) == FileType::RegularFile)
            && at.remove_file(name).at("remove", &shown)?
        {
            removed.push(path.clone());
        }
    }
    directory
        .remove_file(OsStr::new(UNFINISHED))
        .at("remove", directory.path())?;
    for path in &index.directories {
        let name = path.as_os_str();
        if let Some(child) = directory.child(name).at("open", &directory.path_of(name))? {
            child
                .remove_file(OsStr::new(UNFINISHED))
                .at("remove", child.path())?;
            directory.remove_empty(name).at("remove", child.path())?;
        }
    }
    Ok(removed)
}

/// Removes a hidden directory of ours. What in it is neither ours nor a second name of something that is in sight goes
/// back to its place, or stays where it is if that is taken. Returns whether the hidden directory is gone.
fn clear(around: &Directory, hidden: &OsStr, live: Option<&Directory>) -> Result<bool, Error> {
    let directory = open(around, hidden)?;
    let index = Index::read(&directory).ok().flatten().unwrap_or_default();
    for path in index.parents().into_iter().chain([PathBuf::new()]) {
        let at = if path == Path::new("") {
            directory.again().map(Some)
        } else {
            directory.child(path.as_os_str())
        };
        let Some(at) = at.at("open", &directory.path().join(&path))? else {
            continue;
        };
        for name in at.entries().at("list", at.path())? {
            let (relative, shown) = (path.join(&name), at.path_of(&name));
            let bookkeeping = name == UNFINISHED
                || (path == Path::new("")
                    && (name == INDEX || (name == GITIGNORE && has_our_gitignore(&at))));
            if path == Path::new("") && (name == INDEX || index.parents().contains(&relative)) {
                continue; // the index goes last: without it nobody would know the rest
            }
            if bookkeeping || index.files.contains(&relative) || index.linked.contains(&relative) {
                at.remove_file(&name).at("remove", &shown)?;
            } else if let Some(live) = live
                && let Some((place, _)) = find(live, &relative)?
            {
                put_back(&at, &name, &place)?;
            }
        }
        if path != Path::new("") {
            directory.remove_empty(path.as_os_str()).at("remove", at.path())?;
        }
    }
    if directory
        .entries()
        .at("list", directory.path())?
        .iter()
        .any(|e| e != INDEX)
    {
        return Ok(false);
    }
    directory
        .remove_file(OsStr::new(INDEX))
        .at("remove", directory.path())?;
    around.remove_empty(hidden).at("remove", directory.path())
}

fn put_back(at: &Directory, name: &OsStr, place: &Directory) -> Result<(), Error> {
    let shown = at.path_of(name);
    let (here, there) = (at.stat_of(name), place.stat_of(name));
    let (Some(here), there) = (here.at("look at", &shown)?, there.at("look at", &shown)?) else {
        return Ok(());
    };
    match there {
        Some(there) if same_file(&here, &there) => at.remove_file(name).at("remove", &shown).map(|_| ()),
        Some(_) => Ok(()),
        None => match at.rename(name, place, name, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::XDEV) => Ok(()),
            other => other.at("put back", &shown),
        },
    }
}

/// The files in the secrets directory, and in those of its sub-directories that the new set uses, that are not ours.
fn foreign_files(live: &Directory, old: &Index, new: &Index) -> Result<Vec<PathBuf>, Error> {
    let mut foreign = Vec::new();
    for path in new.parents().into_iter().chain([PathBuf::new()]) {
        let at = if path == Path::new("") {
            live.again().map(Some)
        } else {
            live.child(path.as_os_str())
        };
        // A file of ours where a sub-directory shall be is dealt with later.
        let Ok(Some(at)) = at else { continue };
        for name in at.entries().at("list", at.path())? {
            let relative = path.join(&name);
            let bookkeeping = name == UNFINISHED
                || (path == Path::new("")
                    && (name == INDEX || (name == GITIGNORE && has_our_gitignore(&at))));
            let is_directory = at
                .stat_of(&name)
                .at("look at", at.path())?
                .is_none_or(|s| kind(&s) == FileType::Directory);
            if !bookkeeping
                && !is_directory
                && !old.files.contains(&relative)
                && !new.files.contains(&relative)
            {
                foreign.push(relative);
            }
        }
    }
    Ok(foreign)
}

/// Writes a secret to a name that does not exist yet: 0600 until it is whole, then its owner and mode.
fn write_secret(at: &Directory, name: &OsStr, secret: &SecretFile) -> Result<(), Error> {
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
                .hint("Run as root, or use `delivery: volume`, which needs no root on this side."));
            }
            other => other.at("set the owner of", &path)?,
        }
    }
    fchmod(&file, Mode::from_raw_mode(secret.mode)).at("set the mode of", &path)?;
    file.sync_all().at("write", &path)
}

/// Makes a file of the copy the original's file of that name, in one step.
fn take_over(original: &Directory, copy: &Directory, path: &Path) -> Result<(), Error> {
    let ((to, name), (from, _)) = (locate(original, path)?, locate(copy, path)?);
    let (shown, unfinished) = (to.path_of(name), OsStr::new(UNFINISHED));
    let source = from.stat_of(name).at("look at", &shown)?;
    let (Some(source), target) = (source, to.stat_of(name).at("look at", &shown)?) else {
        return Err(Error::new(
            Code::DeliveryFailed,
            format!("{} vanished while it was written", shown.display()),
        )
        .hint("Something else removes files there: stop that, then run again."));
    };
    if target.is_some_and(|t| same_file(&source, &t)) {
        return Ok(()); // and rename(2) would do nothing
    }
    to.remove_file(unfinished).at("remove", &shown)?;
    match from.link(name, &to, unfinished) {
        Ok(()) => {}
        Err(Errno::PERM | Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::ACCESS) => {
            copy_file(&from, name, &to, unfinished)?;
        }
        Err(error) => return Err(error).at("write", &shown),
    }
    to.rename(unfinished, &to, name, RenameFlags::empty())
        .at("write", &shown)
}

/// Copies a secret file with its owner and mode, for file systems without hard links.
fn copy_file(from: &Directory, name: &OsStr, to: &Directory, new_name: &OsStr) -> Result<(), Error> {
    let shown = to.path_of(new_name);
    let mut source = from
        .open_file(name)
        .and_then(|f| f.ok_or(Errno::NOENT))
        .at("read", &from.path_of(name))?;
    let stat = fstat(&source).at("look at", &shown)?;
    // One spare byte, so that reading to the end does not grow the buffer and leave an unwiped copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0) + 1));
    source.read_to_end(&mut bytes).at("read", &shown)?;
    let mut file = to.create_file(new_name).at("write", &shown)?;
    file.write_all(&bytes).at("write", &shown)?;
    let now = fstat(&file).at("look at", &shown)?;
    if (now.st_uid, now.st_gid) != (stat.st_uid, stat.st_gid) {
        chown(&file, (stat.st_uid, stat.st_gid)).at("set the owner of", &shown)?;
    }
    fchmod(&file, Mode::from_raw_mode(stat.st_mode & 0o7777)).at("set the mode of", &shown)?;
    file.sync_all().at("write", &shown)
}

/// Swaps two directories; false when the file system cannot.
fn exchange(parent: &Directory, name: &OsStr, around: &Directory, other: &OsStr) -> Result<bool, Error> {
    match parent.rename(name, around, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // EPERM: a seccomp filter. EBUSY, EXDEV: a mount point, or an overlay's lower layer.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV | Errno::BUSY | Errno::PERM) => {
            Ok(false)
        }
        Err(error) => Err(error).at("replace", &parent.path_of(name)),
    }
}

fn link_if_possible(from: &Directory, to: &Directory, path: &Path) -> Result<bool, Error> {
    let Some((at, name)) = find(from, path)? else {
        return Ok(false);
    };
    let (new, _) = locate(to, path)?;
    match at.link(name, &new, name) {
        Err(Errno::NOSPC) => Err(Errno::NOSPC).at("write", &new.path_of(name)),
        result => Ok(result.is_ok()),
    }
}

fn open(parent: &Directory, name: &OsStr) -> Result<Directory, Error> {
    parent
        .child(name)
        .and_then(|d| d.ok_or(Errno::NOENT))
        .at("open", &parent.path_of(name))
}

/// The directory that a secret's path is in, and its name there; `None` when the sub-directory does not exist.
pub(super) fn find<'p>(
    directory: &Directory,
    path: &'p Path,
) -> Result<Option<(Directory, &'p OsStr)>, Error> {
    let name = path
        .file_name()
        .ok_or_else(|| Error::new(Code::Internal, "a secret file without a name"))?;
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent == Path::new("") {
        return Ok(Some((directory.again().at("open", directory.path())?, name)));
    }
    let shown = directory.path().join(parent);
    match directory.child(parent.as_os_str()) {
        Err(Errno::NOTDIR) => Ok(None),
        child => Ok(child.at("open", &shown)?.map(|child| (child, name))),
    }
}

fn locate<'p>(directory: &Directory, path: &'p Path) -> Result<(Directory, &'p OsStr), Error> {
    find(directory, path)?.ok_or_else(|| {
        let shown = directory.path().join(path);
        Error::new(
            Code::DeliveryFailed,
            format!("the directory of {} vanished", shown.display()),
        )
        .hint("Something else removes files there: stop that, then run again.")
    })
}

fn exists(directory: &Directory, path: &Path) -> bool {
    matches!(directory.stat_of(path.as_os_str()), Ok(Some(_)))
}
