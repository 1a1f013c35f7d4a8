//! What GitHub says of its secrets, beside what the sources say: asked for at the same time, compared afterwards.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::github::api::compare::{Here, JobEnvironment, Passed, Wanted, compare};
use crate::github::api::names::{self, Level, Names, Part};
use crate::github::api::request_error::Kind;
use crate::github::api::{self, Api, RequestError};
use crate::github::event::{Event, Withheld};
use crate::github::repository::Repository;
use crate::manifest::{Manifest, Secret};
use crate::resolve::{Origin, Resolution, State};
use crate::settings::{Environment, Mode, Settings, input_variable};
use crate::sources::identity::{self, Identity};
use crate::sources::net::Network;
use crate::stages::declared::Declared;
use crate::stages::run::Run;

/// How long a run waits for GitHub that was not asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A question on its way.
pub(crate) struct Asking(JoinHandle<Answered>);

/// What GitHub has said.
pub(crate) struct Answered {
    environment: JobEnvironment,
    names: Result<Names, RequestError>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to ask, where there is a token and a repository. Nothing is waited for.
pub(crate) fn begin(run: &mut Run) -> Option<Asking> {
    if !matches!(run.settings.mode, Mode::Validate | Mode::Deploy) {
        return None;
    }
    let Some(token) = run.settings.github.token.clone() else {
        if run.settings.github.repo.is_some() {
            let warning = Diagnostic::new(
                "GitHub's secrets were not compared: `github-token` is not given, or arrives empty",
            );
            run.remark(
                warning
                    .help("Is there a secret behind it? A run of a pull request from a fork never gets one."),
            );
        }
        return None;
    };
    let Some(repository) = repository(&run.settings) else {
        // Without a repository there is nothing that was asked for by name.
        run.report.note(
            "GitHub was not asked: no repository is named (`repo`), and the checkout has no remote there",
        );
        return None;
    };
    let mut settings = run.settings.clone();
    if !is_demanded(&settings) {
        settings.timeout = settings.timeout.min(PATIENCE);
    }
    match Api::open(&settings, &token) {
        Ok(api) => Some(Asking(tokio::spawn(async move { ask(&settings, &api, &repository).await }))),
        Err(error) => {
            untold(run, error);
            None
        }
    }
}

/// Waits for the answer.
pub(crate) async fn end(run: &mut Run, mut asking: Asking) -> Result<Option<Answered>> {
    let answered = run.interrupt.or(&mut asking.0).await?;
    // It ends early only when the run does.
    let Ok(answered) = answered else { return Ok(None) };
    match &answered.names {
        Ok(names) => {
            run.console.line(&format!("GitHub: {}", names.summary()));
            unread(run, names);
        }
        Err(trouble)
            if trouble.kind == Kind::Denied
                && run.settings.github.has_other_use()
                && !is_demanded(&run.settings) =>
        {
            run.report.note(format!("GitHub's secrets were not compared: {}", trouble.fact));
        }
        Err(trouble) => untold(run, trouble.clone().error()),
    }
    Ok(Some(answered))
}

impl Answered {
    /// Takes over when the values were written that come from GitHub: those of variables of the step that are called like a
    /// secret.
    pub(crate) fn date(&self, run: &Run, declared: &Declared, resolution: &mut Resolution) {
        let Ok(names) = &self.names else { return };
        if !is_job_of(&run.settings, &names.repository) {
            return;
        }
        let is_dependabot = Event::of(&run.settings.variables).withheld() == Some(Withheld::Dependabot);
        let written = |origin: &Origin| -> Option<SystemTime> {
            let from_github = declared.manifest.kind(&origin.source) == "env";
            let name = &origin.reference.item;
            let entry = if is_dependabot {
                names.dependabot.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
            } else {
                names.secret(name)
            };
            entry.filter(|_| from_github)?.written
        };
        resolution.date(written, run.settings.max_age);
    }

    /// Compares the names with what is declared.
    pub(crate) fn compare(&self, run: &mut Run, declared: &Declared, resolution: &Resolution) {
        let Ok(names) = &self.names else { return };
        let event = Event::of(&run.settings.variables).withheld();
        let settings = &run.settings;
        let passed = |name: &str| passed(settings, name);
        let wanted: Vec<Wanted> = resolution
            .secrets
            .iter()
            .filter(|resolved| resolved.secret.template.is_none())
            .filter_map(|resolved| {
                let variables = variables(settings, &declared.manifest, &resolved.secret);
                let is_found = !matches!(resolved.state, State::Missing | State::Absent | State::Default);
                (!variables.is_empty()).then_some(Wanted {
                    variables,
                    is_found,
                    place: &resolved.secret.place,
                })
            })
            .collect();
        let found = compare(
            names,
            &wanted,
            &Here {
                is_job: is_job_of(settings, &names.repository),
                withheld: event.as_ref(),
                environment: &self.environment,
                passed: &passed,
            },
        );
        for warning in found.warnings {
            run.report.warn(warning);
        }
        for note in found.notes {
            run.report.note(note);
        }
    }
}

/// Says why a run gets no secrets, when it lacks some: of a pull request from a fork, or of Dependabot.
pub(crate) fn explain_withheld(run: &mut Run, resolution: &Resolution) {
    let lacks = resolution
        .secrets
        .iter()
        .any(|resolved| resolved.origin.is_none() && resolved.secret.template.is_none());
    if let Some(withheld) = Event::of(&run.settings.variables).withheld().filter(|_| lacks) {
        let (fact, help) = withheld.told();
        run.remark(Diagnostic::new(fact).help(help));
    }
}

/// The repository whose secrets are compared.
fn repository(settings: &Settings) -> Option<Repository> {
    let github = &settings.github;
    github.repo.clone().or_else(|| own_repository(&settings.variables)).or_else(|| {
        let directory = settings.compose.directory.as_ref().unwrap_or(&settings.workspace);
        Repository::of_checkout(directory, &api::server(&settings.variables)?)
    })
}

/// The repository whose workflow this is.
fn own_repository(variables: &Environment) -> Option<Repository> {
    Repository::of(variables.text("GITHUB_REPOSITORY")?)
}

fn is_job_of(settings: &Settings, repository: &Repository) -> bool {
    settings.platform.actions && own_repository(&settings.variables).is_some_and(|own| own.is(repository))
}

/// Whether it is an error when GitHub does not tell.
fn is_demanded(settings: &Settings) -> bool {
    settings.mode == Mode::Validate && settings.github.repo.is_some()
}

/// Says that GitHub did not tell: a warning, which fails no deployment, not even under `strict`.
fn untold(run: &mut Run, error: Error) {
    if is_demanded(&run.settings) {
        run.wrong.push(error);
        return;
    }
    let help = error.help.join("\n");
    run.remark(Diagnostic::new(format!("GitHub's secrets were not compared: {}", error.fact)).help(help));
}

/// What of the lists could not be read. What a run could get otherwise is warned of; the rest is a note.
fn unread(run: &mut Run, names: &Names) {
    let is_dependabot = Event::of(&run.settings.variables).withheld() == Some(Withheld::Dependabot);
    let mut others = Vec::new();
    for (part, trouble) in &names.unread {
        let matters = match part {
            Part::Secrets(Level::Environment) => trouble.kind != Kind::Missing || is_demanded(&run.settings),
            Part::Secrets(_) => true,
            Part::Dependabot => is_dependabot,
            Part::Variables(_) => false,
        };
        if matters || trouble.kind == Kind::Limited {
            run.remark(Diagnostic::new(trouble.fact.clone()).help(trouble.help.clone()));
        } else if trouble.kind == Kind::Missing {
            run.report.note(format!("{}. {}", trouble.fact, trouble.help));
        } else {
            others.push(trouble.fact.as_str());
        }
    }
    if !others.is_empty() {
        run.report.note(format!("not compared: {}", others.join("; ")));
    }
}

async fn ask(settings: &Settings, api: &Api, repository: &Repository) -> Answered {
    let environment = job_environment(settings).await;
    let name = match &environment {
        JobEnvironment::Named(name) => Some(name.clone()),
        _ => settings.environment.clone(),
    };
    let names = names::read(api, repository, name.as_deref()).await;
    Answered { environment, names }
}

/// The environment of the job. A container action is not told; the workflow's identity says it, where it may be asked for
/// (docs.github.com, "OpenID Connect reference", `environment`).
pub(crate) async fn job_environment(settings: &Settings) -> JobEnvironment {
    let Ok(network) = Network::new(settings) else { return JobEnvironment::Unknown };
    let identity = Identity::new(&settings.variables, Arc::new(network));
    if !identity.is_there() {
        return JobEnvironment::Unknown;
    }
    let text = |name: &str| settings.variables.text(name).unwrap_or_default();
    // GitHub's own default: nobody trusts it more than without us.
    let audience = format!("{}/{}", text("GITHUB_SERVER_URL"), text("GITHUB_REPOSITORY_OWNER"));
    match identity.token(&audience).await {
        Ok(token) => match identity::claim(&token, "environment") {
            Some(name) => JobEnvironment::Named(name),
            None => JobEnvironment::None,
        },
        Err(_) => JobEnvironment::Unknown,
    }
}

/// The variables that a secret is taken from, when sources are asked that read the step's.
fn variables<'a>(settings: &Settings, manifest: &'a Manifest, secret: &'a Secret) -> Vec<&'a str> {
    match &secret.from {
        Some(references) => {
            let of_step = references.iter().filter(|reference| manifest.kind(&reference.source) == "env");
            of_step.map(|reference| reference.item.as_str()).collect()
        }
        None if settings.source.as_deref().is_some_and(|only| only != "env") => Vec::new(),
        None if settings.sources.is_empty() || settings.sources.iter().any(|id| id == "env") => {
            vec![secret.name.as_str()]
        }
        None => Vec::new(),
    }
}

/// How the step gets a variable: as such, as an input, or by `github-secrets`, which has all that are not empty.
fn passed(settings: &Settings, name: &str) -> Passed {
    let variables = &settings.variables;
    let input = input_variable(name);
    let names = [name, &input];
    let by_file = format!("{name}_FILE");
    if names.iter().any(|name| variables.value(name).is_some()) || variables.value(&by_file).is_some() {
        return Passed::Filled;
    }
    if names.iter().any(|name| variables.has(name)) {
        return Passed::Empty;
    }
    let all = settings.github_secrets.as_ref().map(|all| serde_json::from_slice(all.expose()));
    match all {
        Some(Ok(serde_json::Value::Object(members))) => {
            let is_there = members.keys().any(|key| key.eq_ignore_ascii_case(name));
            if is_there { Passed::Filled } else { Passed::No }
        }
        _ => Passed::No,
    }
}
