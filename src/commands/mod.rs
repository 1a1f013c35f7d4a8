//! One file a mode: its stages in order. What they have in common is how a run starts and how it ends.

mod create;
mod deploy;
mod doctor;
mod down;
mod drift;
mod init;
mod offline;
mod policy;
mod validate;

use std::sync::Arc;

pub use self::doctor::doctor;
pub use self::init::init;
pub use self::policy::policy;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt::Interrupt;
use crate::report::{Outcome, Report};
use crate::settings::{Mode, Platform, Settings};
use crate::stages::at_github;
use crate::stages::run::Run;
use crate::stages::writing;

/// Runs the mode that the settings name, writes the report, also of a failed run, and returns the exit status.
pub async fn run(settings: Settings, console: Arc<Console>, interrupt: Interrupt) -> u8 {
    let mut run = Run::new(settings, console, interrupt);
    let result = match writing::open_files(&mut run) {
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
    writing::write(&mut run);
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
    writing::write_to(&mut report, platform, console, None);
    error.code.exit_status()
}
