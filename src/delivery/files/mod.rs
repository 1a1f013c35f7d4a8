//! The secrets directory: one file a secret, changed as a set, with everything that is not ours left alone.

pub(in crate::delivery) mod directory;
pub(in crate::delivery) mod index;
mod secret_file;
pub(in crate::delivery) mod site;
mod staging;
mod swap;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{FileType, fstat};

use self::directory::{At, Directory, kind};
use self::index::{GITIGNORE, INDEX, Index, UNFINISHED, has_our_gitignore, is_secret_path};
pub use self::secret_file::{Held, SecretFile};
use self::site::{DIRECTORY_MODE, Site};
use self::staging::{NewSet, stage};
use self::swap::{has_leftovers, publish, recover, remove_ours};
use crate::delivery::place::Place;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error};
use crate::files::{self, LARGEST_VALUES};

/// What is to be done, or was done, for the directory to hold the wanted set. Paths are relative to it and sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Exists with the right bytes, mode and owner.
    pub unchanged: Vec<PathBuf>,
    /// Exists with other bytes, another mode or another owner.
    pub changed: Vec<PathBuf>,
    /// Does not exist yet.
    pub new: Vec<PathBuf>,
    /// Ours, and no longer needed.
    pub stale: Vec<PathBuf>,
    /// The directory's own mode or owner, its `.gitignore` or its list of our files is wrong.
    pub upkeep: bool,
}

impl Difference {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.new.is_empty() && self.stale.is_empty() && !self.upkeep
    }
}

/// A directory below the project directory that holds secret files of ours, and possibly files of others.
///
/// Our files are listed in `.claude-secrets.json` in it. Nothing here locks: hold the
/// [`ProjectLock`](super::ProjectLock) around [`write`](Self::write) and [`remove`](Self::remove).
pub struct SecretsDir {
    place: Place,
    project: Option<String>,
    mounted: BTreeSet<PathBuf>,
    pub(in crate::delivery) exchange: bool,
}

impl SecretsDir {
    /// Takes the project directory and the secrets directory, relative to it or absolute below it. Creates nothing.
    ///
    /// # Errors
    /// `PathUnsafe` if the directory is the project directory, is outside of it, is or passes through a symbolic link, or
    /// contains a file that git tracks; `ProjectDirectoryMissing`.
    pub fn open(project: &Path, dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            place: Place::open("secrets-dir", project, dir)?,
            project: None,
            mounted: BTreeSet::new(),
            exchange: true,
        })
    }

    /// Where it is: the project directory as given, and the path below it.
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Where it is, from the project directory.
    pub fn relative(&self) -> PathBuf {
        self.place.relative()
    }

    /// Says which Compose project the files are of: those of another one are neither replaced nor removed then.
    #[must_use]
    pub fn of_project(mut self, name: &str) -> Self {
        self.project = Some(name.to_owned());
        self
    }

    /// The other project whose files are in the directory; `None` where they are of this one, or there are none.
    ///
    /// # Errors
    /// As those of [`compare`](Self::compare).
    pub fn of_another(&self) -> Result<Option<String>, Error> {
        let Some(parent) = self.place.parent()? else { return Ok(None) };
        let Some(live) = self.site(&parent).live()? else { return Ok(None) };
        Ok(Index::read(&live)?.filter(|index| !self.may_have(index)).map(|index| index.project))
    }

    /// Whether files with this index are of this project. A list without a name is one of an earlier version, which is
    /// taken over.
    fn may_have(&self, index: &Index) -> bool {
        self.project.as_ref().is_none_or(|own| index.project.is_empty() || *own == index.project)
    }

    fn refuse_another(&self) -> Result<(), Error> {
        let Some(other) = self.of_another()? else { return Ok(()) };
        let own = self.project.as_deref().unwrap_or_default();
        let directory = self.place.relative().display().to_string();
        Err(Error::new(
            Code::PathUnsafe,
            format!("`secrets-dir` {directory} has the files of the project {other}, and this one is {own}"),
        )
        .help(format!("Give each project a directory of its own: `secrets-dir: {directory}-{own}`."))
        .help(format!("If {other} was renamed to {own}, delete the directory {}.", self.path().display())))
    }

    /// Marks a sub-directory that a container mounts as a whole: it gets mode 0755 instead of 0700, so that a container's
    /// non-root user can enter it. On this side nobody can, since the secrets directory above it stays 0700.
    #[must_use]
    pub fn mounted(mut self, sub_directory: impl Into<PathBuf>) -> Self {
        self.mounted.insert(sub_directory.into());
        self
    }

    /// Compares the existing files with the wanted ones. Changes nothing, and reads no file that is not ours.
    ///
    /// # Errors
    /// `DeliveryFailed` if files that are not ours are in the place of wanted ones (all of them are named), or the list of
    /// our files cannot be used; `PathUnsafe` if the files are of another project; `NotWritable` if the directory cannot be read.
    pub fn compare(&self, wanted: &[SecretFile]) -> Result<Difference, Error> {
        check(wanted)?;
        self.refuse_another()?;
        let absent =
            || Difference { new: sorted(wanted.iter().map(|f| f.path.clone())), ..Difference::default() };
        let Some(parent) = self.place.parent()? else {
            return Ok(absent());
        };
        let Some(live) = self.site(&parent).live()? else {
            return Ok(absent());
        };
        let found = Index::read(&live)?;
        let index = found.clone().unwrap_or_default();
        let mut difference = Difference::default();
        let mut blocked = Vec::new();
        for file in wanted {
            match look(&live, &index, file)? {
                State::Unchanged => difference.unchanged.push(file.path.clone()),
                State::Changed => difference.changed.push(file.path.clone()),
                State::New => difference.new.push(file.path.clone()),
                State::Foreign(path, what) => blocked.push(self.blocked(&path, what)),
            }
        }
        if !blocked.is_empty() {
            let fact = format!("{} contains files that claude-secrets did not create", self.path().display());
            return Err(Error::new(Code::DeliveryFailed, fact).problems(blocked));
        }
        let names: BTreeSet<_> = wanted.iter().map(|f| f.path.clone()).collect();
        difference.stale = index.files.difference(&names).cloned().collect();
        for list in [&mut difference.unchanged, &mut difference.changed, &mut difference.new] {
            list.sort();
        }
        difference.upkeep = match found {
            Some(_) => {
                index.staged
                    || self.project.as_ref().is_some_and(|own| *own != index.project)
                    || index.files != names
                    || self.needs_upkeep(&self.site(&parent), &live, &index)?
            }
            None => !wanted.is_empty(),
        };
        Ok(difference)
    }

    /// The files of ours that are there, sorted by their paths. Changes nothing. What cannot be read is left out.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn held(&self) -> Result<Vec<Held>, Error> {
        let Some(parent) = self.place.parent()? else { return Ok(Vec::new()) };
        let Some(live) = self.site(&parent).live()? else { return Ok(Vec::new()) };
        let index = Index::read(&live)?.unwrap_or_default();
        let mut all = Vec::new();
        for path in &index.files {
            let Some((at, name)) = live.find(path)? else { continue };
            let Ok(Some(file)) = at.open_file(name) else { continue };
            let stat = fstat(&file).at("look at", &at.path_of(name))?;
            let Ok(contents) = files::read_opened(file, LARGEST_VALUES) else { continue };
            let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
            all.push(Held {
                path: path.clone(),
                value: contents.value,
                mode: stat.st_mode & 0o7777,
                modified: UNIX_EPOCH + Duration::from_secs(seconds),
            });
        }
        Ok(all)
    }

    /// Makes the directory hold exactly the wanted files of ours, as a set: a run killed at any instant leaves the set
    /// that was there or the new one. Returns what was done; when nothing differed, nothing was touched.
    ///
    /// Directories are 0700 and belong to the workspace's owner, so that the next checkout can remove them. Files of others
    /// keep their inode, owner and content. On file systems that cannot exchange two directories (overlay, NFS; a secrets
    /// directory that is a mount point) each file changes in one step, but the set does not. The order is described in
    /// `swap`. The bytes are not copied in memory but where the file system has no hard links, and wiped there.
    ///
    /// # Errors
    /// As [`compare`](Self::compare), and `DiskFull`, `NotWritable`, `DeliveryFailed` (an owner that cannot be set):
    /// the old set is still there then, and nothing half-written.
    pub fn write(&self, wanted: &[SecretFile]) -> Result<Difference, Error> {
        check(wanted)?;
        self.recover()?;
        let difference = self.compare(wanted)?;
        if difference.is_empty() {
            return Ok(difference);
        }
        let (parent, made) = self.place.make_parent()?;
        let written = self.write_set(&self.site(&parent), &made, wanted, &difference);
        if written.is_err() {
            let _ = self.place.remove_parents(&made); // those that are empty: they are not needed
        }
        written.map(|()| difference)
    }

    /// Whether a run that was killed, or one that runs now, has a new set half made beside the directory.
    ///
    /// # Errors
    /// `NotWritable` when the directory around cannot be read.
    pub fn has_leftovers(&self) -> Result<bool, Error> {
        self.place.parent()?.map_or(Ok(false), |parent| has_leftovers(&self.site(&parent)))
    }

    /// Finishes or undoes what a killed run left. [`write`](Self::write) and [`remove`](Self::remove) do so by themselves.
    ///
    /// # Errors
    /// As those of [`write`](Self::write).
    pub fn recover(&self) -> Result<(), Error> {
        self.refuse_another()?;
        self.place.parent()?.map_or(Ok(()), |parent| recover(&self.site(&parent)))
    }

    /// As [`remove`](Self::remove), but leaves another project's files alone, and returns nothing then.
    ///
    /// # Errors
    /// As those of [`remove`](Self::remove).
    pub fn remove_own(&self) -> Result<Vec<PathBuf>, Error> {
        if self.of_another()?.is_some() { Ok(Vec::new()) } else { self.remove() }
    }

    /// Removes our files (for `down`), then the empty directories that we made; files of others are kept. Returns the removed
    /// files and directories as paths from the project directory, sorted, after checking that they are gone.
    ///
    /// # Errors
    /// `RemovalIncomplete` if something still exists; `PathUnsafe` if the files are of another project; `NotWritable`.
    pub fn remove(&self) -> Result<Vec<PathBuf>, Error> {
        let Some(parent) = self.place.parent()? else {
            return Ok(Vec::new());
        };
        self.recover()?;
        self.refuse_another()?;
        let Some(live) = self.site(&parent).live()? else {
            return Ok(Vec::new());
        };
        let Some(index) = Index::read(&live)? else {
            return Ok(Vec::new());
        };
        let relative = self.place.relative();
        let mut removed = remove_ours(&live, index.files.iter(), &index)?;
        removed.extend(
            index.directories.iter().filter(|d| matches!(live.stat_of(d.as_os_str()), Ok(None))).cloned(),
        );
        if has_our_gitignore(&live) && live.remove_file(OsStr::new(GITIGNORE)).at("remove", live.path())? {
            removed.push(PathBuf::from(GITIGNORE));
        }
        // Last, so that an interrupted removal can be run again.
        live.remove_file(OsStr::new(INDEX)).at("remove", live.path())?;
        removed.push(PathBuf::from(INDEX));
        prove_gone(&live, &removed)?;
        live.sync().at("write", live.path())?;
        let mut removed: Vec<_> = removed.into_iter().map(|path| relative.join(path)).collect();
        if index.made.contains(&relative)
            && parent.remove_empty(self.place.name()).at("remove", &self.path())?
        {
            removed.push(relative);
            removed.extend(self.place.remove_parents(&index.made)?);
        }
        Ok(sorted(removed.into_iter()))
    }

    fn site<'a>(&'a self, parent: &'a Directory) -> Site<'a> {
        let (name, owner) = (self.place.name(), self.place.owner());
        Site { parent, name, owner, mounted: &self.mounted, exchange: self.exchange }
    }

    fn write_set(
        &self,
        site: &Site<'_>,
        parents: &[PathBuf],
        wanted: &[SecretFile],
        difference: &Difference,
    ) -> Result<(), Error> {
        let live = site.live()?;
        let index = match &live {
            Some(live) => Index::read(live)?.unwrap_or_default(),
            None => Index { made: vec![self.place.relative()], ..Index::default() },
        };
        let made = index.made.iter().chain(parents).cloned().collect();
        let project = self.project.clone().unwrap_or(index.project.clone());
        let set = NewSet { wanted, unchanged: &difference.unchanged, made, project };
        // If something is mounted there (a tmpfs, to keep values off the disk), the staged files must be in it, too.
        let around = live.as_ref().filter(|live| live.is_mount_point()).unwrap_or(site.parent);
        let staged = stage(site, around, live.as_ref().map(|live| (live, &index)), &set)?;
        publish(site, &staged)
    }

    fn needs_upkeep(&self, site: &Site<'_>, live: &Directory, index: &Index) -> Result<bool, Error> {
        if self.is_unsettled(live, DIRECTORY_MODE)? || live.has(UNFINISHED) || !live.has(GITIGNORE) {
            return Ok(true);
        }
        for path in &index.directories {
            let child = live.child(path.as_os_str()).at("open", &live.path().join(path))?;
            let Some(child) = child else { return Ok(true) };
            if self.is_unsettled(&child, site.mode_of(path))? || child.has(UNFINISHED) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a directory's mode is wrong, or its owner if we could set that.
    fn is_unsettled(&self, directory: &Directory, mode: u32) -> Result<bool, Error> {
        let stat = directory.stat().at("look at", directory.path())?;
        let may_chown = rustix::process::geteuid().is_root();
        Ok(stat.st_mode & 0o7777 != mode || (may_chown && (stat.st_uid, stat.st_gid) != self.place.owner()))
    }

    fn blocked(&self, path: &Path, what: &str) -> Diagnostic {
        let shown = self.place.relative().join(path);
        let problem =
            Diagnostic::new(format!("{} is {what} that claude-secrets did not create", shown.display()));
        // Scripts that wrote secret files by hand kept no list of their files.
        problem.help(match what {
            A_FILE => {
                format!("If it is an old copy, delete it (rm {}). Otherwise, move it away.", shown.display())
            }
            _ => "Move it away.".to_owned(),
        })
    }
}

/// What blocks a file most often.
const A_FILE: &str = "a file";

enum State {
    Unchanged,
    Changed,
    New,
    /// Something that is not ours is in the way: where, and what it is.
    Foreign(PathBuf, &'static str),
}

fn look(live: &Directory, index: &Index, wanted: &SecretFile) -> Result<State, Error> {
    let foreign = |path: &Path, what| Ok(State::Foreign(path.to_owned(), what));
    let Some((at, name)) = live.find(&wanted.path)? else {
        // No sub-directory: fine, unless something that is not ours is in its place.
        return match wanted.path.parent() {
            Some(parent) if live.has(parent) && !index.files.contains(parent) => foreign(parent, A_FILE),
            _ => Ok(State::New),
        };
    };
    let shown = at.path_of(name);
    let Some(stat) = at.stat_of(name).at("look at", &shown)? else {
        return Ok(State::New);
    };
    match kind(&stat) {
        FileType::RegularFile if index.files.contains(&wanted.path) => {}
        FileType::RegularFile => return foreign(&wanted.path, A_FILE),
        FileType::Symlink => return foreign(&wanted.path, "a symbolic link"),
        FileType::Directory if holds_only_ours(live, &wanted.path, index)? => return Ok(State::New),
        FileType::Directory => return foreign(&wanted.path, "a directory"),
        _ => return foreign(&wanted.path, "something other than a file"),
    }
    // A file of ours that we may not read is replaced without comparing it.
    let Ok(Some(file)) = at.open_file(name) else {
        return Ok(State::Changed);
    };
    let stat = fstat(&file).at("look at", &shown)?;
    let length = wanted.value.expose().len();
    let as_wanted = stat.st_mode & 0o7777 == wanted.mode
        && wanted.owner.is_none_or(|owner| owner == (stat.st_uid, stat.st_gid))
        && u64::try_from(stat.st_size).ok() == Some(length as u64);
    if !as_wanted {
        return Ok(State::Changed);
    }
    let same = files::read_opened(file, length as u64).at("read", &shown)?.value == wanted.value;
    Ok(if same { State::Unchanged } else { State::Changed })
}

/// Whether a directory in the place of a wanted file contains only files of ours, so that it will be removed.
fn holds_only_ours(live: &Directory, path: &Path, index: &Index) -> Result<bool, Error> {
    if !index.directories.contains(path) {
        return Ok(false);
    }
    let Some(directory) = live.child(path.as_os_str()).at("open", &live.path().join(path))? else {
        return Ok(false);
    };
    let names = directory.entries().at("list", directory.path())?;
    Ok(names.iter().all(|name| name == UNFINISHED || index.files.contains(&path.join(name))))
}

fn check(wanted: &[SecretFile]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for file in wanted {
        if !is_secret_path(&file.path) || file.path.to_str().is_none() {
            let fact = format!("{} is not a valid name for a secret file", file.path.display());
            return Err(Error::new(Code::Internal, fact));
        }
        if !seen.insert(file.path.as_path()) {
            return Err(Error::new(Code::Internal, format!("{} is requested twice", file.path.display())));
        }
    }
    match wanted.iter().filter_map(|file| file.path.parent()).find(|parent| seen.contains(parent)) {
        Some(both) => {
            let fact = format!("{} is needed both as a file and as a directory", both.display());
            Err(Error::new(Code::DeliveryFailed, fact).help("Rename the secret's file or the service."))
        }
        None => Ok(()),
    }
}

fn prove_gone(live: &Directory, removed: &[PathBuf]) -> Result<(), Error> {
    let mut left = Vec::new();
    for path in removed {
        if let Some((at, name)) = live.find(path)?
            && at.stat_of(name).at("look at", &at.path_of(name))?.is_some()
        {
            left.push(Diagnostic::new(at.path_of(name).display().to_string()));
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::RemovalIncomplete, "secret files still exist after they were removed")
        .problems(left)
        .help("Something creates them again: stop it, then run `down` again."))
}

fn sorted(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    paths.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
