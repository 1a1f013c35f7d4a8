//! What each container really mounts, as the engine tells: no other service's secrets, however its mounts came about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::compose::model::directories;
use crate::delivery::reach::{Leads, SecretsPlace};
use crate::delivery::workers;
use crate::engine::objects::Container;
use crate::labels;

/// Whose secrets a container may mount.
pub struct Own<'a> {
    /// The Compose project.
    pub project: &'a str,
    /// The secrets directory.
    pub place: SecretsPlace<'a>,
    /// The paths in it that each service mounts.
    pub files: BTreeMap<String, BTreeSet<PathBuf>>,
}

/// Each mount of a container by which it gets what is not its own, in words. `volumes` are the volumes that it mounts, as
/// the engine describes them.
pub(super) fn foreign(own: &Own, container: &Container, volumes: &[Value]) -> Vec<String> {
    let none = BTreeSet::new();
    let files = own.files.get(&container.service).unwrap_or(&none);
    let judge = |(kind, source, target): (&str, &str, &str)| {
        let what = match kind {
            "volume" => {
                own.in_volume(container, volumes.iter().find(|volume| is_named(volume, source))?, target)
            }
            "bind" => own.in_directory(container, Path::new(source), target, files),
            _ => None,
        }?;
        Some(format!("{} mounts {what} at {target}", container.name))
    };
    container.mounts().into_iter().filter_map(judge).collect()
}

impl Own<'_> {
    fn in_volume(&self, container: &Container, volume: &Value, target: &str) -> Option<String> {
        let label = |label: &str| volume.get("Labels")?.get(label)?.as_str();
        let name = volume.get("Name").and_then(Value::as_str).unwrap_or_default();
        if label(labels::LAUNCHER).is_some() && container.mount_is_writable(target) {
            return Some(format!("the volume {name} with the launcher, and may write to it,"));
        }
        if let (Some(project), Some(service)) = (label(labels::PROJECT), label(labels::SERVICE)) {
            let is_own = project == self.project && workers::service_of(service) == container.service;
            return (!is_own).then(|| {
                format!("the volume {name} with the secrets of service {service} of the project {project}")
            });
        }
        let directories = directories(volume.get("Options")?);
        let mut judged = directories.iter().map(Path::new);
        judged.find_map(|directory| self.in_directory(container, directory, target, &BTreeSet::new()))
    }

    fn in_directory(
        &self,
        container: &Container,
        source: &Path,
        target: &str,
        files: &BTreeSet<PathBuf>,
    ) -> Option<String> {
        match self.place.leads(source) {
            Leads::Elsewhere => None,
            Leads::Inside => {
                let is_own = self.place.within(source).is_some_and(|path| files.contains(&path));
                (!is_own).then(|| format!("{}, a file with secrets that are not its own,", source.display()))
            }
            Leads::Above(below) => {
                let seen = Path::new(target).join(below);
                let is_hidden =
                    container.mounts().iter().any(|(kind, _, at)| *kind == "tmpfs" && Path::new(at) == seen);
                (self.place.is_filled() && !is_hidden)
                    .then(|| format!("{}, with the secrets directory,", source.display()))
            }
        }
    }
}

fn is_named(volume: &Value, name: &str) -> bool {
    volume.get("Name").and_then(Value::as_str) == Some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::host_paths::HostPaths;

    /// What is foreign of one mount of a container of `web`, whose own file is `api_key`, in a directory that holds files.
    fn of(mount: &Value, volume: &Value) -> Vec<String> {
        let project = tempfile::tempdir().unwrap();
        let here = project.path().canonicalize().unwrap();
        let secrets = here.join("data/secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join(".claude-secrets.json"), "{}").unwrap();
        std::os::unix::fs::symlink(&secrets, here.join("link")).unwrap();
        let text = mount.to_string().replace("PROJECT", here.to_str().unwrap());
        let mounts: Value = serde_json::from_str(&text).unwrap();
        let volume = volume.to_string().replace("PROJECT", here.to_str().unwrap());
        let container = Container {
            id: "1".to_owned(),
            name: "shop-web-1".to_owned(),
            service: "web".to_owned(),
            raw: json!({ "Mounts": mounts }),
        };
        let host = HostPaths::without_engine();
        let place = SecretsPlace::new(&host, &here, &here, Path::new("data/secrets"));
        let files = BTreeMap::from([("web".to_owned(), BTreeSet::from([PathBuf::from("api_key")]))]);
        let own = Own { project: "shop", place, files };
        foreign(&own, &container, &[serde_json::from_str(&volume).unwrap()])
    }

    fn bind(source: &str) -> Value {
        json!([{ "Type": "bind", "Source": source, "Destination": "/x", "RW": false }])
    }

    #[test]
    fn a_bind_mount_of_another_services_file_is_foreign_also_by_a_link_or_from_above() {
        let none = json!({});
        for own in ["PROJECT/data/secrets/api_key", "PROJECT/src", "/etc"] {
            assert_eq!(of(&bind(own), &none), Vec::<String>::new(), "{own}");
        }
        for foreign in [
            "PROJECT/data/secrets/db_password",
            "PROJECT/data/secrets",
            "PROJECT/data",
            "PROJECT",
            "PROJECT/link/db_password",
            "PROJECT/link",
        ] {
            assert_eq!(of(&bind(foreign), &none).len(), 1, "{foreign}");
        }
        let mut hidden = bind("PROJECT");
        hidden.as_array_mut().unwrap().push(json!({ "Type": "tmpfs", "Destination": "/x/data/secrets" }));
        assert_eq!(of(&hidden, &none), Vec::<String>::new());
    }

    #[test]
    fn a_volume_with_another_services_secrets_is_foreign_whatever_mounted_it() {
        let mount = |writable: bool| json!([{ "Type": "volume", "Name": "v", "Source": "/var", "Destination": "/x", "RW": writable }]);
        let volume = |project: &str, service: &str| {
            let labels = json!({ "claude-secrets.project": project, "claude-secrets.service": service });
            json!({ "Name": "v", "Labels": labels })
        };
        assert_eq!(of(&mount(false), &volume("shop", "web")), Vec::<String>::new());
        assert_eq!(of(&mount(true), &json!({ "Name": "v", "Labels": null })), Vec::<String>::new());
        for other in [volume("shop", "db"), volume("blog", "web"), volume("shop", "db+workers")] {
            assert_eq!(of(&mount(false), &other).len(), 1, "{other}");
        }
        let device =
            json!({ "Name": "v", "Options": { "type": "none", "o": "bind", "device": "PROJECT/data" } });
        assert_eq!(of(&mount(false), &device).len(), 1);
        let launcher = json!({ "Name": "v", "Labels": { "claude-secrets.launcher": "1" } });
        assert_eq!(of(&mount(false), &launcher), Vec::<String>::new());
        assert_eq!(of(&mount(true), &launcher).len(), 1);
    }
}
