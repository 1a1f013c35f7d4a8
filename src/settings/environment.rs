//! A snapshot of the process environment, taken once: nothing else in the program reads variables.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::holding::Holding;
use crate::secret::SecretValue;

/// Variables that reach no child: the run's own inputs are matched by prefix, these by name.
const NOT_FOR_CHILDREN: &[&str] =
    &["GITHUB_TOKEN", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"];

/// What a Docker client needs to find its engine, its plugins and its settings.
const NEEDED_BY_PROGRAMS: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
];

/// Variables of the process, by name. It has no `Debug`, because any of them may contain a secret.
/// Clones share it.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<OsString, SecretValue>>);

impl Environment {
    /// Takes the variables of this process. Call it once, when the program starts.
    pub fn of_this_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// Makes an environment from names and values, as for tests.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let all =
            pairs.into_iter().map(|(name, value)| (name.into(), SecretValue::new(value.into().into_vec())));
        Self(Arc::new(all.collect()))
    }

    /// The value of a variable; `None` if it is unset or empty, because a GitHub secret that does not exist arrives empty.
    pub fn value(&self, name: &str) -> Option<&SecretValue> {
        self.0.get(OsStr::new(name)).filter(|value| !value.is_empty())
    }

    /// The value of a variable that is not a secret, as text; `None` if it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(|value| std::str::from_utf8(value.expose()).ok())
    }

    /// The variables with this prefix that [`Environment::text`] returns, for vendors' libraries that read their own.
    pub fn starting_with(&self, beginning: &str) -> impl Iterator<Item = (&str, &str)> {
        let names = self.0.keys().filter_map(|name| name.to_str());
        names
            .filter(move |name| name.starts_with(beginning))
            .filter_map(|name| Some((name, self.text(name)?)))
    }

    /// The names of all variables that are text.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|name| name.to_str())
    }

    /// The path in a variable; `None` if it is unset or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(|value| PathBuf::from(OsStr::from_bytes(value.expose())))
    }

    /// Every variable.
    pub fn all(&self) -> impl Iterator<Item = (&OsStr, &SecretValue)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value))
    }

    /// Whether a variable is set, empty or not.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(OsStr::new(name))
    }

    /// Names of the variables whose value is or contains one of `values`. Values under 6 bytes do not count, or a secret `true`
    /// would remove `CI`; nor do the variables that every program needs.
    pub fn names_holding(&self, values: &[&SecretValue]) -> BTreeSet<OsString> {
        let values = Holding::new(values.iter().map(|value| value.expose()));
        self.0
            .iter()
            .filter(|(name, _)| !needed_by_programs(name))
            .filter(|(_, text)| values.is_any_in(text.expose()))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The variables that contain a secret in other text, with a placeholder for each secret (`values`); not those that are
    /// `hidden`, nor those in which a value would be left.
    pub fn with_placeholders(
        &self,
        hidden: &BTreeSet<OsString>,
        values: &[(String, &SecretValue)],
    ) -> Vec<(String, String)> {
        let candidates = self
            .0
            .iter()
            .filter(|(name, _)| !hidden.contains(*name) && !is_ours_alone(name) && !needed_by_programs(name));
        let holding = Holding::new(values.iter().map(|(_, value)| value.expose()));
        let mut placeholders: BTreeMap<&[u8], &str> = BTreeMap::new();
        for (placeholder, value) in values {
            placeholders.entry(value.expose()).or_insert(placeholder);
        }
        let replaced = candidates.filter_map(|(name, text)| {
            let text = std::str::from_utf8(text.expose()).ok()?;
            let mut values: Vec<(&str, &str)> = holding
                .all_in(text.as_bytes())
                .into_iter()
                .filter_map(|value| Some((*placeholders.get(value)?, std::str::from_utf8(value).ok()?)))
                .collect();
            // A value that is part of another one is replaced with it.
            values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
            let (first, rest) = values.split_first()?;
            let text = rest.iter().fold(text.replace(first.1, first.0), |text, (placeholder, value)| {
                text.replace(value, placeholder)
            });
            Some((name.to_str()?.to_owned(), text))
        });
        replaced.collect()
    }

    /// The variables for child processes: without the action's inputs, the runner's tokens and file commands, and
    /// `hidden`; and with `placeholders` in place of what they name.
    pub fn for_children(
        &self,
        hidden: &BTreeSet<OsString>,
        placeholders: &BTreeMap<String, String>,
    ) -> Vec<(OsString, OsString)> {
        let mut kept: BTreeMap<OsString, OsString> = self
            .0
            .iter()
            .filter(|(name, _)| !hidden.contains(*name) && !is_ours_alone(name))
            .map(|(name, value)| (name.clone(), OsString::from_vec(value.expose().to_vec())))
            .collect();
        for (name, placeholder) in placeholders {
            kept.insert(name.into(), placeholder.into());
        }
        kept.into_iter().collect()
    }
}

impl Environment {
    /// The variables that a Docker client needs to reach its engine; for calls before it is known which others are
    /// secrets.
    pub fn for_docker_alone(&self) -> Vec<(OsString, OsString)> {
        self.0
            .iter()
            .filter(|(name, _)| needed_by_programs(name))
            .map(|(name, value)| (name.clone(), OsString::from_vec(value.expose().to_vec())))
            .collect()
    }
}

fn needed_by_programs(name: &OsStr) -> bool {
    NEEDED_BY_PROGRAMS.iter().any(|other| other.as_bytes() == name.as_bytes())
}

fn is_ours_alone(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    bytes.starts_with(b"INPUT_")
        || bytes.starts_with(b"ACTIONS_")
        || NOT_FOR_CHILDREN.iter().any(|other| other.as_bytes() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_get_neither_inputs_nor_tokens_nor_secrets() {
        let all = Environment::from_pairs([
            ("PATH", "/bin"),
            ("INPUT_GITHUB-SECRETS", "{}"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
            ("KEY", "canary-value"),
            ("ALIAS", "prefix-canary-value"),
            ("IMAGE_TAG", "v1"),
        ]);
        let value = SecretValue::new(b"canary-value".to_vec());
        let hidden = all.names_holding(&[&value]);
        let placeholders = BTreeMap::from([("KEY".to_owned(), "placeholder".to_owned())]);
        let kept: Vec<_> = all
            .for_children(&hidden, &placeholders)
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
            .collect();
        assert_eq!(kept, ["IMAGE_TAG=v1", "KEY=placeholder", "PATH=/bin"]);
    }

    #[test]
    fn an_empty_variable_is_absent() {
        let all = Environment::from_pairs([("A", ""), ("B", "1")]);
        assert!(all.value("A").is_none() && all.has("A") && all.text("B") == Some("1"));
    }
}
