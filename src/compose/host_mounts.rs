//! What a service mounts of the Docker host's files: by `volumes`, and as its configs and Compose secrets with `file`; and
//! what else is read of them for it.

use std::path::{Path, PathBuf};

use serde_json::Value;

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

/// Everything that a service mounts at an absolute path of its containers: of the host, volumes, temporary file systems; each
/// with the path of the host that is mounted there, if it is one.
pub fn targets<'m>(model: &'m Model, service: &'m Service) -> Vec<(PathBuf, Option<&'m str>)> {
    let of_host = of_service(model, service).into_iter().map(|mount| (mount.target, Some(mount.source)));
    let others = service.mounts.iter().filter(|mount| mount.kind != "bind");
    let others = others.map(|mount| (mount.target.clone(), None));
    let all = of_host.chain(others);
    all.map(|(target, source)| (PathBuf::from(target), source)).collect()
}

/// A path of the Docker host, or of the machine that Compose runs on, that is read for a service without being mounted.
pub struct ReadFor {
    /// What the Compose file has for it.
    pub what: String,
    /// The path.
    pub path: PathBuf,
}

/// Everything that Compose or a build reads for a service, but for the build contexts, for which what is copied from them
/// counts, and for what Compose resolves by itself before it prints the model (`env_file`, `label_file`, `extends`,
/// `include`): that is for [`super::named_files`]. `directory` is the project's.
pub fn read_for(model: &Model, service: &Service, directory: &Path) -> Vec<ReadFor> {
    let definition = model.plain().get("services").and_then(|all| all.get(&service.name));
    let Some(definition) = definition else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |what: String, path: &str, from: &Path| all.push(ReadFor { what, path: from.join(path) });
    for key in &service.build_secrets {
        if let Some(OwnDefinition::File(path)) = model.own_file("secrets", key) {
            add(format!("the build secret {key}"), path, directory);
        }
    }
    if let Some(build) = definition.get("build") {
        let text = |key: &str| build.get(key).and_then(Value::as_str);
        // The context of another place is an address, and its Dockerfile lies there.
        let context = text("context").filter(|context| context.starts_with('/'));
        if let (Some(context), Some(dockerfile)) = (context, text("dockerfile")) {
            add("the Dockerfile".to_owned(), dockerfile, Path::new(context));
        }
        for (name, path) in pairs(build.get("ssh")) {
            add(format!("the SSH key {name} of the build"), path, directory);
        }
        for (name, path) in pairs(build.get("additional_contexts")).filter(|(_, path)| path.starts_with('/'))
        {
            add(format!("the build context {name}"), path, directory);
        }
        let caches = build.get("cache_from").and_then(Value::as_array).into_iter().flatten();
        for option in caches.filter_map(Value::as_str).flat_map(|cache| cache.split(',')) {
            if let Some(path) = option.strip_prefix("src=") {
                add("a cache of the build".to_owned(), path, directory);
            }
        }
    }
    let options = definition.get("security_opt").and_then(Value::as_array).into_iter().flatten();
    for option in options.filter_map(Value::as_str) {
        let profile = option.strip_prefix("seccomp").and_then(|rest| rest.strip_prefix([':', '=']));
        if let Some(path) = profile {
            add("the seccomp profile".to_owned(), path, directory);
        }
    }
    if let Some(path) = definition.pointer("/credential_spec/file").and_then(Value::as_str) {
        add("the credential specification".to_owned(), path, directory);
    }
    all
}

/// Names and paths, as a map or as a list of `name=path`.
fn pairs(value: Option<&Value>) -> impl Iterator<Item = (&str, &str)> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let list = list.filter_map(|entry| entry.as_str()?.split_once('='));
    map.filter_map(|(name, path)| Some((name.as_str(), path.as_str()?))).chain(list)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_that_is_read_for_a_service_is_named() {
        let model = Model::new(
            json!({
                "name": "p",
                "secrets": {"leak": {"file": "/p/leak"}, "variable": {"environment": "V"}},
                "services": {"web": {
                    "build": {
                        "context": "/p/conf",
                        "dockerfile": "../Dockerfile",
                        "ssh": ["default", "key=/p/key"],
                        "secrets": [{"source": "leak"}, {"source": "variable"}],
                        "additional_contexts": {"more": "/p/more", "image": "docker-image://x"},
                        "cache_from": ["type=local,src=./cache", "x:1"],
                    },
                    "security_opt": ["seccomp:./profile", "no-new-privileges:true"],
                    "credential_spec": {"file": "./spec"},
                }, "far": {"build": {"context": "https://example.com/x.git", "dockerfile": "Dockerfile"}}},
            }),
            &BTreeSet::new(),
        );
        let model = model.ok().unwrap();
        let paths = |service: &str| -> Vec<String> {
            let all = read_for(&model, &model.services[service], Path::new("/p"));
            all.iter().map(|one| one.path.display().to_string()).collect()
        };
        assert_eq!(
            paths("web"),
            [
                "/p/leak",
                "/p/conf/../Dockerfile",
                "/p/key",
                "/p/more",
                "/p/./cache",
                "/p/./profile",
                "/p/./spec"
            ]
        );
        assert!(paths("far").is_empty());
    }
}
