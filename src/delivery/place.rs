//! A place below the project directory that is safe to write to: where it is, and why it is refused.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use rustix::fs::FileType;

use super::files::directory::{At, Directory, kind};
use crate::error::{Code, Error};
use crate::tracked;

/// The mode of directories made on the way to a place: they may be shared with others (`data`), the place is not.
const PARENT_MODE: u32 = 0o755;

/// A file or directory below the project directory, which need not exist yet.
pub(super) struct Place {
    input: &'static str,
    project: Directory,
    parents: Vec<OsString>,
    name: OsString,
    owner: (u32, u32),
}

impl Place {
    /// Takes the input's name for messages (`secrets-dir`), the project directory, and the place: relative to it or
    /// absolute below it. Changes nothing.
    ///
    /// # Errors
    /// `ProjectDirectoryMissing`; `PathUnsafe` when the place is the project directory itself, lies outside, is or
    /// passes through a symbolic link, or when git tracks it or anything in it.
    pub(super) fn open(input: &'static str, project: &Path, given: &Path) -> Result<Self, Error> {
        Self::below(input, "the project directory", project, given)
    }

    /// The same below another directory than the project's, which `what` names in sentences.
    pub(super) fn below(
        input: &'static str,
        what: &'static str,
        project: &Path,
        given: &Path,
    ) -> Result<Self, Error> {
        let place = Self::to_commit(input, what, project, given)?;
        place.refuse_tracked()?;
        Ok(place)
    }

    /// The same for a file that is meant to be committed: git may track it.
    pub(super) fn to_commit(
        input: &'static str,
        what: &'static str,
        project: &Path,
        given: &Path,
    ) -> Result<Self, Error> {
        let directory = open_project(project)?;
        let mut names = below(input, what, project, given)?;
        refuse_git(input, given, names.iter().map(OsString::as_os_str))?;
        let name = names.pop().ok_or_else(|| Error::new(Code::Internal, "a place without a name"))?;
        let stat = directory.stat().at("look at", project)?;
        let owner = (stat.st_uid, stat.st_gid);
        let place = Self { input, project: directory, parents: names, name, owner };
        place.refuse_links()?;
        Ok(place)
    }

    /// The place's last name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The whole path, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.project.path().join(self.relative())
    }

    /// The workspace's owner: the user and group that the project directory belongs to.
    pub(super) fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// The directory that the place is in; `None` when it does not exist.
    pub(super) fn parent(&self) -> Result<Option<Directory>, Error> {
        self.descend(&self.parents)
    }

    /// The directory that the place is in, made where it is missing, and which directories were made, as paths from
    /// the project directory.
    pub(super) fn make_parent(&self) -> Result<(Directory, Vec<PathBuf>), Error> {
        let mut directory = self.top()?;
        let (mut made, mut path) = (Vec::new(), PathBuf::new());
        for name in &self.parents {
            path.push(name);
            let shown = directory.path_of(name);
            let (child, is_new) =
                directory.child_or_new(name, PARENT_MODE).at("make the directory", &shown)?;
            if is_new {
                child.settle(PARENT_MODE, self.owner).at("set the owner of", &shown)?;
                directory.sync().at("write", directory.path())?;
                made.push(path.clone());
            }
            directory = child;
        }
        Ok((directory, made))
    }

    /// Removes the directories above the place that are named, as paths from the project directory, where they are
    /// empty and really above the place; returns those that went.
    pub(super) fn remove_parents(&self, made: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let mut removed = Vec::new();
        for depth in (1..=self.parents.len()).rev() {
            let path: PathBuf = self.parents[..depth].iter().collect();
            let Some(above) = self.descend(&self.parents[..depth - 1])? else {
                continue;
            };
            let name = &self.parents[depth - 1];
            if made.contains(&path) && above.remove_empty(name).at("remove", &above.path_of(name))? {
                removed.push(path);
            }
        }
        Ok(removed)
    }

    /// The path from the project directory.
    pub(super) fn relative(&self) -> PathBuf {
        self.parents.iter().chain([&self.name]).collect()
    }

    fn top(&self) -> Result<Directory, Error> {
        self.project.again().at("open", self.project.path())
    }

    fn descend(&self, names: &[OsString]) -> Result<Option<Directory>, Error> {
        let mut directory = Some(self.top()?);
        for name in names {
            let Some(above) = directory else { return Ok(None) };
            directory = above.child(name).at("open", &above.path_of(name))?;
        }
        Ok(directory)
    }

    fn refuse_links(&self) -> Result<(), Error> {
        let mut directory = self.top()?;
        let mut passed = PathBuf::new();
        for name in self.parents.iter().chain([&self.name]) {
            passed.push(name);
            let shown = directory.path_of(name);
            let Some(stat) = directory.stat_of(name).at("look at", &shown)? else {
                return Ok(());
            };
            if kind(&stat) == FileType::Symlink {
                let whole = self.relative();
                let how = if passed == whole { "is" } else { "passes through" };
                return Err(Error::new(
                    Code::PathUnsafe,
                    format!(
                        "`{}` {} {how} a symbolic link ({}), which may lead anywhere",
                        self.input,
                        whole.display(),
                        passed.display()
                    ),
                )
                .help(format!(
                    "Replace the link by a real directory or file, or set `{}` elsewhere.",
                    self.input
                )));
            }
            if passed == self.relative() {
                return Ok(());
            }
            directory = match directory.child(name).at("open", &shown)? {
                Some(child) => child,
                None => return Ok(()),
            };
        }
        Ok(())
    }

    fn refuse_tracked(&self) -> Result<(), Error> {
        let Some(found) = tracked::tracked_under(&self.path()) else {
            return Ok(());
        };
        let Some(first) = found.first() else { return Ok(()) };
        let more = match found.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let relative = self.relative();
        Err(Error::new(
            Code::PathUnsafe,
            format!(
                "`{}` {} is tracked by git ({}{more}): what is written there could be committed",
                self.input,
                relative.display(),
                first.display()
            ),
        )
        .help(format!(
            "Take it out of git and commit that: git rm -r --cached {}\nIf it ever held real values, replace them: \
             they stay in the history.",
            relative.display()
        ))
        .help(format!("Or set `{}` to a path that git does not track.", self.input)))
    }
}

/// Refuses a place in git's own directory: what is there configures git, or is run by it.
pub(super) fn refuse_git<'a>(
    input: &str,
    given: &Path,
    mut names: impl Iterator<Item = &'a OsStr>,
) -> Result<(), Error> {
    if !names.any(|name| name.eq_ignore_ascii_case(".git")) {
        return Ok(());
    }
    Err(Error::new(Code::PathUnsafe, format!("`{input}` {} is in git's own directory", given.display()))
        .help(format!("Set `{input}` to a path outside of `.git`.")))
}

/// Opens the project directory.
pub(super) fn open_project(project: &Path) -> Result<Directory, Error> {
    use rustix::io::Errno;
    match Directory::open(project) {
        Err(Errno::NOENT | Errno::NOTDIR) => Err(missing_project(project)),
        other => other.at("open the project directory", project),
    }
}

fn missing_project(project: &Path) -> Error {
    Error::new(Code::ProjectDirectoryMissing, format!("the project directory {} does not exist", project.display()))
        .help("Set `project-directory` to the directory of the compose file; in a workflow, run actions/checkout first.")
}

/// The names on the way from the project directory to the given place: at least one.
fn below(input: &str, what: &str, project: &Path, given: &Path) -> Result<Vec<OsString>, Error> {
    let refuse = |why: &str| {
        Err(Error::new(Code::PathUnsafe, format!("`{input}` {} {why}", given.display()))
            .help(format!("Set `{input}` to a path below {what}, written without `..`.")))
    };
    let outside = format!("lies outside {what}");
    let relative = if given.is_absolute() {
        let plain = std::path::absolute(project).ok();
        let real = project.canonicalize().ok();
        let inside = [plain, real].into_iter().flatten().find_map(|p| given.strip_prefix(p).ok());
        let Some(inside) = inside else {
            return refuse(&outside);
        };
        inside
    } else {
        given
    };
    let mut names = Vec::new();
    for component in relative.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_owned()),
            // `a/../b` too: where it leads depends on what `a` is.
            Component::ParentDir => {
                return refuse(&format!("holds `..`, which may lead outside {what}"));
            }
            Component::RootDir | Component::Prefix(_) => return refuse(&outside),
        }
    }
    if names.is_empty() { refuse(&format!("is {what} itself")) } else { Ok(names) }
}
