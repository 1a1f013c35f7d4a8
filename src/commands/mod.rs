//! One file a mode: its stages in order. What they have in common is how a run starts and how it ends.

mod at_github;
mod connecting;
mod create;
mod deploy;
mod doctor;
mod down;
mod drift;
mod exposure;
mod filling;
mod foreseen;
mod former;
mod gate;
mod gather;
mod github;
mod init;
mod keys;
mod merged;
mod named;
mod offline;
mod overriding;
mod own_files;
mod places;
mod planning;
mod policy;
mod project;
mod proving;
mod ready;
mod recording;
mod reporting;
mod validate;

use std::sync::Arc;
use std::time::Instant;

pub use self::doctor::doctor;
pub use self::init::init;
pub use self::policy::policy;
use crate::console::Console;
use crate::delivery::ReportFile;
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPath;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::github::api::deployment::Recorded;
use crate::interrupt::Interrupt;
use crate::manifest::Manifest;
use crate::remote::Remote;
use crate::report::{Outcome, Report, StageTime};
use crate::sensitive::Sensitive;
use crate::settings::{Mode, Platform, Settings};

/// A run: what the user said, where it prints, and the report that its stages fill.
struct Run {
    settings: Settings,
    console: Arc<Console>,
    interrupt: Interrupt,
    /// What is secret by its name or place; the console redacts it from the run's first line on.
    sensitive: Sensitive,
    report: Report,
    /// The JSON report's path on the Docker host, once that is known.
    report_on_host: Option<HostPath>,
    /// Where the JSON report goes.
    report_file: Option<ReportFile>,
    /// Where the findings go as SARIF, and the file that those stand in which have no place of their own.
    sarif_file: Option<(ReportFile, String)>,
    stage: Option<(String, Instant)>,
    /// The session with the machine of the engine, where that is another one.
    remote: Option<Remote>,
    /// The deployment that is recorded at GitHub.
    recorded: Option<Recorded>,
    /// Warnings that fail no run, not even under `strict`: that somebody beside the deployment did not answer.
    remarks: Vec<Diagnostic>,
    /// What is wrong and does not keep the run from looking for what else is. Nothing is changed after something got here.
    wrong: Vec<Error>,
}

/// Runs the mode that the settings name, writes the report, also of a failed run, and returns the exit status.
pub async fn run(settings: Settings, console: Arc<Console>, interrupt: Interrupt) -> u8 {
    let mut run = Run::new(settings, console, interrupt);
    let result = match reporting::open_files(&mut run) {
        Err(error) => Err(error),
        Ok(()) => mode(&mut run).await,
    };
    run.end_stage();
    run.console.release();
    if let Some(remote) = run.remote.take() {
        // Docker's programs only say that the engine does not answer.
        let trouble = if result.is_err() { remote.trouble().await } else { None };
        run.wrong.extend(trouble);
        remote.close().await;
    }
    // What a stage ended with comes behind what was noted before.
    run.report.result = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            run.wrong.push(error);
            Outcome::Failed
        }
    };
    let status = match run.check_wrong() {
        Ok(()) => 0,
        Err(error) => {
            run.report.fail(&error);
            error.code.exit_status()
        }
    };
    let is_well = at_github::is_well(run.report.result);
    at_github::end(&mut run, is_well).await;
    run.tell_remarks();
    at_github::comment(&mut run).await;
    run.tell_remarks();
    reporting::write(&mut run);
    tracing::debug!("peak memory {} kB", peak_memory().unwrap_or_default());
    status
}

async fn mode(run: &mut Run) -> Result<Outcome> {
    match run.settings.mode {
        Mode::Deploy => Box::pin(deploy::run(run)).await,
        Mode::CreateFiles => create::files(run).await,
        Mode::CreateCompose => create::compose(run).await,
        Mode::Validate if run.settings.offline => offline::run(run).await,
        Mode::Validate => validate::run(run).await,
        Mode::Drift => drift::run(run).await,
        Mode::Down => down::run(run).await,
    }
}

/// The most memory that this process itself has held, in kB (`VmHWM`, proc(5)); its children are not counted.
fn peak_memory() -> Option<u64> {
    let status = files::told_by_the_kernel("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Reports a run that ended before it began, since what the user said cannot be understood. Returns the exit status.
pub fn refuse(error: &Error, platform: &Platform, console: &Arc<Console>) -> u8 {
    let mut report = Report { errors_page: platform.errors_page.clone(), ..Report::new("") };
    report.fail(error);
    console.release();
    reporting::write_to(&mut report, platform, console, None);
    error.code.exit_status()
}

impl Run {
    fn new(settings: Settings, console: Arc<Console>, interrupt: Interrupt) -> Self {
        let mut report = Report::new(settings.mode.name());
        report.environment.clone_from(&settings.environment);
        report.errors_page.clone_from(&settings.platform.errors_page);
        for (given, meant) in &settings.slips {
            report.warn(
                Diagnostic::new(format!("there is no input `{given}`"))
                    .help(format!("Did you mean `{meant}`?")),
            );
        }
        let sensitive = Sensitive::of(&settings);
        console.know(sensitive.clone());
        Self {
            settings,
            console,
            interrupt,
            sensitive,
            report,
            report_on_host: None,
            report_file: None,
            sarif_file: None,
            stage: None,
            remote: None,
            recorded: None,
            remarks: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Takes what is declared for secret, in every mode, whether its values are asked for or not.
    fn declare(&mut self, manifest: &Manifest) {
        self.sensitive = std::mem::take(&mut self.sensitive).declaring(&self.settings, manifest);
        self.console.know(self.sensitive.clone());
    }

    /// Begins a stage: a group of the log, and a line of the report's times.
    fn begin_stage(&mut self, title: &str) {
        self.end_stage();
        self.console.group(title);
        self.stage = Some((title.to_owned(), Instant::now()));
    }

    fn end_stage(&mut self) {
        if let Some((name, start)) = self.stage.take() {
            self.console.end_group();
            let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.report.stages.push(StageTime { name, milliseconds });
        }
    }

    fn warn(&mut self, text: impl Into<String>, help: Option<String>) {
        self.report.warn(Diagnostic { help, ..Diagnostic::new(text) });
    }

    /// Warns of what fails no run, not even under `strict`.
    fn remark(&mut self, message: Diagnostic) {
        self.remarks.push(message);
    }

    fn tell_remarks(&mut self) {
        for message in std::mem::take(&mut self.remarks) {
            self.report.warn(message);
        }
    }

    /// Notes what is wrong, and gives what there is to go on with.
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.wrong.push(error)).ok()
    }

    /// Everything that was noted, as one error.
    fn check_wrong(&mut self) -> Result<()> {
        Error::together(std::mem::take(&mut self.wrong)).map_or(Ok(()), Err)
    }

    /// Under `strict` warnings are errors; called when all of them are known and nothing has been changed.
    fn check_strict(&self) -> Result<()> {
        if !self.settings.strict || self.report.warnings.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::Strict, "there are warnings, and `strict` makes them errors")
            .problems(self.report.warnings.clone()))
    }
}
