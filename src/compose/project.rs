//! The Project stage: the Compose project as Compose sees it, and how to call Compose for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::discovery::ComposeFiles;
use super::model::Model;
use super::own_names;
use super::placeholder::variables_in;
use super::program;
use super::said::{Said, unset_variables};
use crate::engine::call::{Call, Output};
use crate::engine::host_paths::{HostPath, HostPaths};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::search::Search;
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
    /// What Compose gets for the variables that the override names and this call does not give: it must pass though
    /// nothing is started.
    pub stand_ins: BTreeMap<String, String>,
    written: bool,
    /// What `COMPOSE_ENV_FILES` names.
    env_files: Vec<PathBuf>,
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
        let env_files: Vec<PathBuf> =
            env_files.split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        let said = Said::of(&files, env_files.clone());
        let mut this = Self {
            model: Model::empty(),
            files,
            directory,
            unset: BTreeSet::new(),
            stand_ins: BTreeMap::new(),
            written: false,
            env_files,
            said,
            host_files,
            name: settings.name.clone(),
        };
        let call = this.call(tools, With::NoOverride, &["*".to_owned()]).words(&["config", "--format=json"]);
        let answer = call.output().await?;
        if !answer.success {
            return Err(rejected(tools, &answer, &this.files).await);
        }
        let resolved = answer.json();
        if resolved.as_ref().is_none_or(|resolved| !is_whole(resolved)) {
            program::version(tools).await?;
        }
        let resolved = resolved.ok_or_else(no_json)?;
        own_names::check(&resolved)?;
        this.unset = unset_variables(&String::from_utf8_lossy(&answer.messages));
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
        if !self.stand_ins.is_empty() {
            own_names::check_files(&self.files, &self.env_files)?;
        }
        if self.written {
            return Ok(());
        }
        let call = self.call(tools, With::NoOverride, &["*".to_owned()]);
        let answer = call.words(&["config", "--format=json", "--no-interpolate"]).output().await?;
        if !answer.success {
            return Err(rejected(tools, &answer, &self.files).await);
        }
        let plain = answer.json().ok_or_else(no_json)?;
        own_names::check(&plain)?;
        // Only names that stand in the Compose files are no parts of values.
        self.unset.retain(|name| names_variable(&plain, name));
        self.model.add_written(&plain);
        self.written = true;
        Ok(())
    }

    /// A call of Compose for this project.
    pub fn call(&self, tools: &Tools, with: With, profiles: &[String]) -> Call {
        let missing = self.stand_ins.iter().filter(|(name, _)| tools.variable(name).is_none());
        let tools =
            missing.fold(tools.clone(), |tools, (name, text)| tools.with_variable(name, text.as_ref()));
        let mut call = program::compose(&tools, &[])
            .judged_by(self.said.clone())
            .option("--project-directory", self.directory.as_path());
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

    /// A search for values that knows the names which the project gives, and its directory.
    pub fn search<'a>(&self, secrets_in: &'a dyn Fn(&str) -> Vec<String>) -> Search<'a> {
        Search::new(secrets_in)
            .knowing_model(self.model.resolved())
            .knowing_directory(self.directory.as_path())
            .knowing_directory(&self.files.directory)
    }

    /// The merged model of the project and an override, interpolated; nothing on disk is needed for it.
    pub async fn merged(&self, tools: &Tools, with: With<'_>) -> Result<serde_json::Value> {
        let call = self.call(tools, with, &["*".to_owned()]).words(&["config", "--format=json"]);
        let answer = call.output().await?;
        if !answer.success {
            return Err(rejected(tools, &answer, &self.files).await);
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

/// Whether an answer has the keys that Compose prints for each service, set or not, where it prints the project as it deploys
/// it and not as it is written.
fn is_whole(resolved: &serde_json::Value) -> bool {
    let services = resolved.get("services").and_then(|services| services.as_object());
    services.into_iter().flatten().all(|(_, definition)| definition.get("entrypoint").is_some())
}

fn no_json() -> Error {
    Error::new(Code::Internal, "Docker Compose printed a model that is no JSON")
}

/// What is said when Compose does not take the project; a Compose that is missing or too old must not put the blame on it.
async fn rejected(tools: &Tools, answer: &Output, files: &ComposeFiles) -> Error {
    match program::version(tools).await {
        Ok(version) => {
            let messages = String::from_utf8_lossy(&answer.messages);
            let secrets = variables_in(&messages).into_iter().map(str::to_owned).collect();
            rejected_by(&version, &answer.stderr, &secrets, files)
        }
        Err(error) => error,
    }
}

fn rejected_by(version: &str, stderr: &str, secrets: &BTreeSet<String>, files: &ComposeFiles) -> Error {
    if !secrets.is_empty() {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let names = names.join(" and ");
        return Error::new(
            Code::SecretInLargerValue,
            format!("{names} is where Docker Compose {version} takes no such text, a port for example:\n{stderr}"),
        )
        .help(format!(
            "`docker inspect` would show it there. Use another variable there, and {names} as a variable of a service or an \
             argument of its command; if it is no secret, say `sensitive: false` in the manifest."
        ));
    }
    // Compose does not name the file in most of its messages.
    let names: Vec<String> = files.files.iter().map(|file| file.display().to_string()).collect();
    Error::new(
        Code::ComposeFileInvalid,
        format!("Docker Compose {version} rejects the project of {}:\n{stderr}", names.join(", ")),
    )
    .help(
        "The words are Compose's own. It ran with the step's variables, and with stand-ins for the declared secrets; a \
         variable that is not set can be given under the step's `env:`. In a workflow that uses the action it is the \
         Compose of the action's image, whatever the runner has; on the command line the one that is installed.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_rejects_need_not_be_rejected_by_hand() {
        let files = ComposeFiles { directory: "/p".into(), files: vec!["/p/compose.yaml".into()] };
        let error =
            rejected_by("2.40.3", "required variable TAG is missing a value", &BTreeSet::new(), &files);
        assert!(error.fact.starts_with("Docker Compose 2.40.3 rejects"), "{error}");
        assert!(error.fact.contains("/p/compose.yaml") && error.fact.contains("TAG"), "{error}");
        // By hand it has other variables, so that it may well show something else.
        assert!(!error.help.concat().contains("docker compose config"), "{error}");
        assert!(error.help.concat().contains("stand-ins for the declared secrets"), "{error}");
    }

    #[test]
    fn a_secret_where_compose_takes_none_is_named() {
        let files = ComposeFiles { directory: "/p".into(), files: vec!["/p/compose.yaml".into()] };
        let secrets = BTreeSet::from(["PORT".to_owned()]);
        let error = rejected_by("2.40.3", "invalid hostPort: ***", &secrets, &files);
        assert_eq!(error.code, Code::SecretInLargerValue);
        assert!(error.fact.starts_with("PORT is where") && error.fact.contains("hostPort"), "{error}");
    }
}
