//! Files of the checkout that services mount, for an engine that does not have the checkout, or whose machine outlives it:
//! what belongs to the release is copied into a volume with a name that tells its content, and mounted from there; a
//! directory that nobody's release has anything in is the service's own data, and stays on the engine's machine.

mod git;
mod moving;
mod nested;
mod store;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::git::Git;
use self::moving::Volume;
use self::nested::Nested;
pub use self::store::{create, missing, old, remove_old, states};
use self::tree::{Archive, Tree};
use crate::access::{Access, Entry};
use crate::compose::host_mounts::{self, By};
use crate::compose::model::Model;
use crate::diagnostic::Diagnostic;
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::settings::clean;

/// So much is copied for one project (bytes).
const MOST: u64 = 256 << 20;

/// What services mount of the checkout.
#[derive(Default)]
pub struct Release {
    /// What is to be copied, by the volume's name.
    archives: BTreeMap<String, Archive>,
    /// The directories for services' own data: the path in the checkout, by the volume's name.
    states: BTreeMap<String, String>,
    services: BTreeMap<String, Vec<Placed>>,
}

/// One thing that a service mounts.
pub struct Placed {
    /// What it replaces.
    pub instead: Instead,
    /// Where it is, below the engine's directory of volumes.
    pub path: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// What the Compose file has.
#[derive(Clone, PartialEq, Eq)]
pub enum Instead {
    /// A mount at the same place.
    Mount,
    /// The config of this name.
    Config(String),
    /// The Compose secret of this name.
    Secret(String),
}

/// The project as this process sees it.
pub struct Project<'a> {
    /// Its model; the paths in it are those of `on_host`.
    pub model: &'a Model,
    /// Its directory here.
    pub directory: &'a Path,
    /// Its directory as the engine would see it.
    pub on_host: &'a Path,
    /// Who gets what.
    pub access: &'a Access,
    /// Services whose own Compose secrets are delivered in volumes.
    pub delivered: &'a BTreeSet<String>,
    /// Its containers, before anything was changed.
    pub containers: &'a [Container],
    /// What a run itself writes: absolute paths here.
    pub own_files: Vec<PathBuf>,
}

impl Project<'_> {
    /// The key of the project's volume that the engine knows by this name.
    fn volume_with(&self, name: &str) -> Option<&str> {
        let all = self.model.plain().get("volumes").and_then(Value::as_object).into_iter().flatten();
        all.map(|(key, _)| key.as_str()).find(|key| self.model.volume_name(key) == name)
    }

    /// A path of the host as this process sees it, where it is in the project directory.
    fn here(&self, source: &Path) -> PathBuf {
        source
            .strip_prefix(self.on_host)
            .map_or_else(|_| source.to_owned(), |below| self.directory.join(below))
    }
}

impl Release {
    /// Looks through everything that the services mount of the checkout.
    ///
    /// # Errors
    /// [`Code::ProjectFiles`] with everything that cannot be taken along.
    pub async fn of(project: &Project<'_>, tools: &Tools, server: &str) -> Result<Self> {
        let directory = project.directory.canonicalize().unwrap_or_else(|_| project.directory.to_owned());
        let all = wanted(project);
        if all.is_empty() {
            return Ok(Self::default());
        }
        let users: Vec<(PathBuf, String, String)> = all
            .iter()
            .map(|(service, wanted)| (wanted.source.clone(), service.clone(), wanted.target.clone()))
            .collect();
        let own_files = project.own_files.iter().map(|path| directory.join(path)).collect();
        let mut git = Git::of(&directory, own_files).ok_or_else(|| {
            Error::new(
                Code::ProjectFiles,
                "git's index cannot be read, so that nobody can say which files are the release",
            )
            .help("Check the repository out anew.")
        })?;
        let nested = Nested::of(project, &all);
        let mut this = Self::default();
        let mut problems = BTreeMap::new();
        let mut seen: BTreeMap<PathBuf, (String, bool)> = BTreeMap::new();
        let mut room = MOST;
        for (service, wanted) in all {
            let here = match wanted.source.strip_prefix(project.on_host) {
                Ok(below) => directory.join(below),
                Err(_) => match wanted.source.strip_prefix(git.top()) {
                    Ok(below) => git.top().join(below),
                    // A path of the engine's machine.
                    Err(_) => continue,
                },
            };
            if !seen.contains_key(&here) {
                let shown = here.strip_prefix(&directory).unwrap_or(&here).display().to_string();
                let none = Nested::default();
                let nested = nested.get(&wanted.source).unwrap_or(&none);
                match this.take(&mut git, project, &here, nested, &shown, room) {
                    Ok(Found { path, read_only, has_content }) => {
                        let volume = path.split('/').next().unwrap_or_default().to_owned();
                        let to = Volume { name: &volume, project: &project.model.name, server };
                        let mut old = users.iter().filter(|(source, ..)| *source == wanted.source);
                        let old = old.find_map(|(_, service, target)| {
                            moving::of(&project.model.name, project.containers, service, target)
                        });
                        let problem = match old {
                            Some(old) if !read_only => Some(old.to_volume(&shown, &to, has_content)),
                            Some(old) if old.writable && !git.is_repository() => Some(old.untold(&shown)),
                            _ if has_content => Some(moving::ignored(&shown, project.on_host, &to)),
                            _ => None,
                        };
                        if let Some(problem) = problem
                            && (read_only || !store::is_there(tools, &volume).await?)
                        {
                            problems.insert(shown.clone(), problem);
                        }
                        room =
                            MOST.saturating_sub(this.archives.values().map(|a| a.bytes.len() as u64).sum());
                        seen.insert(here.clone(), (path, read_only));
                    }
                    Err((what, help)) => {
                        problems.entry(shown.clone()).or_insert_with(|| {
                            Diagnostic::new(format!("service {service} mounts {shown}, which {what}"))
                                .help(help)
                        });
                    }
                }
            }
            if let Some((path, read_only)) = seen.get(&here) {
                let placed = Placed {
                    instead: wanted.instead,
                    path: path.clone(),
                    target: wanted.target,
                    read_only: *read_only || wanted.read_only,
                };
                this.services.entry(service).or_default().push(placed);
            }
        }
        if problems.is_empty() {
            return Ok(this);
        }
        Err(Error::new(
            Code::ProjectFiles,
            "files that services mount cannot be taken to the engine's machine",
        )
        .problems(problems.into_values().collect())
        .help("With `project-files: in-place` every path is one of the engine's machine. On a self-hosted runner the next checkout wipes it."))
    }

    /// What a service mounts.
    pub fn of_service(&self, service: &str) -> &[Placed] {
        self.services.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether no service mounts anything.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// What services mount of the checkout, by the paths that the Compose files have: each with the services.
    pub fn mounted(project: &Project<'_>) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (service, wanted) in wanted(project) {
            if let Ok(below) = wanted.source.strip_prefix(project.on_host) {
                all.entry(below.display().to_string()).or_default().insert(service);
            }
        }
        all
    }

    /// What is worth a line of the log.
    pub fn lines(&self) -> Vec<String> {
        let copied = self.archives.iter().map(|(name, archive)| {
            format!(
                "{}, {} kB, as the volume {name}",
                crate::count::count(archive.count, "file"),
                archive.bytes.len().div_ceil(1024)
            )
        });
        let kept = self
            .states
            .iter()
            .map(|(name, path)| format!("{path} is data of a service, in the volume {name}"));
        copied.chain(kept).collect()
    }

    fn take(
        &mut self,
        git: &mut Git,
        project: &Project,
        here: &Path,
        nested: &Nested,
        shown: &str,
        room: u64,
    ) -> Result<Found, (String, String)> {
        let name = &project.model.name;
        Ok(match tree::look(git, here, nested, room)? {
            Tree::Release(archive) => {
                let volume = format!("{name}_files_{}", archive.digest);
                let path = format!("{volume}/_data/{}", archive.path);
                self.archives.insert(volume, archive);
                Found { path, read_only: true, has_content: false }
            }
            Tree::State { has_content } => {
                let volume = data_volume(name, shown);
                if let Some(key) = project.volume_with(&volume) {
                    return Err((
                        format!(
                            "is data that the volume {volume} would hold, which is the project's own volume {key}"
                        ),
                        format!("Give the volume {key} another `name`, or mount another directory."),
                    ));
                }
                self.states.insert(volume.clone(), shown.to_owned());
                Found { path: format!("{volume}/_data"), read_only: false, has_content }
            }
        })
    }
}

/// The volume for the data at a path of the checkout. Two paths have two volumes.
fn data_volume(project: &str, path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !path.is_empty() && path.chars().all(is_plain) {
        return format!("{project}_data_{path}");
    }
    let plain: String = path.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let digest = HEXLOWER.encode(&Sha256::digest(path)[..6]);
    format!("{project}_data_{}_{digest}", plain.trim_matches('-'))
}

/// Where something is, below the engine's directory of volumes.
struct Found {
    path: String,
    read_only: bool,
    /// Whether the checkout has data for it that git ignores.
    has_content: bool,
}

struct Wanted {
    instead: Instead,
    source: PathBuf,
    target: String,
    read_only: bool,
}

/// Everything that services mount of the host, by the services' names, but for what is delivered otherwise.
fn wanted(project: &Project) -> Vec<(String, Wanted)> {
    let mut all = Vec::new();
    for service in project.model.services.values().filter(|service| service.active) {
        let taken = project.access.services.get(&service.name).map(|own| &own.taken);
        let is_taken = |entry: Entry| taken.is_some_and(|taken| taken.contains(&entry));
        let in_volume = |target: &str| {
            let file = target.strip_prefix("/run/secrets/").filter(|file| !file.starts_with('/'));
            project.delivered.contains(&service.name) && file.is_some()
        };
        for mount in host_mounts::of_service(project.model, service) {
            let instead = match mount.by {
                By::Mount => Instead::Mount,
                By::Config(name) if !is_taken(Entry::Config(name.to_owned())) => {
                    Instead::Config(name.to_owned())
                }
                By::Secret(name)
                    if !in_volume(&mount.target) && !is_taken(Entry::Secret(name.to_owned())) =>
                {
                    Instead::Secret(name.to_owned())
                }
                By::Config(_) | By::Secret(_) => continue,
            };
            let (source, read_only) = (clean(Path::new(mount.source)), mount.read_only);
            let wanted = Wanted { instead, source, target: mount.target, read_only };
            all.push((service.name.clone(), wanted));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::data_volume;

    #[test]
    fn no_two_paths_share_a_volume() {
        assert_eq!(data_volume("p", "data"), "p_data_data");
        assert_eq!(data_volume("p", "my_data"), "p_data_my_data");
        let paths = ["data/pg", "data-pg", "data pg", "data//pg", "data_pg", "", ".", "/", "-"];
        let names: BTreeSet<String> = paths.iter().map(|path| data_volume("p", path)).collect();
        assert_eq!(names.len(), paths.len(), "{names:?}");
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        assert!(names.iter().all(|name| name.chars().all(is_taken)), "{names:?}");
    }
}
