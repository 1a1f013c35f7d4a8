//! Compares a plan with what the deployment after it did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::world::World;

/// What there was before a deployment.
pub struct Before {
    containers: BTreeMap<String, BTreeMap<String, String>>,
    files: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    volumes: BTreeMap<String, String>,
}

impl Before {
    pub fn of(world: &World) -> Self {
        Self { containers: containers(world), files: files(world), volumes: world.volumes() }
    }

    /// Fails unless the plan is what was done.
    pub fn compare(&self, world: &World, plan: &Value, deployed: &Value, context: &str) {
        let context = format!("{context}\nplan {plan:#}\ndeployed {:#}", deployed["services"]);
        assert_eq!(plan["version"], 1);
        self.services(world, plan, deployed, &context);
        secrets(world, plan, deployed, &context);
        self.files(world, plan, &context);
        self.volumes(world, plan, &context);
        let result = deployed["result"].as_str().unwrap();
        let doing = rows(plan, "services").iter().any(|row| {
            ["create", "recreate", "scale", "start", "restart", "remove"]
                .contains(&row["action"].as_str().unwrap())
        });
        let rebuilt = rows(plan, "services").iter().any(|row| row["if_image_changes"] == true);
        assert!(
            if doing { result == "deployed" } else { result == "unchanged" || rebuilt },
            "{result}: {context}"
        );
    }

    fn services(&self, world: &World, plan: &Value, deployed: &Value, context: &str) {
        let after = containers(world);
        let none = BTreeMap::new();
        let planned = rows(plan, "services");
        let names: BTreeSet<&String> = self.containers.keys().chain(world.services.keys()).collect();
        let told: BTreeSet<&str> = planned.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(told, names.iter().map(|name| name.as_str()).collect(), "{context}");
        for row in planned {
            let name = row["name"].as_str().unwrap();
            let (old, new) = (self.containers.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none));
            let kept = old.keys().filter(|id| new.contains_key(*id)).count();
            let done = if old.is_empty() && new.is_empty() {
                "idle"
            } else if old.is_empty() {
                "create"
            } else if new.is_empty() {
                "remove"
            } else if kept == 0 {
                "recreate"
            } else if old.len() != new.len() {
                "scale"
            } else if old != new {
                "start"
            } else {
                "keep"
            };
            let action = row["action"].as_str().unwrap();
            let as_done = match action {
                "restart" => "start",
                "stale" | "orphan" => "keep",
                action => action,
            };
            let by_image = row["if_image_changes"] == true && done == "recreate";
            assert!(as_done == done || by_image, "{name}: planned {action}, done {done}\n{context}");
            let reported = rows(deployed, "services").iter().find(|row| row["name"] == name);
            let state = reported.map_or("", |row| row["state"].as_str().unwrap());
            let expected: &[&str] = match action {
                _ if by_image => &["recreated"],
                "create" => &["created"],
                "recreate" => &["recreated"],
                "scale" => &["scaled"],
                "start" | "restart" => &["started"],
                // One that is not started may have ended long ago.
                "keep" if world.services.get(name).is_some_and(|service| service.is_idle) => {
                    &["unchanged", "exited"]
                }
                "keep" => &["unchanged"],
                "stale" => &["stale"],
                "idle" => &["not-started"],
                _ => &[""],
            };
            assert!(expected.contains(&state), "{name}: planned {action}, reported {state}\n{context}");
        }
    }

    fn files(&self, world: &World, plan: &Value, context: &str) {
        let after = files(world);
        let mut planned: BTreeMap<PathBuf, (&str, bool)> = rows(plan, "files")
            .iter()
            .map(|row| {
                let path = world.scene.project().join(row["path"].as_str().unwrap());
                (path, (row["change"].as_str().unwrap(), row["is_certain"] == true))
            })
            .collect();
        let all: BTreeSet<&PathBuf> = self.files.keys().chain(after.keys()).collect();
        for path in all {
            let done = match (self.files.get(path), after.get(path)) {
                (None, Some(_)) => Some("write"),
                (Some(_), None) => Some("remove"),
                (Some(old), Some(new)) if old != new => Some("replace"),
                _ => None,
            };
            match planned.remove(path) {
                Some((change, false)) => assert!(done.is_none_or(|done| done == change), "{context}"),
                told => assert_eq!(told.map(|(change, _)| change), done, "{}\n{context}", path.display()),
            }
        }
        assert!(planned.is_empty(), "{planned:?}\n{context}");
    }

    fn volumes(&self, world: &World, plan: &Value, context: &str) {
        let after = world.volumes();
        let is_told = |name: &&String| !name.ends_with("_claude-secrets-record");
        let mut made: Vec<String> = after
            .iter()
            .filter(|(name, _)| !self.volumes.contains_key(*name) && is_told(name))
            .map(|(name, service)| if service.is_empty() { name.clone() } else { format!("of {service}") })
            .collect();
        let mut gone: Vec<String> =
            self.volumes.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
        let of = |change: &str| -> Vec<String> {
            let rows = rows(plan, "volumes").iter().filter(|row| row["change"] == change);
            let mut all: Vec<String> = rows
                .map(|row| match row["name"].as_str() {
                    Some(name) => name.to_owned(),
                    None => format!("of {}", row["service"].as_str().unwrap()),
                })
                .collect();
            all.sort();
            all
        };
        made.sort();
        gone.sort();
        assert_eq!(of("create"), made, "volumes that are made\n{context}");
        assert_eq!(of("remove"), gone, "volumes that are removed\n{context}");
    }
}

/// What becomes of each secret, by what this test knows of values.
fn secrets(world: &World, plan: &Value, deployed: &Value, context: &str) {
    let planned = rows(plan, "secrets");
    let mut expected: BTreeMap<String, &str> = BTreeMap::new();
    let started = |name: &String| world.services.get(name).is_some_and(|service| !service.is_idle);
    for (name, secret) in &world.secrets {
        let users: Vec<&String> = world
            .services
            .iter()
            .filter(|(service, own)| started(service) && own.secrets.contains(name))
            .map(|(service, _)| service)
            .collect();
        let old = |service: &&String| world.delivered.get(*service).and_then(|all| all.get(name));
        let values: Vec<Option<&String>> = users.iter().map(old).collect();
        let moved = world.came_from.get(name).is_some_and(|source| *source != secret.source);
        let change = if values.iter().flatten().any(|value| **value != secret.value) {
            "changed"
        } else if values.iter().flatten().next().is_none()
            && !world.delivered.values().any(|all| all.contains_key(name))
        {
            "new"
        } else if moved {
            "moved"
        } else {
            "unchanged"
        };
        expected.insert(name.clone(), change);
    }
    for name in world.came_from.keys().filter(|name| !world.secrets.contains_key(*name)) {
        expected.insert(name.clone(), "gone");
    }
    let told: BTreeMap<String, &str> = planned
        .iter()
        .map(|row| (row["name"].as_str().unwrap().to_owned(), row["change"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "the secrets of the plan\n{context}"
    );
    for (name, change) in &expected {
        let told = told[name];
        let is_open = told == "uncertain";
        assert!(told == *change || is_open, "{name}: planned {told}, is {change}\n{context}");
        // Where files were wiped, where a container was removed, or nobody has it any more, nothing tells.
        if is_open {
            assert!(world.is_open(name), "{name} could be told\n{context}");
        }
    }
    let of_deployment = rows(&deployed["plan"], "secrets");
    assert_eq!(planned, of_deployment, "the deployment's own plan\n{context}");
    let changed: BTreeSet<&str> =
        deployed["changed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for (name, change) in &told {
        if ["unchanged", "moved", "gone"].contains(change) {
            assert!(!changed.contains(name.as_str()), "{name} is in `changed`\n{context}");
        }
    }
}

fn rows<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

fn containers(world: &World) -> BTreeMap<String, BTreeMap<String, String>> {
    let project = format!("label=com.docker.compose.project={}", world.scene.name);
    let format = "{{.Label \"com.docker.compose.service\"}}";
    let names = crate::scene::docker(["ps", "-a", "--filter", &project, "--format", format]);
    let names: BTreeSet<String> = names.split_whitespace().map(str::to_owned).collect();
    names.into_iter().map(|name| (name.clone(), world.containers(&name))).collect()
}

/// The secret files and the override file.
fn files(world: &World) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_kept = name == ".claude-secrets.json" || name == ".gitignore";
        let is_secret = path.to_string_lossy().contains("/data/secrets/") && !is_kept;
        is_secret || name == "docker-compose.secrets.yml"
    };
    let all = world.scene.tree().into_iter().filter(|(path, _)| is_ours(path) && path.is_file());
    all.map(|(path, (mode, _, content))| (path, (mode, content))).collect()
}
