//! The `dotenv` source: `.env` files, read like Docker Compose does, but with every `$` literal, except in `${NAME}` of an
//! earlier line.

pub mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;
use zeroize::Zeroizing;

use self::parse::{Interpolation, Quoting, Warning, WarningKind, parse};
use super::kind::{SourceKind, boxed};
use super::{About, Found, Item, ProjectDirs, Reply, Source, absolute, beside, read_file, unreadable};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result, plain_reason};
use crate::files::{self, Contents, LARGEST_VALUES};
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;
use crate::tracked;

/// The file that is read if `env-file` is not set.
pub const DEFAULT_FILE: &str = ".env";

/// This kind of source.
pub(in crate::sources) const KIND: SourceKind = SourceKind {
    name: "dotenv",
    versioned: false,
    local: true,
    prefixes: &[],
    settings: &[],
    credentials: &[],
    about: "`.env` files, read like Docker Compose does, but with literal values.",
    open: |options, opening| Ok(open(&options.id, opening.settings, opening.around)?.map(boxed)),
    to_configure: |_, _| "Set `env-file`, or remove `dotenv` from `sources`.".to_owned(),
    policy: None,
};

/// The source: all its files, read once.
pub struct Dotenv {
    id: SourceId,
    project: PathBuf,
    own_output: PathBuf,
    entries: BTreeMap<String, Entry>,
    files: Vec<String>,
    doubts: Vec<(String, Warning)>,
    remarks: Vec<Diagnostic>,
}

struct Entry {
    value: SecretValue,
    place: String,
    changed: Option<SystemTime>,
}

/// Opens it: the files of `env-file`, else `.env` of the project directory if it exists (else `None`). A file in
/// `env-file` that does not exist, or that Compose would reject, is an error.
fn open(id: &SourceId, settings: &Settings, around: &ProjectDirs) -> Result<Option<Dotenv>> {
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
        let path = around.project.join(DEFAULT_FILE);
        // Compose ignores a directory of this name, too: Python's virtual environments have it.
        if !path.exists() || path.is_dir() {
            return Ok(None);
        }
        this.read_file(Path::new(DEFAULT_FILE))?;
    }
    for file in &settings.env_files {
        this.read_file(file)?;
    }
    Ok(Some(this))
}

/// The file's bytes, and its metadata.
fn load(path: &Path) -> std::io::Result<Contents> {
    files::read(path, LARGEST_VALUES)
}

fn unreadable_file(shown: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::SourceFailed, format!("env-file: cannot read {shown}: {}", plain_reason(error)))
        .help(format!("Make {} a file that this user can read, or correct `env-file`.", path.display()))
}

/// The content of a directory's `.env` file, for the few variables that configure Compose. Empty if there is none, if it is
/// not readable, or if Compose would reject it, too: reading its secrets reports that.
///
/// # Errors
/// It exists but must not be read, such as a pipe: Compose would read it next.
pub fn default_file(directory: &Path) -> Result<BTreeMap<String, SecretValue>> {
    let path = directory.join(DEFAULT_FILE);
    let contents = match load(&path) {
        Ok(contents) => contents,
        Err(error) if error.kind() == ErrorKind::InvalidInput || error.kind() == ErrorKind::FileTooLarge => {
            return Err(unreadable_file(DEFAULT_FILE, &path, &error));
        }
        Err(_) => return Ok(BTreeMap::new()),
    };
    let parsed = parse(contents.value.expose(), Interpolation::Literal);
    let entries = parsed.map(|parsed| parsed.entries).unwrap_or_default();
    Ok(entries.into_iter().map(|entry| (entry.key, entry.value.into())).collect())
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

    fn about(&self) -> About {
        About { place: self.files.join(", "), ..About::default() }
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(items.len());
        for item in items {
            replies.push(self.one(&item.name).await);
        }
        replies
    }

    fn remarks(&self, asked: &[Item]) -> Vec<Diagnostic> {
        let doubts =
            self.doubts.iter().filter(|(_, doubt)| asked.iter().any(|item| doubt.is_about(&item.name)));
        let doubts =
            doubts.map(|(file, doubt)| Diagnostic::with_help(format!("{file} {doubt}"), doubt.help()));
        // The permissions of a file do not matter if no secret is in it.
        let in_use = asked.iter().any(|item| self.entries.contains_key(&item.name));
        self.remarks.iter().filter(|_| in_use).cloned().chain(doubts).collect()
    }
}

impl Dotenv {
    /// A value with `${KEY}` replaced by the value of an earlier line, like Compose does. Every other dollar sign is literal.
    /// `None` if there is nothing to replace.
    fn composed(&self, value: &[u8]) -> Option<SecretValue> {
        let text = std::str::from_utf8(value).ok()?;
        let mut rest = text;
        let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
        let mut any = false;
        while let Some(at) = rest.find("${") {
            let (before, behind) = rest.split_at(at);
            bytes.extend_from_slice(before.as_bytes());
            let name = behind[2..].split_once('}').map(|(name, _)| name);
            if let Some((name, entry)) = name.and_then(|name| Some((name, self.entries.get(name)?))) {
                bytes.extend_from_slice(entry.value.expose());
                // Lines that refer to each other many times would grow without limit.
                if bytes.len() as u64 > LARGEST_VALUES {
                    return None;
                }
                rest = &behind[name.len() + 3..];
                any = true;
            } else {
                bytes.extend_from_slice(b"${");
                rest = &behind[2..];
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        any.then(|| SecretValue::new(std::mem::take(&mut *bytes)))
    }

    fn read_file(&mut self, file: &Path) -> Result<()> {
        let path = self.project.join(file);
        let shown = file.display().to_string();
        let contents = load(&path).map_err(|error| unreadable_file(&shown, &path, &error))?;
        let parsed = parse(contents.value.expose(), Interpolation::Literal).map_err(|error| {
            Error::new(Code::SourceFailed, format!("{shown}: {error}")).help(error.help().to_owned())
        })?;
        let Contents { changed, mode, .. } = contents;
        let mut composed = BTreeSet::new();
        for entry in parsed.entries {
            let place = format!("{shown} line {}", entry.line);
            let mut value = SecretValue::from(entry.value);
            if entry.quoting != Quoting::Single
                && let Some(text) = self.composed(value.expose())
            {
                value = text;
                composed.insert(entry.key.clone());
            }
            self.entries.insert(entry.key, Entry { value, place, changed });
        }
        // A bare `NAME` makes Compose inherit the variable; that it has no value here is not a problem of the file.
        let is_composed = |doubt: &Warning| composed.iter().any(|key| doubt.is_about(key));
        let doubts = parsed.warnings.into_iter().filter(|doubt| match doubt.kind {
            WarningKind::Bare => false,
            WarningKind::WouldInterpolate => !is_composed(doubt),
            _ => true,
        });
        self.doubts.extend(doubts.map(|doubt| (shown.clone(), doubt)));
        if mode & 0o077 != 0 {
            self.remarks.push(Diagnostic::with_help(
                format!("{shown} is readable by other users of this machine (mode {:o})", mode & 0o777),
                format!("chmod 600 {shown}"),
            ));
        }
        if tracked::is_tracked(&path) == Some(true) {
            self.remarks.push(Diagnostic::with_help(
                format!(
                    "{shown} is tracked by git: everyone with access to the repository can read its secrets"
                ),
                format!("git rm --cached {shown}, add it to .gitignore, and rotate what is in it."),
            ));
        }
        self.files.push(shown);
        Ok(())
    }

    async fn one(&self, name: &str) -> Reply {
        let file_key = format!("{name}_FILE");
        if let Some(entry) = self.entries.get(&file_key).filter(|entry| !entry.value.is_empty()) {
            let named = std::str::from_utf8(entry.value.expose()).unwrap_or_default();
            let path = self.project.join(named);
            return match read_file(&path, &self.own_output).await {
                Ok((value, changed)) => {
                    let place = format!("{file_key} of {}", entry.place);
                    Reply::Found(Found { value, place, version: None, changed, expires: None })
                }
                Err(error) => unreadable(&file_key, &format!(" ({})", entry.place), &path, &error),
            };
        }
        match self.entries.get(name) {
            // An empty entry is common in templates of `.env` files.
            Some(entry) if !entry.value.is_empty() => Reply::Found(Found {
                value: entry.value.clone(),
                place: entry.place.clone(),
                version: None,
                changed: entry.changed,
                expires: None,
            }),
            Some(entry) => Reply::Absent(format!("{} (empty)", entry.place)),
            None => {
                let other = beside(&self.id, name, self.entries.keys().map(String::as_str));
                Reply::Absent(format!("{}{other}", self.files.join(", ")))
            }
        }
    }
}
