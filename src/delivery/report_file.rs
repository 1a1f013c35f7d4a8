//! The file of a report, as JSON or as SARIF: where it may be, and what it may replace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ProjectFile;
use super::place::refuse_git;
use crate::error::{Code, Error};

/// What a report is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Our own JSON.
    Json,
    /// SARIF.
    Sarif,
}

/// How the JSON report's `tool` begins.
const TOOL: &str = "claude-secrets ";

/// The name of the tool in the SARIF file.
const DRIVER: &str = "claude-secrets";

/// The report is readable by all: it holds no values.
const MODE: u32 = 0o644;

/// The file that the report goes to. Nothing of it was changed yet.
pub struct ReportFile {
    form: Form,
    file: ProjectFile,
}

impl Form {
    /// The input that names the file.
    fn input(self) -> &'static str {
        match self {
            Self::Json => "report-file",
            Self::Sarif => "sarif-file",
        }
    }

    /// Whether bytes are an earlier report of this form.
    fn is_ours(self, bytes: &[u8]) -> bool {
        let json: Option<Value> = serde_json::from_slice(bytes).ok();
        let text = |path: &str| json.as_ref().and_then(|json| json.pointer(path)).and_then(Value::as_str);
        match self {
            Self::Json => text("/tool").is_some_and(|tool| tool.starts_with(TOOL)),
            Self::Sarif => text("/runs/0/tool/driver/name") == Some(DRIVER),
        }
    }
}

impl ReportFile {
    /// Takes the workspace and the file, relative to it or absolute. In the workspace it is reached through no symbolic
    /// link and nothing is replaced that git tracks; outside of it the user's own path leads to the directory, and only the
    /// last name is no link. What is there is replaced when it is empty or an earlier report.
    ///
    /// `outside` are the directories that an absolute path may lead to; `None` where that is the user's own choice.
    ///
    /// # Errors
    /// `PathUnsafe` for every other place.
    pub fn open(form: Form, workspace: &Path, path: &Path, outside: Option<&[&Path]>) -> Result<Self, Error> {
        let input = form.input();
        let file = match elsewhere(workspace, path) {
            None => ProjectFile::below(input, "the workspace", workspace, path)?,
            Some((directory, name)) => {
                let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
                let below = |top: &Path| directory.starts_with(real(top));
                let allowed = |all: &[&Path]| below(workspace) || all.iter().any(|top| below(top));
                if !directory.is_dir() {
                    return Err(Error::new(
                        Code::NotWritable,
                        format!("the directory of `{input}`, {}, does not exist", directory.display()),
                    )
                    .help("Make it before, or name another file."));
                }
                if !outside.is_none_or(allowed) {
                    return Err(Error::new(
                        Code::PathUnsafe,
                        format!("`{input}` {} is neither in the workspace nor in the runner's temporary directory", path.display()),
                    )
                    .help("Name a file of the workspace, or leave the input out: the output `report` says where it is then."));
                }
                refuse_git(input, path, directory.iter())?;
                ProjectFile::below(input, "its directory", &directory, &name)?
            }
        };
        let this = Self { form, file };
        this.check()?;
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.file.path()
    }

    /// Replaces it in one step.
    ///
    /// # Errors
    /// As those of [`ProjectFile::write`], and `PathUnsafe` when something else has taken its place meanwhile.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.file.write(bytes, MODE).map(|_| ())
    }

    fn check(&self) -> Result<(), Error> {
        let input = self.form.input();
        match self.file.read()? {
            Some(bytes) if !bytes.is_empty() && !self.form.is_ours(&bytes) => Err(Error::new(
                Code::PathUnsafe,
                format!("`{input}` {} is there and is no report of this program", self.path().display()),
            )
            .help("Move it away, or name another file: an earlier report is replaced, nothing else.")),
            _ => Ok(()),
        }
    }
}

/// The directory, as it really is, and the name of an absolute path that does not begin as the workspace's does.
fn elsewhere(workspace: &Path, path: &Path) -> Option<(PathBuf, PathBuf)> {
    if !path.is_absolute() || path.starts_with(workspace) {
        return None;
    }
    let (directory, name) = (path.parent()?, PathBuf::from(path.file_name()?));
    // Through a link, or by `..`, it may lead to the workspace all the same, where git is asked.
    let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    Some((real, name))
}
