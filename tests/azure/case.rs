//! One run with the source: settings and manifest as a user writes them, by the library.

use std::path::Path;

use claude_secrets::diagnostic::Diagnostic;
use claude_secrets::error::Error;
use claude_secrets::manifest::Manifest;
use claude_secrets::resolve::{Resolution, Resolved, resolve};
use claude_secrets::settings::Settings;
use claude_secrets::sources::Source;
use serde_json::{Value, json};

use crate::opening;
use crate::peers::azure::{Azure, CLIENT, SECRET, TENANT};

/// What every planted value holds, and nothing that is said may hold.
pub(crate) const CANARY: &str = "canary";

/// A run that is about to begin.
#[derive(Clone)]
pub(crate) struct Case {
    variables: Vec<(String, String)>,
    /// What stands below `sources.ID`.
    source: Value,
    id: &'static str,
    secrets: Value,
}

impl Case {
    /// A run without a login, by a session of this name.
    pub(crate) fn new(azure: &Azure, session: &str) -> Self {
        Self::of(azure.route(session)).setting("vault-name", "kv-tests")
    }

    /// A run by these variables alone.
    pub(crate) fn of(variables: Vec<(String, String)>) -> Self {
        Self { variables, source: Value::Null, id: "azure", secrets: json!({}) }
    }

    /// A run that logs in as the application, with its secret.
    pub(crate) fn logged_in(azure: &Azure, session: &str) -> Self {
        Self::new(azure, session).with_application().variable("AZURE_CLIENT_SECRET", SECRET)
    }

    /// As the application, however it logs in.
    pub(crate) fn with_application(self) -> Self {
        self.setting("tenant-id", TENANT).setting("client-id", CLIENT)
    }

    /// Under another id, with a kind.
    pub(crate) fn called(self, id: &'static str) -> Self {
        Self { id, ..self.setting("kind", "azure") }
    }

    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.source[name] = json!(value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.source.as_object_mut().unwrap().remove(name);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn variables(mut self, all: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(all);
        self
    }

    /// With a secret, which is looked for at this reference.
    pub(crate) fn secret(mut self, name: &str, reference: &str) -> Self {
        self.secrets[name] = json!({ "from": [reference] });
        self
    }

    /// With a secret that is looked for where it is by convention.
    pub(crate) fn conventional(mut self, name: &str) -> Self {
        self.secrets[name] = Value::Null;
        self
    }

    /// Runs it.
    pub(crate) async fn resolve(&self) -> Result<Resolution, Error> {
        let (settings, manifest) = self.read();
        let opened = open(&settings, &manifest)?;
        Ok(resolve(manifest, &opened, &settings).await)
    }

    /// Runs it with the secret `KEY` at this reference, which must be found.
    pub(crate) async fn found(&self, reference: &str) -> Resolved {
        let mut resolution = self.clone().secret("KEY", reference).resolve().await.unwrap();
        if let Err(error) = resolution.check() {
            panic!("{reference}: {error}");
        }
        resolution.secrets.remove(0)
    }

    /// Runs it with the secret `KEY` at this reference: what is wrong, as its state, fact and help.
    pub(crate) async fn refused(&self, reference: &str) -> (String, String, String) {
        let resolution = self.clone().secret("KEY", reference).resolve().await.unwrap();
        let state = format!("{:?}", resolution.secrets[0].state);
        let Err(error) = resolution.check() else { panic!("{reference}: {state}") };
        let Diagnostic { fact, help, .. } = error.problems.into_iter().next().unwrap();
        let help = help.unwrap();
        for text in [&fact, &help] {
            assert!(!text.contains(CANARY) && !text.contains(SECRET), "a value was said: {text}");
        }
        (state, fact, help)
    }

    /// The opened source alone.
    pub(crate) fn source(&self) -> Box<dyn Source> {
        let (settings, manifest) = self.clone().conventional("KEY").read();
        let opened = open(&settings, &manifest).unwrap();
        opened.into_iter().find(|source| source.id().as_str() == "azure").unwrap()
    }

    /// What is wrong with the settings: its fact and remedies.
    pub(crate) fn mistake(&self) -> String {
        let (settings, manifest) = self.clone().conventional("KEY").read();
        let error = open(&settings, &manifest).err().expect("a mistake");
        assert!(!error.help.is_empty(), "{error}");
        error.to_string()
    }

    fn read(&self) -> (Settings, Manifest) {
        let settings = opening::settings(self.variables.clone(), Path::new("/")).unwrap();
        let mut text = json!({ "secrets": self.secrets });
        if !self.source.is_null() {
            text["sources"] = json!({ self.id: self.source });
        }
        let manifest = opening::manifest(&settings, None, &text.to_string()).unwrap();
        (settings, manifest)
    }
}

fn open(settings: &Settings, manifest: &Manifest) -> Result<Vec<Box<dyn Source>>, Error> {
    opening::open(settings, manifest, Path::new("/nowhere"))
}
