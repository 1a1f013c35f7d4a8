//! Reads files of secrets, and says why one cannot be read.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Code, Error, Result, plain_reason};
use crate::files;
use crate::secret::{SecretName, SecretValue};

/// A larger file is not a secret.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Why an existing file cannot be read.
pub(super) struct Fault(std::io::Error);

/// The exact bytes of a file; `None` if it does not exist.
pub(super) fn file(path: &Path) -> Result<Option<SecretValue>, Fault> {
    match files::read(path, LARGEST) {
        Ok(contents) => Ok(Some(contents.value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Fault(error)),
    }
}

/// The names of the files in a directory that are UTF-8; none if it does not exist.
pub(super) fn names(directory: &Path) -> Result<Vec<String>> {
    let failed = |error: &std::io::Error| {
        Error::new(
            Code::SourceFailed,
            format!("cannot read the directory {}: {}", directory.display(), plain_reason(error)),
        )
        .help(format!("Let uid {} list it, or name the secrets.", uid()))
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(&error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        // Our volumes also have links and hidden directories of their own.
        if std::fs::metadata(entry.path()).is_ok_and(|kind| kind.is_file()) {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// A variable names a file that does not exist. The next place is not used, which would be a guess.
pub(super) fn nothing_named(variable: &str, path: &Path) -> Error {
    Error::new(Code::SourceFailed, format!("{variable} names a file that does not exist: {}", path.display()))
        .help(format!("Correct the path in {variable}, or unset it."))
}

impl Fault {
    /// The error for a file of the directory of secrets.
    pub(super) fn of_a_mounted_file(&self, name: &SecretName, path: &Path) -> Error {
        self.error(&format!("cannot read {} for {name}", path.display()))
    }

    /// The error for a file that a variable names.
    pub(super) fn of_a_named_file(&self, variable: &str, path: &Path) -> Error {
        self.error(&format!("cannot read {}, which {variable} names", path.display()))
    }

    fn error(&self, doing: &str) -> Error {
        if self.0.kind() == ErrorKind::PermissionDenied {
            let fact = format!("{doing}: permission denied (this process runs as uid {})", uid());
            return Error::new(Code::SourceDenied, fact)
                .help(format!("Set the user in `services:` of claude-secrets.yml: `uid: {}`.", uid()));
        }
        Error::new(Code::SourceFailed, format!("{doing}: {}", plain_reason(&self.0)))
            .help("Put a regular file there, or remove what is there.")
    }
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
