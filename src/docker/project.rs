//! The Project stage: the Compose project as Compose sees it, and how to call Compose for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::command::{Call, Output, Tools};
use super::discovery::ComposeFiles;
use super::engine;
use super::host_paths::{HostPath, HostPaths};
use super::model::Model;
use super::own_names;
use super::place::{Place, service_of};
use super::placeholder::variables_in;
use super::said::Said;
use crate::delivery::in_clear::STAND_IN;
use crate::error::{Code, Error, Problem, Result};
use crate::search::places::Places;
use crate::search::{Finding, Search};
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
            engine::compose_version(tools).await?;
        }
        let resolved = resolved.ok_or_else(no_json)?;
        own_names::check(&resolved)?;
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

/// Checks the project's own model (interpolated, with placeholders), before images are built from it: a declared secret
/// may only be where this action can put its value without showing it.
///
/// Errors: [`Code::SecretInLargerValue`] with every other place. What belongs to a service that no profile starts is none,
/// nor is what an extension (`x-…`) is interpolated with: nothing comes of it. What builds are given is for
/// [`check_builds`].
pub fn check_own(model: &Model, search: &Search) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(model.resolved(), &mut |path, text| {
        if Place::of(path, model) == Place::Shown {
            problems.extend(placeholders(path, text));
        }
    });
    problems.extend(in_keys(model.resolved(), "", model, &[Place::Nothing, Place::Extension, Place::Build]));
    let found = search.document(model.resolved(), &Places::model());
    // Variables and configs that hold values in clear are delivered like those that hold placeholders.
    let is_shown = |found: &&Finding| {
        matches!(Place::of(&found.place(), model), Place::Word | Place::Extension | Place::Shown)
    };
    problems.extend(found.iter().filter(is_shown).map(written_in_clear));
    visible(problems)
}

/// Checks what these services' builds are given: an argument stays in the image.
pub fn check_builds(model: &Model, services: &[&str], search: &Search) -> Result<()> {
    if services.is_empty() {
        return Ok(());
    }
    let mut problems = Vec::new();
    for service in services {
        let definition = model.resolved().pointer(&format!("/services/{}/build", pointer_step(service)));
        Model::texts(definition.unwrap_or(&serde_json::Value::Null), &mut |path, text| {
            let path = format!("services.{service}.build.{path}");
            problems.extend(placeholders(&path, text));
        });
        let build = format!("services.{service}.build.");
        problems.extend(in_keys(definition.unwrap_or(&serde_json::Value::Null), &build, model, &[]));
    }
    let found = search.document(model.resolved(), &Places::model());
    let is_built = |found: &&Finding| {
        found.steps.get(1).is_some_and(|name| services.contains(&name.as_str()))
            && Place::of(&found.place(), model) == Place::Build
    };
    problems.extend(found.iter().filter(is_built).map(written_in_clear));
    visible(problems)
}

/// Checks the merged model before anything changes: no declared secret may be left in it, neither by its placeholder
/// (but in words that the launcher completes) nor by its value, and no variable of its name (one of `names`) may have
/// a value, unless that text `stands` there (a service, its variable, the text) for a value that may be shown.
pub fn check_merged(
    merged: &serde_json::Value,
    model: &Model,
    names: &BTreeSet<String>,
    stands: &dyn Fn(&str, &str, &str) -> bool,
    search: &Search,
) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(merged, &mut |path, text| {
        let place = Place::of(path, model);
        let variable = path.strip_prefix("services.").and_then(|rest| rest.split_once(".environment."));
        let names_file = text.strip_prefix("file://").unwrap_or(text).starts_with("/run/secrets/");
        if variable.is_some_and(|(service, name)| stands(service, name, text)) {
            return;
        }
        // What one service has in clear another text of the project may be interpolated with, too.
        if text.contains(STAND_IN) {
            problems.push(Problem::new(format!(
                "{path} would hold a value that a service has by `deliver: env`"
            )));
            return;
        }
        if variable.is_some_and(|(_, name)| names.contains(name)) && !text.is_empty() && !names_file {
            problems.push(Problem::new(format!("{path} still has a value")));
            return;
        }
        // A config that nothing mounts any more is still there.
        let is_left = place == Place::Delivered && !path.starts_with("configs.");
        if is_left || place == Place::Shown {
            problems.extend(placeholders(path, text));
        }
    });
    Model::keys(merged, &mut |path, key| {
        if key.contains(STAND_IN) {
            problems.push(Problem::new(format!(
                "{path} would hold a value that a service has by `deliver: env`"
            )));
        }
    });
    problems.extend(in_keys(merged, "", model, &[Place::Nothing, Place::Extension, Place::Build]));
    // A variable that still has a value is told of already.
    let told = |found: &Finding| {
        found.is_at(VARIABLES) && found.steps.get(3).is_some_and(|name| names.contains(name))
    };
    let is_left = |found: &&Finding| match Place::of(&found.place(), model) {
        Place::Nothing | Place::Build => false,
        Place::Delivered => !told(found) && found.steps.first().is_some_and(|section| section != "configs"),
        Place::Word | Place::Extension | Place::Shown => true,
    };
    let found = search.document(merged, &Places::model());
    problems.extend(found.iter().filter(is_left).map(written_in_clear));
    visible(problems)
}

/// Where a model has the variables of services.
const VARIABLES: &[&str] = &["services", "*", "environment"];

/// A step of a JSON pointer (RFC 6901).
fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The placeholders in the keys of a part of a model that lies at `above`, but for those at `unseen` places: no value can be
/// delivered to a key, not even to one of a variable.
fn in_keys(part: &serde_json::Value, above: &str, model: &Model, unseen: &[Place]) -> Vec<Problem> {
    let mut problems = Vec::new();
    Model::keys(part, &mut |path, key| {
        let path = format!("{above}{path}");
        if variables_in(key).is_empty() {
            return;
        }
        let whole = format!("{path}.{key}");
        let service = service_of(&whole, model).and_then(|name| model.services.get(name));
        let is_off = above.is_empty() && service.is_some_and(|service| !service.active);
        if !is_off && !unseen.contains(&Place::of(&whole, model)) {
            problems.extend(placeholders(&path, key));
        }
    });
    problems
}

fn placeholders(path: &str, text: &str) -> Vec<Problem> {
    variables_in(text).into_iter().map(|variable| shown_by_engine(path, variable)).collect()
}

fn written_in_clear(found: &Finding) -> Problem {
    Problem::new(format!("{} holds the value of {}, written in clear", found.place(), found.secret))
        .remedy("Take the value out of the Compose file or the file it comes from, and rotate it. If it is no secret, say `sensitive: false` in the manifest.")
}

fn visible(mut problems: Vec<Problem>) -> Result<()> {
    problems.dedup();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::SecretInLargerValue, "secrets would be visible in the containers' configuration")
        .problems(problems))
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

/// A declared secret at a place that the engine shows to everyone who may inspect the project.
fn shown_by_engine(path: &str, variable: &str) -> Problem {
    let place = path.strip_prefix("services.").unwrap_or(path);
    if let Some((service, _)) = place.split_once(".build.") {
        return Problem::new(format!("{path}: the declared secret {variable} is given to the build of {service}"))
            .remedy(format!(
                "What a build is given as an argument stays in the image. Use a build secret: `build: {{ secrets: [{0}] }}` \
                 with `secrets: {{ {0}: {{ environment: {variable} }} }}`, and `RUN --mount=type=secret,id={0}` in the Dockerfile.",
                variable.to_lowercase()
            ));
    }
    Problem::new(format!("{path}: the declared secret {variable} is interpolated into it")).remedy(format!(
        "`docker inspect` shows this. Use a variable of the service or an argument of its command for {variable}; if it is \
         no secret, say `sensitive: false` in the manifest."
    ))
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
    match engine::compose_version(tools).await {
        Ok(version) => rejected_by(&version, &answer.stderr, &answer.secrets, files),
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
        .hint(format!(
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
    .hint(
        "The words are Compose's own. It ran with the step's variables, and with stand-ins for the declared secrets; a \
         variable that is not set can be given under the step's `env:`. In a workflow that uses the action it is the \
         Compose of the action's image, whatever the runner has; on the command line the one that is installed.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::placeholder::placeholder;
    use serde_json::{Value, json};

    fn model(services: &Value) -> Model {
        let active: BTreeSet<String> =
            services.as_object().unwrap().keys().filter(|name| *name != "off").cloned().collect();
        Model::new(json!({"name": "p", "services": services, "x-all": {"k": placeholder("PW")}}), &active)
            .ok()
            .unwrap()
    }

    fn in_clear(text: &str) -> Vec<String> {
        if text.contains("s3cret") { vec!["KEY".to_owned()] } else { vec![] }
    }

    #[test]
    fn a_placeholder_or_a_value_that_is_left_is_an_error_that_names_the_place() {
        let services = json!({
            "web": {"environment": {"URL": format!("postgres://u:{}@db", placeholder("PW")), "LEFT": "x"},
                "labels": {"l": placeholder("PW")}},
            "job": {"command": ["--key", "s3cret", placeholder("OK")]},
            "shown": {"environment": {"LEFT": "stand-in"}},
            "taken": {"labels": {"by": format!("x{STAND_IN}")}},
            "keys": {"labels": {format!("k.{}", placeholder("PW")): "x"}},
            "named": {"annotations": {format!("k.{STAND_IN}"): "x"}},
        });
        let stands = |service: &str, variable: &str, text: &str| {
            (service, variable, text) == ("shown", "LEFT", "stand-in")
        };
        let names = BTreeSet::from(["LEFT".to_owned()]);
        let merged = json!({"services": services});
        let error =
            check_merged(&merged, &model(&services), &names, &stands, &Search::new(&in_clear)).err().unwrap();
        let text = error.to_string();
        for part in [
            "services.web.environment.URL",
            "PW",
            "web.labels.l",
            "services.job.command[1]",
            "KEY",
            "environment.LEFT",
            "services.keys.labels: the declared secret PW",
            "services.named.annotations would hold a value",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("services.taken.labels.by would hold a value"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("OK") && !text.contains("shown"), "{text}");
        assert!(
            check_merged(&json!({"a": "b"}), &model(&json!({})), &names, &stands, &Search::new(&|_| vec![]))
                .is_ok()
        );
    }

    #[test]
    fn what_compose_rejects_need_not_be_rejected_by_hand() {
        let files = ComposeFiles { directory: "/p".into(), files: vec!["/p/compose.yaml".into()] };
        let error =
            rejected_by("2.40.3", "required variable TAG is missing a value", &BTreeSet::new(), &files);
        assert!(error.fact.starts_with("Docker Compose 2.40.3 rejects"), "{error}");
        assert!(error.fact.contains("/p/compose.yaml") && error.fact.contains("TAG"), "{error}");
        // By hand it has other variables, so that it may well show something else.
        assert!(!error.hints.concat().contains("docker compose config"), "{error}");
        assert!(error.hints.concat().contains("stand-ins for the declared secrets"), "{error}");
    }

    #[test]
    fn a_secret_where_compose_takes_none_is_named() {
        let files = ComposeFiles { directory: "/p".into(), files: vec!["/p/compose.yaml".into()] };
        let secrets = BTreeSet::from(["PORT".to_owned()]);
        let error = rejected_by("2.40.3", "invalid hostPort: ***", &secrets, &files);
        assert_eq!(error.code, Code::SecretInLargerValue);
        assert!(error.fact.starts_with("PORT is where") && error.fact.contains("hostPort"), "{error}");
    }

    #[test]
    fn in_the_own_model_a_secret_may_be_where_its_value_can_be_delivered() {
        let larger = format!("u:{}@db", placeholder("PW"));
        let of = |name: &str, service: Value| {
            let found = check_own(&model(&json!({name: service})), &Search::new(&in_clear));
            found.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for service in [
            json!({"environment": {"A": placeholder("PW"), "B": "s3cret", "PW": larger}}),
            json!({"command": [larger], "entrypoint": [larger], "healthcheck": {"test": ["CMD", larger]}}),
            json!({"post_start": [{"command": [larger]}], "build": {"args": {"a": larger}}, "x-own": larger}),
        ] {
            assert_eq!(of("web", service), "");
        }
        for service in [
            json!({"labels": {"x": larger}}),
            json!({"labels": {"x": "s3cret"}}),
            json!({"labels": {"x-owner": larger}}),
            json!({"x-own": "s3cret"}),
            json!({"hostname": larger}),
            json!({"labels": {larger.as_str(): "x"}}),
            json!({"environment": {larger.as_str(): "x"}}),
            json!({"command": ["s3cret"]}),
            json!({"post_start": [{"user": larger}]}),
        ] {
            let text = of("a.b", service.clone());
            assert!(text.contains("services.a.b.") && !text.contains("s3cret"), "{service}: {text}");
            if service.get("command").or(service.get("x-own")).is_none() {
                assert_eq!(of("off", service), "");
            }
        }
    }

    #[test]
    fn what_a_build_is_given_counts_when_it_is_built() {
        let model =
            model(&json!({"web": {"build": {"args": {"T": placeholder("TOKEN")}}}, "job": {"build": {}}}));
        assert!(check_builds(&model, &["job"], &Search::new(&in_clear)).is_ok());
        let text = check_builds(&model, &["web"], &Search::new(&in_clear)).err().unwrap().to_string();
        assert!(text.contains("services.web.build.args.T") && text.contains("--mount=type=secret"), "{text}");
        let model = super::tests::model(&json!({"web": {"build": {"args": {placeholder("TOKEN"): "x"}}}}));
        assert!(check_builds(&model, &["web"], &Search::new(&in_clear)).is_err());
    }
}
