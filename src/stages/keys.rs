//! The keys that the override file has in the project's `secrets:` and `volumes:`, where the project has keys of its own.
//!
//! A key that a service or a build of the project refers to is the project's: what refers to it would get what is ours. And
//! each thing of ours has a key of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::access::{Access, Entry, ServiceAccess};
use crate::compose::model::Model;
use crate::compose::service::{OwnFile, Service};
use crate::delivery::choose::Kind;
use crate::delivery::launch;
use crate::delivery::names::free;
use crate::delivery::plan::{ServicePlan, plain_name};
use crate::delivery::workers;
use crate::secret::SecretName;

/// The keys. They are the same in each run of the same project.
#[derive(Default)]
pub(crate) struct Keys {
    /// By the file's path in the secrets directory.
    secrets: BTreeMap<PathBuf, String>,
    /// By service; the launcher's has no service.
    volumes: BTreeMap<Option<String>, String>,
    /// By service: those of ours that are not as they would be elsewhere, and those of the project that are why.
    contested: BTreeMap<String, BTreeSet<String>>,
}

impl Keys {
    /// Chooses the keys. `paths` tells which file of the secrets directory each service mounts.
    pub(crate) fn new(
        kind: Kind,
        model: &Model,
        access: &Access,
        plans: &BTreeMap<String, ServicePlan>,
        paths: &BTreeMap<(String, String), PathBuf>,
    ) -> Self {
        match kind {
            Kind::File => Self::of_files(model, access, plans, paths),
            Kind::Volume => Self::of_volumes(model, access, plans),
        }
    }

    /// The key of a file.
    pub(crate) fn secret(&self, path: &Path) -> Option<&String> {
        self.secrets.get(path)
    }

    /// The key of a service's volume.
    pub(crate) fn volume(&self, service: &str) -> Option<&String> {
        self.volumes.get(&Some(service.to_owned()))
    }

    /// The key of the launcher's volume.
    pub(crate) fn launcher(&self) -> String {
        self.volumes.get(&None).cloned().unwrap_or_else(|| launch::FILE.to_owned())
    }

    /// What a label remembers of a service's keys: nothing where none is contested.
    pub(crate) fn remembered(&self, service: &str) -> Option<Value> {
        self.contested.get(service).map(|keys| json!(["keys", keys]))
    }

    /// All that is contested, for the stamp of the override file.
    pub(crate) fn all_contested(&self) -> Value {
        json!(self.contested)
    }

    fn of_files(
        model: &Model,
        access: &Access,
        plans: &BTreeMap<String, ServicePlan>,
        paths: &BTreeMap<(String, String), PathBuf>,
    ) -> Self {
        let mut wishes: BTreeMap<(bool, PathBuf), (String, Option<SecretName>)> = BTreeMap::new();
        let mut users: Vec<(&String, &PathBuf)> = Vec::new();
        for (service, plan) in plans.iter().filter(|(service, _)| !workers::is_set(service)) {
            for file in &plan.files {
                let Some(path) = paths.get(&(service.clone(), file.file.clone())) else { continue };
                let in_directory = path.components().count() > 1;
                let wish = taken_by_compose(if in_directory {
                    format!("{service}--{}", plain_name(&file.file))
                } else {
                    file.file.clone()
                });
                wishes.insert((in_directory, path.clone()), (wish, file.name.clone()));
                users.push((service, path));
            }
        }
        let by_key: BTreeMap<&String, Option<&SecretName>> =
            wishes.values().map(|(wish, name)| (wish, name.as_ref())).collect();
        let mut taken = BTreeSet::new();
        let mut contested: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in model.services.values() {
            let own = access.services.get(&service.name);
            let kept = kept(service, own, plans.get(&service.name));
            // A build may have what it is granted, and nothing else by that key.
            let granted = |key: &&String| {
                own.and_then(|own| own.build.get(*key))
                    .is_some_and(|name| by_key.get(key) == Some(&Some(name)))
            };
            let built = service.build_secrets.iter().filter(|key| !granted(key)).cloned();
            let keys: BTreeSet<String> = kept.into_iter().map(|own| own.source).chain(built).collect();
            let here: BTreeSet<String> =
                keys.iter().filter(|key| by_key.contains_key(key)).cloned().collect();
            if !here.is_empty() {
                contested.insert(service.name.clone(), here);
            }
            taken.extend(keys);
        }
        let as_wished: BTreeMap<&PathBuf, &String> =
            wishes.iter().map(|((_, path), (wish, _))| (path, wish)).collect();
        let list = wishes.iter().map(|((_, path), (wish, _))| (path.clone(), wish.clone())).collect();
        let secrets = free(list, &taken);
        for (service, path) in users {
            if let Some(key) = secrets.get(path).filter(|key| as_wished.get(path) != Some(key)) {
                contested.entry(service.clone()).or_default().insert(key.clone());
            }
        }
        Self { secrets, contested, volumes: BTreeMap::new() }
    }

    fn of_volumes(model: &Model, access: &Access, plans: &BTreeMap<String, ServicePlan>) -> Self {
        let services = plans.keys().filter(|name| !workers::is_set(name));
        let of_services = services.map(|name| (Some(name.clone()), format!("claude-secrets-{name}")));
        let wishes: Vec<_> = of_services.chain([(None, launch::FILE.to_owned())]).collect();
        let defined = model.resolved().get("volumes").and_then(Value::as_object).into_iter().flatten();
        let mut taken: BTreeSet<String> = defined.map(|(key, _)| key.clone()).collect();
        let mut contested: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in model.services.values() {
            for mount in service.mounts.iter().filter(|mount| mount.kind == "volume") {
                taken.insert(mount.source.clone());
                if wishes.iter().any(|(_, wish)| *wish == mount.source) {
                    contested.entry(service.name.clone()).or_default().insert(mount.source.clone());
                }
            }
        }
        let as_wished: BTreeMap<_, _> = wishes.iter().cloned().collect();
        let volumes = free(wishes, &taken);
        for (service, key) in volumes.iter().filter(|(service, key)| as_wished.get(service) != Some(key)) {
            let needs_it = |own: &ServiceAccess| !own.at_start().is_empty() || !own.arguments.is_empty();
            let users: Vec<&String> = match service {
                Some(service) => vec![service],
                None => {
                    access.services.iter().filter(|(_, own)| needs_it(own)).map(|(name, _)| name).collect()
                }
            };
            for user in users {
                contested.entry(user.clone()).or_default().insert(key.clone());
            }
        }
        Self { secrets: BTreeMap::new(), volumes, contested }
    }
}

/// A key that Compose takes: letters, digits and `._-` alone (`^[a-zA-Z0-9._-]+$` in its schema). One that has others is
/// told apart by its digest, so that it is no other one's.
fn taken_by_compose(key: String) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !key.is_empty() && key.chars().all(is_taken) {
        return key;
    }
    let digest = HEXLOWER.encode(&Sha256::digest(&key)[..8]);
    let plain: String = key.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    format!("{plain}-{digest}")
}

/// Those of a service's own secrets that it keeps beside what it is given as files.
pub(crate) fn kept(
    service: &Service,
    access: Option<&ServiceAccess>,
    plan: Option<&ServicePlan>,
) -> Vec<OwnFile> {
    let (Some(access), Some(plan)) = (access, plan) else { return service.secrets.clone() };
    // Two entries with one target are kept side by side unless they are written alike.
    not_planned(&service.secrets, plan)
        .into_iter()
        .filter(|secret| !access.taken.contains(&Entry::Secret(secret.source.clone())))
        .collect()
}

/// Those of a service's own secrets that are at no place of the plan.
pub(crate) fn not_planned(own: &[OwnFile], plan: &ServicePlan) -> Vec<OwnFile> {
    let files: BTreeSet<&str> = plan.files.iter().map(|file| file.file.as_str()).collect();
    let planned = |target: &str| files.contains(target.strip_prefix("/run/secrets/").unwrap_or(target));
    own.iter().filter(|secret| !planned(&secret.target)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::plan::{PlannedFile, Reader, lay_out};
    use crate::delivery::revision::Content;
    use crate::manifest::FileSpec;
    use crate::secret::SecretValue;

    fn model(services: &Value, more: &Value) -> Model {
        let mut all = json!({"name": "p", "services": services});
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        let active = services.as_object().unwrap().keys().cloned().collect();
        Model::new(all, &active).ok().unwrap()
    }

    /// Plans: service, then files, each with whether it is shared.
    fn plans(services: &[(&str, &[(&str, bool)])]) -> BTreeMap<String, ServicePlan> {
        let file = |(file, shared): &(&str, bool)| PlannedFile {
            name: SecretName::parse(&file.to_uppercase()).ok(),
            file: (*file).to_owned(),
            value: SecretValue::new(b"v".to_vec()),
            spec: FileSpec::default(),
            shared: *shared,
        };
        let plan = |files: &[(&str, bool)]| ServicePlan {
            files: files.iter().map(file).collect(),
            reader: Reader::Anyone,
            content: Content::default(),
            user: None,
        };
        services.iter().map(|(name, files)| ((*name).to_owned(), plan(files))).collect()
    }

    fn access(services: &Model) -> Access {
        let own = services.services.keys().map(|name| (name.clone(), ServiceAccess::default()));
        Access { services: own.collect(), ..Access::default() }
    }

    fn keys(kind: Kind, model: &Model, plans: &BTreeMap<String, ServicePlan>) -> Keys {
        let (_, paths) = lay_out(plans, true);
        Keys::new(kind, model, &access(model), plans, &paths)
    }

    #[test]
    fn a_key_that_a_service_or_a_build_of_the_project_refers_to_is_not_ours() {
        let plans = plans(&[("web", &[("token", true), ("key", true)])]);
        let plain = json!({"web": {}, "evil": {}});
        let alone = keys(Kind::File, &model(&plain, &json!({})), &plans);
        assert_eq!(alone.secret(Path::new("token")).unwrap(), "token");
        assert!(alone.remembered("web").is_none());
        // Defined and not referred to by anyone but who is given it: as ever.
        let defined = json!({"secrets": {"token": {"environment": "TOKEN"}}});
        let own = json!({"web": {"secrets": [{"source": "token", "target": "token"}]}});
        let own = keys(Kind::File, &model(&own, &defined), &plans);
        assert_eq!(own.secret(Path::new("token")).unwrap(), "token");
        for evil in [
            json!({"secrets": [{"source": "token", "target": "mine"}]}),
            json!({"build": {"secrets": [{"source": "token"}]}}),
        ] {
            let services = json!({"web": {}, "evil": evil});
            let keys = keys(Kind::File, &model(&services, &defined), &plans);
            assert_eq!(keys.secret(Path::new("token")).unwrap(), "token_", "{services}");
            assert_eq!(keys.secret(Path::new("key")).unwrap(), "key", "{services}");
            assert!(keys.remembered("web").is_some() && keys.remembered("evil").is_some(), "{services}");
        }
    }

    #[test]
    fn no_two_files_of_ours_have_one_key() {
        let plans = plans(&[
            ("a", &[("x", false), ("one", true), ("/etc/a-b", false), ("/etc/a/b", false)]),
            ("a--b", &[("c", false)]),
            ("a-", &[("-b", false)]),
            ("b", &[("a--x", true), ("a--x_", true)]),
        ]);
        let names: Vec<&str> = plans.keys().map(String::as_str).collect();
        let services: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let keys = keys(Kind::File, &model(&Value::Object(services), &json!({})), &plans);
        let distinct: BTreeSet<&String> = keys.secrets.values().collect();
        assert_eq!(distinct.len(), 8, "{:?}", keys.secrets);
        assert_eq!(keys.secret(Path::new("a--x")).unwrap(), "a--x");
        assert_eq!(keys.secret(Path::new("a--x_")).unwrap(), "a--x_");
    }

    #[test]
    fn compose_takes_the_key_of_every_file_and_those_that_it_took_stay() {
        let files = [
            ("/etc/conf x", false),
            ("/etc/conf_x", false),
            ("/etc/conf\tx", false),
            ("/etc/ключ", false),
            ("/etc/a.b-c", false),
            ("my key", true),
            ("my_key", true),
        ];
        let plans = plans(&[("a", &files)]);
        let keys = keys(Kind::File, &model(&json!({"a": {}}), &json!({})), &plans);
        let distinct: BTreeSet<&String> = keys.secrets.values().collect();
        assert_eq!(distinct.len(), files.len(), "{:?}", keys.secrets);
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(distinct.iter().all(|key| key.chars().all(is_taken)), "{distinct:?}");
        for known in ["a--etc-conf_x", "a--etc-a.b-c", "my_key"] {
            assert!(distinct.contains(&known.to_owned()), "{known}: {distinct:?}");
        }
        assert!(keys.remembered("a").is_none(), "no key is contested for what is written in it");
    }

    #[test]
    fn no_volume_of_ours_has_a_key_of_the_project_or_of_another_one() {
        let volumes = |model: &Model, plans| {
            let keys = keys(Kind::Volume, model, plans);
            (keys.volume("web").cloned(), keys.volume("exec").cloned(), keys.launcher())
        };
        let some = |text: &str| Some(text.to_owned());
        let web = plans(&[("web", &[("key", true)])]);
        let services = json!({"web": {}, "evil": {"volumes": [
            {"type": "volume", "source": "claude-secrets-web", "target": "/data"}]}});
        let found = volumes(&model(&json!({"web": {}}), &json!({})), &web);
        assert_eq!(found, (some("claude-secrets-web"), None, "claude-secrets-exec".to_owned()));
        for more in [json!({"volumes": {"claude-secrets-web": {}}}), json!({})] {
            let found = volumes(&model(&services, &more), &web);
            assert_eq!(found.0, some("claude-secrets-web_"));
        }
        let exec = plans(&[("exec", &[("key", true)]), ("web", &[("key", true)])]);
        let found = volumes(&model(&json!({"web": {}, "exec": {}}), &json!({})), &exec);
        assert_eq!(
            found,
            (some("claude-secrets-web"), some("claude-secrets-exec"), "claude-secrets-exec_".to_owned())
        );
    }
}
