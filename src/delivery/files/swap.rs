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
//! `fs.protected_hardlinks`), are out of sight; a run killed there is finished by the next (`recover`).
//!
//! Where there is no directory yet, the staged one is simply renamed. Where the file system cannot exchange (overlay, NFS,
//! a mount point in the way), step 3 is done in sight: every single file is replaced in one step then, but the set is not.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, RenameFlags, fchmod, fstat};
use rustix::io::Errno;

use super::directory::{At, Directory, chown, kind, same_file};
use super::index::{GITIGNORE, GITIGNORE_CONTENT, INDEX, Index, UNFINISHED, is_bookkeeping, replace};
use super::site::{DIRECTORY_MODE, Site, Staged, is_staging_name};
use crate::error::{Code, Error};
use crate::files::{self, LARGEST_PROGRAM};

/// Makes the staged set the secrets directory, as the module says.
pub(in crate::delivery) fn publish(site: &Site<'_>, staged: &Staged<'_>) -> Result<(), Error> {
    let Some(live) = site.live()? else {
        return publish_first(site, staged);
    };
    let copy = staged.around.existing_child(&staged.hidden)?;
    if !site.exchange || !exchange(site, staged.around, &staged.hidden)? {
        bring_up_to_date(site, &live, &copy, &staged.index)?;
        return clear(staged.around, &staged.hidden, Some(&live));
    }
    // `live` and `copy` are what they were; only their names were swapped.
    site.parent.sync().at("write", site.parent.path())?;
    swap_back(site, staged, &live, &copy)
}

fn publish_first(site: &Site<'_>, staged: &Staged<'_>) -> Result<(), Error> {
    let renamed = match staged.around.rename(&staged.hidden, site.parent, site.name, RenameFlags::NOREPLACE) {
        // No flags on this file system. A plain rename replaces an empty directory at most.
        Err(Errno::INVAL | Errno::NOSYS) => {
            staged.around.rename(&staged.hidden, site.parent, site.name, RenameFlags::empty())
        }
        other => other,
    };
    if let Err(error) = renamed {
        let _ = clear(staged.around, &staged.hidden, None);
        return Err(error).at("make", &site.path());
    }
    site.parent.sync().at("write", site.parent.path())?;
    Index { staged: false, ..staged.index.clone() }.write(&site.parent.existing_child(site.name)?, site.owner)
}

/// From between the swaps to the end: the original is hidden, the copy in sight.
fn swap_back(
    site: &Site<'_>,
    staged: &Staged<'_>,
    original: &Directory,
    copy: &Directory,
) -> Result<(), Error> {
    bring_up_to_date(site, original, copy, &staged.index)?;
    if !exchange(site, staged.around, &staged.hidden)? {
        let fact = format!("{} could be swapped once, but not again", site.path().display());
        return Err(
            Error::new(Code::DeliveryFailed, fact).help("The new files are in place. Run again to tidy up.")
        );
    }
    site.parent.sync().at("write", site.parent.path())?;
    clear(staged.around, &staged.hidden, Some(original))
}

/// Whether there is something beside the secrets directory, or in it where it is a mount point, that [`recover`] may know.
pub(in crate::delivery) fn has_leftovers(site: &Site<'_>) -> Result<bool, Error> {
    let within = site.live()?.filter(Directory::is_mount_point);
    for around in [Some(site.parent), within.as_ref()].into_iter().flatten() {
        let names = around.entries().at("list", around.path())?;
        if names.iter().any(|name| is_staging_name(name, site.name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finishes or undoes what a killed run left beside the secrets directory. Touches nothing but hidden directories of ours,
/// known by their name and the index in them; what in these is not ours goes back to its place.
pub(in crate::delivery) fn recover(site: &Site<'_>) -> Result<(), Error> {
    recover_in(site, site.parent)?;
    match site.live()? {
        // A mount point is staged within, not beside it.
        Some(live) if live.is_mount_point() => recover_in(site, &live),
        _ => Ok(()),
    }
}

fn recover_in(site: &Site<'_>, around: &Directory) -> Result<(), Error> {
    for hidden in around.entries().at("list", around.path())? {
        let path = around.path_of(&hidden);
        let stat = around.stat_of(&hidden).at("look at", &path)?;
        if !is_staging_name(&hidden, site.name) || stat.is_none_or(|s| kind(&s) != FileType::Directory) {
            continue;
        }
        let found = around.existing_child(&hidden)?;
        match Index::read(&found) {
            Ok(Some(index)) => recover_one(site, around, hidden, &found, &index)?,
            // Killed before the index was there: then there is nothing in it, or the beginning of the index.
            _ if found.entries().at("list", &path)?.iter().all(|name| name == UNFINISHED) => {
                found.remove_file(OsStr::new(UNFINISHED)).at("remove", &path)?;
                around.remove_empty(&hidden).at("remove", &path)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn recover_one(
    site: &Site<'_>,
    around: &Directory,
    hidden: OsString,
    found: &Directory,
    index: &Index,
) -> Result<(), Error> {
    match site.live()? {
        live if index.staged => clear(around, &hidden, live.as_ref()),
        // Killed between the swaps: what is hidden is the original.
        Some(copy) => match Index::read(&copy)? {
            Some(index) if index.staged => swap_back(site, &Staged { around, hidden, index }, found, &copy),
            _ => clear(around, &hidden, Some(&copy)),
        },
        None => {
            around.rename(&hidden, site.parent, site.name, RenameFlags::empty()).at("restore", &site.path())
        }
    }
}

/// Gives the original directory the set of the staged copy, file by file. Can be done again after it was interrupted.
fn bring_up_to_date(
    site: &Site<'_>,
    original: &Directory,
    copy: &Directory,
    new: &Index,
) -> Result<(), Error> {
    let old = Index::read(original)?.unwrap_or_default();
    // From now on both sets are ours, so that nothing of ours can be taken for foreign after a kill.
    let mut index = old.clone();
    index.staged = false;
    index.linked.clear();
    index.files.extend(new.files.iter().cloned());
    index.directories.extend(new.directories.iter().cloned());
    index.made.clone_from(&new.made);
    index.project.clone_from(&new.project);
    index.write(original, site.owner)?;

    remove_ours(original, old.files.difference(&new.files), &old)?;
    for path in new.parents() {
        let name = path.as_os_str();
        let (child, _) =
            original.child_or_new(name, DIRECTORY_MODE).at("make the directory", &original.path_of(name))?;
        if new.directories.contains(&path) {
            child.settle(site.mode_of(&path), site.owner).at("set the owner of", child.path())?;
        }
    }
    for path in &new.files {
        take_over(original, copy, path)?;
    }
    if original.stat_of(OsStr::new(GITIGNORE)).at("look at", original.path())?.is_none() {
        replace(original, OsStr::new(GITIGNORE), GITIGNORE_CONTENT, site.owner)?;
    }
    for path in new.parents() {
        original.existing_child(path.as_os_str())?.sync().at("write", original.path())?;
    }
    original.settle(DIRECTORY_MODE, site.owner).at("set the mode of", original.path())?;
    // A sub-directory of ours that still holds files of others stays on the list: it can go once it is empty.
    let kept = old.directories.difference(&new.directories).filter(|d| original.has_directory(d)).cloned();
    index.directories = new.directories.iter().cloned().chain(kept).collect();
    index.files.clone_from(&new.files);
    index.write(original, site.owner)?;
    original.sync().at("write", original.path())
}

/// Removes files of ours, then those of our sub-directories that are empty thereafter. Returns the files that went.
pub(in crate::delivery) fn remove_ours<'a>(
    directory: &Directory,
    files: impl Iterator<Item = &'a PathBuf>,
    index: &Index,
) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for path in files {
        let Some((at, name)) = directory.find(path)? else {
            continue;
        };
        let shown = at.path_of(name);
        // What took the place of our file and is none is not ours.
        if at.stat_of(name).at("look at", &shown)?.is_some_and(|s| kind(&s) == FileType::RegularFile)
            && at.remove_file(name).at("remove", &shown)?
        {
            removed.push(path.clone());
        }
    }
    directory.remove_file(OsStr::new(UNFINISHED)).at("remove", directory.path())?;
    for path in &index.directories {
        let name = path.as_os_str();
        if let Some(child) = directory.child(name).at("open", &directory.path_of(name))? {
            child.remove_file(OsStr::new(UNFINISHED)).at("remove", child.path())?;
            directory.remove_empty(name).at("remove", child.path())?;
        }
    }
    Ok(removed)
}

/// Removes a hidden directory of ours. What in it is neither ours nor a second name of something that is in sight goes
/// back to its place; it stays where it is, and the hidden directory with it, if its place is taken.
pub(in crate::delivery) fn clear(
    around: &Directory,
    hidden: &OsStr,
    live: Option<&Directory>,
) -> Result<(), Error> {
    let directory = around.existing_child(hidden)?;
    let index = Index::read(&directory).ok().flatten().unwrap_or_default();
    let parents = index.parents();
    for path in index.parents_and_top() {
        let at = directory.sub_directory(&path).at("open", &directory.path().join(&path))?;
        let Some(at) = at else { continue };
        for name in at.entries().at("list", at.path())? {
            let relative = path.join(&name);
            // The index goes last, since without it nobody would know the rest.
            if relative == Path::new(INDEX) || parents.contains(&relative) {
                continue;
            }
            let linked = index.linked.contains(&relative);
            if linked || index.files.contains(&relative) || is_bookkeeping(&at, &path, &name) {
                at.remove_file(&name).at("remove", &at.path_of(&name))?;
            } else if let Some(live) = live
                && let Some((place, _)) = live.find(&relative)?
            {
                put_back(&at, &name, &place)?;
            }
        }
        if path != Path::new("") {
            directory.remove_empty(path.as_os_str()).at("remove", at.path())?;
        }
    }
    if directory.entries().at("list", directory.path())?.iter().all(|name| name == INDEX) {
        directory.remove_file(OsStr::new(INDEX)).at("remove", directory.path())?;
        around.remove_empty(hidden).at("remove", directory.path())?;
    }
    Ok(())
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

/// Makes a file of the copy the original's file of that name, in one step.
fn take_over(original: &Directory, copy: &Directory, path: &Path) -> Result<(), Error> {
    let ((to, name), (from, _)) = (original.locate(path)?, copy.locate(path)?);
    let (shown, unfinished) = (to.path_of(name), OsStr::new(UNFINISHED));
    let source = from.stat_of(name).at("look at", &shown)?;
    let (Some(source), target) = (source, to.stat_of(name).at("look at", &shown)?) else {
        return Err(Error::new(
            Code::DeliveryFailed,
            format!("{} vanished while it was written", shown.display()),
        )
        .help("Something else removes files there: stop that, then run again."));
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
    to.rename(unfinished, &to, name, RenameFlags::empty()).at("write", &shown)
}

/// Copies a secret file with its owner and mode, for file systems without hard links.
pub(in crate::delivery) fn copy_file(
    from: &Directory,
    name: &OsStr,
    to: &Directory,
    new_name: &OsStr,
) -> Result<(), Error> {
    let shown = to.path_of(new_name);
    let source = from.open_file(name).and_then(|f| f.ok_or(Errno::NOENT)).at("read", &from.path_of(name))?;
    let stat = fstat(&source).at("look at", &shown)?;
    let contents = files::read_opened(source, LARGEST_PROGRAM).at("read", &shown)?;
    let mut file = to.create_file(new_name).at("write", &shown)?;
    file.write_all(contents.value.expose()).at("write", &shown)?;
    let now = fstat(&file).at("look at", &shown)?;
    if (now.st_uid, now.st_gid) != (stat.st_uid, stat.st_gid) {
        chown(&file, (stat.st_uid, stat.st_gid)).at("set the owner of", &shown)?;
    }
    fchmod(&file, Mode::from_raw_mode(stat.st_mode & 0o7777)).at("set the mode of", &shown)?;
    file.sync_all().at("write", &shown)
}

/// Swaps the secrets directory with a hidden one; false when the file system cannot.
fn exchange(site: &Site<'_>, around: &Directory, hidden: &OsStr) -> Result<bool, Error> {
    match site.parent.rename(site.name, around, hidden, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // EPERM: a seccomp filter. EBUSY, EXDEV: a mount point, or an overlay's lower layer. EINVAL also: staged within.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV | Errno::BUSY | Errno::PERM) => {
            Ok(false)
        }
        Err(error) => Err(error).at("replace", &site.path()),
    }
}
