//! The Project stage: the Compose project as Compose sees it, and how to call Compose for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::command::{Call, Tools};
use super::discovery::ComposeFiles;
use super::engine;
use super::host_paths::{HostPath, HostPaths};
use super::model::Model;
use super::said::Said;
use crate::error::{Code, Error, Problem, Result};
use crate::settings::ComposeSettings;

/// The project: its model, and what every call of Compose begins with.
pub struct Project {
    /// The model.
    pub model: Model,
    /// Its own Compose files and its directory, as this process sees them.
    pub files: ComposeFiles,
    /// The project directory on the Docker host.
    pub directory: HostPath,
    /// Variables that the Compose files name and that are not set.
    pub unset: BTreeSet<String>,
    written: bool,
    /// What is known of the files that Compose reads.
    said: Arc<Said>,
    /// The Compose files on the Docker host, in the order in which Compose merges them.
    host_files: Vec<HostPath>,
    name: Option<String>,
}

/// Which override a call of Compose works with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum With<'a> {
    /// The project's own files alone.
    NoOverride,
    /// The override file at this path on the Docker host.
    Override(&'a HostPath),
    /// An override that is given on standard input.
    Input(&'a str),
}

impl Project {
    /// Reads the project, interpolated with `tools`' variables (placeholders in place of secrets). All profiles are read,
    /// since the override covers every service.
    pub async fn load(
        tools: &Tools,
        settings: &ComposeSettings,
        files: ComposeFiles,
        host: &HostPaths,
        profiles: &[String],
    ) -> Result<Self> {
        let directory = host.link(&files.directory)?;
        let host_files = files.files.iter().map(|file| host_file(host, file)).collect::<Result<Vec<_>>>()?;
        let env_files =
            tools.variable("COMPOSE_ENV_FILES").and_then(|list| list.to_str()).unwrap_or_default();
        let env_files = env_files.split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        let said = Said::of(&files, env_files);
        let mut this = Self {
            model: Model::empty(),
            files,
            directory,
            unset: BTreeSet::new(),
            written: false,
            said,
            host_files,
            name: settings.name.clone(),
        };
        let call = this.call(tools, With::NoOverride, &["*".to_owned()]).words(&["config", "--format=json"]);
        let answer = call.output().await?;
        if !answer.success {
            // A Compose that is missing or too old must not put the blame on the file.
            engine::compose_version(tools).await?;
            return Err(rejected(&answer.stderr, &this.files));
        }
        let resolved = answer.json().ok_or_else(no_json)?;
        this.unset.clone_from(&answer.unset);
        let active = active_services(&resolved, profiles);
        this.model = Model::new(resolved, &active).map_err(|_| no_json())?;
        this.said.learn(this.model.shown_names());
        if !this.unset.is_empty() {
            this.read_as_written(tools).await?;
        }
        Ok(this)
    }

    /// Reads the project once more, as it is written: the override file repeats variables word for word. Does nothing
    /// when that is known already.
    pub async fn read_as_written(&mut self, tools: &Tools) -> Result<()> {
        if self.written {
            return Ok(());
        }
        let call = self.call(tools, With::NoOverride, &["*".to_owned()]);
        let answer = call.words(&["config", "--format=json", "--no-interpolate"]).output().await?;
        if !answer.success {
            return Err(rejected(&answer.stderr, &self.files));
        }
        let plain = answer.json().ok_or_else(no_json)?;
        // Only names that stand in the Compose files are no parts of values.
        self.unset.retain(|name| names_variable(&plain, name));
        self.model.add_written(&plain);
        self.written = true;
        Ok(())
    }

    /// A call of Compose for this project.
    pub fn call(&self, tools: &Tools, with: With, profiles: &[String]) -> Call {
        let mut call =
            tools.compose(&[]).reading(&self.said).option("--project-directory", self.directory.as_path());
        for file in &self.host_files {
            call = call.option("--file", file.as_path());
        }
        match with {
            With::NoOverride => {}
            With::Override(path) => {
                call = call.option("--file", path.as_path());
            }
            With::Input(text) => {
                call = call.words(&["--file=-"]).input(Zeroizing::new(text.as_bytes().to_vec()));
            }
        }
        if let Some(name) = &self.name {
            call = call.option("--project-name", name);
        }
        profiles.iter().fold(call, |call, profile| call.option("--profile", profile))
    }

    /// The merged model of the project and an override, interpolated; nothing on disk is needed for it.
    pub async fn merged(&self, tools: &Tools, with: With<'_>) -> Result<serde_json::Value> {
        let call = self.call(tools, with, &["*".to_owned()]).words(&["config", "--format=json"]);
        let answer = call.output().await?;
        if !answer.success {
            return Err(rejected(&answer.stderr, &self.files));
        }
        answer.json().ok_or_else(no_json)
    }
}

/// The name that Compose will most likely give the project: what it is told, else the directory's name, lower-cased,
/// without what may not be in a name (compose-go `loader.NormalizeProjectName`). A `name:` in a Compose file is not
/// known before the file is read.
pub fn likely_name(told: Option<&str>, directory: &HostPath) -> String {
    let name = told
        .map(str::to_owned)
        .or_else(|| Some(directory.as_path().file_name()?.to_string_lossy().into_owned()));
    let name: String = name.unwrap_or_default().to_lowercase();
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    name.chars().filter(allowed).collect::<String>().trim_start_matches(['-', '_']).to_owned()
}

/// What Compose is told to put in a declared secret's place. It is the same in every run, so that nothing is recreated
/// on its account, and unlike anything that a project has, so that it can be found where it must not be.
pub fn placeholder(variable: &str) -> String {
    format!("claude-secrets-placeholder-{variable}")
}

/// Checks the project's own model (interpolated, with placeholders), before images are built from it: a declared secret
/// may only be the whole value of a service's variable. What the override takes away is no matter here.
pub fn check_own(model: &serde_json::Value, secrets_in: &dyn Fn(&str) -> Vec<String>) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(model, &mut |path, text| {
        let variable = path.strip_prefix("services.").is_some_and(|rest| rest.contains(".environment."));
        if !variable {
            problems.extend(problems_of(path, text, secrets_in));
        } else if !is_placeholder(text) {
            problems.extend(problems_of(path, text, &|_| Vec::new()));
        }
    });
    visible(problems)
}

/// Checks the merged model before anything changes: no declared secret may be left in it, neither by its placeholder
/// (it was interpolated into something) nor by its value (it is written there in clear), and no variable of its name
/// (one of `names`) may have a value.
pub fn check_merged(
    model: &serde_json::Value,
    names: &BTreeSet<String>,
    secrets_in: &dyn Fn(&str) -> Vec<String>,
) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(model, &mut |path, text| {
        let variable = path.strip_prefix("services.").and_then(|rest| rest.split_once(".environment."));
        if variable.is_some_and(|(_, name)| names.contains(name)) && !text.is_empty() {
            problems.push(Problem::new(format!("{path} still has a value")));
            return;
        }
        if path.starts_with("secrets.") && path.ends_with(".environment") && names.contains(text) {
            problems.push(own_secret_of(path, text));
            return;
        }
        problems.extend(problems_of(path, text, secrets_in));
    });
    visible(problems)
}

fn is_placeholder(text: &str) -> bool {
    let name = text.strip_prefix(&placeholder(""));
    name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn problems_of(path: &str, text: &str, secrets_in: &dyn Fn(&str) -> Vec<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, _) in text.match_indices(&placeholder("")) {
        let rest = &text[at + placeholder("").len()..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        problems.push(larger_value(path, &rest[..end]));
    }
    let found = if is_shown(path) { secrets_in(text) } else { Vec::new() };
    for name in found {
        problems.push(
            Problem::new(format!("{path} holds the value of {name}, written in clear"))
                .remedy("Take the value out of the Compose file or the file it comes from, and rotate it. If it is no secret, say `sensitive: false` in the manifest."),
        );
    }
    problems
}

/// Whether a text of the model is one that programs are given, not a name or a path: those may well hold a short value by
/// chance.
fn is_shown(path: &str) -> bool {
    const SHOWN: &[&str] = &[
        "environment",
        "command",
        "entrypoint",
        "labels",
        "annotations",
        "healthcheck",
        "args",
        "content",
        "sysctls",
    ];
    path.split(['.', '[']).any(|step| SHOWN.contains(&step))
}

/// Compose itself would read the variable, and find the placeholder.
fn own_secret_of(path: &str, variable: &str) -> Problem {
    Problem::new(format!("{path}: the Compose secret takes its value from the declared variable {variable}")).remedy(format!(
        "Name the Compose secret like the file, `{}`, and this action fills it; or take the Compose secret away: the \
         services that get {variable} have it at /run/secrets/{} anyway.",
        variable.to_lowercase(),
        variable.to_lowercase()
    ))
}

fn visible(mut problems: Vec<Problem>) -> Result<()> {
    problems.dedup();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::SecretInLargerValue, "secrets would be visible in the containers' configuration")
        .problems(problems)
        .hint(
            "Let the program read the file: `NAME_FILE=/run/secrets/name`; or build the larger value in the container's \
             entry point; or declare the larger value as a secret of its own.",
        ))
}

fn names_variable(model: &serde_json::Value, name: &str) -> bool {
    let forms = [format!("${name}"), format!("${{{name}")];
    let mut found = false;
    Model::texts(model, &mut |_, text| {
        found |= forms.iter().any(|form| {
            text.match_indices(form.as_str()).any(|(at, _)| {
                let next = text[at + form.len()..].chars().next();
                !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        });
    });
    found
}

fn larger_value(path: &str, name: &str) -> Problem {
    let place = path.strip_prefix("services.").unwrap_or(path);
    if let Some((service, _)) = place.split_once(".build.") {
        return Problem::new(format!(
            "{path}: the declared secret {name} is a build argument of {service}"
        ))
        .remedy(
            "Build arguments stay in the image: use a build secret (`build.secrets`) with a file instead.",
        );
    }
    Problem::new(format!("{path}: the declared secret {name} is interpolated into it"))
}

fn host_file(host: &HostPaths, file: &std::path::Path) -> Result<HostPath> {
    // A Compose file may lie outside of the project directory, in another mount.
    match file.parent() {
        Some(directory) => host.link(directory).map(|path| path.join(file.file_name().unwrap_or_default())),
        None => host.to_host(&PathBuf::from(file)),
    }
}

fn active_services(resolved: &serde_json::Value, profiles: &[String]) -> BTreeSet<String> {
    let services = resolved.get("services").and_then(|services| services.as_object());
    services
        .into_iter()
        .flatten()
        .filter(|(_, definition)| match definition.get("profiles").and_then(|list| list.as_array()) {
            Some(own) if !own.is_empty() => profiles
                .iter()
                .any(|chosen| chosen == "*" || own.iter().any(|profile| profile.as_str() == Some(chosen))),
            _ => true,
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn no_json() -> Error {
    Error::new(Code::Internal, "Docker Compose printed a model that is no JSON")
}

fn rejected(stderr: &str, files: &ComposeFiles) -> Error {
    // Compose does not name the file in most of its messages.
    let names: Vec<String> = files.files.iter().map(|file| file.display().to_string()).collect();
    Error::new(
        Code::ComposeFileInvalid,
        format!("Docker Compose rejects the project of {}:\n{stderr}", names.join(", ")),
    )
    .hint("`docker compose config` shows the same. A variable that is not set can be given under `env:`.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_placeholder_or_a_value_that_is_left_is_an_error_that_names_the_place() {
        let model = json!({"services": {
            "web": {"environment": {"URL": format!("postgres://u:{}@db", placeholder("PW")), "LEFT": "x"}},
            "job": {"build": {"args": {"T": placeholder("TOKEN")}}, "command": ["--key", "s3cret"]},
        }});
        let names = BTreeSet::from(["LEFT".to_owned()]);
        let find = |text: &str| {
            if text == "s3cret" { vec!["KEY".to_owned()] } else { vec![] }
        };
        let error = check_merged(&model, &names, &find).err().unwrap();
        let text = error.to_string();
        for part in [
            "services.web.environment.URL",
            "PW",
            "build argument of job",
            "services.job.command[1]",
            "KEY",
            "environment.LEFT",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("s3cret"));
        assert!(check_merged(&json!({"a": "b"}), &names, &|_| vec![]).is_ok());
    }

    #[test]
    fn in_the_own_model_a_secret_may_be_a_variable_and_no_part_of_one() {
        let of = |service: serde_json::Value| {
            let found = check_own(&json!({"services": {"web": service}}), &|text| {
                text.contains("s3cret").then(|| "KEY".to_owned()).into_iter().collect()
            });
            found.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(of(json!({"environment": {"A": placeholder("PW"), "B": "s3cret"}})), "");
        let larger = format!("u:{}@db", placeholder("PW"));
        assert!(of(json!({"environment": {"PW": larger}})).contains("services.web.environment.PW"));
        assert!(of(json!({"labels": {"x": placeholder("PW")}})).contains("services.web.labels.x"));
        assert!(of(json!({"labels": {"x": "s3cret"}})).contains("holds the value of KEY"));
    }
}
