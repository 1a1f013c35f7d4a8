//! What Compose makes of the project and the override together, held against both: what a service mounts is its own, or
//! ours for it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::access::Access;
use crate::compose::model::Model;
use crate::compose::service::{OwnFile, OwnMount, Service};
use crate::delivery::override_file::{Mount, OverrideFile, ServiceOverride};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};

/// Checks each service's `secrets`, `configs`, `volumes` and build secrets in the merged model. `model` is the project's
/// own, `all` the override, `ours` the names of volumes that are mounted by the override alone.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each that is neither as the project has it nor what the override gives this service.
pub(crate) fn check_mounts(
    merged: &Value,
    model: &Model,
    all: &OverrideFile,
    access: &Access,
    ours: &BTreeSet<String>,
) -> Result<()> {
    let there = Model::new(merged.clone(), &BTreeSet::new())
        .map_err(|_| Error::new(Code::Internal, "Docker Compose printed a model without a name"))?;
    let merged = Merged { there: &there, model, all, ours };
    let none = ServiceOverride::default();
    let mut problems = Vec::new();
    for service in there.services.values() {
        let given = all.services.get(&service.name).unwrap_or(&none);
        let own = model.services.get(&service.name);
        let granted = access.services.get(&service.name);
        let own_secrets = places(own.into_iter().flat_map(|own| &own.secrets));
        let own_configs = places(own.into_iter().flat_map(|own| &own.configs));
        let given_secrets =
            given.secrets.iter().map(|(key, target)| (key.as_str(), target.as_str())).collect();
        let secrets =
            service.secrets.iter().filter(|secret| !merged.is_own_file("secrets", &own_secrets, secret));
        let secrets = secrets.filter(|secret| !merged.is_given(&given_secrets, secret));
        let configs =
            service.configs.iter().filter(|config| !merged.is_own_file("configs", &own_configs, config));
        let built = service.build_secrets.iter().filter(|key| !merged.is_same("secrets", key));
        let built = built.filter(|key| !granted.is_some_and(|own| own.build.contains_key(*key)));
        let mounts = service.mounts.iter();
        let mounts = mounts.filter(|mount| !merged.is_own_mount(own, mount) && !is_given(given, mount));
        let what = secrets
            .map(|secret| format!("the secret {}", secret.source))
            .chain(configs.map(|config| format!("the config {}", config.source)))
            .chain(built.map(|key| format!("the build secret {key}")))
            .chain(mounts.map(|mount| format!("{} at {}", mount.source, mount.target)));
        problems.extend(what.map(|what| {
            Diagnostic::new(format!(
                "service {}: with the override file, {what} would be neither its own nor meant for it",
                service.name
            ))
        }));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::SecretNotGranted, "services would get secrets that they are not granted")
        .problems(problems)
        .help("Give what the Compose file defines in `secrets:`, `configs:` or `volumes:` another name."))
}

/// Files by their sources and targets.
type Places<'a> = BTreeSet<(&'a str, &'a str)>;

fn places<'a>(files: impl Iterator<Item = &'a OwnFile>) -> Places<'a> {
    files.map(|file| (file.source.as_str(), file.target.as_str())).collect()
}

struct Merged<'a> {
    there: &'a Model,
    model: &'a Model,
    all: &'a OverrideFile,
    ours: &'a BTreeSet<String>,
}

impl Merged<'_> {
    /// Whether a definition is the project's own.
    fn is_same(&self, section: &str, key: &str) -> bool {
        let of = |model: &Model| model.resolved().get(section).and_then(|all| all.get(key)).cloned();
        of(self.there) == of(self.model)
    }

    fn is_own_file(&self, section: &str, own: &Places<'_>, file: &OwnFile) -> bool {
        own.contains(&(&file.source, &file.target)) && self.is_same(section, &file.source)
    }

    /// Whether the override gives a service this secret, and the file behind it is the one of the override.
    fn is_given(&self, given: &Places<'_>, secret: &OwnFile) -> bool {
        let is_listed = given.contains(&(&secret.source, &secret.target));
        let file = self.there.plain().get("secrets").and_then(|all| all.get(&secret.source)?.get("file"));
        let is_file = |(path, _): &(String, bool)| leads_to(file.and_then(Value::as_str), path);
        is_listed && self.all.secrets.get(&secret.source).is_some_and(is_file)
    }

    fn is_own_mount(&self, own: Option<&Service>, mount: &OwnMount) -> bool {
        let same = |other: &OwnMount| {
            (&other.kind, &other.source, &other.target) == (&mount.kind, &mount.source, &mount.target)
        };
        if !own.is_some_and(|own| own.mounts.iter().any(same)) {
            return false;
        }
        mount.kind != "volume"
            || self.is_same("volumes", &mount.source)
                && !self.ours.contains(&self.there.volume_name(&mount.source))
    }
}

/// Whether the override mounts this in the service.
fn is_given(given: &ServiceOverride, mount: &OwnMount) -> bool {
    given.mounts.iter().any(|ours| match ours {
        Mount::Volume { key, target } => {
            mount.kind == "volume" && *key == mount.source && *target == mount.target
        }
        Mount::File { source, target } | Mount::Data { source, target } => {
            mount.kind == "bind" && leads_to(Some(&mount.source), source) && *target == mount.target
        }
    })
}

/// Whether a path of the merged model, which is absolute, is one of the override file.
fn leads_to(path: Option<&str>, ours: &str) -> bool {
    path.is_some_and(|path| match ours.strip_prefix("./") {
        Some(below) => path.strip_suffix(below).is_some_and(|before| before.ends_with('/')),
        None => path == ours,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(own: &Value, merged: &Value, all: &OverrideFile) -> String {
        let model = Model::new(own.clone(), &BTreeSet::new()).ok().unwrap();
        let ours = BTreeSet::from(["p_secrets_web_1".to_owned()]);
        let checked = check_mounts(merged, &model, all, &Access::default(), &ours);
        checked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_a_service_mounts_is_its_own_or_ours_for_it() {
        let own = json!({"name": "p", "services": {
            "web": {},
            "evil": {
                "secrets": [{"source": "token", "target": "token"}],
                "build": {"secrets": [{"source": "token"}]},
                "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
            }},
            "secrets": {"token": {"environment": "PUBLIC"}},
            "volumes": {"data": {"name": "p_data"}},
        });
        let web = ServiceOverride {
            secrets: vec![("key".to_owned(), "/run/secrets/key".to_owned())],
            mounts: vec![Mount::Volume { key: "v".to_owned(), target: "/run/x".to_owned() }],
            ..ServiceOverride::default()
        };
        let mut all = OverrideFile::default();
        all.services.insert("web".to_owned(), web);
        all.secrets.insert("key".to_owned(), ("./data/secrets/key".to_owned(), false));
        all.volumes.insert("v".to_owned(), "p_secrets_web_1".to_owned());
        let mut merged = own.clone();
        merged["services"]["web"] = json!({
            "secrets": [{"source": "key", "target": "/run/secrets/key"}],
            "volumes": [{"type": "volume", "source": "v", "target": "/run/x"}],
        });
        merged["secrets"]["key"] = json!({"file": "/srv/p/data/secrets/key"});
        merged["volumes"]["v"] = json!({"name": "p_secrets_web_1", "external": true});
        assert_eq!(problems(&own, &merged, &all), "");
        for (place, value, expected) in [
            (
                "/secrets/token",
                json!({"file": "/srv/p/data/secrets/token"}),
                "evil: with the override file, the secret",
            ),
            ("/secrets/token", json!({"file": "/srv/p/data/secrets/token"}), "the build secret token"),
            ("/secrets/key", json!({"file": "/srv/p/data/secrets/other"}), "service web"),
            ("/volumes/data", json!({"name": "p_secrets_web_1", "external": true}), "data at /data"),
            ("/services/evil/volumes/0/source", json!("v"), "v at /data"),
            ("/services/evil/secrets/0/source", json!("key"), "the secret key"),
        ] {
            let mut changed = merged.clone();
            *changed.pointer_mut(place).unwrap() = value;
            let said = problems(&own, &changed, &all);
            assert!(said.contains(expected), "{place}: {said}");
        }
        // A volume of ours by its name in the engine, without our key.
        let mut own = own;
        own["volumes"]["data"] = json!({"name": "p_secrets_web_1"});
        merged["volumes"]["data"] = own["volumes"]["data"].clone();
        assert!(problems(&own, &merged, &all).contains("data at /data"));
    }
}
