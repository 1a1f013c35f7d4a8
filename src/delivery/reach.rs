//! Ways to the secrets of other services that a project's own mounts open: a directory or link that leads to where the
//! files lie, a volume that is such a directory, and volumes of ours.
//!
//! A mount is judged by where it leads, with links resolved, not by how it is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::index::INDEX;
use super::volume::{LAUNCHER, PROJECT, SERVICE};
use crate::docker::engine::Container;
use crate::docker::host_mounts::{self, By};
use crate::docker::host_paths::HostPaths;
use crate::docker::model::Model;
use crate::docker::service::Service;
use crate::error::{Code, Error, Problem, Result};

/// The directory that holds the secrets' files.
pub struct SecretsPlace<'a> {
    /// How paths of the host are read here.
    host: &'a HostPaths,
    /// The path on the Docker host.
    on_host: &'a Path,
    /// The path below the project directory.
    below: &'a Path,
    /// The path here, links resolved.
    here: PathBuf,
}

/// Something that a service mounts from a path of the Docker host.
struct Mounted {
    /// What the Compose file calls it.
    what: String,
    /// The path on the host.
    source: PathBuf,
    /// Where it is in the container.
    target: String,
}

/// Where a path leads, compared with the secrets' directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leads {
    /// Somewhere else.
    Elsewhere,
    /// To the directory or into it.
    Inside,
    /// To a directory above it: it is there at this relative path.
    Above(PathBuf),
}

impl<'a> SecretsPlace<'a> {
    /// Takes the project directory as this process sees it, the secrets directory in it, and its path on the host.
    pub fn new(host: &'a HostPaths, project: &Path, below: &'a Path, on_host: &'a Path) -> Self {
        let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        Self { host, on_host, below, here: project.join(below) }
    }

    /// Whether there are files of ours in the directory.
    pub fn is_filled(&self) -> bool {
        self.here.join(INDEX).exists()
    }

    /// Where a path of the host is read here.
    pub fn read_at(&self, path: &Path) -> Option<PathBuf> {
        self.host.here(path)
    }

    /// Where a path of the host leads.
    pub fn leads(&self, source: &Path) -> Leads {
        match self.host.leads_to(source).map(|real| compare(&real, &self.here)) {
            None | Some(Leads::Elsewhere) => compare(source, self.on_host),
            Some(found) => found,
        }
    }

    /// The places in a service's containers where the secrets directory would be seen by a mount of what is above it.
    ///
    /// # Errors
    /// [`Code::SecretNotGranted`] for a mount of the directory itself or of something in it.
    pub fn seen_in(&self, model: &Model, service: &Service) -> Result<Vec<String>> {
        let (mut seen, mut problems) = (Vec::new(), Vec::new());
        for mounted in mounted(model, service) {
            match self.leads(&mounted.source) {
                Leads::Elsewhere => {}
                Leads::Above(below) => {
                    seen.push(Path::new(&mounted.target).join(below).display().to_string());
                }
                Leads::Inside => problems.push(Problem::new(format!(
                    "service {} mounts {}, which leads to {} in the secrets directory",
                    service.name,
                    mounted.what,
                    mounted.source.display()
                ))),
            }
        }
        problems.extend(self.read_into(model, service));
        if problems.is_empty() { Ok(seen) } else { Err(refused(problems)) }
    }

    /// What is read for a service, by Compose or by a build, of the directory's files.
    fn read_into(&self, model: &Model, service: &Service) -> Vec<Problem> {
        let mut project = self.on_host;
        // The secrets directory lies below the project's, by as many steps as its path there has.
        for _ in self.below.components() {
            project = project.parent().unwrap_or(project);
        }
        let read = host_mounts::read_for(model, service, project).into_iter();
        read.filter(|one| self.leads(&one.path) == Leads::Inside)
            .map(|one| {
                Problem::new(format!(
                    "service {}: {} leads to {} in the secrets directory",
                    service.name,
                    one.what,
                    one.path.display()
                ))
            })
            .collect()
    }

    /// Refuses files of ours that a Compose file names to be read by Compose itself: those that `named` has, as this
    /// process sees them.
    ///
    /// # Errors
    /// [`Code::SecretNotGranted`] for each.
    pub fn refuse_named(&self, named: &BTreeSet<PathBuf>) -> Result<()> {
        let inside = |path: &&PathBuf| path.canonicalize().is_ok_and(|real| real.starts_with(&self.here));
        let problems: Vec<Problem> = named
            .iter()
            .filter(inside)
            .map(|path| {
                Problem::new(format!(
                    "a Compose file reads {}, which is in the secrets directory",
                    path.display()
                ))
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(refused(problems)) }
    }
}

fn compare(path: &Path, secrets: &Path) -> Leads {
    if path.starts_with(secrets) {
        return Leads::Inside;
    }
    secrets.strip_prefix(path).map_or(Leads::Elsewhere, |below| Leads::Above(below.to_owned()))
}

/// What a service mounts of the host, also by volumes that are directories of it.
fn mounted(model: &Model, service: &Service) -> Vec<Mounted> {
    let files = host_mounts::of_service(model, service).into_iter().map(|mount| Mounted {
        what: match mount.by {
            By::Mount => mount.source.to_owned(),
            By::Config(name) => format!("the config {name}"),
            By::Secret(name) => format!("the Compose secret {name}"),
        },
        source: mount.source.into(),
        target: mount.target,
    });
    let volumes = service.mounts.iter().filter(|mount| mount.kind == "volume").flat_map(|mount| {
        model.volume_directories(&mount.source).into_iter().map(|directory| Mounted {
            what: format!("the volume {}", mount.source),
            source: directory.into(),
            target: mount.target.clone(),
        })
    });
    files.chain(volumes).collect()
}

/// The names of the volumes that the project's services mount, as the engine knows them.
pub fn volumes(model: &Model) -> BTreeSet<String> {
    let mounts = model.services.values().flat_map(|service| &service.mounts);
    mounts.filter(|mount| mount.kind == "volume").map(|mount| model.volume_name(&mount.source)).collect()
}

/// Refuses volumes of ours, this project's or another one's, that services mount by their own Compose files, also by
/// `volumes_from` a container, and what such a container mounts of the directory with the files. `inspected` are the
/// project's volumes as the engine knows them, `containers` those that `volumes_from` names. `has_files` tells that there
/// are files in the directory, or will be.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each.
pub fn refuse_volumes(
    model: &Model,
    inspected: &[Value],
    containers: &[(String, Container)],
    place: &SecretsPlace,
    has_files: bool,
) -> Result<()> {
    let shows_files = |directory: &str| match place.leads(Path::new(directory)) {
        Leads::Elsewhere => false,
        Leads::Inside => true,
        // Of a mount by another container nothing can be hidden.
        Leads::Above(_) => has_files,
    };
    let holds = |name: &str| {
        let volume =
            inspected.iter().find(|volume| volume.get("Name").and_then(Value::as_str) == Some(name))?;
        let label = |label: &str| volume.get("Labels")?.get(label)?.as_str();
        let project = label(PROJECT).filter(|_| label(LAUNCHER).is_none())?;
        Some(match label(SERVICE) {
            Some(service) => format!("the secrets of service {service} of the project {project}"),
            None => format!("secrets of the project {project}"),
        })
    };
    let mut problems = Vec::new();
    for service in model.services.values() {
        for mount in service.mounts.iter().filter(|mount| mount.kind == "volume") {
            let name = model.volume_name(&mount.source);
            if let Some(held) = holds(&name) {
                problems.push(Problem::new(format!(
                    "service {} mounts the volume {name}, which holds {held}",
                    service.name
                )));
            }
        }
    }
    for (service, container) in containers {
        for (kind, source, target) in container.mounts() {
            let held = match kind {
                "volume" => holds(source).or_else(|| {
                    let mut directories = model.directories_there(source).into_iter();
                    directories.any(shows_files).then(|| "secrets of this project".to_owned())
                }),
                _ => shows_files(source).then(|| "secrets of this project".to_owned()),
            };
            problems.extend(held.map(|held| {
                Problem::new(format!(
                    "service {service}: `volumes_from` the container {} mounts {held} at {target}",
                    container.name
                ))
            }));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(refused(problems)) }
}

fn refused(problems: Vec<Problem>) -> Error {
    Error::new(Code::SecretNotGranted, "services would get secrets that they are not granted")
        .problems(problems)
        .hint("Grant the secret to the service instead: it is then at /run/secrets. Take the mount out of the Compose file.")
}
