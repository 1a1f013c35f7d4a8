//! The settings of one source: from action inputs, the manifest and the vendor's own variables, in this order.

use std::collections::BTreeMap;

use super::catalog::{Setting, SourceKind};
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
    prefix: String,
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
        let prefix = variable_prefix(id, kind);
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
                .or_else(|| by_variable(setting, &prefix, &settings.variables));
            values.extend(value.map(|value| (setting.name, value)));
        }
        Self { id: id.clone(), named, values, variables: settings.variables.clone(), prefix }
    }

    /// Whether it has any settings, at least in variables: a credential, or a setting of its own (CA certificates are often
    /// shared by many programs of a machine).
    pub fn is_spoken_of(&self, kind: &SourceKind) -> bool {
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
        Err(Error::new(Code::Usage, fact).hint(format!(
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
        Err(Error::new(Code::Usage, fact).hint(format!(
            "Create a new key, because everyone with access to the repository can read this one, and set it in `{}` or as a file.",
            self.variable(end)
        )))
    }

    /// A credential: the variable with this suffix. `None` if it is unset or empty.
    pub fn credential(&self, end: &str) -> Option<&SecretValue> {
        self.variables.value(&self.variable(end))
    }

    /// The name of one of this source's variables: `VAULT_TOKEN` for `vault` and `TOKEN`, `OLD_VAULT_TOKEN` for the
    /// source `old-vault`.
    pub fn variable(&self, end: &str) -> String {
        format!("{}{end}", self.prefix)
    }

    /// A variable of the process that is not a credential (`HOME`, `AWS_PROFILE`).
    pub fn environment(&self) -> &Environment {
        &self.variables
    }
}

/// What the names of a source's variables start with.
pub(super) fn variable_prefix(id: &SourceId, kind: &SourceKind) -> String {
    if id.as_str() == kind.name {
        return kind.variables.to_owned();
    }
    format!("{}_", id.as_str().replace('-', "_").to_ascii_uppercase())
}

fn by_manifest(id: &SourceId, setting: &Setting, config: Option<&SourceConfig>) -> Option<Value> {
    let text = config?.settings.get(setting.name)?.trim();
    Some(Value {
        text: text.to_owned(),
        said_by: format!("`sources.{id}.{}`", setting.name),
        in_manifest: true,
    })
}

fn by_variable(setting: &Setting, prefix: &str, variables: &Environment) -> Option<Value> {
    setting.variables.iter().find_map(|end| {
        let name = format!("{prefix}{end}");
        let text = variables.text(&name)?.trim().to_owned();
        Some(Value { text, said_by: format!("`{name}`"), in_manifest: false })
    })
}
