//! The settings of one source: from action inputs, the manifest and the vendor's own variables, in this order.

use std::collections::BTreeMap;

use super::kind::{Setting, SourceKind};
use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, SourceConfig, SourceId};
use crate::secret::SecretValue;
use crate::settings::{Environment, Settings};

/// The settings and credentials of one source. It has no `Debug`, because it contains credentials.
pub struct Options {
    /// The source's id.
    pub id: SourceId,
    /// Whether anything names this source: the manifest, an input, `sources`, or a reference. The variables of one that
    /// nothing names may have another purpose (for example, a registry login): see [`super::Source::is_ambient`].
    pub named: bool,
    values: BTreeMap<&'static str, Value>,
    variables: Environment,
    /// What its variables start with, by priority.
    prefixes: Vec<String>,
}

struct Value {
    text: String,
    said_by: String,
    in_manifest: bool,
}

impl Options {
    /// Collects the settings of the source `id`.
    pub fn new(id: &SourceId, kind: &'static SourceKind, settings: &Settings, manifest: &Manifest) -> Self {
        let own = id.as_str() == kind.name;
        let prefixes = variable_prefixes(id, kind);
        let config = manifest.sources.get(id);
        let mut named = config.is_some()
            || settings.sources.iter().chain(&settings.source).any(|source| source == id.as_str())
            || manifest.references().any(|reference| reference.source == *id);
        let mut values = BTreeMap::new();
        for setting in kind.settings {
            let by_input = setting.input.filter(|_| own).and_then(|input| {
                let text = settings.store_inputs.get(input)?;
                named = true;
                Some(Value {
                    text: text.clone(),
                    said_by: format!("the input `{input}`"),
                    in_manifest: false,
                })
            });
            let value = by_input
                .or_else(|| by_manifest(id, setting, config))
                .or_else(|| by_variable(setting, &prefixes, &settings.variables));
            values.extend(value.map(|value| (setting.name, value)));
        }
        Self { id: id.clone(), named, values, variables: settings.variables.clone(), prefixes }
    }

    /// Whether it has any settings, at least in variables: a credential, or a setting of its own (CA certificates are often
    /// shared by many programs of a machine).
    pub fn is_configured(&self, kind: &SourceKind) -> bool {
        let mut settings = self.values.keys();
        settings.any(|name| *name != "ca-certificates")
            || kind.credentials.iter().any(|end| self.credential(end).is_some())
    }

    /// A setting as it was written, without spaces around it; `None` if it is not set.
    pub fn text(&self, setting: &str) -> Option<&str> {
        self.values.get(setting).map(|value| value.text.as_str())
    }

    /// Where a setting comes from, for errors: "the input `vault-addr`", "`sources.vault.addr`" or "`VAULT_ADDR`".
    pub fn said_by(&self, setting: &str) -> String {
        self.values.get(setting).map_or_else(|| format!("`{setting}`"), |value| value.said_by.clone())
    }

    /// Whether a setting comes from the manifest, and not from the inputs or variables of the run.
    pub fn is_in_manifest(&self, setting: &str) -> bool {
        self.values.get(setting).is_some_and(|value| value.in_manifest)
    }

    /// Refuses to send a login from variables to a server from the manifest, if the variable that belongs to the login names
    /// another server. `end` is that variable's suffix, `example` a second source's entry and variable, and `same` compares
    /// two server names.
    ///
    /// # Errors
    /// `usage`, with how to set which server the login is for.
    pub fn refuse_login_of_another(
        &self,
        setting: &str,
        end: &str,
        example: &str,
        same: impl FnOnce(&str, &str) -> bool,
    ) -> Result<()> {
        let variable = self.variable(end);
        let (Some(said), Some(other)) = (self.text(setting), self.variables.text(&variable)) else {
            return Ok(());
        };
        if same(said, other.trim()) {
            return Ok(());
        }
        let said_by = self.said_by(setting);
        let fact = format!(
            "{said_by} and `{variable}` are two different servers, and it is unclear which one the login in the variables is for"
        );
        Err(Error::new(Code::Usage, fact).help(format!(
            "If the login is for the server of {said_by}, unset `{variable}`. Give a second server its own id in `sources`, and so its own variables: {example}."
        )))
    }

    /// The error for an invalid setting: where it comes from, `what` is wrong, and its length. It may be a misplaced value.
    pub fn unusable(&self, setting: &str, what: &str) -> Error {
        let length = self.text(setting).unwrap_or_default().chars().count();
        Error::new(Code::Usage, format!("{} {what} ({})", self.said_by(setting), count(length, "character")))
    }

    /// Refuses a manifest with a private key in a setting that should name its file: a key is a secret, and everyone with access
    /// to the repository can read a manifest. `what` is in the setting, and the suffix of the variable that may contain it.
    ///
    /// # Errors
    /// `usage`, with what to do about it.
    pub fn refuse_key_in_manifest(&self, setting: &str, what: &str, end: &str) -> Result<()> {
        let value = self.values.get(setting).filter(|value| value.in_manifest);
        let Some(value) = value.filter(|value| value.text.contains("PRIVATE KEY-----")) else {
            return Ok(());
        };
        let fact = format!("{} contains {what} itself ({})", value.said_by, count(value.text.len(), "byte"));
        Err(Error::new(Code::Usage, fact).help(format!(
            "Create a new key, because everyone with access to the repository can read this one, and set it in `{}` or as a file.",
            self.variable(end)
        )))
    }

    /// A credential: the variable with this suffix. `None` if it is unset or empty.
    pub fn credential(&self, end: &str) -> Option<&SecretValue> {
        self.variables.value(&self.variable(end))
    }

    /// The name of one of this source's variables: `VAULT_TOKEN` for `vault` and `TOKEN`, `OLD_VAULT_TOKEN` for the
    /// source `old-vault`. If the kind has several prefixes, it is the one that is set, or else the first.
    pub fn variable(&self, end: &str) -> String {
        let name = |prefix: &String| format!("{prefix}{end}");
        let set = self.prefixes.iter().map(name).find(|name| self.variables.value(name).is_some());
        set.or_else(|| self.prefixes.first().map(name)).unwrap_or_else(|| end.to_owned())
    }

    /// A variable of the process that is not a credential (`HOME`, `AWS_PROFILE`).
    pub fn environment(&self) -> &Environment {
        &self.variables
    }
}

/// What the names of a source's variables start with, by priority.
pub(super) fn variable_prefixes(id: &SourceId, kind: &SourceKind) -> Vec<String> {
    if id.as_str() == kind.name {
        return kind.prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    }
    vec![format!("{}_", id.as_str().replace('-', "_").to_ascii_uppercase())]
}

/// The first of [`variable_prefixes`], for messages; empty for a source without variables.
pub(super) fn variable_prefix(id: &SourceId, kind: &SourceKind) -> String {
    variable_prefixes(id, kind).into_iter().next().unwrap_or_default()
}

fn by_manifest(id: &SourceId, setting: &Setting, config: Option<&SourceConfig>) -> Option<Value> {
    let text = config?.settings.get(setting.name)?.trim();
    Some(Value {
        text: text.to_owned(),
        said_by: format!("`sources.{id}.{}`", setting.name),
        in_manifest: true,
    })
}

fn by_variable(setting: &Setting, prefixes: &[String], variables: &Environment) -> Option<Value> {
    let names =
        setting.variables.iter().flat_map(|end| prefixes.iter().map(move |prefix| format!("{prefix}{end}")));
    names.into_iter().find_map(|name| {
        let text = variables.text(&name)?.trim().to_owned();
        Some(Value { text, said_by: format!("`{name}`"), in_manifest: false })
    })
}
