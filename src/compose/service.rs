//! One service of the Compose model, as far as secrets and deployment are concerned: read from `docker compose config`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::container_names::CONTAINER;

/// A secret or config that a service has by its own Compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnFile {
    /// The key in the project's `secrets` or `configs`.
    pub source: String,
    /// Where it is in the container, as written; the source's name when it is not.
    pub target: String,
    /// `uid`.
    pub uid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
    /// `mode`.
    pub mode: Option<u32>,
}

/// Something that a service mounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnMount {
    /// `bind`, `volume`, `tmpfs`, …
    pub kind: String,
    /// A path of the Docker host, or the key of a volume; empty when there is none.
    pub source: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// What the Compose files say word for word.
#[derive(Clone, Default)]
pub struct Written {
    /// `environment`, not interpolated: `None` for a name without a value.
    pub environment: BTreeMap<String, Option<String>>,
    /// `entrypoint`, not interpolated, where it is a list.
    pub entrypoint: Vec<String>,
    /// `env_file`: the paths, on the Docker host.
    pub env_files: Vec<String>,
}

/// One service.
#[derive(Clone, Default)]
pub struct Service {
    /// The name.
    pub name: String,
    /// `image`; for a service that is only built, the name that Compose gives it.
    pub image: String,
    /// Whether it has a `build` section.
    pub build: bool,
    /// `build.secrets`: keys of the project's `secrets`.
    pub build_secrets: Vec<String>,
    /// `pull_policy`; empty when not set.
    pub pull_policy: String,
    /// `user`, interpolated; empty when not set.
    pub user: String,
    /// Whether `cap_drop` takes everything, so that not even root reads other users' files.
    pub no_capabilities: bool,
    /// `environment` and what `env_file` brings, interpolated: `None` for a name without a value.
    pub environment: BTreeMap<String, Option<String>>,
    /// `entrypoint`, interpolated: `None` when it is the image's, empty when the image's is taken away.
    pub entrypoint: Option<Vec<String>>,
    /// `command`, interpolated: empty when it is the image's.
    pub command: Vec<String>,
    /// `healthcheck.test`, interpolated: empty when it is the image's.
    pub healthcheck: Vec<String>,
    /// Programs that run in the container beside its own: `post_start`, `pre_stop`.
    pub hooks: BTreeMap<&'static str, Vec<Value>>,
    /// What the Compose files say word for word; see `Model::add_written`.
    pub written: Written,
    /// `secrets`.
    pub secrets: Vec<OwnFile>,
    /// `configs`.
    pub configs: Vec<OwnFile>,
    /// `volumes` and `tmpfs`.
    pub mounts: Vec<OwnMount>,
    /// `volumes_from`: services whose mounts it has, too, also where a container of theirs is named.
    pub volumes_from: Vec<String>,
    /// `volumes_from: container:…`: containers whose mounts it has, too, by name or id.
    pub volumes_from_containers: Vec<String>,
    /// `pid: service:…`: the services whose processes it sees, as they see its own, also where a container is named.
    pub processes_of: Vec<String>,
    /// `pid: container:…`: the containers whose processes it sees, by name or id.
    pub processes_of_containers: Vec<String>,
    /// The type of the provider that manages it (`provider`): a program of somebody else, asked by Compose. Such a service
    /// has no image and no container.
    pub provider: Option<String>,
    /// `depends_on`.
    pub depends_on: BTreeSet<String>,
    /// How many containers it gets; none when a provider manages it.
    pub replicas: u64,
    /// `profiles`.
    pub profiles: Vec<String>,
    /// Whether a profile that is not active keeps it from starting.
    pub active: bool,
    /// Services whose name spaces or volumes it shares, so that it must be recreated with their containers.
    pub shares_with: BTreeSet<String>,
    /// Services that it `depends_on` with `restart: true`: Compose restarts it when their containers are replaced.
    pub restarts_with: BTreeSet<String>,
    /// Names of the networks, volumes, configs and secrets that it refers to, with their section.
    pub(crate) refers_to: Vec<(&'static str, String)>,
}

/// The keys of a service that hold hooks: lists of programs that Compose runs in its container.
pub const HOOKS: &[&str] = &["post_start", "pre_stop"];

impl OwnFile {
    /// The same, whose target has no `.`, `..` or empty step: it is another name of a place in a container, where relative
    /// targets are below `directory`.
    fn below(self, directory: &str) -> Self {
        Self { target: plain_target(&self.target, directory), ..self }
    }
}

/// A place in a container without `.`, `..` and empty steps, as the engine takes it. One that is relative to `directory`
/// stays so where it leads below it.
pub(crate) fn plain_target(target: &str, directory: &str) -> String {
    let is_odd = |step: &str| matches!(step, "" | "." | "..");
    let steps = target.strip_prefix('/').unwrap_or(target);
    if !steps.split('/').any(is_odd) {
        return target.to_owned();
    }
    let whole = if target.starts_with('/') { target.to_owned() } else { format!("{directory}/{target}") };
    let mut plain: Vec<&str> = Vec::new();
    for step in whole.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(plain.pop()),
            step => plain.push(step),
        }
    }
    let plain = format!("/{}", plain.join("/"));
    let below = plain.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    below.filter(|_| !target.starts_with('/') && directory != "/").map_or(plain.clone(), str::to_owned)
}

impl Written {
    /// Takes what `docker compose config --no-interpolate` prints of a service.
    pub fn new(definition: &Value) -> Self {
        let paths = definition.get("env_file").and_then(Value::as_array).into_iter().flatten();
        let path = |file: &Value| file.get("path").unwrap_or(file).as_str().map(str::to_owned);
        Self {
            environment: variables(definition.get("environment")),
            entrypoint: words(definition, "/entrypoint").unwrap_or_default(),
            env_files: paths.filter_map(path).collect(),
        }
    }
}

/// Reads a service as `docker compose config` prints it, interpolated; `plain` is the same without doubled dollar signs.
pub(super) fn read(project: &str, name: &str, resolved: &Value, plain: &Value, active: bool) -> Service {
    let text = |key: &str| resolved.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let build = resolved.get("build").is_some_and(|build| !build.is_null());
    let image = match text("image") {
        image if image.is_empty() => format!("{project}-{name}"),
        image => image,
    };
    let list = |key: &str| resolved.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let paths = |key: &str| plain.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut mounts: Vec<OwnMount> = paths("volumes").iter().filter_map(own_mount).collect();
    mounts.extend(paths("tmpfs").iter().filter_map(Value::as_str).map(|target| OwnMount {
        kind: "tmpfs".to_owned(),
        source: String::new(),
        target: target.split(':').next().unwrap_or(target).to_owned(),
        read_only: false,
    }));
    let provider = resolved.get("provider").filter(|provider| !provider.is_null());
    let provider = provider.map(|provider| provider.get("type").and_then(Value::as_str).unwrap_or_default());
    let replicas = resolved
        .get("scale")
        .or_else(|| resolved.pointer("/deploy/replicas"))
        .and_then(Value::as_u64)
        .unwrap_or(1);
    Service {
        name: name.to_owned(),
        image,
        build,
        build_secrets: resolved
            .pointer("/build/secrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(own_file)
            .map(|own| own.source)
            .collect(),
        pull_policy: text("pull_policy"),
        user: text("user"),
        no_capabilities: list("cap_drop")
            .iter()
            .any(|cap| cap.as_str().is_some_and(|c| c.eq_ignore_ascii_case("all"))),
        environment: variables(resolved.get("environment")),
        entrypoint: words(resolved, "/entrypoint"),
        command: words(resolved, "/command").unwrap_or_default(),
        healthcheck: words(resolved, "/healthcheck/test").unwrap_or_default(),
        hooks: HOOKS
            .iter()
            .map(|key| (*key, list(key).to_vec()))
            .filter(|(_, hooks)| !hooks.is_empty())
            .collect(),
        written: Written::default(),
        secrets: paths("secrets").iter().filter_map(own_file).map(|own| own.below("/run/secrets")).collect(),
        configs: paths("configs").iter().filter_map(own_file).map(|own| own.below("/")).collect(),
        mounts,
        volumes_from: volumes_from(resolved),
        volumes_from_containers: volumes_from_containers(resolved),
        processes_of: service_named(resolved, "pid").into_iter().collect(),
        processes_of_containers: text("pid").strip_prefix(CONTAINER).map(str::to_owned).into_iter().collect(),
        provider: provider.map(str::to_owned),
        depends_on: keys(resolved.get("depends_on")).collect(),
        profiles: list("profiles").iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
        replicas: if provider.is_some() { 0 } else { replicas },
        active,
        shares_with: shared(resolved),
        restarts_with: restarted(resolved),
        refers_to: referred(resolved),
    }
}

/// `environment` in either form: a map, or a list of `NAME=value` and `NAME`.
pub(super) fn variables(value: Option<&Value>) -> BTreeMap<String, Option<String>> {
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

fn own_file(entry: &Value) -> Option<OwnFile> {
    let source = entry.as_str().or_else(|| entry.get("source").and_then(Value::as_str))?.to_owned();
    let target = entry.get("target").and_then(Value::as_str).map_or_else(|| source.clone(), str::to_owned);
    let id = |key: &str| entry.get(key).and_then(Value::as_str).and_then(|id| id.parse().ok());
    // Compose prints a mode as octal text, and before v2.35 or so as a number.
    let mode = entry.get("mode").and_then(|mode| match mode {
        Value::String(mode) => u32::from_str_radix(mode, 8).ok(),
        mode => mode.as_u64().and_then(|mode| u32::try_from(mode).ok()),
    });
    Some(OwnFile { source, target, uid: id("uid"), gid: id("gid"), mode })
}

fn own_mount(entry: &Value) -> Option<OwnMount> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(OwnMount {
        kind: text("type")?,
        source: text("source").unwrap_or_default(),
        target: text("target")?,
        read_only: entry.get("read_only").and_then(Value::as_bool) == Some(true),
    })
}

/// A list of words at a path of a definition; `None` where there is none.
fn words(definition: &Value, path: &str) -> Option<Vec<String>> {
    let list = definition.pointer(path)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn volumes_from(definition: &Value) -> Vec<String> {
    let services = sources_of_volumes(definition).filter(|name| !name.starts_with(CONTAINER));
    services.map(without_mode).collect()
}

fn volumes_from_containers(definition: &Value) -> Vec<String> {
    sources_of_volumes(definition).filter_map(|name| name.strip_prefix(CONTAINER)).map(without_mode).collect()
}

fn sources_of_volumes(definition: &Value) -> impl Iterator<Item = &str> {
    definition.get("volumes_from").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Without `:ro` or `:rw`.
fn without_mode(name: &str) -> String {
    name.split(':').next().unwrap_or(name).to_owned()
}

/// The service whose name space a definition takes: `service:NAME`.
fn service_named(definition: &Value, key: &str) -> Option<String> {
    let mode = definition.get(key)?.as_str()?;
    mode.strip_prefix("service:").map(str::to_owned)
}

fn shared(definition: &Value) -> BTreeSet<String> {
    let spaces = ["network_mode", "ipc", "pid"].into_iter().filter_map(|key| service_named(definition, key));
    spaces.chain(volumes_from(definition)).collect()
}

fn restarted(definition: &Value) -> BTreeSet<String> {
    let dependencies = definition.get("depends_on").and_then(Value::as_object).into_iter().flatten();
    let restarts = |dependency: &Value| dependency.get("restart").and_then(Value::as_bool) == Some(true);
    dependencies.filter(|(_, dependency)| restarts(dependency)).map(|(name, _)| name.clone()).collect()
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
        all.extend(list(section).iter().filter_map(own_file).map(|entry| (section, entry.source)));
    }
    all
}

pub(super) fn keys(value: Option<&Value>) -> impl Iterator<Item = String> + '_ {
    value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{own_file, plain_target};

    #[test]
    fn a_mode_is_read_as_every_compose_prints_it() {
        for (printed, mode) in [
            (json!("0440"), Some(0o440)),
            (json!(288), Some(0o440)),
            (json!(null), None),
            (json!("rw"), None),
            (json!(-1), None),
        ] {
            let own = own_file(&json!({ "source": "s", "mode": printed }));
            assert_eq!(own.and_then(|own| own.mode), mode, "{printed}");
        }
    }

    #[test]
    fn a_target_is_the_place_that_the_engine_makes_of_it() {
        for (target, plain) in [
            ("x", "x"),
            ("sub/x", "sub/x"),
            ("/etc/x", "/etc/x"),
            ("../x", "/run/x"),
            ("sub/../y", "y"),
            ("./y", "y"),
            ("sub//y", "sub/y"),
            ("../../../x", "/x"),
            ("/etc/../x", "/x"),
            ("../secrets/x", "x"),
        ] {
            assert_eq!(plain_target(target, "/run/secrets"), plain, "{target}");
        }
        assert_eq!(plain_target("a/../b", "/"), "/b");
    }
}
