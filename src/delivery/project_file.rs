//! One generated file below the project directory, the override: read, replaced in one step, removed.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, RenameFlags, fchmod};

use super::files::directory::{At, Directory, chown, kind};
use super::files::site::{is_staging_name, staging_name};
use super::place::Place;
use crate::error::{Code, Error};
use crate::files::{self, LARGEST_VALUES};

/// A file that we generate below the project directory. It is no place for secret values: it is readable by others.
pub struct ProjectFile {
    place: Place,
}

impl ProjectFile {
    /// Takes the project directory and the file, relative to it or absolute below it. Changes nothing.
    ///
    /// # Errors
    /// `PathUnsafe` when the file is or passes through a symbolic link, lies outside the project, or is tracked by
    /// git; `ProjectDirectoryMissing`.
    pub fn open(project: &Path, path: &Path) -> Result<Self, Error> {
        Ok(Self { place: Place::open("override-file", project, path)? })
    }

    /// The same for the file of another input, and below another directory: `what` names it in sentences.
    pub(super) fn below(
        input: &'static str,
        what: &'static str,
        directory: &Path,
        path: &Path,
    ) -> Result<Self, Error> {
        Ok(Self { place: Place::below(input, what, directory, path)? })
    }

    /// A file of the repository that is meant to be committed, and that holds no secret values.
    ///
    /// # Errors
    /// `PathUnsafe` when it is or passes through a symbolic link, or lies outside of `directory`.
    pub fn to_commit(directory: &Path, path: &Path) -> Result<Self, Error> {
        Ok(Self { place: Place::to_commit("init", "the repository", directory, path)? })
    }

    /// Where the file is: the project directory as given, and the path below it.
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// The file's bytes; `None` when there is none.
    ///
    /// # Errors
    /// `PathUnsafe` when a link has taken its place; `DeliveryFailed` when it is no file or cannot be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.place.parent()? {
            Some(parent) => Ok(self.read_in(&parent)?.map(|(bytes, _)| bytes)),
            None => Ok(None),
        }
    }

    /// Replaces the file in one step: whoever reads it sees the old or the new bytes, also when we are killed. It gets
    /// exactly the given mode and belongs to the workspace's owner. Returns false, having touched nothing, when it
    /// is so already.
    ///
    /// # Errors
    /// `DiskFull`, `NotWritable` or `DeliveryFailed`; the old file is still there then.
    pub fn write(&self, bytes: &[u8], mode: u32) -> Result<bool, Error> {
        let (parent, _) = self.place.make_parent()?;
        self.remove_unfinished(&parent)?;
        if self.read_in(&parent)?.is_some_and(|(old, old_mode)| old == bytes && old_mode == mode) {
            return Ok(false);
        }
        let unfinished = staging_name(self.place.name())?;
        let written = self.write_new(&parent, &unfinished, bytes, mode, RenameFlags::empty());
        if written.is_err() {
            let _ = parent.remove_file(&unfinished);
        }
        written.map(|()| true)
    }

    /// Makes the file, in one step, with exactly the given mode. One that is there, or that somebody makes meanwhile, is left
    /// as it is.
    ///
    /// # Errors
    /// `DiskFull`, `NotWritable` or `DeliveryFailed`.
    pub fn create(&self, bytes: &[u8], mode: u32) -> Result<(), Error> {
        let (parent, _) = self.place.make_parent()?;
        if parent.stat_of(self.place.name()).at("look at", &self.path())?.is_some() {
            let fact = format!("{} is there now, and was not overwritten", self.path().display());
            return Err(Error::new(Code::NotWritable, fact));
        }
        self.remove_unfinished(&parent)?;
        let unfinished = staging_name(self.place.name())?;
        let written = self.write_new(&parent, &unfinished, bytes, mode, RenameFlags::NOREPLACE);
        if written.is_err() {
            let _ = parent.remove_file(&unfinished);
        }
        written
    }

    /// Removes the file; returns whether there was one.
    ///
    /// # Errors
    /// `RemovalIncomplete` when it is still there afterwards; `NotWritable`.
    pub fn remove(&self) -> Result<bool, Error> {
        let Some(parent) = self.place.parent()? else {
            return Ok(false);
        };
        self.remove_unfinished(&parent)?;
        let (name, path) = (self.place.name(), self.path());
        let removed = parent.remove_file(name).at("remove", &path)?;
        if parent.stat_of(name).at("look at", &path)?.is_some() {
            return Err(Error::new(Code::RemovalIncomplete, format!("{} is still there", path.display()))
                .help("Something writes it anew: stop that, then run `down` again."));
        }
        Ok(removed)
    }

    fn read_in(&self, parent: &Directory) -> Result<Option<(Vec<u8>, u32)>, Error> {
        let path = self.path();
        let Some(file) = parent.open_file(self.place.name()).at("read", &path)? else {
            return Ok(None);
        };
        let contents = files::read_opened(file, LARGEST_VALUES).at("read", &path)?;
        Ok(Some((contents.value.expose().to_vec(), contents.mode)))
    }

    fn write_new(
        &self,
        parent: &Directory,
        unfinished: &OsStr,
        bytes: &[u8],
        mode: u32,
        how: RenameFlags,
    ) -> Result<(), Error> {
        let path = self.path();
        let mut file = parent.create_file(unfinished).at("write", &path)?;
        // Without root it belongs to whoever runs us, which is as good.
        let _ = chown(&file, self.place.owner());
        file.write_all(bytes).at("write", &path)?;
        fchmod(&file, Mode::from_raw_mode(mode)).at("set the mode of", &path)?;
        file.sync_all().at("write", &path)?;
        parent.rename(unfinished, parent, self.place.name(), how).at("write", &path)?;
        parent.sync().at("write", parent.path())
    }

    /// A killed run may have left its unfinished file: known by its name, which nobody else gives.
    fn remove_unfinished(&self, parent: &Directory) -> Result<(), Error> {
        for name in parent.entries().at("list", parent.path())? {
            if !is_staging_name(&name, self.place.name()) {
                continue;
            }
            let path = parent.path_of(&name);
            if parent.stat_of(&name).at("look at", &path)?.is_some_and(|s| kind(&s) == FileType::RegularFile)
            {
                parent.remove_file(&name).at("remove", &path)?;
            }
        }
        Ok(())
    }
}
