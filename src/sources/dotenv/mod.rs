//! The `dotenv` source: `.env` files, read as Docker Compose reads them, but with every `$` left as it is.

pub mod parse;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;

use self::parse::{Interpolation, Warning, WarningKind, parse};
use super::{Found, Item, Remark, Reply, Source, Surroundings, absolute, read_file, unreadable};
use crate::error::{Code, Error, Result, plain_reason};
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;
use crate::tracked;

/// The file that is read when `env-file` names none.
const DEFAULT_FILE: &str = ".env";

/// The source: all its files, read once.
pub struct Dotenv {
    id: SourceId,
    project: PathBuf,
    own_output: PathBuf,
    entries: BTreeMap<String, Entry>,
    files: Vec<String>,
    doubts: Vec<(String, Warning)>,
    remarks: Vec<Remark>,
}

struct Entry {
    value: SecretValue,
    place: String,
    changed: Option<SystemTime>,
}

/// Opens it: the files of `env-file`, else `.env` of the project directory when it is there (`None` when it is not).
/// A file that is named and not there, or that Compose would reject, is an error.
pub fn open(id: &SourceId, settings: &Settings, around: &Surroundings) -> Result<Option<Dotenv>> {
    let mut this = Dotenv {
        id: id.clone(),
        project: around.project.to_owned(),
        own_output: absolute(around, around.secrets_dir),
        entries: BTreeMap::new(),
        files: Vec::new(),
        doubts: Vec::new(),
        remarks: Vec::new(),
    };
    if settings.env_files.is_empty() {
        if !around.project.join(DEFAULT_FILE).exists() {
            return Ok(None);
        }
        this.read_file(Path::new(DEFAULT_FILE))?;
    }
    for file in &settings.env_files {
        this.read_file(file)?;
    }
    Ok(Some(this))
}

#[async_trait]
impl Source for Dotenv {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, _: &Scope) -> Reference {
        Reference { source: self.id.clone(), item: name.as_str().to_owned(), field: None, version: None }
    }

    fn is_local_file(&self) -> bool {
        true
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        items.iter().map(|item| self.one(&item.name)).collect()
    }

    fn remarks(&self, asked: &[Item]) -> Vec<Remark> {
        let doubts =
            self.doubts.iter().filter(|(_, doubt)| asked.iter().any(|item| doubt.is_about(&item.name)));
        let doubts = doubts.map(|(file, doubt)| Remark {
            text: format!("{file} {doubt}"),
            remedy: Some(doubt.remedy().to_owned()),
        });
        // Who can read a file is of no matter when none of the secrets stands in it.
        let in_use = asked.iter().any(|item| self.entries.contains_key(&item.name));
        self.remarks.iter().filter(|_| in_use).cloned().chain(doubts).collect()
    }
}

impl Dotenv {
    fn read_file(&mut self, file: &Path) -> Result<()> {
        let path = self.project.join(file);
        let shown = file.display().to_string();
        let bytes = std::fs::read(&path).map(SecretValue::new).map_err(|error| {
            Error::new(Code::SourceFailed, format!("env-file: cannot read {shown}: {}", plain_reason(&error)))
                .hint(format!("Make {} readable for this user, or correct `env-file`.", path.display()))
        })?;
        let parsed = parse(bytes.expose(), Interpolation::Literal).map_err(|error| {
            Error::new(Code::SourceFailed, format!("{shown}: {error}")).hint(error.remedy().to_owned())
        })?;
        let meta = std::fs::metadata(&path).ok();
        let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
        for entry in parsed.entries {
            let place = format!("{shown} line {}", entry.line);
            self.entries.insert(entry.key, Entry { value: entry.value.into(), place, changed });
        }
        // A bare `NAME` is how Compose is told to inherit; that it has no value here is no fault of the file.
        let doubts = parsed.warnings.into_iter().filter(|doubt| doubt.kind != WarningKind::Bare);
        self.doubts.extend(doubts.map(|doubt| (shown.clone(), doubt)));
        let mode = meta.map_or(0, |meta| meta.permissions().mode());
        if mode & 0o077 != 0 {
            self.remarks.push(Remark {
                text: format!("{shown} may be read by others on this machine (mode {:o})", mode & 0o777),
                remedy: Some(format!("chmod 600 {shown}")),
            });
        }
        if tracked::is_tracked(&path) == Some(true) {
            self.remarks.push(Remark {
                text: format!("{shown} is tracked by git: everyone with the repository has its secrets"),
                remedy: Some(format!(
                    "git rm --cached {shown}, add it to .gitignore, and rotate what is in it."
                )),
            });
        }
        self.files.push(shown);
        Ok(())
    }

    fn one(&self, name: &str) -> Reply {
        let file_key = format!("{name}_FILE");
        if let Some(entry) = self.entries.get(&file_key).filter(|entry| !entry.value.is_empty()) {
            let named = std::str::from_utf8(entry.value.expose()).unwrap_or_default();
            return match read_file(&self.project.join(named), &self.own_output) {
                Ok((value, changed)) => {
                    let place = format!("{file_key} of {}", entry.place);
                    Reply::Found(Found { value, place, version: None, changed, expires: None })
                }
                Err(error) => unreadable(&file_key, &format!(" ({})", entry.place), &error),
            };
        }
        match self.entries.get(name) {
            // An empty entry is how templates of `.env` files look.
            Some(entry) if !entry.value.is_empty() => Reply::Found(Found {
                value: entry.value.clone(),
                place: entry.place.clone(),
                version: None,
                changed: entry.changed,
                expires: None,
            }),
            Some(entry) => Reply::Absent(format!("{} (empty)", entry.place)),
            None => Reply::Absent(self.files.join(", ")),
        }
    }
}
