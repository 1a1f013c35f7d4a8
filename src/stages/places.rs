//! The places that a run writes to, compared with each other and with what it reads: none may be, or be in, another.

use std::path::{Component, Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::manifest;
use crate::settings::Settings;
use crate::stages::declared;

/// Something that a run reads or writes.
struct Named {
    /// What users call it.
    what: &'static str,
    /// Where it is, links resolved as far as it is there.
    path: PathBuf,
    /// Whether the run writes it.
    written: bool,
}

/// Checks that the secrets directory, the override file and the reports are places of their own.
///
/// # Errors
/// [`Code::PathUnsafe`] with every two that are the same place, or of which one is in the other.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let all = named(settings);
    let mut problems = Vec::new();
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            if !one.written && !other.written {
                continue;
            }
            let relation = if one.path == other.path {
                "is the same place as"
            } else if one.path.starts_with(&other.path) {
                "is in"
            } else if other.path.starts_with(&one.path) {
                "holds"
            } else {
                continue;
            };
            let text = format!("{} ({}) {relation} {}", one.what, shown(settings, &one.path), other.what);
            if !problems.iter().any(|problem: &Diagnostic| problem.fact == text) {
                problems.push(Diagnostic::new(text));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::PathUnsafe, "a run would write where something else belongs")
        .problems(problems)
        .help("Set each of these inputs to a place of its own."))
}

fn named(settings: &Settings) -> Vec<Named> {
    // A project that cannot be found is told of by the stage that needs it.
    let files = declared::find_project(settings).ok().map(|found| found.files);
    let start = settings.compose.directory.as_deref().unwrap_or(&settings.workspace);
    let directory = files.as_ref().map_or(start, |files| &files.directory);
    let manifest = settings.config.clone().unwrap_or_else(|| manifest::FILE_NAME.into());
    let reports = [("`report-file`", &settings.report_file), ("`sarif-file`", &settings.sarif_file)];
    let reports = reports.into_iter().filter_map(|(what, path)| Some((what, path.as_ref()?)));
    let mut all = vec![
        ("`secrets-dir`", directory.join(&settings.secrets_dir), true),
        ("`override-file`", directory.join(&settings.override_file), true),
    ];
    all.extend(reports.map(|(what, path)| (what, settings.workspace.join(path), true)));
    all.push(("the manifest", directory.join(manifest), false));
    all.push(("the project's `.env`", directory.join(".env"), false));
    for path in &settings.env_files {
        all.extend([directory, &settings.workspace].map(|top| ("an `env-file`", top.join(path), false)));
    }
    let compose = files.iter().flat_map(|files| &files.files);
    all.extend(compose.map(|path| ("a Compose file", directory.join(path), false)));
    all.into_iter().map(|(what, path, written)| Named { what, path: real(&path), written }).collect()
}

/// A path with links resolved as far as it exists, and without `.` and `..`.
fn real(path: &Path) -> PathBuf {
    let there =
        path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)));
    let (mut real, rest) = there.unwrap_or_else(|| (PathBuf::new(), path));
    for part in rest.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            Component::CurDir => {}
            part => real.push(part),
        }
    }
    real
}

fn shown<'p>(settings: &Settings, path: &'p Path) -> std::path::Display<'p> {
    let workspace = settings.workspace.canonicalize();
    workspace.ok().and_then(|top| path.strip_prefix(top).ok()).unwrap_or(path).display()
}
