//! What stands: which services already run with exactly what they shall have, read from the engine alone.
//!
//! The workspace is wiped by the next checkout, so that nothing in it is believed (design rule 11).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::choose::Kind;
use super::override_file::TARGET;
use super::plan::ServicePlan;
use super::revision::Revision;
use super::volume::REVISION;
use crate::docker::engine::{Container, State, Volume};
use crate::docker::health::restarts;
use crate::docker::host_paths::HostPath;
use crate::docker::images::Images;
use crate::docker::model::Service;
use crate::error::Result;

/// Label of the services' containers: a sealed digest of the service's definition.
pub const CONFIG: &str = "claude-secrets.config";
/// Label of the services' containers: the deployment environment.
pub const ENVIRONMENT: &str = "claude-secrets.environment";

/// The revision of a service's secrets.
pub struct ServiceRevision {
    /// The revision.
    pub revision: Revision,
    /// Whether the engine knows it already.
    pub known: bool,
    /// Its volume, when there is one already.
    pub volume: Option<String>,
}

/// The revision of each service: the one that the engine knows, if the values are still the same, else a fresh one.
/// `plans` may lack services that get nothing; they have a revision of nothing, which seals their definitions.
pub fn revisions<'a>(
    services: impl IntoIterator<Item = &'a String>,
    plans: &BTreeMap<String, ServicePlan>,
    containers: &[Container],
    volumes: &[Volume],
) -> Result<BTreeMap<String, ServiceRevision>> {
    let mut all = BTreeMap::new();
    for service in services {
        let nothing = super::revision::Content::default();
        let content = plans.get(service).map_or(&nothing, |plan| &plan.content);
        let mut labels: Vec<&str> = containers
            .iter()
            .filter(|c| c.service == *service)
            .filter_map(|c| c.label(REVISION))
            .collect();
        let own_volumes = volumes
            .iter()
            .filter(|v| v.labels.get(super::volume::SERVICE) == Some(service));
        labels.extend(
            own_volumes
                .clone()
                .filter_map(|v| v.labels.get(REVISION))
                .map(String::as_str),
        );
        let mut tried = BTreeSet::new();
        let mut known = None;
        for label in labels.into_iter().filter(|label| tried.insert(*label)) {
            if let Some(revision) = Revision::confirm(content, label)? {
                known = Some(revision);
                break;
            }
        }
        let found = match known {
            Some(revision) => {
                let volume = own_volumes
                    .clone()
                    .find(|v| v.labels.get(REVISION).map(String::as_str) == Some(revision.label()))
                    .map(|v| v.name.clone());
                ServiceRevision {
                    revision,
                    known: true,
                    volume,
                }
            }
            None => ServiceRevision {
                revision: Revision::fresh(content)?,
                known: false,
                volume: None,
            },
        };
        all.insert(service.clone(), found);
    }
    Ok(all)
}

/// How a service shall stand.
pub struct Wanted<'a> {
    /// The service.
    pub service: &'a Service,
    /// Labels that its containers must have, exactly.
    pub labels: &'a BTreeMap<String, String>,
    /// What must be mounted below `/run/secrets`: target and source (a host path or a volume's name).
    pub mounts: BTreeMap<String, String>,
}

/// Why a service must be brought up again; `None` when it stands as it shall.
pub fn difference(wanted: &Wanted, containers: &[Container], images: &Images) -> Option<&'static str> {
    let own: Vec<&Container> = containers
        .iter()
        .filter(|c| c.service == wanted.service.name)
        .collect();
    if own.len() as u64 != wanted.service.replicas {
        return Some(if own.is_empty() {
            "it has no container"
        } else {
            "the number of its containers differs"
        });
    }
    own.into_iter()
        .find_map(|container| differs(wanted, container, images))
}

fn differs(wanted: &Wanted, container: &Container, images: &Images) -> Option<&'static str> {
    let label_differs = |name: &str| container.label(name) != wanted.labels.get(name).map(String::as_str);
    if label_differs(REVISION) {
        return Some("its secrets changed");
    }
    if label_differs(CONFIG) || label_differs(ENVIRONMENT) {
        return Some("its definition changed");
    }
    if images
        .get(&wanted.service.image)
        .is_some_and(|image| image.id != container.image_id())
    {
        return Some("its image changed");
    }
    let mounted: BTreeMap<String, String> = container
        .mounts()
        .into_iter()
        .filter(|(_, _, target)| *target == TARGET || target.starts_with("/run/secrets/"))
        .map(|(_, source, target)| (target.to_owned(), source.to_owned()))
        .collect();
    if wanted
        .mounts
        .iter()
        .any(|(target, source)| mounted.get(target) != Some(source))
    {
        return Some("its secrets come from another place");
    }
    match container.state() {
        // A service that is up and not well is for the health gate to tell, not for a restart to hide.
        State::Running(_) | State::Restarting => None,
        State::Exited(0) if !restarts(container) => None,
        State::Exited(_) => Some("it has ended"),
        State::Other => Some("it was not started"),
    }
}

/// What must be mounted in a service's containers, for [`Wanted::mounts`].
pub fn mounts(
    kind: Kind,
    service: &str,
    plan: Option<&ServicePlan>,
    secrets_dir: &HostPath,
    paths: &BTreeMap<(String, String), PathBuf>,
    volume: Option<&String>,
) -> BTreeMap<String, String> {
    let Some(plan) = plan else { return BTreeMap::new() };
    match kind {
        Kind::Volume => volume
            .map(|name| (TARGET.to_owned(), name.clone()))
            .into_iter()
            .collect(),
        Kind::File => plan
            .files
            .iter()
            .filter_map(|file| {
                let path = paths.get(&(service.to_owned(), file.file.clone()))?;
                Some((
                    format!("{TARGET}/{}", file.file),
                    secrets_dir.join(path).to_string(),
                ))
            })
            .collect(),
    }
}

/// The services that must be brought up together with `changed`: those that share something with a changed one, or that
/// Compose restarts with it.
pub fn with_followers(services: &BTreeMap<String, Service>, changed: BTreeSet<String>) -> BTreeSet<String> {
    let mut all = changed;
    loop {
        let more: Vec<String> = services
            .values()
            .filter(|service| {
                !all.contains(&service.name) && service.follows.iter().any(|other| all.contains(other))
            })
            .map(|service| service.name.clone())
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}
