//! Starts a program that reads only variables, with its secrets in them.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::{Worker, seen};
use crate::error::{Code, Error, Result};
use crate::harden;
use crate::secret::SecretName;

/// The exit status if the program was not started because of its secrets, like env(1)'s and the launcher's.
const NOT_STARTED: u8 = 125;

impl Worker {
    /// Replaces this process with a program that has these secrets as variables; without names, all mounted secrets.
    /// `NAME_FILE` of a secret is removed, because many programs refuse to have both. Returns only if the program was not
    /// started: the message, and the exit status.
    pub fn start(&self, names: &[SecretName], command: Vec<OsString>) -> (String, u8) {
        let variables = match self.environment(names) {
            Ok(variables) => variables,
            Err(error) => return (format!("error: {error}\n"), NOT_STARTED),
        };
        // Command-line arguments contain no NUL.
        let words: Vec<CString> =
            command.into_iter().flat_map(|word| CString::new(word.into_vec())).collect();
        harden::undo_for_another_program();
        claude_secrets_launcher::replace(&words, &variables)
    }

    /// The variables of the program. Fails with every secret that cannot be one.
    fn environment(&self, names: &[SecretName]) -> Result<Vec<CString>> {
        let mounted;
        let names = if names.is_empty() {
            mounted = self.mounted()?;
            &mounted
        } else {
            names
        };
        let mut failures = Vec::new();
        let mut set = Vec::new();
        for name in names {
            match self.variable(name) {
                Ok(entry) => set.push(entry),
                Err(error) => failures.push(error),
            }
        }
        seen::all(failures)?;
        let goes = |variable: &[u8]| {
            names.iter().any(|name| {
                let rest = variable.strip_prefix(name.as_str().as_bytes());
                matches!(rest, Some(b"" | b"_FILE"))
            })
        };
        let kept = self.variables.all().filter(|(variable, _)| !goes(variable.as_bytes()));
        let kept = kept.filter_map(|(variable, value)| entry(variable.as_bytes(), value.expose()));
        Ok(kept.chain(set).collect())
    }

    fn variable(&self, name: &SecretName) -> Result<CString> {
        let found = self.find(name)?.ok_or_else(|| self.missing(name))?;
        entry(name.as_str().as_bytes(), found.value.expose()).ok_or_else(|| {
            let fact = format!("{name} ({}) contains a NUL byte, which a variable cannot", found.place);
            Error::new(Code::SecretInvalid, fact).help("Let the program read the file itself.")
        })
    }
}

fn entry(name: &[u8], value: &[u8]) -> Option<CString> {
    CString::new([name, b"=", value].concat()).ok()
}
