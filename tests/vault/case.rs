//! One run of the source by the library, as a command makes it: settings, manifest, sources, resolution.

use std::collections::BTreeMap;

use claude_secrets::error::Error;
use claude_secrets::resolve::{Resolution, Resolved};
use serde_json::{Map, Value, json};

use crate::opening;
use crate::peers::bao::{Bao, ROOT};

/// What no text for people may hold: every planted value and credential has it.
pub(crate) const CANARY: &str = "canary";

/// A run that is about to begin.
#[derive(Clone, Default)]
pub(crate) struct Case {
    variables: BTreeMap<String, String>,
    sources: Map<String, Value>,
    secrets: Map<String, Value>,
    imports: Vec<String>,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) resolution: Resolution,
}

impl Case {
    /// A run that reaches this server, without a login yet.
    pub(crate) fn to(bao: &Bao) -> Self {
        Self::default().setting("addr", &bao.url())
    }

    /// A run that reaches this server as root.
    pub(crate) fn as_root(bao: &Bao) -> Self {
        Self::to(bao).variable("VAULT_TOKEN", ROOT)
    }

    /// With a variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With variables.
    pub(crate) fn variables(mut self, all: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(all);
        self
    }

    /// With a setting of the source `vault` in the manifest.
    pub(crate) fn setting(self, name: &str, value: &str) -> Self {
        self.setting_of("vault", name, value)
    }

    /// With a setting of this source in the manifest.
    pub(crate) fn setting_of(mut self, id: &str, name: &str, value: &str) -> Self {
        self.sources.entry(id).or_insert_with(|| json!({}))[name] = json!(value);
        self
    }

    /// With a secret that is looked for at this reference.
    pub(crate) fn secret(mut self, name: &str, reference: &str) -> Self {
        self.secrets.insert(name.to_owned(), json!({ "from": [reference] }));
        self
    }

    /// With the one secret `KEY`, which is looked for at this reference.
    pub(crate) fn key(self, reference: &str) -> Self {
        self.secret("KEY", reference)
    }

    /// With a secret that is looked for at its conventional places.
    pub(crate) fn conventional(mut self, name: &str) -> Self {
        self.secrets.insert(name.to_owned(), json!({}));
        self
    }

    /// With an import.
    pub(crate) fn import(mut self, reference: &str) -> Self {
        self.imports.push(reference.to_owned());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn done(&self) -> Result<Ended, Error> {
        let project = tempfile::tempdir().unwrap();
        let settings = opening::settings(self.variables.clone(), project.path())?;
        // JSON is YAML, too.
        let text = json!({ "sources": self.sources, "secrets": self.secrets, "import": self.imports });
        let manifest = opening::manifest(&settings, None, &text.to_string())?;
        let opened = opening::open(&settings, &manifest, project.path())?;
        let resolution = opening::resolve(&settings, manifest, &opened).await?;
        Ok(Ended { resolution })
    }

    /// Runs it, and tells of each secret what came of it, in one line each: its value and version, or the fact.
    pub(crate) async fn told(&self) -> String {
        match self.done().await {
            Ok(ended) => ended.told(),
            Err(error) => said(&error),
        }
    }

    /// Runs it, and returns what is wrong, with the remedies.
    pub(crate) async fn wrong(&self) -> String {
        let error = match self.done().await {
            Ok(ended) => ended.resolution.check().expect_err("a problem"),
            Err(error) => error,
        };
        said(&error)
    }
}

impl Ended {
    /// The value of a secret.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let resolved = self.resolution.secrets.iter().find(|own| own.secret.name.as_str() == name)?;
        Some(String::from_utf8(resolved.value.as_ref()?.expose().to_vec()).unwrap())
    }

    /// All warnings.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.resolution.warnings.iter().map(|warning| warning.fact.clone()).collect()
    }

    fn told(&self) -> String {
        let error = self.resolution.check().err();
        let problems = error.iter().flat_map(|error| &error.problems);
        let problems: Vec<String> = problems.map(|problem| problem.fact.clone()).collect();
        let one = |resolved: &Resolved| {
            let name = resolved.secret.name.as_str();
            let version = resolved.origin.as_ref().and_then(|origin| origin.version.clone());
            if let Some(value) = self.value(name) {
                return format!(
                    "{value}{}",
                    version.map(|version| format!(" @{version}")).unwrap_or_default()
                );
            }
            let own = problems.iter().find(|fact| fact.starts_with(&format!("{name}: ")));
            let fact = own.map(|fact| format!(" {fact}")).unwrap_or_default();
            format!("{:?}{fact}", resolved.state)
        };
        self.resolution.secrets.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// An error's text, which holds none of what was planted.
fn said(error: &Error) -> String {
    let text = error.to_string();
    assert!(!text.contains(CANARY), "a value was said: {text}");
    text
}
