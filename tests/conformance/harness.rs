//! Asks a source the way a run does: settings, manifest, sources, resolution, all by the library. Whatever is said on the
//! way is searched for the values that were planted.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use claude_secrets::diagnostic::Diagnostic;
use claude_secrets::error::{Code, Error};
use claude_secrets::manifest::{Manifest, Reference};
use claude_secrets::resolve::{Resolution, Resolved, State, resolve};
use claude_secrets::settings::Settings;
use claude_secrets::sources::{self, Listing, Source};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use crate::fixture::{self, Asked, Fixture, Reach};
use crate::opening;

/// What every planted value holds, and nothing that is said may hold.
pub(crate) const CANARY: &str = "canary";
/// The value of `env:LOWER`, a source below the one under test.
pub(crate) const LOWER: &str = "canary-of-the-lower-source";

/// No run of a case takes longer.
const LONGEST: Duration = Duration::from_mins(2);

/// A source under test.
pub(crate) struct Bench<'f> {
    /// The source and its peer.
    pub(crate) fixture: &'f dyn Fixture,
}

/// A run that is about to begin.
pub(crate) struct Run<'f> {
    fixture: &'f dyn Fixture,
    state: fixture::State,
    inputs: Vec<(String, String)>,
    secrets: Map<String, Value>,
}

/// How a run ended.
pub(crate) struct Outcome {
    /// What the library made of it.
    pub(crate) resolution: Resolution,
    /// What was asked of the peer.
    pub(crate) asked: Option<Asked>,
    /// How long it took, from the opening of the sources on.
    pub(crate) took: Duration,
    server: Option<String>,
}

/// Everything that a run needs.
struct Ready {
    project: tempfile::TempDir,
    settings: Settings,
    manifest: Manifest,
    reach: Reach,
    runtime: Runtime,
}

impl<'f> Bench<'f> {
    /// Takes the source that is to be tested.
    pub(crate) fn new(fixture: &'f dyn Fixture) -> Self {
        Self { fixture }
    }

    /// Stores an item.
    pub(crate) fn put(&self, name: &str, value: impl AsRef<[u8]>) {
        self.fixture.put(name, value.as_ref());
    }

    /// A run without secrets yet.
    pub(crate) fn run(&self) -> Run<'f> {
        let inputs = vec![("LOWER".to_owned(), LOWER.to_owned())];
        Run { fixture: self.fixture, state: fixture::State::Well, inputs, secrets: Map::new() }
    }

    /// A run of one secret, `KEY`, which is looked for in this item.
    pub(crate) fn key(&self, item: &str) -> Run<'f> {
        self.run().secret("KEY", &[self.fixture.reference(item)])
    }

    /// As [`Bench::key`], and a source below has it too.
    pub(crate) fn key_above_lower(&self, item: &str) -> Run<'f> {
        self.run().secret("KEY", &[self.fixture.reference(item), "env:LOWER".to_owned()])
    }
}

impl Run<'_> {
    /// With a secret that is looked for at these references.
    pub(crate) fn secret(mut self, name: &str, references: &[String]) -> Self {
        self.secrets.insert(name.to_owned(), json!({ "from": references }));
        self
    }

    /// With secrets that may be empty.
    pub(crate) fn allowing_empty(mut self) -> Self {
        self.secrets.values_mut().for_each(|secret| secret["allow-empty"] = json!(true));
        self
    }

    /// With a peer in this state.
    pub(crate) fn in_state(self, state: fixture::State) -> Self {
        Self { state, ..self }
    }

    /// With an action input.
    pub(crate) fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.push((format!("INPUT_{}", name.to_uppercase()), value.to_owned()));
        self
    }

    /// Runs it to its end.
    pub(crate) fn done(self) -> Outcome {
        let Ready { project, settings, manifest, reach, runtime } = self.ready();
        let names = sources::credential_variables(&manifest.sources);
        let is_credential = |name: &str, value: &str| names.contains(OsStr::new(name)) && !value.is_empty();
        let credentials: Vec<&(String, String)> =
            reach.variables.iter().filter(|(name, value)| is_credential(name, value)).collect();
        let start = Instant::now();
        let resolution = runtime.block_on(async {
            let sources = open(&settings, &manifest, project.path());
            let ended = timeout(LONGEST, resolve(manifest, &sources, &settings)).await;
            ended.expect("it ends")
        });
        let took = start.elapsed();
        let asked = reach.asked.as_ref().map(|asked| asked());
        let outcome = Outcome { resolution, asked, took, server: reach.server.clone() };
        for text in outcome.said() {
            no_value_in(&text);
            let told = credentials.iter().find(|(_, value)| text.contains(value));
            assert!(told.is_none(), "what {:?} holds was said", told.map(|(name, _)| name));
        }
        outcome
    }

    /// Runs it, drops it when the first request has come, and returns what was asked then and a while later.
    pub(crate) fn dropped(self) -> (Asked, Asked) {
        let Ready { project, settings, manifest, reach, runtime } = self.ready();
        let asked = reach.asked.expect("a source that goes over the network");
        runtime.block_on(async {
            let sources = open(&settings, &manifest, project.path());
            tokio::select! {
                _ = resolve(manifest, &sources, &settings) => panic!("it ended before it could be dropped"),
                () = until(|| asked().all > 0) => {}
            }
            // What was on its way when it was dropped arrives.
            sleep(Duration::from_millis(100)).await;
            let then = asked();
            sleep(Duration::from_millis(1200)).await;
            (then, asked())
        })
    }

    /// The items that the source lists below a prefix, as references have them.
    pub(crate) fn listed(self, prefix: &str) -> Vec<String> {
        let kind = self.fixture.kind();
        let Ready { project, settings, manifest, reach: _reach, runtime } = self.ready();
        runtime.block_on(async {
            let sources = open(&settings, &manifest, project.path());
            let source = sources.iter().find(|source| source.id().as_str() == kind).expect("the source");
            match source.list(prefix).await {
                Listing::Items(items) => items,
                Listing::Denied(refusal) | Listing::Failed(refusal) => panic!("no list: {}", refusal.fact),
            }
        })
    }

    fn ready(self) -> Ready {
        let reach = self.fixture.reach(self.state);
        if reach.unprivileged {
            obey_modes();
        }
        let project = tempfile::tempdir().unwrap();
        for file in &reach.files {
            let path = project.path().join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
        }
        let variables = reach.variables.iter().chain(&self.inputs).cloned();
        let settings = opening::settings(variables, project.path());
        let settings = settings.unwrap_or_else(|error| panic!("settings: {error}"));
        let manifest = read(&settings, &reach.sources, self.secrets);
        Ready {
            project,
            settings,
            manifest,
            reach,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }
}

impl Outcome {
    /// A secret that has a value: it is this one, it came from the source under test, and the masks know it.
    pub(crate) fn found(&self, name: &str, expected: &[u8]) {
        self.has_value(name, expected);
        let origin = self.secret(name).origin.as_ref().expect("an origin");
        assert_ne!(origin.reference.to_string(), "env:LOWER", "{name} came from below");
    }

    /// A secret that the source under test does not have, and one below has.
    pub(crate) fn found_below(&self, name: &str) {
        self.has_value(name, LOWER.as_bytes());
        let origin = self.secret(name).origin.as_ref().expect("an origin");
        assert_eq!(origin.reference.to_string(), "env:LOWER", "{name} came from {}", origin.place);
    }

    /// A secret that has no value, since the source said so: the error says it of this item or of the server, with a
    /// remedy.
    pub(crate) fn refused(&self, name: &str, state: State, item: &str) {
        let secret = self.secret(name);
        assert_eq!(secret.state, state, "{name}: {}", self.about(name));
        assert!(secret.value.is_none(), "{name} is {state:?} and has a value");
        let problem = self.problem(name);
        let help = problem.help.as_deref().unwrap_or_default();
        assert!(!help.trim().is_empty(), "without a remedy: {}", problem.fact);
        let by_server = self.server.as_ref().is_some_and(|server| problem.fact.contains(server));
        assert!(
            by_server || names(&problem.fact, item),
            "names neither {item} nor the server: {}",
            problem.fact
        );
    }

    /// What is wrong with a secret.
    pub(crate) fn problem(&self, name: &str) -> Diagnostic {
        let problems = self.error().expect("a problem").problems;
        let own = problems.into_iter().find(|problem| problem.fact.starts_with(&format!("{name}: ")));
        own.unwrap_or_else(|| panic!("no problem of {name}: {}", self.about(name)))
    }

    /// The code and exit status of the run's error.
    pub(crate) fn ended(&self) -> Option<(Code, u8)> {
        self.error().map(|error| (error.code, error.code.exit_status()))
    }

    /// The run's error.
    pub(crate) fn error(&self) -> Option<Error> {
        self.resolution.check().err()
    }

    /// A secret.
    pub(crate) fn secret(&self, name: &str) -> &Resolved {
        let mut all = self.resolution.secrets.iter();
        all.find(|resolved| resolved.secret.name.as_str() == name).expect("it is declared")
    }

    /// Everything that a user gets to read.
    pub(crate) fn said(&self) -> Vec<String> {
        let error = self.error().map(|error| error.to_string());
        let warnings = self.resolution.warnings.iter();
        let warnings = warnings.map(|w| format!("{}\n{}", w.fact, w.help_text()));
        let places = self.resolution.secrets.iter().filter_map(|resolved| resolved.origin.as_ref());
        let places = places.map(|origin| format!("{} {:?}", origin.place, origin.version));
        error.into_iter().chain(warnings).chain(self.resolution.notes.iter().cloned()).chain(places).collect()
    }

    /// What was said of a secret, for a failure.
    fn about(&self, name: &str) -> String {
        let said = self.said();
        let lines = said.iter().flat_map(|text| text.lines());
        lines.filter(|line| line.contains(name)).collect::<Vec<_>>().join("\n")
    }

    fn has_value(&self, name: &str, expected: &[u8]) {
        let secret = self.secret(name);
        assert_eq!(secret.state, State::Found, "{name}: {}", self.about(name));
        let value = secret.value.as_ref().expect("a found secret has a value");
        let differ = || value.expose().iter().zip(expected).position(|(a, b)| a != b);
        assert!(
            value.expose() == expected,
            "{name} has {} bytes instead of {}, or other ones from byte {:?} on",
            value.expose().len(),
            expected.len(),
            differ()
        );
        let mut masked = self.resolution.values().filter(|(own, _)| own.as_str() == name);
        assert!(masked.any(|(_, seen)| seen == value), "the masks do not know the value of {name}");
    }
}

/// Whether a text names an item, in whatever spelling the source has for it.
pub(crate) fn names(text: &str, item: &str) -> bool {
    let letters =
        |text: &str| -> String { text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect() };
    letters(text).contains(&letters(item))
}

fn open(settings: &Settings, manifest: &Manifest, project: &Path) -> Vec<Box<dyn Source>> {
    opening::open(settings, manifest, project).unwrap_or_else(|error| panic!("sources: {error}"))
}

fn read(settings: &Settings, sources: &str, secrets: Map<String, Value>) -> Manifest {
    let lines = sources.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    let sources = if lines.is_empty() { String::new() } else { format!("sources:\n{lines}") };
    // JSON is YAML, too.
    let text = format!("{sources}secrets: {}\n", Value::Object(secrets));
    opening::manifest(settings, None, &text).unwrap_or_else(|error| panic!("manifest: {error}\n{text}"))
}

/// The item of a reference, as sources get it.
pub(crate) fn item_of(reference: &str) -> String {
    Reference::parse(reference).unwrap_or_else(|error| panic!("{reference}: {error}")).item
}

/// Takes from this thread what lets root pass over the modes of files.
fn obey_modes() {
    let mut own = capabilities(None).unwrap();
    own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, own).unwrap();
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Fails when a text holds a planted value or a part of it, plain or in Base64 (in which `canary` has three looks).
fn no_value_in(text: &str) {
    let lower = text.to_lowercase();
    let found =
        lower.contains(CANARY) || ["Y2FuYXJ5", "NhbmFye", "jYW5hcn"].iter().any(|look| text.contains(look));
    assert!(!found, "a value was said: {text}");
}
