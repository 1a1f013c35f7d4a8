//! Ways to the secrets of other services that a project's own mounts open: a directory or link that leads to where the
//! files lie, a volume that is such a directory, and volumes of ours.
//!
//! A mount is judged by where it leads, with links resolved, not by how it is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files::index::INDEX;
use super::files::site::is_staging_name;
use super::launch;
use crate::compose::host_mounts::{self, By};
use crate::compose::model::Model;
use crate::compose::service::Service;
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPaths;
use crate::engine::objects::Container;
use crate::error::{Code, Error, Result};
use crate::labels;

/// The directory that holds the secrets' files.
pub struct SecretsPlace<'a> {
    /// How paths of the host are read here.
    host: &'a HostPaths,
    /// The path on the Docker host.
    on_host: PathBuf,
    /// The project directory's path there.
    project_on_host: PathBuf,
    /// The path here, links resolved.
    here: PathBuf,
    /// The other project that they are of.
    other: Option<String>,
}

/// Something that a service mounts from a path of the Docker host.
struct Mounted {
    /// What the Compose file calls it.
    what: String,
    /// The path on the host.
    source: PathBuf,
}

/// A mount by which a service sees the secrets' files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownTo {
    /// The service.
    pub service: String,
    /// What the Compose file calls the mount.
    pub what: String,
    /// The directory of the Docker host that it mounts.
    pub source: PathBuf,
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
    /// Takes the project directory as this process sees it and as the Docker host does, and the secrets directory in it.
    pub fn new(host: &'a HostPaths, project: &Path, project_on_host: &Path, below: &Path) -> Self {
        let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        Self {
            host,
            on_host: project_on_host.join(below),
            project_on_host: project_on_host.to_owned(),
            here: project.join(below),
            other: None,
        }
    }

    /// Takes where the files of another project lie on the Docker host, and the directory of the project that could see them.
    pub fn of_another(host: &'a HostPaths, directory: &Path, name: &str, project_on_host: &Path) -> Self {
        Self {
            host,
            on_host: directory.to_owned(),
            project_on_host: project_on_host.to_owned(),
            here: host.leads_to(directory).unwrap_or_else(|| directory.to_owned()),
            other: Some(name.to_owned()),
        }
    }

    /// What it is called in messages.
    fn name(&self) -> String {
        let of = self.other.as_ref().map(|project| format!(" of the project {project}"));
        format!("the secrets directory{}", of.unwrap_or_default())
    }

    /// Whether there are files of ours in the directory.
    pub fn is_filled(&self) -> bool {
        self.here.join(INDEX).exists()
    }

    /// Where a path of the host is read here.
    pub fn read_at(&self, path: &Path) -> Option<PathBuf> {
        self.host.readings(path).iter().find_map(|path| self.host.here(path))
    }

    /// Where a path of the host leads; of two ways to read it, the one that comes closer.
    pub fn leads(&self, source: &Path) -> Leads {
        let readings = self.host.readings(source);
        let mut found: Vec<Leads> = readings.iter().map(|path| self.leads_as(path)).collect();
        let closest = found.iter().position(|leads| *leads == Leads::Inside);
        let closest = closest.or_else(|| found.iter().position(|leads| *leads != Leads::Elsewhere));
        closest.map_or(Leads::Elsewhere, |at| found.swap_remove(at))
    }

    fn leads_as(&self, source: &Path) -> Leads {
        match self.host.leads_to(source).map(|real| compare(&real, &self.here)) {
            None | Some(Leads::Elsewhere) => compare(source, &self.on_host),
            Some(found) => found,
        }
    }

    /// The path in the directory that a path of the host leads to.
    pub fn within(&self, source: &Path) -> Option<PathBuf> {
        let as_read = |source: &PathBuf| {
            let here = self.host.leads_to(source);
            let here = here.as_deref().and_then(|real| real.strip_prefix(&self.here).ok());
            here.or_else(|| source.strip_prefix(&self.on_host).ok()).map(Path::to_owned)
        };
        self.host.readings(source).iter().find_map(as_read)
    }

    /// Refuses mounts of the directory itself or of something in it.
    ///
    /// # Errors
    /// [`Code::SecretNotGranted`] for each.
    pub fn refuse_inside(&self, model: &Model) -> Result<()> {
        let mut problems = Vec::new();
        for service in model.services.values() {
            for mounted in mounted(model, service) {
                if self.leads(&mounted.source) == Leads::Inside {
                    problems.push(Diagnostic::new(format!(
                        "service {} mounts {}, which leads to {} in {}",
                        service.name,
                        mounted.what,
                        mounted.source.display(),
                        self.name()
                    )));
                }
            }
            problems.extend(self.read_into(model, service));
        }
        if problems.is_empty() { Ok(()) } else { Err(refused(problems)) }
    }

    /// The mounts of what is above the directory: whoever has one sees the files, whatever is mounted over them, since
    /// the next checkout can put another directory in that place. `containers` are those that `volumes_from` names, each
    /// with the service that takes its mounts; one that takes those of a service is found by that service's own.
    pub fn shown_to(&self, model: &Model, containers: &[(String, Container)]) -> Vec<ShownTo> {
        let mut all = Vec::new();
        let is_above = |source: &Path| matches!(self.leads(source), Leads::Above(_));
        for service in model.services.values() {
            let above = mounted(model, service).into_iter().filter(|mounted| is_above(&mounted.source));
            all.extend(above.map(|mounted| ShownTo {
                service: service.name.clone(),
                what: mounted.what,
                source: mounted.source,
            }));
        }
        for (service, container) in containers {
            let sources = container.mounts().into_iter().flat_map(|(kind, source, _)| match kind {
                "volume" => model.directories_there(source),
                _ => vec![source.to_owned()],
            });
            all.extend(sources.map(PathBuf::from).filter(|source| is_above(source)).map(|source| ShownTo {
                service: service.clone(),
                what: format!("`volumes_from` the container {}", container.name),
                source,
            }));
        }
        all
    }

    /// What is read for a service, by Compose or by a build, of the directory's files.
    fn read_into(&self, model: &Model, service: &Service) -> Vec<Diagnostic> {
        let read = host_mounts::read_for(model, service, &self.project_on_host).into_iter();
        read.filter(|one| self.leads(&one.path) == Leads::Inside)
            .map(|one| {
                Diagnostic::new(format!(
                    "service {}: {} leads to {} in {}",
                    service.name,
                    one.what,
                    one.path.display(),
                    self.name()
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
        let problems: Vec<Diagnostic> = named
            .iter()
            .filter(inside)
            .map(|path| {
                Diagnostic::new(format!(
                    "a Compose file reads {}, which is in the secrets directory",
                    path.display()
                ))
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(refused(problems)) }
    }
}

fn compare(path: &Path, secrets: &Path) -> Leads {
    if path.starts_with(secrets) || is_staged_for(path, secrets) {
        return Leads::Inside;
    }
    secrets.strip_prefix(path).map_or(Leads::Elsewhere, |below| Leads::Above(below.to_owned()))
}

/// Whether a path is in a directory in which a new set of the secrets' files is made, or was by a run that was killed.
fn is_staged_for(path: &Path, secrets: &Path) -> bool {
    let (Some(parent), Some(name)) = (secrets.parent(), secrets.file_name()) else { return false };
    let beside = path.strip_prefix(parent).ok().and_then(|rest| rest.components().next());
    beside.is_some_and(|first| is_staging_name(first.as_os_str(), name))
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
    });
    let volumes = service.mounts.iter().filter(|mount| mount.kind == "volume").flat_map(|mount| {
        model.volume_directories(&mount.source).into_iter().map(|directory| Mounted {
            what: format!("the volume {}", mount.source),
            source: directory.into(),
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
/// project's volumes as the engine knows them, `containers` those that `volumes_from` names.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each.
pub fn refuse_volumes(
    model: &Model,
    inspected: &[Value],
    containers: &[(String, Container)],
    place: &SecretsPlace,
) -> Result<()> {
    // Where one sees what is above the files, there are none: see `shown_to`.
    let shows_files = |directory: &str| place.leads(Path::new(directory)) == Leads::Inside;
    let holds = |name: &str| {
        // It may not be there yet, and is made by this run then.
        if launch::is_volume(name) {
            return Some("the launcher, which services run with their secrets".to_owned());
        }
        let volume =
            inspected.iter().find(|volume| volume.get("Name").and_then(Value::as_str) == Some(name))?;
        let label = |label: &str| volume.get("Labels")?.get(label)?.as_str();
        let project = label(labels::PROJECT)?;
        Some(match label(labels::SERVICE) {
            _ if label(labels::LAUNCHER).is_some() => format!("the launcher of the project {project}"),
            Some(service) => format!("the secrets of service {service} of the project {project}"),
            None => format!("secrets of the project {project}"),
        })
    };
    let mut problems = Vec::new();
    for service in model.services.values() {
        for mount in service.mounts.iter().filter(|mount| mount.kind == "volume") {
            let name = model.volume_name(&mount.source);
            if let Some(held) = holds(&name) {
                problems.push(Diagnostic::new(format!(
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
                    directories.any(|one| shows_files(&one)).then(|| "secrets of this project".to_owned())
                }),
                _ => shows_files(source).then(|| "secrets of this project".to_owned()),
            };
            problems.extend(held.map(|held| {
                Diagnostic::new(format!(
                    "service {service}: `volumes_from` the container {} mounts {held} at {target}",
                    container.name
                ))
            }));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(refused(problems)) }
}

fn refused(problems: Vec<Diagnostic>) -> Error {
    Error::new(Code::SecretNotGranted, "services would get secrets that they are not granted")
        .problems(problems)
        .help("Grant the secret to the service instead: it is then at /run/secrets. Take the mount out of the Compose file.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_volume_of_ours_is_mounted_by_its_name_also_where_it_is_not_there_yet() {
        let host = HostPaths::without_engine();
        let place = SecretsPlace::new(&host, Path::new("/p"), Path::new("/p"), Path::new("data/secrets"));
        let labelled = |labels: &Value| json!({"Name": "v", "Labels": labels});
        let said = |name: &str, inspected: &[Value]| {
            let model = json!({
                "name": "p",
                "services": {"evil": {"volumes": [{"type": "volume", "source": "k", "target": "/l"}]}},
                "volumes": {"k": {"name": name}},
            });
            let model = Model::new(model, &BTreeSet::new()).ok().unwrap();
            let refused = refuse_volumes(&model, inspected, &[], &place);
            refused.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for name in ["p_claude-secrets-exec-1", "other_claude-secrets-exec-12"] {
            assert!(said(name, &[]).contains(&format!("mounts the volume {name}, which holds the launcher")));
        }
        for labels in [
            json!({"claude-secrets.project": "p", "claude-secrets.launcher": "1"}),
            json!({"claude-secrets.project": "p", "claude-secrets.service": "web"}),
            json!({"claude-secrets.project": "p"}),
        ] {
            assert!(said("v", &[labelled(&labels)]).contains("mounts the volume v, which holds"), "{labels}");
        }
        for name in ["v", "p_claude-secrets-exec-x", "claude-secrets-exec-", "p_data"] {
            assert_eq!(said(name, &[labelled(&json!({"x": "y"}))]), "", "{name}");
        }
    }

    #[test]
    fn a_set_that_is_being_made_beside_the_directory_is_part_of_it() {
        let secrets = Path::new("/project/data/secrets");
        for (path, leads) in [
            ("/project/data/secrets/key", Leads::Inside),
            ("/project/data/.secrets.claude-secrets.0123456789abcdef.tmp", Leads::Inside),
            ("/project/data/.secrets.claude-secrets.0123456789abcdef.tmp/key", Leads::Inside),
            ("/project/data/.secrets.claude-secrets.tmp", Leads::Elsewhere),
            ("/project/.secrets.claude-secrets.0123456789abcdef.tmp", Leads::Elsewhere),
            ("/project/data", Leads::Above("secrets".into())),
        ] {
            assert_eq!(compare(Path::new(path), secrets), leads, "{path}");
        }
    }
}
