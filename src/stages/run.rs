//! A run: what its stages have in common.

use std::sync::Arc;
use std::time::Instant;

use crate::console::Console;
use crate::delivery::ReportFile;
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPath;
use crate::error::{Code, Error, Result};
use crate::github::api::deployment::Recorded;
use crate::interrupt::Interrupt;
use crate::manifest::Manifest;
use crate::remote::Remote;
use crate::report::{Report, StageTime};
use crate::sensitive::Sensitive;
use crate::settings::Settings;

/// A run: what the user said, where it prints, and the report that its stages fill.
pub(crate) struct Run {
    pub(crate) settings: Settings,
    pub(crate) console: Arc<Console>,
    pub(crate) interrupt: Interrupt,
    /// What is secret by its name or place; the console redacts it from the run's first line on.
    pub(crate) sensitive: Sensitive,
    pub(crate) report: Report,
    /// The JSON report's path on the Docker host, once that is known.
    pub(crate) report_on_host: Option<HostPath>,
    /// Where the JSON report goes.
    pub(crate) report_file: Option<ReportFile>,
    /// Where the findings go as SARIF, and the file that those stand in which have no place of their own.
    pub(crate) sarif_file: Option<(ReportFile, String)>,
    pub(crate) stage: Option<(String, Instant)>,
    /// The session with the machine of the engine, where that is another one.
    pub(crate) remote: Option<Remote>,
    /// The deployment that is recorded at GitHub.
    pub(crate) recorded: Option<Recorded>,
    /// Warnings that fail no run, not even under `strict`: that somebody beside the deployment did not answer.
    pub(crate) remarks: Vec<Diagnostic>,
    /// What is wrong and does not keep the run from looking for what else is. Nothing is changed after something got here.
    pub(crate) wrong: Vec<Error>,
}

impl Run {
    pub(crate) fn new(settings: Settings, console: Arc<Console>, interrupt: Interrupt) -> Self {
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
    pub(crate) fn declare(&mut self, manifest: &Manifest) {
        self.sensitive = std::mem::take(&mut self.sensitive).declaring(&self.settings, manifest);
        self.console.know(self.sensitive.clone());
    }

    /// Begins a stage: a group of the log, and a line of the report's times.
    pub(crate) fn begin_stage(&mut self, title: &str) {
        self.end_stage();
        self.console.group(title);
        self.stage = Some((title.to_owned(), Instant::now()));
    }

    pub(crate) fn end_stage(&mut self) {
        if let Some((name, start)) = self.stage.take() {
            self.console.end_group();
            let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.report.stages.push(StageTime { name, milliseconds });
        }
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>, help: Option<String>) {
        self.report.warn(Diagnostic { help, ..Diagnostic::new(text) });
    }

    /// Warns of what fails no run, not even under `strict`.
    pub(crate) fn remark(&mut self, message: Diagnostic) {
        self.remarks.push(message);
    }

    pub(crate) fn tell_remarks(&mut self) {
        for message in std::mem::take(&mut self.remarks) {
            self.report.warn(message);
        }
    }

    /// Notes what is wrong, and gives what there is to go on with.
    pub(crate) fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.wrong.push(error)).ok()
    }

    /// Everything that was noted, as one error.
    pub(crate) fn check_wrong(&mut self) -> Result<()> {
        Error::together(std::mem::take(&mut self.wrong)).map_or(Ok(()), Err)
    }

    /// Under `strict` warnings are errors; called when all of them are known and nothing has been changed.
    pub(crate) fn check_strict(&self) -> Result<()> {
        if !self.settings.strict || self.report.warnings.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::Strict, "there are warnings, and `strict` makes them errors")
            .problems(self.report.warnings.clone()))
    }
}
