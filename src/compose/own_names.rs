//! Variables of ours that a project names: Compose would put a value there that the manifest gives to one service.
//!
//! With `deliver: env`, Compose's own process has values in variables during the one `up` that needs them. What else is
//! interpolated with such a variable, or reads it as a secret or config, would get the value.

use serde_json::Value;

use super::discovery::ComposeFiles;
use super::model::Model;
use super::read_by_compose::ReadByCompose;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::secret::SecretValue;

/// How every variable of ours begins.
const RESERVED: &str = "CLAUDE_SECRETS_";
/// How the variables begin that have values in clear during an `up`.
pub const IN_CLEAR: &str = "CLAUDE_SECRETS_ENV_";

/// Refuses a model, interpolated or as it is written, that names a variable of ours in any text or key, or has a label of ours.
///
/// # Errors
/// [`Code::ComposeFileInvalid`] with every place.
pub(super) fn check(model: &Value) -> Result<()> {
    let mut places = Vec::new();
    Model::texts(model, &mut |path, text| {
        if names(text, RESERVED) {
            places.push(path.to_owned());
        }
    });
    Model::keys(model, &mut |path, key| {
        if names(key, RESERVED) {
            places.push(path.to_owned());
        }
    });
    refuse(places)?;
    let mut labels = Vec::new();
    Model::keys(model, &mut |path, key| {
        if path.ends_with("labels") && key.starts_with(labels::PREFIX) {
            labels.push(Diagnostic::new(format!("{path} has the label {key}")));
        }
    });
    if labels.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::ComposeFileInvalid,
        format!("the project has labels of {}…, by which this program knows what it made", labels::PREFIX),
    )
    .problems(labels)
    .help("Use labels with other names."))
}

/// Refuses env files, and whatever else Compose reads beside the Compose files, that name a variable of ours. Takes the
/// project's files and what `COMPOSE_ENV_FILES` names.
///
/// # Errors
/// [`Code::ComposeFileInvalid`].
pub(super) fn check_files(files: &ComposeFiles, env_files: &[std::path::PathBuf]) -> Result<()> {
    let read = ReadByCompose::of(files, env_files);
    let found = read.others.iter().any(is_named_in);
    refuse(found.then(|| "an env file".to_owned()).into_iter().collect())
}

/// Whether a file names such a variable, as Compose reads it: it drops backslashes before it interpolates.
fn is_named_in(contents: &SecretValue) -> bool {
    let bytes: zeroize::Zeroizing<Vec<u8>> =
        zeroize::Zeroizing::new(contents.expose().iter().copied().filter(|byte| *byte != b'\\').collect());
    memchr::memmem::find(&bytes, IN_CLEAR.as_bytes()).is_some()
}

/// Whether a text has the beginning of a name where a name begins.
fn names(text: &str, beginning: &str) -> bool {
    text.match_indices(beginning)
        .any(|(at, _)| !text[..at].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn refuse(mut places: Vec<String>) -> Result<()> {
    places.dedup();
    if places.is_empty() {
        return Ok(());
    }
    let problem =
        |place: String| Diagnostic::new(format!("{place} names a variable that begins with {RESERVED}"));
    Err(Error::new(
        Code::ComposeFileInvalid,
        format!("the project names variables of {RESERVED}…, which are for this program alone"),
    )
    .problems(places.into_iter().map(problem).collect())
    .help("Use variables with other names in the Compose files and in what they read."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_project_names_no_variable_of_ours_in_any_text_or_key() {
        let variable = "CLAUDE_SECRETS_ENV_web_to_API__KEY";
        let interpolated = format!("${{{variable}}}");
        for (model, place) in [
            (json!({"secrets": {"x": {"environment": variable}}}), "secrets.x.environment"),
            (json!({"configs": {"x": {"environment": variable}}}), "configs.x.environment"),
            (json!({"configs": {"x": {"content": format!("a{interpolated}")}}}), "configs.x.content"),
            (json!({"services": {"e": {"labels": [format!("{interpolated}=x")]}}}), "services.e.labels[0]"),
            (json!({"services": {"e": {"labels": {interpolated.as_str(): "x"}}}}), "services.e.labels"),
            (json!({"services": {"e": {"environment": {variable: null}}}}), "services.e.environment"),
            (
                json!({"services": {"e": {"command": [format!("${{A:-{interpolated}}}")]}}}),
                "services.e.command[0]",
            ),
            (
                json!({"services": {"e": {"environment": ["CLAUDE_SECRETS_VARIABLES=A"]}}}),
                "services.e.environment[0]",
            ),
        ] {
            let said = check(&model).err().unwrap().to_string();
            assert!(said.contains(&format!("{place} names a variable")), "{model}: {said}");
        }
        for place in ["services", "volumes"] {
            let model = json!({ place: { "x": { "labels": { "claude-secrets.project": "y" } } } });
            let said = check(&model).err().unwrap().to_string();
            assert!(
                said.contains(&format!("{place}.x.labels has the label claude-secrets.project")),
                "{said}"
            );
        }
        let other =
            json!({"services": {"e": {"labels": ["${MY_CLAUDE_SECRETS_ENV}=x"], "image": "claude-secrets"}}});
        assert!(check(&other).is_ok());
    }

    #[test]
    fn an_env_file_names_none_either() {
        let named = |text: &str| is_named_in(&SecretValue::new(text.as_bytes().to_vec()));
        assert!(named("A=1\nP=${CLAUDE_SECRETS_ENV_web_to_API__KEY}\n"));
        assert!(named("P=\"${CLAUDE\\_SECRETS_ENV\\_web_to_API__KEY}\"\n"));
        assert!(!named("CLAUDE_SECRETS_IMAGE=v1\n"));
    }
}
