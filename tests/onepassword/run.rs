//! A run against 1Password: what is said to it, and the source that it opens.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use claude_secrets::diagnostic::Diagnostic;
use claude_secrets::error::Error;
use claude_secrets::manifest::Manifest;
use claude_secrets::resolve::Resolution;
use claude_secrets::settings::Settings;
use claude_secrets::sources::{Item, Listing, Reply, Source};

use crate::opening;
use crate::peers::onepassword::{CONNECT_TOKEN, Connect, Op, SERVICE_ACCOUNT_TOKEN};

/// What a run is told.
pub(crate) struct Run {
    /// The project's directory.
    pub(crate) project: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    manifest: String,
}

impl Run {
    /// A run that names the source and gives it no login.
    pub(crate) fn without_login(op: &Op) -> Self {
        let path = op.directory().to_str().unwrap();
        Self {
            project: tempfile::tempdir().unwrap(),
            variables: BTreeMap::new(),
            manifest: "secrets: { KEY: { from: ['op://Prod/postgres/password'] } }\n".to_owned(),
        }
        .variable("PATH", path)
    }

    /// A run with a service account.
    pub(crate) fn by_op(op: &Op) -> Self {
        Self::without_login(op).variable("OP_SERVICE_ACCOUNT_TOKEN", SERVICE_ACCOUNT_TOKEN)
    }

    /// A run with a Connect server, and an `op` besides that nothing asks.
    pub(crate) fn by_connect(op: &Op, connect: &Connect) -> Self {
        Self::without_login(op)
            .variable("OP_CONNECT_HOST", &connect.url())
            .variable("OP_CONNECT_TOKEN", CONNECT_TOKEN)
    }

    /// With a variable, an empty one to take it away.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With settings of the source, as a YAML flow map.
    pub(crate) fn settings(mut self, settings: &str) -> Self {
        writeln!(self.manifest, "sources: {{ onepassword: {settings} }}").unwrap();
        self
    }

    /// With this text as the manifest.
    pub(crate) fn manifest(mut self, text: &str) -> Self {
        text.clone_into(&mut self.manifest);
        self
    }

    fn read_settings(&self) -> Result<Settings, Error> {
        opening::settings(self.variables.clone(), self.project.path())
    }

    fn read_manifest(&self, settings: &Settings) -> Manifest {
        opening::manifest(settings, None, &self.manifest).unwrap()
    }

    /// Every source that the run opens.
    pub(crate) fn open_all(&self) -> Result<Vec<Box<dyn Source>>, Error> {
        let settings = self.read_settings()?;
        opening::open(&settings, &self.read_manifest(&settings), self.project.path())
    }

    /// The source, when something configures it.
    pub(crate) fn open(&self) -> Result<Option<Box<dyn Source>>, Error> {
        Ok(self.open_all()?.into_iter().find(|source| source.id().as_str() == "onepassword"))
    }

    /// What all sources of the run together have.
    pub(crate) async fn resolve(&self) -> Resolution {
        let (sources, settings) = (self.open_all().unwrap(), self.read_settings().unwrap());
        opening::resolve(&settings, self.read_manifest(&settings), &sources).await.unwrap()
    }

    /// What it answers to each reference.
    pub(crate) async fn replies(&self, references: &[&str]) -> Vec<Reply> {
        let items: Vec<Item> =
            references.iter().map(|name| Item { name: (*name).to_owned(), version: None }).collect();
        let replies = self.open().unwrap().expect("it is configured").read(&items).await;
        assert_eq!(replies.len(), references.len());
        replies
    }

    /// What it answers to each reference, in words: `found VALUE`, `absent PLACE`, `denied FACT`, `failed FACT`.
    pub(crate) async fn answers(&self, references: &[&str]) -> Vec<String> {
        self.replies(references).await.iter().map(in_words).collect()
    }

    /// As [`Run::answers`], for one reference.
    pub(crate) async fn answer(&self, reference: &str) -> String {
        self.answers(&[reference]).await.remove(0)
    }

    /// What it lists, or the refusal.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, String> {
        match self.open().unwrap().unwrap().list(prefix).await {
            Listing::Items(names) => Ok(names),
            Listing::Denied(refusal) => Err(format!("denied {}", refusal.fact)),
            Listing::Failed(refusal) => Err(format!("failed {}", refusal.fact)),
        }
    }
}

fn in_words(reply: &Reply) -> String {
    let refused = |refusal: &Diagnostic| {
        assert!(!refusal.help_text().is_empty(), "{}", refusal.fact);
        refusal.fact.clone()
    };
    match reply {
        Reply::Found(found) => format!("found {}", String::from_utf8_lossy(found.value.expose())),
        Reply::Absent(place) => format!("absent {place}"),
        Reply::Denied(refusal) => format!("denied {}", refused(refusal)),
        Reply::Failed(refusal) => format!("failed {}", refused(refusal)),
    }
}
