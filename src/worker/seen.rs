//! Lists what a worker can see: the names, the places and the values' shapes.

use std::fmt::Write as _;

use super::Worker;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

impl Worker {
    /// A line for each secret that can be loaded, and an error with all that cannot, if any. Without names, all mounted
    /// secrets; then it is an error if there are none. Neither contains a value.
    pub fn seen(&self, names: &[SecretName]) -> (String, Result<()>) {
        let mounted;
        let names = if names.is_empty() {
            mounted = match self.mounted() {
                Ok(names) => names,
                Err(error) => return (String::new(), Err(error)),
            };
            &mounted
        } else {
            names
        };
        if names.is_empty() {
            let fact = format!("no secret is mounted in {}", self.secrets.display());
            let error = Error::new(Code::SecretsMissing, fact)
                .help("Grant secrets to this service in `services:` of claude-secrets.yml, or name the ones to look for.");
            return (String::new(), Err(error));
        }
        let mut text = String::new();
        let mut failures = Vec::new();
        for name in names {
            match self.find(name) {
                Ok(Some(found)) => {
                    let _ = writeln!(text, "{name}\t{}\t{}", found.place, found.value.shape());
                }
                Ok(None) => failures.push(self.missing(name)),
                Err(error) => failures.push(error),
            }
        }
        (text, all(failures))
    }
}

/// One error from several: itself if it is the only one, else the most serious code with all of them as problems.
pub(super) fn all(mut failures: Vec<Error>) -> Result<()> {
    if failures.len() < 2 {
        return failures.pop().map_or(Ok(()), Err);
    }
    let code = failures.iter().map(|error| error.code).max_by_key(|code| code.exit_status());
    let problems = failures
        .iter()
        .map(|error| Diagnostic { help: error.help.first().cloned(), ..Diagnostic::new(error.fact.clone()) });
    let fact = format!("{} secrets cannot be loaded", failures.len());
    Err(Error::new(code.unwrap_or(Code::SecretsMissing), fact).problems(problems.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Environment;

    #[test]
    fn names_places_and_shapes_are_told_and_no_value() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("api_key"), "canary\ncanary").unwrap();
        let worker = Worker::new(folder.path(), Environment::from_pairs([("PW", "canary")]));
        let place = folder.path().join("api_key").display().to_string();
        let (text, end) = worker.seen(&[]);
        assert_eq!(text, format!("API_KEY\t{place}\t13 bytes, 2 lines\n"));
        assert!(end.is_ok());
        let names = ["PW", "API_KEY", "GONE", "ALSO_GONE"].map(|name| super::super::name(name).unwrap());
        let (text, end) = worker.seen(&names);
        assert_eq!(text.lines().next().unwrap(), "PW\tthe variable PW\t6 bytes");
        let error = end.err().unwrap();
        assert_eq!((error.code, error.problems.len()), (Code::SecretsMissing, 2));
        assert!(!text.contains("canary") && !error.to_string().contains("canary"));
    }

    #[test]
    fn nothing_at_all_is_an_error() {
        let worker = Worker::new("/no/such", Environment::default());
        let (text, end) = worker.seen(&[]);
        assert!(text.is_empty());
        assert_eq!(end.err().unwrap().code, Code::SecretsMissing);
    }
}
