//! Asks the source as a run does, and keeps what it replied.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use claude_secrets::error::Error;
use claude_secrets::manifest::{Manifest, Reference};
use claude_secrets::resolve::{Resolution, resolve};
use claude_secrets::settings::Settings;
use claude_secrets::sources::{Item, Listing, Reply, Source};

use crate::opening;
use crate::peers::aws::{Aws, Keys, REGION, allow, secrets_below};

/// What everybody may do who reads below `start`.
pub(crate) fn reader(start: &str) -> serde_json::Value {
    serde_json::json!([
        allow(&["secretsmanager:GetSecretValue"], &secrets_below(start)),
        allow(&["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"], "*"),
    ])
}

/// The AWS of the tests that run at the moment; it stops when the last of them ends. Each test has names of its own.
pub(crate) fn shared() -> Arc<Aws> {
    static CURRENT: Mutex<Weak<Aws>> = Mutex::new(Weak::new());
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.upgrade().unwrap_or_else(|| {
        let aws = Arc::new(Aws::ministack());
        *current = Arc::downgrade(&aws);
        aws
    })
}

/// A run that is about to begin.
pub(crate) struct Run {
    variables: Vec<(String, String)>,
    sources: String,
    project: tempfile::TempDir,
}

/// What the source replied.
pub(crate) struct Told(pub(crate) Reply);

impl Run {
    /// A run of who has no credentials at all, and knows where AWS is. No machine of the tests is asked who it is.
    pub(crate) fn at(url: &str) -> Self {
        let run =
            Self { variables: Vec::new(), sources: String::new(), project: tempfile::tempdir().unwrap() };
        run.variable("AWS_ENDPOINT_URL", url)
            .variable("AWS_REGION", REGION)
            .variable("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// The same run once more.
    pub(crate) fn again(&self) -> Self {
        Self {
            variables: self.variables.clone(),
            sources: self.sources.clone(),
            project: tempfile::tempdir().unwrap(),
        }
    }

    /// With a variable in place of the one that is there. An action input is `INPUT_…`.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(own, _)| own != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an action input.
    pub(crate) fn input(self, name: &str, value: &str) -> Self {
        self.variable(&format!("INPUT_{}", name.to_uppercase()), value)
    }

    /// With variables.
    pub(crate) fn variables(self, all: Vec<(String, String)>) -> Self {
        all.into_iter().fold(self, |run, (name, value)| run.variable(&name, &value))
    }

    /// With a user's keys.
    pub(crate) fn keys(self, keys: &Keys) -> Self {
        self.variables(keys.variables("AWS_"))
    }

    /// Without a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(own, _)| own != name);
        self
    }

    /// With `sources:` of the manifest, as the lines below it.
    pub(crate) fn sources(self, lines: &str) -> Self {
        Self { sources: lines.to_owned(), ..self }
    }

    /// With a file of the project directory. Returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.project.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Asks for one reference.
    pub(crate) async fn one(&self, reference: &str) -> Told {
        self.all(&[reference]).await.remove(0)
    }

    /// Asks for references, all of one source.
    pub(crate) async fn all(&self, references: &[&str]) -> Vec<Told> {
        let opened = self.open(references).unwrap_or_else(|error| panic!("{error}"));
        let references: Vec<Reference> =
            references.iter().map(|text| Reference::parse(text).unwrap()).collect();
        let source = source(&opened, references[0].source.as_str());
        let items: Vec<Item> = references
            .into_iter()
            .map(|reference| Item { name: reference.item, version: reference.version })
            .collect();
        source.read(&items).await.into_iter().map(Told).collect()
    }

    /// What is wrong with the settings.
    pub(crate) fn error(&self, reference: &str) -> Error {
        match self.open(&[reference]) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error,
        }
    }

    /// Whether the settings are good.
    pub(crate) fn opened(&self, reference: &str) -> Result<(), Error> {
        self.open(&[reference]).map(|_| ())
    }

    /// What lies below a prefix.
    pub(crate) async fn list(&self, prefix: &str) -> Listing {
        self.list_of("aws", prefix).await
    }

    /// What lies below a prefix of a source.
    pub(crate) async fn list_of(&self, id: &str, prefix: &str) -> Listing {
        let opened = self.open(&[&format!("{id}:any")]).unwrap_or_else(|error| panic!("{error}"));
        source(&opened, id).list(prefix).await
    }

    /// Resolves lines of the `secrets` input as a whole run does.
    pub(crate) async fn resolve(&self, lines: &str) -> Resolution {
        let (settings, manifest) = self.read(lines).unwrap_or_else(|error| panic!("{error}"));
        let opened = opening::open(&settings, &manifest, self.project.path());
        let opened = opened.unwrap_or_else(|error| panic!("{error}"));
        resolve(manifest, &opened, &settings).await
    }

    /// The sources of a run with these references.
    pub(crate) fn open(&self, references: &[&str]) -> Result<Vec<Box<dyn Source>>, Error> {
        let lines = references.iter().enumerate().map(|(at, text)| format!("K{at} = {text}\n"));
        let (settings, manifest) = self.read(&lines.collect::<String>())?;
        opening::open(&settings, &manifest, self.project.path())
    }

    fn read(&self, lines: &str) -> Result<(Settings, Manifest), Error> {
        let settings = opening::settings(self.variables.clone(), self.project.path())?;
        let text = match self.sources.as_str() {
            "" => String::new(),
            sources => format!("sources:\n  {}\n", sources.replace('\n', "\n  ")),
        };
        let manifest = opening::manifest(&settings, Some(lines), &text)?;
        Ok((settings, manifest))
    }
}

impl Told {
    /// The value, when it was found.
    pub(crate) fn value(&self) -> &[u8] {
        match &self.0 {
            Reply::Found(found) => found.value.expose(),
            _ => panic!("not found: {}", self.said()),
        }
    }

    /// What was said of a secret that is not there.
    pub(crate) fn absent(&self) -> &str {
        match &self.0 {
            Reply::Absent(place) => place,
            _ => panic!("not absent: {}", self.said()),
        }
    }

    /// Why it was denied: the fact and the remedy.
    pub(crate) fn denied(&self) -> String {
        match &self.0 {
            Reply::Denied(refusal) => format!("{}\n{}", refusal.fact, refusal.help_text()),
            _ => panic!("not denied: {}", self.said()),
        }
    }

    /// Why it failed: the fact and the remedy.
    pub(crate) fn failed(&self) -> String {
        match &self.0 {
            Reply::Failed(refusal) => format!("{}\n{}", refusal.fact, refusal.help_text()),
            _ => panic!("not failed: {}", self.said()),
        }
    }

    /// Everything but a value.
    pub(crate) fn said(&self) -> String {
        match &self.0 {
            Reply::Found(found) => format!("found: {}", found.place),
            Reply::Absent(place) => format!("absent: {place}"),
            Reply::Denied(refusal) => format!("denied: {}\n{}", refusal.fact, refusal.help_text()),
            Reply::Failed(refusal) => format!("failed: {}\n{}", refusal.fact, refusal.help_text()),
        }
    }
}

fn source<'s>(opened: &'s [Box<dyn Source>], id: &str) -> &'s dyn Source {
    opened.iter().find(|source| source.id().as_str() == id).expect("the source is there").as_ref()
}
