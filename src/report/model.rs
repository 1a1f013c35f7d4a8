//! The model of a run's report: names, sources, references, paths and states, and never a value.
//!
//! It is filled while the stages run and written at the end, also when the run failed. Its JSON form is versioned;
//! `docs/report.schema.json` is made from these types.

use schemars::JsonSchema;
use serde::Serialize;

use super::drift::DriftRow;
use super::errors::ErrorRow;
use super::plan::Plan;
use super::tokens::tokens;
use super::waits::Waits;
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::secret::SecretName;

/// The version of the JSON report. It goes up when a field is taken away or changes its meaning; a field that is
/// added leaves it as it is.
pub const VERSION: u32 = 1;

/// What one run did: the one thing from which log, summary, outputs and JSON are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// The program and its version, e.g. `claude-secrets 0.1.0`.
    pub tool: String,
    /// The mode that ran, e.g. `deploy`.
    pub mode: String,
    /// How the run ended. A run that was cut short reads `failed`.
    pub result: Outcome,
    /// The error that ended the run; of several the first.
    pub error: Option<ErrorRow>,
    /// Where the page of the errors is, when that is known.
    pub errors_page: Option<String>,
    /// What else was wrong, as far as it could be seen in the same run.
    pub other_errors: Vec<ErrorRow>,
    /// The name of the Compose project.
    pub project: Option<String>,
    /// The environment that was asked for, e.g. `production`.
    pub environment: Option<String>,
    /// How the services get the secrets, and why so.
    pub delivery: Option<DeliveryRow>,
    /// Whether something that should have stopped the run was allowed to pass (`on-missing`, `on-source-error`).
    pub degraded: bool,
    /// Every declared secret, in the order of the manifest.
    pub secrets: Vec<SecretRow>,
    /// What asking each source took, highest priority first.
    pub sources: Vec<SourceRow>,
    /// Every service of the project that gets a secret or was started.
    pub services: Vec<ServiceRow>,
    /// The names of the required secrets that were found nowhere.
    pub missing: Vec<String>,
    /// The names of the secrets whose value or way of delivery differs from the last deployment's.
    pub changed: Vec<String>,
    /// The services whose containers were recreated, including those that had none before.
    pub recreated: Vec<String>,
    /// The services that had no container before.
    pub created: Vec<String>,
    /// What a deployment would change (`validate`), or set out to change (`deploy`); `null` where a run did not get that far,
    /// or makes no plan.
    pub plan: Option<Plan>,
    /// What the run waited for until all services were well; `null` where it did not wait.
    pub waits: Option<Waits>,
    /// What is not as the last deployment left it (`drift`).
    pub drift: Vec<DriftRow>,
    /// What the user should look at.
    pub warnings: Vec<Diagnostic>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// The override file, as a path on the Docker host.
    pub override_file: Option<String>,
    /// The directory of the secret files, as a path on the Docker host.
    pub secrets_dir: Option<String>,
    /// The file that holds this report as JSON, as a path on the Docker host.
    pub report_file: Option<String>,
    /// How long each stage took, in the order in which they ran.
    pub stages: Vec<StageTime>,
}

tokens! {
    /// How a run ended: the `result` output.
    Outcome {
        Deployed = "deployed": "The project was deployed, and something was new.",
        Unchanged = "unchanged": "Everything was already as wanted; nothing was restarted.",
        Validated = "validated": "The check passed; nothing was changed.",
        InSync = "in-sync": "What runs is what the last deployment left.",
        Created = "created": "Files were written; nothing was started.",
        Removed = "removed": "The project was stopped and everything of ours is gone.",
        #[default]
        Failed = "failed": "The run ended with an error, or before its end.",
    }
}

tokens! {
    /// What became of one declared secret.
    SecretState {
        Found = "found": "A source had it.",
        Default = "default": "No source had it; the manifest's default is used.",
        Absent = "absent": "No source had it, and it is optional.",
        #[default]
        Missing = "missing": "No source had it, and it is required.",
        Denied = "denied": "A source refused access to it.",
        Failed = "failed": "A source could not be read.",
        Unasked = "unasked": "No source was asked for it.",
        Invalid = "invalid": "Its value breaks a rule of the manifest, or cannot be delivered.",
    }
}

tokens! {
    /// What became of one service.
    ServiceState {
        Created = "created": "It had no container and has one now.",
        Recreated = "recreated": "Its containers were recreated.",
        Started = "started": "Its container was there and was started.",
        Scaled = "scaled": "It has another number of containers; some of them are the same.",
        Unchanged = "unchanged": "It was left as it was.",
        Stale = "stale": "It still runs with older secrets, since this run was not to start it.",
        #[default]
        NotStarted = "not-started": "It was not to be started, or the run did not get that far.",
        Unhealthy = "unhealthy": "Its health check fails.",
        Exited = "exited": "It ended with an error.",
        Completed = "completed": "It ended by itself with status 0, as a one-shot does.",
        Removed = "removed": "Its containers are gone.",
    }
}

tokens! {
    /// How a program gets a variable.
    VariableForm {
        #[default]
        Variable = "variable": "Set when the program starts; `docker inspect` does not show it.",
        File = "file": "Taken away; `NAME_FILE` names the file.",
        Env = "env": "In clear in the container's configuration, since the manifest says `deliver: env`: `docker inspect` shows it.",
        Plain = "plain": "In clear: the manifest says that it is no secret.",
    }
}

/// How the services get the secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeliveryRow {
    /// `file` or `volume`.
    pub kind: String,
    /// Why this one: the user's choice, or what `auto` saw.
    pub reason: String,
}

/// One declared secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SecretRow {
    /// The declared name.
    pub name: String,
    /// The manifest's description.
    pub description: Option<String>,
    /// What became of it.
    pub state: SecretState,
    /// The id of the source that won, or of the one that denied or failed.
    pub source: Option<String>,
    /// Where in the source, in the manifest's grammar.
    pub reference: Option<String>,
    /// The version that the source named.
    pub version: Option<String>,
    /// When the source says the value was last changed (RFC 3339, UTC).
    pub changed_at: Option<String>,
    /// When the source says the value expires (RFC 3339, UTC).
    pub expires_at: Option<String>,
    /// The sources below the winner that have it too.
    pub shadowed: Vec<Shadowed>,
    /// The services that get it.
    pub services: Vec<String>,
    /// Whether the value is masked; `false` only where the manifest says so.
    pub sensitive: bool,
    /// The name of its file.
    pub file: String,
}

/// What asking one source took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceRow {
    /// The id of the source.
    pub id: String,
    /// How many items it was asked for.
    pub asked: usize,
    /// How many of them it had.
    pub found: usize,
    /// The requests over the network that it took, logging in included, and the programs that were started.
    pub calls: u32,
    /// Wall time in milliseconds. Sources are asked at the same time.
    pub milliseconds: u64,
}

/// A source that had a secret too and lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shadowed {
    /// The id of the source.
    pub source: String,
    /// Whether its value differs from the winner's, which means that one of the two is stale.
    pub differs: bool,
}

/// One service of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceRow {
    /// The service's name in the Compose project.
    pub name: String,
    /// The names of the secrets that it gets.
    pub secrets: Vec<String>,
    /// The variables that hold them, or parts of which do, and how its program gets each.
    pub variables: Vec<VariableRow>,
    /// What became of it.
    pub state: ServiceState,
    /// More on the state, e.g. an exit status.
    pub detail: Option<String>,
    /// The user that reads the secrets, as `uid:gid` or by name.
    pub user: Option<String>,
}

/// One variable of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VariableRow {
    /// Its name.
    pub name: String,
    /// How the program gets it.
    pub form: VariableForm,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageTime {
    /// The stage, as in the design, e.g. `resolution`.
    pub name: String,
    /// Wall time in milliseconds.
    pub milliseconds: u64,
}

impl Default for Report {
    /// The report of a run that has done nothing yet: should it end here, it has failed.
    fn default() -> Self {
        Self {
            version: VERSION,
            tool: concat!("claude-secrets ", env!("CARGO_PKG_VERSION")).to_owned(),
            mode: String::new(),
            result: Outcome::default(),
            error: None,
            errors_page: None,
            other_errors: Vec::new(),
            project: None,
            environment: None,
            delivery: None,
            degraded: false,
            secrets: Vec::new(),
            sources: Vec::new(),
            services: Vec::new(),
            missing: Vec::new(),
            changed: Vec::new(),
            recreated: Vec::new(),
            created: Vec::new(),
            plan: None,
            waits: None,
            drift: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            override_file: None,
            secrets_dir: None,
            report_file: None,
            stages: Vec::new(),
        }
    }
}

impl Report {
    /// An empty report of a run in the given mode.
    pub fn new(mode: impl Into<String>) -> Self {
        Self { mode: mode.into(), ..Self::default() }
    }

    /// Takes the error that ends the run. The result is `failed` from then on.
    pub fn fail(&mut self, error: &Error) {
        self.error = Some(ErrorRow::from(error));
        self.other_errors = error.others.iter().map(ErrorRow::from).collect();
        self.result = Outcome::Failed;
    }

    /// Everything that is wrong: the error that ended the run, and the others.
    pub fn errors(&self) -> impl Iterator<Item = &ErrorRow> {
        self.error.iter().chain(&self.other_errors)
    }

    /// Where an error of this code is explained: on the page, else by the command line.
    pub fn explained(&self, code: &str) -> String {
        match &self.errors_page {
            Some(page) => format!("{page}#{code}"),
            None => format!("claude-secrets explain {code}"),
        }
    }

    /// Adds a warning, unless the very same one is there already.
    pub fn warn(&mut self, warning: Diagnostic) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Adds a note, unless the very same one is there already.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl SecretState {
    /// Whether the secret cannot be delivered, though it should be.
    pub fn is_problem(self) -> bool {
        matches!(self, Self::Missing | Self::Denied | Self::Failed | Self::Invalid)
    }
}

impl ServiceState {
    /// Whether the service does not run as it should.
    pub fn is_problem(self) -> bool {
        matches!(self, Self::Unhealthy | Self::Exited)
    }
}

impl SecretRow {
    /// The row of a declared secret of which nothing else is known yet: missing, sensitive, in its usual file.
    pub fn new(name: &SecretName) -> Self {
        Self {
            name: name.as_str().to_owned(),
            description: None,
            state: SecretState::default(),
            source: None,
            reference: None,
            version: None,
            changed_at: None,
            expires_at: None,
            shadowed: Vec::new(),
            services: Vec::new(),
            sensitive: true,
            file: name.file_name(),
        }
    }

    /// Whether a source that lost holds another value than the one that won, so that one of the two is stale.
    pub fn is_stale_somewhere(&self) -> bool {
        self.shadowed.iter().any(|other| other.differs)
    }
}

impl ServiceRow {
    /// The row of a service that was not started yet and gets no secret.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_report_that_nobody_finished_says_failed() {
        assert_eq!(Report::new("deploy").result, Outcome::Failed);
    }

    #[test]
    fn an_error_makes_a_deployed_report_failed() {
        let mut report = Report { result: Outcome::Deployed, ..Report::default() };
        report.fail(&Error::new(Code::Unhealthy, "worker is unhealthy"));
        assert_eq!(report.result, Outcome::Failed);
        assert_eq!(report.error.as_ref().map(|row| row.code.as_str()), Some("unhealthy"));
    }

    #[test]
    fn the_same_warning_or_note_is_kept_once() {
        let mut report = Report::default();
        for _ in 0..2 {
            report.warn(Diagnostic::new("the file is readable by others").help("chmod 600 .env"));
            report.note("a note");
        }
        assert_eq!((report.warnings.len(), report.notes.len()), (1, 1));
    }

    #[test]
    fn tokens_in_json_are_the_tokens_of_the_outputs() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_string(outcome).unwrap(), format!("\"{outcome}\""));
        }
        for state in ServiceState::ALL {
            assert_eq!(serde_json::to_string(state).unwrap(), format!("\"{state}\""));
        }
        for state in SecretState::ALL {
            assert_eq!(serde_json::to_string(state).unwrap(), format!("\"{state}\""));
        }
    }
}
