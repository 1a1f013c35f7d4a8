//! The Compose project as Compose itself sees it: read from `docker compose config`, kept in memory, never printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::container_names;
use super::service::{self, Service, Written, keys, variables};
use crate::engine::objects::Container;

/// The project.
pub struct Model {
    /// The project's name.
    pub name: String,
    /// The services of all profiles, by name.
    pub services: BTreeMap<String, Service>,
    resolved: Value,
    /// The same with each text as it is: Compose doubles dollar signs in what it prints.
    plain: Value,
    /// The options of volumes that the engine has, by their names there.
    volumes_there: BTreeMap<String, Value>,
}

/// What one of the project's own secrets or configs is made from.
#[derive(Clone, Copy)]
pub enum OwnDefinition<'m> {
    /// `file`: a path of the Docker host.
    File(&'m str),
    /// `environment`: a variable that Compose sees.
    Variable(&'m str),
    /// `content`, interpolated, with each dollar sign doubled.
    Content(&'m str),
    /// `external`, with this name.
    External(&'m str),
}

/// Why the answers of Compose could not be understood; a fault of ours or a new format.
pub struct NotAModel;

impl Model {
    /// The interpolated model as Compose printed it, of the project's own files.
    pub fn resolved(&self) -> &Value {
        &self.resolved
    }

    /// The same with each text as it is, for what is a path or a name of a file. (In [`Self::resolved`] each dollar sign is
    /// doubled.)
    pub fn plain(&self) -> &Value {
        &self.plain
    }

    /// Makes the model from the answer of `docker compose config --format json` with all profiles. `active` names the
    /// services that the chosen profiles start.
    pub fn new(resolved: Value, active: &BTreeSet<String>) -> Result<Self, NotAModel> {
        let name = resolved.get("name").and_then(Value::as_str).ok_or(NotAModel)?.to_owned();
        let mut plain = resolved.clone();
        halve_dollars(&mut plain);
        let services = resolved.get("services").and_then(Value::as_object);
        let mut services: BTreeMap<String, Service> = services
            .into_iter()
            .flatten()
            .map(|(service, definition)| {
                let plain = plain.get("services").and_then(|all| all.get(service)).unwrap_or(definition);
                (service.clone(), service::read(&name, service, definition, plain, active.contains(service)))
            })
            .collect();
        container_names::resolve(&name, &mut services, &resolved);
        Ok(Self { name, services, resolved, plain, volumes_there: BTreeMap::new() })
    }

    /// The containers that services name, by `volumes_from` or `pid`, as the Compose file has them.
    pub fn named_containers(&self) -> Vec<String> {
        let named = |service: &Service| {
            [service.volumes_from_containers.clone(), service.processes_of_containers.clone()].concat()
        };
        self.services.values().flat_map(named).collect()
    }

    /// Takes what the engine has of the containers of [`Self::named_containers`]: one of a service of this project is
    /// that service.
    pub fn learn_containers(&mut self, containers: &[Container]) {
        container_names::resolve_there(&self.name, &mut self.services, containers);
    }

    /// Takes what the engine has of volumes: one that is there already is what it was made as, whatever the Compose
    /// file says of it.
    pub fn learn_volumes(&mut self, inspected: &[Value]) {
        let entry =
            |volume: &Value| Some((volume.get("Name")?.as_str()?.to_owned(), volume.get("Options")?.clone()));
        self.volumes_there.extend(inspected.iter().filter_map(entry));
    }

    /// Adds what the Compose files say word for word: the answer of the same call with `--no-interpolate`.
    pub fn add_written(&mut self, plain: &Value) {
        let written = plain.get("services").and_then(Value::as_object);
        for (name, definition) in written.into_iter().flatten() {
            if let Some(service) = self.services.get_mut(name) {
                service.written = Written::new(definition);
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
            service.written.environment.clear();
        }
    }

    /// A model without anything, before the first answer is there.
    pub(super) fn empty() -> Self {
        Self {
            name: String::new(),
            services: BTreeMap::new(),
            resolved: Value::Null,
            plain: Value::Null,
            volumes_there: BTreeMap::new(),
        }
    }

    /// What the project says of one of its own `secrets` or `configs` (the section).
    pub fn own_file<'m>(&'m self, section: &str, source: &'m str) -> Option<OwnDefinition<'m>> {
        let definition = self.plain.get(section)?.get(source)?;
        let text = |key: &str| definition.get(key).and_then(Value::as_str);
        if definition.get("external").and_then(Value::as_bool) == Some(true) {
            return Some(OwnDefinition::External(text("name").unwrap_or(source)));
        }
        text("file")
            .map(OwnDefinition::File)
            .or_else(|| text("environment").map(OwnDefinition::Variable))
            .or_else(|| {
                let content = self.resolved.get(section)?.get(source)?.get("content")?;
                content.as_str().map(OwnDefinition::Content)
            })
    }

    /// The name that the engine knows a volume by. Takes its key in the project's `volumes`.
    pub fn volume_name(&self, key: &str) -> String {
        let name = self.resolved.get("volumes").and_then(|all| all.get(key)?.get("name")?.as_str());
        name.unwrap_or(key).to_owned()
    }

    /// The directories of the Docker host that a volume mounts, by its options in the Compose file and, where it is there
    /// already, in the engine. Takes its key in the project's `volumes`.
    pub fn volume_directories(&self, key: &str) -> Vec<String> {
        let declared = self.plain.get("volumes").and_then(|all| all.get(key)?.get("driver_opts"));
        let mut all = declared.map(directories).unwrap_or_default();
        let there = self.directories_there(&self.volume_name(key));
        all.extend(there.into_iter().filter(|path| !all.contains(path)).collect::<Vec<_>>());
        all
    }

    /// The same of a volume that the engine has, by its name there.
    pub fn directories_there(&self, name: &str) -> Vec<String> {
        self.volumes_there.get(name).map(directories).unwrap_or_default()
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
        // What a provider is told decides about the variables that it gives the services that depend on it.
        for provider in self.providers_of([service]) {
            text.push('\n');
            text.push_str(&self.definition(&provider));
        }
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

    /// The services that a provider manages and that these services depend on, directly or by way of other such ones.
    /// Compose must be given them together: only in the run in which it asks the provider does it know the variables
    /// that the provider gives to those that depend on it.
    pub fn providers_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut open: Vec<&Service> = names.into_iter().filter_map(|name| self.services.get(name)).collect();
        while let Some(service) = open.pop() {
            let providers = service.depends_on.iter().filter_map(|name| self.services.get(name));
            for provider in providers.filter(|other| other.provider.is_some()) {
                if provider.name != service.name && all.insert(provider.name.clone()) {
                    open.push(provider);
                }
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

    /// Every key of a model's objects, with the path of its object. Compose makes keys of a list's words (`labels`,
    /// `environment`), which it interpolates.
    pub fn keys(value: &Value, visit: &mut dyn FnMut(&str, &str)) {
        walk_keys(value, &mut String::new(), visit);
    }
}

fn walk_keys(value: &Value, path: &mut String, visit: &mut dyn FnMut(&str, &str)) {
    let length = path.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                visit(path, key);
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                walk_keys(value, path, visit);
                path.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let _ = write!(path, "[{index}]");
                walk_keys(value, path, visit);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// The directories that the options of a volume name: the `device` of the `local` driver's bind mount, what its options
/// such as `lowerdir` name, and any path that another driver is given.
pub fn directories(options: &Value) -> Vec<String> {
    let all = options.as_object().into_iter().flatten();
    let texts = all.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let paths = texts.flat_map(|(name, text)| -> Vec<String> {
        if name != "o" {
            // A device of another machine is `:/path`, `host:/path` or `//host/path`.
            return Some(text.to_owned()).filter(|path| !path.starts_with("//")).into_iter().collect();
        }
        [false, true].into_iter().flat_map(|escapes| mount_options(text, escapes)).collect()
    });
    let mut found: Vec<String> = Vec::new();
    for path in paths.filter(|path| path.starts_with('/')) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// The values of mount options, each part that colons divide on its own. Of `overlay` the kernel takes a backslash for an
/// escape (docs.kernel.org/filesystems/overlayfs.html), of others it does not.
fn mount_options(text: &str, escapes: bool) -> Vec<String> {
    let (mut all, mut part) = (Vec::new(), String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if escapes => part.extend(letters.next()),
            ',' | ':' | '=' => all.push(std::mem::take(&mut part)),
            _ => part.push(letter),
        }
    }
    all.push(part);
    all
}

/// Undoes the doubling of dollar signs in every text.
fn halve_dollars(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("$$") => *text = text.replace("$$", "$"),
        Value::Array(list) => list.iter_mut().for_each(halve_dollars),
        Value::Object(map) => map.values_mut().for_each(halve_dollars),
        _ => {}
    }
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
        assert_eq!(web.written.env_files, ["/f"]);
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
    fn a_definition_changes_with_what_a_provider_is_told_that_the_service_depends_on() {
        let with = |size: &str| {
            model(json!({"name": "p", "services": {
                "web": {"depends_on": {"db": {}}},
                "db": {"provider": {"type": "t"}, "depends_on": {"base": {}}},
                "base": {"provider": {"type": "t", "options": {"size": [size]}}},
                "other": {},
            }}))
        };
        assert_ne!(with("1").definition("web"), with("2").definition("web"));
        assert_eq!(with("1").definition("other"), with("2").definition("other"));
        let model = with("1");
        assert_eq!(model.providers_of(["web", "other"]).into_iter().collect::<Vec<_>>(), ["base", "db"]);
        assert!(model.services["db"].replicas == 0 && model.services["web"].replicas == 1);
    }

    #[test]
    fn paths_are_as_they_are_and_not_with_doubled_dollars() {
        let model = model(json!({
            "name": "p",
            "services": {"web": {
                "volumes": [{"type": "bind", "source": "/p/l$$k", "target": "/a$$b"}],
                "configs": [{"source": "c", "target": "/c$$d"}],
                "command": ["$$HOME"],
            }},
            "configs": {"c": {"file": "/p/c$$d"}, "text": {"content": "x$$y"}},
            "volumes": {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/p/s$$t"}}},
        }));
        let web = &model.services["web"];
        assert_eq!((web.mounts[0].source.as_str(), web.mounts[0].target.as_str()), ("/p/l$k", "/a$b"));
        assert_eq!(web.configs[0].target, "/c$d");
        assert!(matches!(model.own_file("configs", "c"), Some(OwnDefinition::File("/p/c$d"))));
        assert!(matches!(model.own_file("configs", "text"), Some(OwnDefinition::Content("x$$y"))));
        assert_eq!(model.volume_directories("v"), ["/p/s$t"]);
        // What is no path stays as Compose prints it.
        assert_eq!(web.command, ["$$HOME"]);
    }

    #[test]
    fn directories_of_volumes_are_found_however_their_options_are_written() {
        for (options, found) in [
            (json!({"type": "none", "o": "bind", "device": "/a"}), vec!["/a"]),
            (json!({"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/share"}), vec![]),
            (json!({"o": "lowerdir=/a:/b,upperdir=/c"}), vec!["/a", "/b", "/c"]),
            (json!({"o": r"lowerdir=/a/\secrets:/b"}), vec![r"/a/\secrets", "/b", "/a/secrets"]),
            (json!({"o": r"lowerdir=/a\:b"}), vec![r"/a\", "/a:b"]),
            (json!({"o": r"lowerdir=/a\,b"}), vec![r"/a\", "/a,b"]),
        ] {
            assert_eq!(directories(&options), found, "{options}");
        }
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
