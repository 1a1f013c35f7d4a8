//! Tables of the places in the searched documents: which cannot contain a value, and which contain names.

use crate::labels;
use serde_json::Value;

use super::Holds;
use super::Holds::{GivenName, Name, Nothing, Shown, Text};

/// The step of a rule that means the keys of a map.
pub(super) const KEYS: &str = "@keys";

/// What the places of one kind of document contain. A rule applies to everything below its place until a later one says
/// otherwise; `*` is any key, `[]` any entry of a list.
pub struct Places {
    rules: Vec<(Vec<&'static str>, Holds)>,
    top: Holds,
}

impl Places {
    fn new(table: &[(&'static str, Holds)]) -> Self {
        let rules = table.iter().map(|(path, holds)| (path.split('/').collect(), *holds)).collect();
        Self { rules, top: Text }
    }

    /// The same places of a document that the engine makes.
    fn of_the_engine(mut self) -> Self {
        for (_, holds) in &mut self.rules {
            *holds = if *holds == Text { Shown } else { *holds };
        }
        Self { top: Shown, ..self }
    }

    /// What places without a rule contain.
    pub(super) fn top(&self) -> Holds {
        self.top
    }

    /// Adds the rules for a map of labels.
    fn labels(mut self, at: &'static str) -> Self {
        self.rules
            .extend(LABELS.iter().map(|(label, holds)| (at.split('/').chain([*label]).collect(), *holds)));
        self
    }

    pub(super) fn all(&self) -> Vec<(&[&'static str], Holds)> {
        self.rules.iter().map(|(path, holds)| (path.as_slice(), *holds)).collect()
    }

    /// The output of `docker inspect` for a container.
    pub fn container() -> Self {
        Self::new(CONTAINER).labels("Config/Labels").of_the_engine()
    }

    /// The output of `docker network inspect`.
    pub fn network() -> Self {
        Self::new(NETWORK).labels("Labels").of_the_engine()
    }

    /// The output of `docker volume inspect`.
    pub fn volume() -> Self {
        Self::new(VOLUME).labels("Labels").of_the_engine()
    }

    /// The output of `docker image inspect`.
    pub fn image() -> Self {
        Self::new(IMAGE).labels("Config/Labels").labels("ContainerConfig/Labels").of_the_engine()
    }

    /// The output of `docker history` for a layer.
    pub fn layer() -> Self {
        Self::new(LAYER).of_the_engine()
    }

    /// The output of `docker compose config`, and files of that form.
    pub fn model() -> Self {
        Self::new(MODEL).labels("services/*/labels").labels("networks/*/labels").labels("volumes/*/labels")
    }

    /// The JSON report. Its texts are about services and files, so all of it is names but what comes from elsewhere.
    pub fn report() -> Self {
        Self::new(REPORT)
    }
}

/// The names that a Compose model defines: they are in many other names.
pub(super) fn names_of(model: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let mut take = |value: Option<&Value>| all.extend(value.and_then(Value::as_str).map(str::to_owned));
    take(model.get("name"));
    let mut keys = Vec::new();
    for section in ["services", "networks", "volumes", "secrets", "configs"] {
        for (key, definition) in model.get(section).and_then(Value::as_object).into_iter().flatten() {
            keys.push(key.clone());
            take(definition.get("name").or_else(|| definition.get("image")));
        }
    }
    all.extend(keys);
    all
}

/// Labels that Compose and this program write: names and digests. All other labels are texts.
const LABELS: &[(&str, Holds)] = &[
    (KEYS, Text),
    (labels::COMPOSE_CONFIG_HASH, Nothing),
    ("com.docker.compose.image", Nothing),
    (labels::COMPOSE_REPLACE, Nothing),
    (labels::COMPOSE_PROJECT, Name),
    ("com.docker.compose.project.config_files", Name),
    ("com.docker.compose.project.environment_file", Name),
    ("com.docker.compose.project.working_dir", Name),
    (labels::COMPOSE_SERVICE, Name),
    ("com.docker.compose.depends_on", Name),
    ("com.docker.compose.network", Name),
    ("com.docker.compose.volume", Name),
    (labels::REVISION, Nothing),
    (labels::CONFIG, Nothing),
    (labels::USER, Name),
    (labels::ENVIRONMENT, Name),
    (labels::PROJECT, Name),
    (labels::SERVICE, Name),
];

// The engine's own words (drivers, states, platforms) cannot contain a value either: it accepts no others.
const CONTAINER: &[(&str, Holds)] = &[
    ("Id", Nothing),
    ("Created", Nothing),
    ("Image", Nothing),
    ("ImageManifestDescriptor", Nothing),
    ("ResolvConfPath", Nothing),
    ("HostnamePath", Nothing),
    ("HostsPath", Nothing),
    ("LogPath", Nothing),
    ("GraphDriver", Nothing),
    ("Storage", Nothing),
    ("ExecIDs", Nothing),
    ("Name", Name),
    ("Driver", Nothing),
    ("Platform", Nothing),
    ("State/Status", Nothing),
    ("State/StartedAt", Nothing),
    ("State/FinishedAt", Nothing),
    ("State/Health/Status", Nothing),
    ("State/Health/Log/[]/Start", Nothing),
    ("State/Health/Log/[]/End", Nothing),
    ("Config/Hostname", Name),
    ("Config/Domainname", Name),
    ("Config/User", Name),
    ("Config/Image", GivenName),
    ("Config/WorkingDir", Name),
    ("Config/Volumes/@keys", Name),
    ("Config/ExposedPorts/@keys", Name),
    ("HostConfig/Binds", Name),
    ("HostConfig/Mounts", Name),
    ("HostConfig/Mounts/[]/VolumeOptions", Text),
    ("HostConfig/Mounts/[]/VolumeOptions/Labels/@keys", Text),
    ("HostConfig/Mounts/[]/VolumeOptions/DriverConfig/Options/@keys", Text),
    ("HostConfig/LogConfig/Type", Nothing),
    ("HostConfig/LogConfig/Config/@keys", Text),
    ("HostConfig/NetworkMode", Name),
    ("HostConfig/IpcMode", Name),
    ("HostConfig/PidMode", Name),
    ("HostConfig/CgroupnsMode", Nothing),
    ("HostConfig/Isolation", Nothing),
    ("HostConfig/Runtime", Name),
    ("HostConfig/RestartPolicy/Name", Nothing),
    ("HostConfig/VolumesFrom", Name),
    ("HostConfig/Links", Name),
    ("HostConfig/ExtraHosts", Name),
    ("HostConfig/Dns", Name),
    ("HostConfig/DnsSearch", Name),
    ("HostConfig/MaskedPaths", Name),
    ("HostConfig/ReadonlyPaths", Name),
    ("HostConfig/Annotations/@keys", Text),
    ("HostConfig/Sysctls/@keys", Text),
    ("HostConfig/StorageOpt/@keys", Text),
    ("HostConfig/Tmpfs/@keys", Name),
    ("HostConfig/PortBindings/@keys", Name),
    ("Mounts", Name),
    ("NetworkSettings/SandboxID", Nothing),
    ("NetworkSettings/SandboxKey", Nothing),
    ("NetworkSettings/EndpointID", Nothing),
    ("NetworkSettings/Ports/@keys", Name),
    ("NetworkSettings/Networks/@keys", Name),
    ("NetworkSettings/Networks/*/NetworkID", Nothing),
    ("NetworkSettings/Networks/*/EndpointID", Nothing),
    ("NetworkSettings/Networks/*/Aliases", Name),
    ("NetworkSettings/Networks/*/DNSNames", Name),
    ("NetworkSettings/Networks/*/Links", Name),
    ("NetworkSettings/Networks/*/DriverOpts/@keys", Text),
];

const NETWORK: &[(&str, Holds)] = &[
    ("Id", Nothing),
    ("Created", Nothing),
    ("Name", Name),
    ("Scope", Nothing),
    ("Driver", Nothing),
    ("IPAM/Driver", Nothing),
    ("IPAM/Options/@keys", Text),
    ("ConfigFrom", Name),
    ("Containers/@keys", Nothing),
    ("Containers/*/Name", Name),
    ("Containers/*/EndpointID", Nothing),
    ("Options/@keys", Text),
];

const VOLUME: &[(&str, Holds)] = &[
    ("CreatedAt", Nothing),
    ("Driver", Nothing),
    ("Scope", Nothing),
    ("Name", Name),
    ("Mountpoint", Name),
    ("Options/@keys", Text),
    ("Status/@keys", Text),
];

const IMAGE: &[(&str, Holds)] = &[
    ("Id", Nothing),
    ("Parent", Nothing),
    ("Created", Nothing),
    ("Container", Nothing),
    ("Descriptor", Nothing),
    ("GraphDriver", Nothing),
    ("RootFS", Nothing),
    ("Metadata", Nothing),
    ("RepoTags", GivenName),
    ("RepoDigests", GivenName),
    ("Os", Nothing),
    ("Architecture", Nothing),
    ("DockerVersion", Nothing),
    ("Config/Hostname", Name),
    ("Config/Image", Nothing),
    ("Config/WorkingDir", Name),
    ("Config/User", Name),
    ("Config/Volumes/@keys", Name),
    ("Config/ExposedPorts/@keys", Name),
    ("ContainerConfig/Hostname", Nothing),
    ("ContainerConfig/Image", Nothing),
    ("ContainerConfig/WorkingDir", Name),
    ("ContainerConfig/User", Name),
    ("ContainerConfig/Volumes/@keys", Name),
    ("ContainerConfig/ExposedPorts/@keys", Name),
];

// In the words of the API, and of the client.
const LAYER: &[(&str, Holds)] = &[
    ("Id", Nothing),
    ("ID", Nothing),
    ("Created", Nothing),
    ("CreatedAt", Nothing),
    ("CreatedSince", Nothing),
    ("Size", Nothing),
    ("Tags", GivenName),
];

const MODEL: &[(&str, Holds)] = &[
    ("name", GivenName),
    ("services/@keys", GivenName),
    ("networks/@keys", GivenName),
    ("volumes/@keys", GivenName),
    ("secrets/@keys", GivenName),
    ("configs/@keys", GivenName),
    ("services/*/image", GivenName),
    ("services/*/profiles", GivenName),
    ("services/*/container_name", Name),
    ("services/*/hostname", Name),
    ("services/*/domainname", Name),
    ("services/*/working_dir", Name),
    ("services/*/user", Name),
    ("services/*/extra_hosts", Name),
    ("services/*/extra_hosts/@keys", Name),
    ("services/*/dns", Name),
    ("services/*/dns_search", Name),
    ("services/*/build/context", Name),
    ("services/*/build/dockerfile", Name),
    ("services/*/build/tags", GivenName),
    ("services/*/build/target", Name),
    ("services/*/build/additional_contexts", Name),
    ("services/*/build/additional_contexts/@keys", Name),
    ("services/*/build/args/@keys", Text),
    ("services/*/build/labels/@keys", Text),
    ("services/*/environment/@keys", Text),
    ("services/*/annotations/@keys", Text),
    ("services/*/sysctls/@keys", Text),
    ("services/*/storage_opt/@keys", Text),
    ("services/*/logging/driver", Name),
    ("services/*/logging/options/@keys", Text),
    ("services/*/depends_on", Name),
    ("services/*/depends_on/@keys", Name),
    ("services/*/links", Name),
    ("services/*/external_links", Name),
    ("services/*/network_mode", Name),
    ("services/*/ipc", Name),
    ("services/*/pid", Name),
    ("services/*/restart", Name),
    ("services/*/pull_policy", Name),
    ("services/*/networks", Name),
    ("services/*/networks/@keys", Name),
    ("services/*/networks/*/driver_opts", Text),
    ("services/*/networks/*/driver_opts/@keys", Text),
    ("services/*/volumes", Name),
    ("services/*/volumes_from", Name),
    ("services/*/tmpfs", Name),
    ("services/*/secrets", Name),
    ("services/*/configs", Name),
    ("services/*/env_file", Name),
    ("services/*/provider/options/@keys", Text),
    ("networks/*/name", Name),
    ("networks/*/driver", Name),
    ("networks/*/driver_opts/@keys", Text),
    ("volumes/*/name", Name),
    ("volumes/*/driver", Name),
    ("volumes/*/driver_opts/@keys", Text),
    ("secrets/*/name", Name),
    ("secrets/*/file", Name),
    ("secrets/*/environment", Name),
    ("configs/*/name", Name),
    ("configs/*/file", Name),
    ("configs/*/environment", Name),
];

const REPORT: &[(&str, Holds)] = &[
    ("*", Name),
    ("version", Nothing),
    ("stages", Nothing),
    ("secrets/[]/description", Text),
    ("secrets/[]/version", Text),
    ("secrets/[]/changed_at", Nothing),
    ("secrets/[]/expires_at", Nothing),
];
