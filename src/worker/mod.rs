//! The worker side: how a program in a container gets its secrets, as a library and as three commands. It needs no engine,
//! no manifest and no store.
//!
//! A secret is looked up in three places, and the first that has it wins: the file of its name, in lower case, in
//! `/run/secrets`; the file that the variable `NAME_FILE` names; the variable `NAME`. The next place is used only if the
//! one before does not exist: a file that cannot be read is an error, because the next place may have an old value.

mod program;
mod read;
mod seen;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Environment;

/// Where a container has its secrets.
pub const SECRETS: &str = "/run/secrets";

/// What a process can see: a directory of secrets, and its variables.
pub struct Worker {
    secrets: PathBuf,
    variables: Environment,
}

/// A secret that was found.
pub struct Found {
    /// Its bytes, exactly as they are.
    pub value: SecretValue,
    /// Where it was.
    pub place: Place,
}

/// Where a secret was found.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// This file of the directory.
    Mounted(PathBuf),
    /// This file, which the variable names.
    Named(String, PathBuf),
    /// The variable itself.
    Variable(String),
}

/// Loads a secret of this process: its bytes, exactly as they are.
///
/// Fails with [`Code::SecretNameInvalid`], with [`Code::SecretsMissing`] if it is in none of the three places, and with
/// [`Code::SourceDenied`] or [`Code::SourceFailed`] if its file cannot be read. No error contains a value.
///
/// ```no_run
/// let key = claude_secrets::worker::load("ANTHROPIC_API_KEY")?;
/// let header: &[u8] = key.expose();
/// # Ok::<(), claude_secrets::error::Error>(())
/// ```
pub fn load(name: &str) -> Result<SecretValue> {
    Worker::of_this_process().load(name)
}

impl Worker {
    /// This process, in its container.
    pub fn of_this_process() -> Self {
        Self::new(SECRETS, Environment::of_this_process())
    }

    /// A process with these variables, whose secrets are in this directory.
    ///
    /// ```
    /// use claude_secrets::settings::Environment;
    /// use claude_secrets::worker::Worker;
    ///
    /// let worker = Worker::new("/run/no/secrets", Environment::from_pairs([("API_KEY", "of a test")]));
    /// assert_eq!(worker.load("API_KEY")?.expose(), b"of a test");
    /// assert!(worker.load("OTHER").is_err());
    /// # Ok::<(), claude_secrets::error::Error>(())
    /// ```
    pub fn new(secrets: impl Into<PathBuf>, variables: Environment) -> Self {
        Self { secrets: secrets.into(), variables }
    }

    /// Loads a secret; fails as [`load`] does.
    pub fn load(&self, name: &str) -> Result<SecretValue> {
        let name = self::name(name)?;
        self.find(&name)?.map(|found| found.value).ok_or_else(|| self.missing(&name))
    }

    /// Looks up a secret; `None` if it is in none of the three places. Fails if its file cannot be read.
    pub fn find(&self, name: &SecretName) -> Result<Option<Found>> {
        let path = self.secrets.join(name.file_name());
        if let Some(value) = read::file(&path).map_err(|fault| fault.of_a_mounted_file(name, &path))? {
            return Ok(Some(Found { value, place: Place::Mounted(path) }));
        }
        let variable = format!("{name}_FILE");
        if let Some(path) = self.variables.path(&variable) {
            return match read::file(&path).map_err(|fault| fault.of_a_named_file(&variable, &path))? {
                Some(value) => Ok(Some(Found { value, place: Place::Named(variable, path) })),
                None => Err(read::nothing_named(&variable, &path)),
            };
        }
        let value = self.variables.value(name.as_str()).cloned();
        Ok(value.map(|value| Found { value, place: Place::Variable(name.to_string()) }))
    }

    /// The names of the mounted secrets: every file of the directory whose name in capitals is a variable name, and every
    /// variable `NAME_FILE` that names a file of the directory. Fails if the directory exists and cannot be read.
    pub fn mounted(&self) -> Result<Vec<SecretName>> {
        let files = read::names(&self.secrets)?;
        let files = files.iter().filter_map(|file| SecretName::parse(&file.to_ascii_uppercase()).ok());
        let pointing = self.variables.starting_with("").filter_map(|(variable, path)| {
            let name = variable.strip_suffix("_FILE")?;
            let is_ours = Path::new(path).parent().is_some_and(|parent| parent == self.secrets);
            SecretName::parse(name).ok().filter(|_| is_ours)
        });
        let mut names: Vec<SecretName> = files.chain(pointing).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn missing(&self, name: &SecretName) -> Error {
        let path = self.secrets.join(name.file_name());
        let fact = format!(
            "{name} is missing: there is no file {}, and neither {name}_FILE nor {name} is set",
            path.display()
        );
        Error::new(Code::SecretsMissing, fact).help(
            "Grant it to this service in `services:` of claude-secrets.yml, or set one of the two variables.",
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted(path) => write!(f, "{}", path.display()),
            Self::Named(variable, path) => write!(f, "{variable}: {}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// A value that may be printed. A terminal would interpret control sequences in it (one can move the cursor, or rename the
/// window), so a value with control characters is refused there; elsewhere every value may be printed.
pub fn printable(value: SecretValue, to_a_terminal: bool) -> Result<SecretValue> {
    let text = std::str::from_utf8(value.expose());
    let is_tame =
        text.is_ok_and(|text| !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r')));
    if !to_a_terminal || is_tame {
        return Ok(value);
    }
    let fact = format!(
        "the value ({}) contains control characters, which a terminal would interpret",
        value.shape()
    );
    Err(Error::new(Code::SecretInvalid, fact)
        .help("Write it to a file or a pipe: `claude-secrets get NAME > file`."))
}

/// Parses a name. An invalid one may be a misplaced value, and is not repeated.
pub fn name(text: &str) -> Result<SecretName> {
    SecretName::parse(text).map_err(|error| {
        Error::new(Code::SecretNameInvalid, format!("not a valid secret name: {error}"))
            .help("Use the name as it is declared, e.g. `ANTHROPIC_API_KEY`.")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn worker(directory: &Path, variables: &[(&str, String)]) -> Worker {
        Worker::new(directory, Environment::from_pairs(variables.iter().cloned()))
    }

    #[test]
    fn the_mounted_file_wins_then_the_named_one_then_the_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let all = [("KEY_FILE", path("elsewhere").display().to_string()), ("KEY", "three".to_owned())];
        std::fs::write(path("elsewhere"), "two\n").unwrap();
        let place = |worker: &Worker| {
            let found = worker.find(&name("KEY").unwrap()).unwrap().unwrap();
            (String::from_utf8(found.value.expose().to_vec()).unwrap(), found.place.to_string())
        };
        let (elsewhere, mounted) =
            (path("elsewhere").display().to_string(), path("key").display().to_string());
        let with_variables = worker(folder.path(), &all);
        assert_eq!(place(&with_variables), ("two\n".to_owned(), format!("KEY_FILE: {elsewhere}")));
        let alone = worker(folder.path(), &all[1..]);
        assert_eq!(place(&alone), ("three".to_owned(), "the variable KEY".to_owned()));
        std::fs::write(path("key"), "one \n").unwrap();
        assert_eq!(place(&with_variables), ("one \n".to_owned(), mounted));
    }

    #[test]
    fn what_is_there_and_cannot_be_read_hides_what_is_below() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("KEY", "canary".to_owned()), ("OTHER", "canary".to_owned())];
        std::fs::create_dir(folder.path().join("key")).unwrap();
        symlink("nowhere", folder.path().join("other")).unwrap();
        let worker = worker(folder.path(), &variables);
        let error = worker.load("KEY").err().unwrap();
        assert_eq!(error.code, Code::SourceFailed);
        assert!(error.to_string().contains("key") && error.to_string().contains("directory"), "{error}");
        // A link to nothing is nothing.
        assert_eq!(worker.load("OTHER").unwrap().expose(), b"canary");
        let gone = [("KEY_FILE", "/no/such".to_owned()), ("KEY", "canary".to_owned())];
        let error = self::worker(Path::new("/no"), &gone).load("KEY").err().unwrap();
        assert!(error.to_string().contains("KEY_FILE names a file that does not exist: /no/such"), "{error}");
    }

    #[test]
    fn an_empty_variable_is_no_secret_and_an_empty_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("KEY", String::new()), ("KEY_FILE", String::new())];
        let worker = worker(folder.path(), &variables);
        assert_eq!(worker.load("KEY").err().unwrap().code, Code::SecretsMissing);
        std::fs::write(folder.path().join("key"), "").unwrap();
        assert!(worker.load("KEY").unwrap().is_empty());
    }

    #[test]
    fn a_value_in_the_place_of_a_name_is_not_repeated() {
        let error = worker(Path::new("/no"), &[]).load("sk-ant-canary").err().unwrap();
        assert_eq!(error.code, Code::SecretNameInvalid);
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn a_terminal_gets_no_control_sequence() {
        let value = |text: &[u8]| SecretValue::new(text.to_vec());
        for odd in [&b"\x1b]0;title\x07"[..], b"\xff", "\u{9b}0m".as_bytes()] {
            assert!(printable(value(odd), true).is_err());
            assert!(printable(value(odd), false).is_ok());
        }
        assert_eq!(printable(value("ü\n\tb".as_bytes()), true).ok().unwrap().expose(), "ü\n\tb".as_bytes());
    }

    #[test]
    fn what_is_mounted_is_known_by_its_files_and_by_variables_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["api_key", "db-password", "pw", "Mixed"] {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        let pw = folder.path().join("pw").display().to_string();
        let variables = [
            ("POSTGRES_PASSWORD_FILE", pw),
            ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt".to_owned()),
            ("PLAIN", "x".to_owned()),
        ];
        let names = worker(folder.path(), &variables).mounted().unwrap();
        let names: Vec<&str> = names.iter().map(SecretName::as_str).collect();
        assert_eq!(names, ["API_KEY", "MIXED", "POSTGRES_PASSWORD", "PW"]);
    }
}
