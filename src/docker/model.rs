//! The Compose project as Compose itself sees it: read from `docker compose config`, kept in memory, never printed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A secret that a service already has by its own Compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnSecret {
    /// The key in the project's `secrets`.
    pub source: String,
    /// Where it is in the container, as written; the source's name when it is not.
    pub target: String,
}

/// What the Compose files say of a service's variables, word for word.
#[derive(Clone, Default)]
pub struct Written {
    /// `environment`, not interpolated: `None` for a name without a value.
    pub environment: BTreeMap<String, Option<String>>,
    /// Whether there is an `env_file`.
    pub has_env_file: bool,
}

/// One service, as far as secrets and deployment are concerned.
#[derive(Clone, Default)]
pub struct Service {
    /// The name.
    pub name: String,
    /// `image`; for a service that is only built, the name that Compose gives it.
    pub image: String,
    /// Whether it has a `build` section.
    pub build: bool,
    /// `pull_policy`; empty when not set.
    pub pull_policy: String,
    /// `user`, interpolated; empty when not set.
    pub user: String,
    /// Whether `cap_drop` takes everything, so that not even root reads other users' files.
    pub no_capabilities: bool,
    /// `environment` and what `env_file` brings, interpolated: `None` for a name without a value.
    pub environment: BTreeMap<String, Option<String>>,
    /// `environment` as written, not interpolated, and whether there is an `env_file`; see [`Model::add_written`].
    pub written: Written,
    /// `secrets`.
    pub secrets: Vec<OwnSecret>,
    /// How many containers it shall have.
    pub replicas: u64,
    /// Whether a profile that is not active keeps it from starting.
    pub active: bool,
    /// Targets of its volumes, binds and tmpfs.
    pub mount_targets: Vec<String>,
    /// Services that must be recreated, or are restarted by Compose, when this one's container changes: it shares their
    /// name spaces or volumes, or `depends_on` them with `restart: true`.
    pub follows: BTreeSet<String>,
    /// Names of the networks, volumes, configs and secrets that it refers to, with their section.
    pub(crate) refers_to: Vec<(&'static str, String)>,
}

/// The project.
pub struct Model {
    /// The project's name.
    pub name: String,
    /// The services of all profiles, by name.
    pub services: BTreeMap<String, Service>,
    resolved: Value,
}

/// Why the answers of Compose could not be understood; a fault of ours or a new format.
pub struct NotAModel;

impl Model {
    /// The interpolated model as Compose printed it, of the project's own files.
    pub fn resolved(&self) -> &Value {
        &self.resolved
    }

    /// Makes the model from the answer of `docker compose config --format json` with all profiles. `active` names the
    /// services that the chosen profiles start.
    pub fn new(resolved: Value, active: &BTreeSet<String>) -> Result<Self, NotAModel> {
        let name = resolved.get("name").and_then(Value::as_str).ok_or(NotAModel)?.to_owned();
        let services = resolved.get("services").and_then(Value::as_object);
        let services = services
            .into_iter()
            .flatten()
            .map(|(service, definition)| {
                (service.clone(), read_service(&name, service, definition, active.contains(service)))
            })
            .collect();
        Ok(Self { name, services, resolved })
    }

    /// Adds what the Compose files say word for word: the answer of the same call with `--no-interpolate`.
    pub fn add_written(&mut self, plain: &Value) {
        let written = plain.get("services").and_then(Value::as_object);
        for (name, definition) in written.into_iter().flatten() {
            if let Some(service) = self.services.get_mut(name) {
                service.written = Written {
                    environment: variables(definition.get("environment")),
                    has_env_file: definition.get("env_file").is_some_and(|files| !files.is_null()),
                };
            }
        }
    }

    /// The variables of a service in any answer of `docker compose config`.
    pub fn environment(answer: &Value, service: &str) -> BTreeMap<String, Option<String>> {
        variables(answer.get("services").and_then(|all| all.get(service)).and_then(|s| s.get("environment")))
    }

    /// Forgets what is written of these services' variables, so that an override empties single ones and replaces none.
    pub fn keep_environment(&mut self, services: &BTreeSet<String>) {
        for service in self.services.values_mut().filter(|service| services.contains(&service.name)) {
            service.written = Written { environment: BTreeMap::new(), has_env_file: true };
        }
    }

    /// A model without anything, before the first answer is there.
    pub(super) fn empty() -> Self {
        Self { name: String::new(), services: BTreeMap::new(), resolved: Value::Null }
    }

    /// The definition of one of the project's own secrets: `("file", path)` or `("environment", variable)`.
    pub fn own_secret(&self, source: &str) -> Option<(String, String)> {
        let definition = self.resolved.get("secrets")?.get(source)?.as_object()?;
        ["file", "environment"]
            .into_iter()
            .find_map(|kind| Some((kind.to_owned(), definition.get(kind)?.as_str()?.to_owned())))
    }

    /// Everything that makes the service's container what it is, as one text: when it changes, Compose recreates the
    /// container. What Compose leaves out of its own hash is left out here.
    pub fn definition(&self, service: &str) -> String {
        let mut definition =
            self.resolved.get("services").and_then(|all| all.get(service)).cloned().unwrap_or_default();
        if let Some(map) = definition.as_object_mut() {
            for key in ["build", "pull_policy", "scale", "depends_on", "profiles", "develop"] {
                map.remove(key);
            }
            if let Some(deploy) = map.get_mut("deploy").and_then(Value::as_object_mut) {
                deploy.remove("replicas");
            }
        }
        let mut text = definition.to_string();
        let referred = self.services.get(service).map(|s| s.refers_to.as_slice()).unwrap_or_default();
        for (section, name) in referred {
            let part = self.resolved.get(section).and_then(|all| all.get(name)).cloned().unwrap_or_default();
            text.push('\n');
            text.push_str(&part.to_string());
        }
        text
    }

    /// Services that `names` start: themselves and what they depend on. All active ones when `names` is empty.
    pub fn started_by(&self, names: &[String]) -> BTreeSet<String> {
        if names.is_empty() {
            return self.services.values().filter(|s| s.active).map(|s| s.name.clone()).collect();
        }
        let mut all = BTreeSet::new();
        let mut open: Vec<String> = names.to_vec();
        while let Some(name) = open.pop() {
            let definition = self.resolved.get("services").and_then(|s| s.get(&name));
            if definition.is_some() && all.insert(name) {
                open.extend(keys(definition.and_then(|d| d.get("depends_on"))));
            }
        }
        all
    }

    /// Names that everyone sees who lists what the engine has: of the project, its services, images, networks, volumes.
    pub fn shown_names(&self) -> Vec<String> {
        let mut all = vec![self.name.clone()];
        for service in self.services.values() {
            all.extend([service.name.clone(), service.image.clone()]);
        }
        for section in ["networks", "volumes"] {
            for (key, definition) in
                self.resolved.get(section).and_then(Value::as_object).into_iter().flatten()
            {
                all.push(key.clone());
                all.extend(definition.get("name").and_then(Value::as_str).map(str::to_owned));
            }
        }
        all
    }

    /// Every text of a model with its path.
    pub fn texts(value: &Value, visit: &mut dyn FnMut(&str, &str)) {
        walk(value, &mut String::new(), visit);
    }
}

fn read_service(project: &str, name: &str, resolved: &Value, active: bool) -> Service {
    let text = |key: &str| resolved.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let build = resolved.get("build").is_some_and(|build| !build.is_null());
    let image = match text("image") {
        image if image.is_empty() => format!("{project}-{name}"),
        image => image,
    };
    let list = |key: &str| resolved.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut mount_targets: Vec<String> = list("volumes")
        .iter()
        .filter_map(|volume| Some(volume.get("target")?.as_str()?.to_owned()))
        .collect();
    mount_targets.extend(
        list("tmpfs").iter().filter_map(Value::as_str).map(|t| t.split(':').next().unwrap_or(t).to_owned()),
    );
    let replicas = resolved
        .get("scale")
        .or_else(|| resolved.pointer("/deploy/replicas"))
        .and_then(Value::as_u64)
        .unwrap_or(1);
    Service {
        name: name.to_owned(),
        image,
        build,
        pull_policy: text("pull_policy"),
        user: text("user"),
        no_capabilities: list("cap_drop")
            .iter()
            .any(|cap| cap.as_str().is_some_and(|c| c.eq_ignore_ascii_case("all"))),
        environment: variables(resolved.get("environment")),
        written: Written::default(),
        secrets: list("secrets").iter().filter_map(own_secret).collect(),
        replicas,
        active,
        mount_targets,
        follows: followed(resolved),
        refers_to: referred(resolved),
    }
}

/// `environment` in either form: a map, or a list of `NAME=value` and `NAME`.
fn variables(value: Option<&Value>) -> BTreeMap<String, Option<String>> {
    match value {
        Some(Value::Object(map)) => map
            .iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                (name.clone(), text)
            })
            .collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(|entry| match entry.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (entry.to_owned(), None),
            })
            .collect(),
        _ => BTreeMap::new(),
    }
}

fn own_secret(entry: &Value) -> Option<OwnSecret> {
    let source = entry.as_str().or_else(|| entry.get("source").and_then(Value::as_str))?.to_owned();
    let target = entry.get("target").and_then(Value::as_str).map_or_else(|| source.clone(), str::to_owned);
    Some(OwnSecret { source, target })
}

fn followed(definition: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for key in ["network_mode", "ipc", "pid"] {
        if let Some(service) =
            definition.get(key).and_then(Value::as_str).and_then(|mode| mode.strip_prefix("service:"))
        {
            all.insert(service.to_owned());
        }
    }
    for entry in definition.get("volumes_from").and_then(Value::as_array).into_iter().flatten() {
        if let Some(name) = entry.as_str().filter(|name| !name.starts_with("container:")) {
            all.insert(name.split(':').next().unwrap_or(name).to_owned());
        }
    }
    for (name, dependency) in definition.get("depends_on").and_then(Value::as_object).into_iter().flatten() {
        if dependency.get("restart").and_then(Value::as_bool) == Some(true) {
            all.insert(name.clone());
        }
    }
    all
}

fn referred(definition: &Value) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&'static str, String)> =
        keys(definition.get("networks")).map(|name| ("networks", name)).collect();
    let list =
        |key: &str| definition.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for volume in list("volumes") {
        if volume.get("type").and_then(Value::as_str) == Some("volume")
            && let Some(source) = volume.get("source").and_then(Value::as_str)
        {
            all.push(("volumes", source.to_owned()));
        }
    }
    for section in ["configs", "secrets"] {
        all.extend(list(section).iter().filter_map(own_secret).map(|entry| (section, entry.source)));
    }
    all
}

fn keys(value: Option<&Value>) -> impl Iterator<Item = String> + '_ {
    value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned())
}

fn walk(value: &Value, path: &mut String, visit: &mut dyn FnMut(&str, &str)) {
    let mut below = |step: String, value: &Value, path: &mut String| {
        let length = path.len();
        path.push_str(&step);
        walk(value, path, visit);
        path.truncate(length);
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let step = if path.is_empty() { key.clone() } else { format!(".{key}") };
                below(step, value, path);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                below(format!("[{index}]"), value, path);
            }
        }
        Value::String(text) => visit(path, text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(resolved: Value) -> Model {
        let active = keys(resolved.get("services")).collect();
        Model::new(resolved, &active).ok().unwrap()
    }

    #[test]
    fn both_forms_of_environment_read_the_same() {
        let map = variables(Some(&json!({"A": "1", "B": null, "C": "${C}", "D": 4})));
        let list = variables(Some(&json!(["A=1", "B", "C=${C}", "D=4"])));
        assert_eq!(map, list);
        assert_eq!(map["B"], None);
    }

    #[test]
    fn what_is_written_is_kept_beside_what_compose_makes_of_it() {
        let mut model =
            model(json!({"name": "p", "services": {"web": {"environment": {"A": "1", "F": "x"}}}}));
        model.add_written(
            &json!({"services": {"web": {"environment": ["A=${A}"], "env_file": [{"path": "/f"}]}}}),
        );
        let web = &model.services["web"];
        assert_eq!(web.environment.keys().collect::<Vec<_>>(), ["A", "F"]);
        assert_eq!(web.written.environment["A"].as_deref(), Some("${A}"));
        assert!(web.written.has_env_file);
        assert_eq!(web.image, "p-web");
    }

    #[test]
    fn a_definition_changes_with_what_the_service_refers_to_and_not_with_its_scale() {
        let with = |replicas: u64, driver: &str| {
            model(json!({"name": "p", "services": {"web": {"scale": replicas, "networks": {"n": null}}}, "networks": {"n": {"driver": driver}}}),
            )
            .definition("web")
        };
        assert_eq!(with(1, "bridge"), with(3, "bridge"));
        assert_ne!(with(1, "bridge"), with(1, "macvlan"));
    }

    #[test]
    fn starting_a_service_starts_what_it_depends_on() {
        let model = model(
            json!({"name": "p", "services": {"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"c": {}}}, "c": {}, "d": {}}}),
        );
        assert_eq!(model.started_by(&["a".into()]).into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(model.started_by(&[]).len(), 4);
    }
}
