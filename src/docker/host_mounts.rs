//! What a service mounts of the Docker host's files: by `volumes`, and as its configs and Compose secrets with `file`.

use std::path::Path;

use super::model::{Model, OwnDefinition};
use super::service::Service;

/// Something of the host that a service mounts.
pub struct HostMount<'m> {
    /// What the Compose file has for it.
    pub by: By<'m>,
    /// The path on the host.
    pub source: &'m str,
    /// Where it is in the container: absolute.
    pub target: String,
    /// Whether the Compose file says that it cannot be written to.
    pub read_only: bool,
}

/// What the Compose file has for a mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By<'m> {
    /// A bind mount.
    Mount,
    /// The config of this name.
    Config(&'m str),
    /// The Compose secret of this name.
    Secret(&'m str),
}

/// Everything that a service of the model mounts of the host, in the order of its definition. Volumes are not among it.
pub fn of_service<'m>(model: &'m Model, service: &'m Service) -> Vec<HostMount<'m>> {
    let binds = service.mounts.iter().filter(|mount| mount.kind == "bind").map(|mount| HostMount {
        by: By::Mount,
        source: &mount.source,
        target: mount.target.clone(),
        read_only: mount.read_only,
    });
    let file = |section, source| match model.own_file(section, source) {
        Some(OwnDefinition::File(path)) => Some(path),
        _ => None,
    };
    let at = |directory: &str, target: &str| Path::new(directory).join(target).display().to_string();
    let configs = service.configs.iter().filter_map(|own| {
        let source = file("configs", &own.source)?;
        Some(HostMount { by: By::Config(&own.source), source, target: at("/", &own.target), read_only: true })
    });
    let secrets = service.secrets.iter().filter_map(|own| {
        let source = file("secrets", &own.source)?;
        Some(HostMount {
            by: By::Secret(&own.source),
            source,
            target: at("/run/secrets", &own.target),
            read_only: true,
        })
    });
    binds.chain(configs).chain(secrets).collect()
}
