//! The Report stage: writes the report to the log, the annotations, the summary, the outputs and the files.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::console::Console;
use crate::delivery::report_file::{self, ReportFile};
use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::github::files as github;
use crate::github::workflow::{Annotation, Level};
use crate::manifest::{self};
use crate::report::{self, Report};
use crate::settings::{Platform, Settings};
use crate::stages::places;
use crate::stages::run::Run;

/// Writes everything that a run leaves to read. What cannot be written is said and fails nothing.
pub(crate) fn write(run: &mut Run) {
    run.console.end_group();
    let file = run.report_file.as_ref();
    run.report.report_file = match &run.report_on_host {
        Some(path) if file.is_some() => Some(path.to_string()),
        // In a container a path of ours says nothing to later steps.
        None if !run.settings.platform.in_container => file.map(|file| file.path().display().to_string()),
        _ => None,
    };
    write_to(&mut run.report, &run.settings.platform, &run.console, file);
    if let Some((sarif, fallback)) = &run.sarif_file {
        // The report was redacted when it was written.
        if let Err(error) = sarif.write(report::sarif::to_string(&run.report, fallback).as_bytes()) {
            run.console.warning(&format!("the SARIF file could not be written: {}", error.fact));
        }
    }
}

/// Writes a report to the log, the summary, the outputs, and to `file` as JSON.
pub(crate) fn write_to(
    report: &mut Report,
    platform: &Platform,
    console: &Console,
    file: Option<&ReportFile>,
) {
    // Before anything is rendered: what the summary escapes no mask would match any more.
    report.redact(|text| String::from_utf8_lossy(&console.redacted(text.as_bytes())).into_owned());
    // GitHub shows ten annotations of a kind; elsewhere nothing is lost.
    let shown = |all: &[Diagnostic]| {
        if platform.actions { report::log::annotations(all) } else { all.to_vec() }
    };
    for warning in shown(&report.warnings) {
        annotate(console, Level::Warning, &warning);
    }
    let width = platform.terminal.map(|terminal| terminal.width.map_or(80, usize::from));
    let mut lines = report::log::table(report, width.unwrap_or(report::log::WIDTH));
    let end = lines.pop();
    for line in lines {
        console.line(&line);
    }
    if let Some(line) = end {
        console.end_line(&line);
    }
    let errors: Vec<Diagnostic> = report.errors().flat_map(report::log::error_messages).collect();
    for message in shown(&errors) {
        annotate(console, Level::Error, &message);
    }
    let written = [
        platform.json.then(|| {
            let text = report::json::to_string(report).map_err(|error| error.to_string())?;
            let safe = console.redacted(text.as_bytes());
            // The runner reads this stream, too, and obeys `##[` anywhere in a line.
            let safe = String::from_utf8_lossy(&safe).replace("##[", "##\\u005b");
            std::io::stdout().write_all(safe.as_bytes()).map_err(|error| error.to_string())
        }),
        file.map(|file| {
            let text = report::json::to_string(report).map_err(|error| error.to_string())?;
            file.write(&console.redacted(text.as_bytes())).map_err(|error| error.fact)
        }),
        platform.summary_file.as_ref().map(|path| {
            let text = console.redacted(report::summary::markdown(report).as_bytes());
            github::write_summary(path, &String::from_utf8_lossy(&text))
                .map(|_| ())
                .map_err(|e| e.to_string())
        }),
        platform.output_file.as_ref().map(|path| {
            report::outputs::outputs(report)
                .into_iter()
                .try_for_each(|(name, value)| github::write_output(path, name, &value))
                .map_err(|e| e.to_string())
        }),
    ];
    for error in written.into_iter().flatten().filter_map(Result::err) {
        console.warning(&format!("a part of the report could not be written: {error}"));
    }
}

fn annotate(console: &Console, level: Level, message: &Diagnostic) {
    let text = match &message.help {
        Some(hint) => format!("{}\nfix: {hint}", message.fact),
        None => message.fact.clone(),
    };
    let place = message.place.as_ref().filter(|place| place.file.is_some());
    let file = place.and_then(|place| Some(place.file.as_ref()?.display().to_string()));
    console.annotate(&Annotation {
        file: file.as_deref(),
        line: place.and_then(|place| u32::try_from(place.line).ok()),
        ..Annotation::new(level, &text)
    });
}

/// Looks where the JSON report and the SARIF file go, before anything is done.
///
/// # Errors
/// `path-unsafe` when the user named a place where none may be written.
pub(crate) fn open_files(run: &mut Run) -> Result<()> {
    places::check(&run.settings)?;
    let Settings { platform, workspace, report_file: named, .. } = &run.settings;
    let outside: Vec<&Path> = platform.temporary.as_deref().into_iter().collect();
    let outside = if platform.actions { Some(outside.as_slice()) } else { None };
    if let Some(path) = &run.settings.sarif_file {
        let file = ReportFile::open(report_file::Form::Sarif, workspace, &workspace.join(path), outside)?;
        run.sarif_file = Some((file, shown_file(&run.settings)));
    }
    let Some(path) = report_path(&run.settings) else { return Ok(()) };
    match ReportFile::open(report_file::Form::Json, workspace, &path, outside) {
        Ok(file) => run.report_file = Some(file),
        Err(error) if named.is_some() => return Err(error),
        Err(error) => {
            run.warn(format!("there is no report file: {}", error.fact), error.help.first().cloned());
        }
    }
    Ok(())
}

/// The manifest, where there is one, else the first Compose file that is named: SARIF shows findings there that have no place of their own.
fn shown_file(settings: &Settings) -> String {
    let directory = settings.compose.directory.as_deref().unwrap_or(&settings.workspace);
    let manifest = settings.config.clone().unwrap_or_else(|| directory.join(manifest::FILE_NAME));
    let file = match settings.compose.files.first() {
        Some(compose) if !manifest.exists() => compose.clone(),
        _ => manifest,
    };
    file.strip_prefix(&settings.workspace).unwrap_or(&file).display().to_string()
}

/// Where the JSON report goes, as a path of ours; `None` when none is asked for.
pub(crate) fn report_path(settings: &Settings) -> Option<PathBuf> {
    match &settings.report_file {
        Some(path) => Some(settings.workspace.join(path)),
        None if settings.platform.actions => {
            settings.platform.temporary.as_ref().map(|directory| directory.join("claude-secrets-report.json"))
        }
        None => None,
    }
}
