//! `policy`: prints the least that each store must allow for what the manifest declares. Nothing is asked, nothing changed.

use std::fmt::Write as _;

use crate::compose::discovery::ComposeFiles;
use crate::error::{Code, Result};
use crate::mask::Redactor;
use crate::sensitive::Sensitive;
use crate::settings::Settings;
use crate::sources;
use crate::stages::declared;

/// The policies of all stores that the manifest names, or of `only` that one, for reading many secrets with a request or
/// without that: the texts for standard output, and what each of them is for standard error.
///
/// # Errors
/// What is wrong with the manifest; `source-unknown` when there is no such store.
pub fn policy(settings: &Settings, only: Option<&str>, batch: bool) -> Result<(String, String)> {
    let files = match declared::find_project(settings) {
        Ok(found) => found.files,
        // Which stores allow what is of interest before there is a project.
        Err(error) if error.code == Code::ComposeFileMissing => ComposeFiles {
            directory: settings.compose.directory.clone().unwrap_or_else(|| settings.workspace.clone()),
            files: Vec::new(),
        },
        Err(error) => return Err(error),
    };
    let manifest = declared::read_manifest(settings, &files)?;
    let (mut texts, mut titles) = (Vec::new(), String::new());
    for policy in sources::policies(settings, &manifest, only, batch)? {
        let _ = writeln!(titles, "{}: {}", policy.id, policy.title);
        texts.push(policy.text.trim_end().to_owned() + "\n");
    }
    let known = Sensitive::of(settings).declaring(settings, &manifest);
    let redactor = Redactor::new(&known.plan([]));
    let safe = |text: String| String::from_utf8_lossy(&redactor.redact_line(text.as_bytes())).into_owned();
    Ok((safe(texts.join("\n")), safe(titles)))
}
