//! The `env` source: `NAME_FILE` naming a file, the variable `NAME`, an action input `NAME`, and `github-secrets`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use zeroize::Zeroize;

use super::kind::{SourceKind, boxed};
use super::{About, Found, Item, ProjectDirs, Reply, Source, absolute, beside, read_file, unreadable};
use crate::error::{Code, Error, Result};
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::{Environment, Settings, input_variable};

/// This kind of source.
pub(super) const KIND: SourceKind = SourceKind {
    name: "env",
    versioned: false,
    local: false,
    prefixes: &[],
    settings: &[],
    credentials: &[],
    about: "`NAME_FILE`, `NAME`, an action input `NAME`, and the JSON of `github-secrets`.",
    open: |options, opening| Ok(Some(boxed(open(&options.id, opening.settings, opening.around)?))),
    to_configure: |_, _| "It needs no configuration: remove it from the manifest's `sources`.".to_owned(),
    policy: None,
};

/// The source.
pub struct Env {
    id: SourceId,
    variables: Environment,
    github: BTreeMap<String, SecretValue>,
    project: PathBuf,
    own_output: PathBuf,
}

/// Opens it. `github-secrets` must be a JSON object of strings; nothing of it is ever echoed.
fn open(id: &SourceId, settings: &Settings, around: &ProjectDirs) -> Result<Env> {
    let github = settings.github_secrets.as_ref().map(parse_github_secrets).transpose()?.unwrap_or_default();
    Ok(Env {
        id: id.clone(),
        variables: settings.variables.clone(),
        github,
        project: around.project.to_owned(),
        own_output: absolute(around, around.secrets_dir),
    })
}

#[async_trait]
impl Source for Env {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, _: &Scope) -> Reference {
        Reference { source: self.id.clone(), item: name.as_str().to_owned(), field: None, version: None }
    }

    fn about(&self) -> About {
        let github = if self.github.is_empty() { "" } else { ", and `github-secrets`" };
        About { place: format!("the variables of this process{github}"), ..About::default() }
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(items.len());
        for item in items {
            replies.push(self.one(&item.name).await);
        }
        replies
    }
}

impl Env {
    async fn one(&self, name: &str) -> Reply {
        let file_variable = format!("{name}_FILE");
        if let Some(path) = self.variables.text(&file_variable) {
            let path = self.project.join(path);
            return match read_file(&path, &self.own_output).await {
                Ok((value, changed)) => {
                    Reply::Found(Found { value, place: file_variable, version: None, changed, expires: None })
                }
                Err(error) => unreadable(&file_variable, "", &path, &error),
            };
        }
        let input = input_variable(name);
        let found = |value: &SecretValue, place: &str| {
            Reply::Found(Found {
                value: value.clone(),
                place: place.to_owned(),
                version: None,
                changed: None,
                expires: None,
            })
        };
        if let Some(value) = self.variables.value(name) {
            return found(value, &format!("variable {name}"));
        }
        if let Some(value) = self.variables.value(&input) {
            return found(value, &format!("input {name}"));
        }
        // GitHub's secret names are upper-cased, except that `github_token` is not.
        let github = self.github.get(name).or_else(|| {
            self.github.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        match github.filter(|value| !value.is_empty()) {
            Some(value) => found(value, "github-secrets"),
            None => Reply::Absent(self.looked_at(name)),
        }
    }

    fn looked_at(&self, name: &str) -> String {
        let empty = if self.variables.has(name) { " (set, but empty)" } else { "" };
        let variables = self.variables.names().filter(|name| self.variables.value(name).is_some());
        let github = self.github.iter().filter(|(_, value)| !value.is_empty()).map(|(key, _)| key.as_str());
        let other = beside(&self.id, name, variables.chain(github));
        format!("variables {name}_FILE and {name}{empty}{other}")
    }
}

fn parse_github_secrets(text: &SecretValue) -> Result<BTreeMap<String, SecretValue>> {
    let invalid = |what: &str| {
        Error::new(Code::GithubSecretsInvalid, format!("github-secrets: {what} ({})", text.shape()))
            .help("Write exactly `github-secrets: ${{ toJSON(secrets) }}`, or better, list each secret under `env:`.")
    };
    // The parser's own words could quote the text.
    let json: serde_json::Value =
        serde_json::from_slice(text.expose()).map_err(|_| invalid("the input is not JSON"))?;
    let serde_json::Value::Object(map) = json else {
        return Err(invalid("the input is JSON, but not an object"));
    };
    let mut all = BTreeMap::new();
    for (name, value) in map {
        let serde_json::Value::String(mut text) = value else {
            return Err(invalid("a value in it is not a string"));
        };
        all.insert(name, SecretValue::new(text.clone().into_bytes()));
        text.zeroize();
    }
    Ok(all)
}
