//! What a run leaves at GitHub: the record of its deployment, and its comment on a pull request. Neither can fail the run.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::github::api::comment::{Comment, Done};
use crate::github::api::compare::JobEnvironment;
use crate::github::api::deployment::{Deploying, Recorded, State};
use crate::github::api::{Api, RequestError};
use crate::github::event::Event;
use crate::github::repository::Repository;
use crate::report::{self, Outcome};
use crate::settings::{Mode, Settings};
use crate::stages::github;
use crate::stages::run::Run;

/// How long a record may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a run that was told to end: the runner gives it 7 s (see `engine::call`).
const HASTE: Duration = Duration::from_secs(3);

/// Records at GitHub that a deployment begins, where the user wants that and GitHub does not do it by itself.
pub(crate) async fn begin(run: &mut Run) -> Result<()> {
    let Some(name) = run.settings.github.deployment.clone() else { return Ok(()) };
    let Some(api) = open(run, "deployment") else { return Ok(()) };
    let settings = hasty(run);
    if let JobEnvironment::Named(own) = run.interrupt.or(github::job_environment(&settings)).await? {
        run.report.note(format!(
            "the deployment is recorded by GitHub itself: the job has the environment `{own}`"
        ));
        return Ok(());
    }
    let url = run.settings.github.environment_url.as_deref();
    let Some(deploying) = Deploying::of(&run.settings.variables, &name, url) else {
        run.remark(Diagnostic::new(
            "the deployment is not recorded: GITHUB_REPOSITORY and GITHUB_SHA are not set",
        ));
        return Ok(());
    };
    // One that has begun must be known, or nobody would ever record its end.
    match deploying.begin(&api).await {
        Ok(recorded) => run.recorded = Some(recorded),
        Err(trouble) => not_done(run, "the deployment is not recorded", trouble),
    }
    run.interrupt.check()
}

/// Records how it ended.
pub(crate) async fn end(run: &mut Run, is_well: bool) {
    let Some(recorded) = run.recorded.take() else { return };
    let Some(api) = open(run, "deployment") else { return };
    let state = if is_well { State::Success } else { State::Failure };
    if let Err(trouble) = Recorded::is(&recorded, state, &api).await {
        not_done(run, "how the deployment ended is not recorded", trouble);
    }
}

/// Writes what `validate` found as a comment on the pull request that the run is of.
pub(crate) async fn comment(run: &mut Run) {
    if run.settings.mode != Mode::Validate || run.settings.offline || !run.settings.github.comment {
        return;
    }
    let variables = &run.settings.variables;
    let Some(number) = Event::of(variables).pull_request() else { return };
    let Some(repository) = variables.text("GITHUB_REPOSITORY").and_then(Repository::of) else { return };
    let Some(api) = open(run, "comment") else { return };
    let body = body(run);
    match Comment::new(&api, &repository, number, &key(&run.settings)).upsert(&body).await {
        Ok(done) => {
            let done = match done {
                Done::Made => "written",
                Done::Updated => "updated",
                Done::Unchanged => "left as it is",
            };
            run.console.line(&format!("the comment on {repository}#{number} is {done}"));
        }
        Err(trouble) => not_done(run, "the pull request has no comment of this run", trouble),
    }
}

/// What is written: the summary, in which nothing is secret.
fn body(run: &Run) -> String {
    let redacted = |text: &str| String::from_utf8_lossy(&run.console.redacted(text.as_bytes())).into_owned();
    let mut report = run.report.clone();
    // Before it is rendered: what Markdown escapes no mask would match any more.
    report.redact(redacted);
    redacted(&report::summary::markdown(&report))
}

/// What tells the comments of two projects of one repository apart.
fn key(settings: &Settings) -> String {
    let directory = settings.compose.directory.as_ref().unwrap_or(&settings.workspace);
    let directory = directory.strip_prefix(&settings.workspace).unwrap_or(directory);
    let project = settings.compose.name.as_deref().unwrap_or_default();
    let environment = settings.environment.as_deref().unwrap_or_default();
    format!("{}:{project}:{environment}", directory.display())
}

fn open(run: &mut Run, input: &str) -> Option<Api> {
    let settings = hasty(run);
    let Some(token) = &settings.github.token else {
        let warning = Diagnostic::new(format!("{input}: there is no token to tell GitHub with"));
        run.remark(
            warning.help("Give one by `github-token`: the workflow's own will do, `${{ github.token }}`."),
        );
        return None;
    };
    match Api::open(&settings, token) {
        Ok(api) => Some(api),
        Err(error) => {
            run.remark(Diagnostic::new(format!("{input}: {}", error.fact)).help(error.help.join("\n")));
            None
        }
    }
}

/// The settings with less patience: a run does not wait for its record.
fn hasty(run: &Run) -> Settings {
    let most = if run.interrupt.check().is_ok() { PATIENCE } else { HASTE };
    Settings { timeout: run.settings.timeout.min(most), ..run.settings.clone() }
}

fn not_done(run: &mut Run, what: &str, trouble: RequestError) {
    run.remark(Diagnostic::new(format!("{what}: {}", trouble.fact)).help(trouble.help));
}

/// Whether a deployment has ended well.
pub(crate) fn is_well(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Deployed | Outcome::Unchanged)
}
