//! A project that can be changed at random: secrets with values in two sources, services that read some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::random::Random;
use crate::scene::{Scene, docker, done, service_image};

/// One secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub value: String,
    /// `env` or `dotenv`.
    pub source: &'static str,
}

/// One service.
#[allow(clippy::struct_excessive_bools, reason = "each is something that can change by itself")]
#[derive(Clone, PartialEq, Eq)]
pub struct Service {
    /// The secrets that its Compose file names, or that the manifest gives it.
    pub secrets: BTreeSet<String>,
    /// Whether it reads them as files instead of variables.
    pub as_files: bool,
    /// A variable that is no secret.
    pub mode: usize,
    pub replicas: usize,
    /// The service that it depends on, and how.
    pub follows: Option<(String, &'static str)>,
    /// Whether it mounts the file of the project.
    pub mounts: bool,
    /// Whether it has a volume of its own.
    pub has_data: bool,
    pub is_built: bool,
    /// Whether it has a profile that nobody starts.
    pub is_idle: bool,
}

/// The project to deploy, and what the last deployment delivered.
pub struct World {
    pub scene: Scene,
    pub delivery: &'static str,
    pub secrets: BTreeMap<String, Secret>,
    pub services: BTreeMap<String, Service>,
    pub content: usize,
    pub remove_orphans: bool,
    /// Whether the secret files were wiped since, so that nothing tells what they were.
    pub is_wiped: bool,
    /// By service: the secrets that it has, with their values.
    pub delivered: BTreeMap<String, BTreeMap<String, String>>,
    /// Where each came from.
    pub came_from: BTreeMap<String, &'static str>,
    next: usize,
}

impl World {
    pub fn new(delivery: &'static str) -> Self {
        let scene = Scene::new("plan");
        let mut this = Self {
            scene,
            delivery,
            secrets: BTreeMap::new(),
            services: BTreeMap::new(),
            content: 0,
            remove_orphans: false,
            is_wiped: false,
            delivered: BTreeMap::new(),
            came_from: BTreeMap::new(),
            next: 0,
        };
        for (name, source) in [("KEY_A", "env"), ("KEY_B", "dotenv"), ("KEY_C", "env")] {
            let value = this.value();
            this.secrets.insert(name.to_owned(), Secret { value, source });
        }
        for (name, secrets) in [("web", &["KEY_A", "KEY_B"][..]), ("api", &["KEY_B"]), ("job", &["KEY_C"])] {
            this.services.insert(name.to_owned(), service(secrets));
        }
        this.services.insert("plain".to_owned(), Service { has_data: true, ..service(&[]) });
        this
    }

    fn value(&mut self) -> String {
        self.next += 1;
        format!("canary-{}-{}", std::process::id(), self.next)
    }

    fn name(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}{}", self.next)
    }

    /// Changes something, and says what.
    pub fn change(&mut self, random: &mut Random) -> String {
        self.remove_orphans = random.below(3) == 0;
        loop {
            if let Some(told) = self.try_change(random) {
                return format!("{told}{}", if self.remove_orphans { ", with remove-orphans" } else { "" });
            }
        }
    }

    #[allow(clippy::too_many_lines, reason = "a list of changes")]
    fn try_change(&mut self, random: &mut Random) -> Option<String> {
        let secrets: Vec<String> = self.secrets.keys().cloned().collect();
        let services: Vec<String> = self.services.keys().cloned().collect();
        let secret = random.pick(&secrets).clone();
        let name = random.pick(&services).clone();
        let other = random.pick(&services).clone();
        let number = random.below(19);
        Some(match number {
            0 | 1 => {
                self.secrets.get_mut(&secret)?.value = self.value();
                format!("another value of {secret}")
            }
            2 => {
                let found = self.secrets.get_mut(&secret)?;
                found.source = if found.source == "env" { "dotenv" } else { "env" };
                format!("{secret} moves to {}", found.source)
            }
            3 => {
                let value = self.value();
                let found = self.secrets.get_mut(&secret)?;
                found.source = if found.source == "env" { "dotenv" } else { "env" };
                found.value = value;
                format!("{secret} moves to {} with another value", found.source)
            }
            4 => {
                let new = self.name("KEY_");
                let value = self.value();
                self.secrets.insert(new.clone(), Secret { value, source: "env" });
                self.services.get_mut(&name)?.secrets.insert(new.clone());
                format!("{new} for {name}")
            }
            5 if self.secrets.len() > 2 => {
                self.secrets.remove(&secret);
                self.services.values_mut().for_each(|service| {
                    service.secrets.remove(&secret);
                });
                format!("{secret} is gone")
            }
            6 => {
                if !self.services.get_mut(&name)?.secrets.insert(secret.clone()) {
                    return None;
                }
                format!("{secret} also for {name}")
            }
            7 => {
                let users =
                    self.services.values().filter(|service| service.secrets.contains(&secret)).count();
                if users < 2 || !self.services.get_mut(&name)?.secrets.remove(&secret) {
                    return None;
                }
                format!("{secret} no more for {name}")
            }
            8 => {
                let found = self.services.get_mut(&name)?;
                if found.secrets.is_empty() {
                    return None;
                }
                found.as_files = !found.as_files;
                format!("{name} reads {}", if found.as_files { "files" } else { "variables" })
            }
            9 => {
                self.services.get_mut(&name)?.mode += 1;
                format!("another variable of {name}")
            }
            10 => {
                let found = self.services.get_mut(&name)?;
                found.replicas = 1 + found.replicas % 2;
                format!("{name} has {} replicas", found.replicas)
            }
            11 if name != other => {
                let is_free = self.services.values().all(|service| service.follows.is_none());
                let is_plain = |name: &String| !self.services[name].is_idle;
                if !is_free || !is_plain(&name) || !is_plain(&other) {
                    self.services.values_mut().for_each(|service| service.follows = None);
                    return Some("nothing follows anything".to_owned());
                }
                let how = *random.pick(&["restart", "network"]);
                self.services.get_mut(&name)?.follows = Some((other.clone(), how));
                format!("{name} follows {other} by {how}")
            }
            12 => {
                let found = self.services.get_mut(&name)?;
                found.mounts = !found.mounts;
                format!("{name} mounts the file: {}", found.mounts)
            }
            13 => {
                self.content += 1;
                "another content of the file".to_owned()
            }
            14 if self.services.len() < 6 => {
                let new = self.name("extra");
                let chosen: Vec<&str> = if random.below(2) == 0 { vec![] } else { vec![secret.as_str()] };
                let is_built = random.below(3) == 0;
                self.services.insert(
                    new.clone(),
                    Service { is_built, has_data: random.below(2) == 0, ..service(&chosen) },
                );
                format!("the service {new} with {chosen:?}, built: {is_built}")
            }
            15 if self.services.len() > 3 => {
                let is_followed = |name: &String| {
                    self.services.values().any(|s| s.follows.as_ref().is_some_and(|(other, _)| other == name))
                };
                let is_needed = self.services[&name].secrets.iter().any(|secret| {
                    let users = self.services.values().filter(|s| s.secrets.contains(secret));
                    users.count() < 2
                });
                if is_followed(&name) || is_needed {
                    return None;
                }
                self.services.remove(&name);
                format!("the service {name} is gone")
            }
            16 => {
                let ids = self.containers(&name);
                let id = ids.keys().next()?;
                let verb = *random.pick(&["kill", "rm"]);
                docker(if verb == "rm" { vec!["rm", "--force", id] } else { vec!["kill", id] });
                format!("a container of {name} by docker {verb}")
            }
            17 if self.delivery == "file" => {
                let directory = self.scene.project().join("data");
                std::fs::remove_dir_all(directory).ok()?;
                self.is_wiped = true;
                // What was wiped can only be told apart from another value when there is one.
                self.secrets.get_mut(&secret)?.value = self.value();
                format!("the secret files are wiped, and another value of {secret}")
            }
            18 => {
                let found = self.services.get(&name)?;
                let is_followed = self
                    .services
                    .values()
                    .any(|s| s.follows.as_ref().is_some_and(|(other, _)| *other == name));
                if found.follows.is_some() || is_followed {
                    return None;
                }
                let found = self.services.get_mut(&name)?;
                found.is_idle = !found.is_idle;
                format!("{name} is to be started: {}", !found.is_idle)
            }
            _ => return None,
        })
    }

    /// Writes the project to deploy.
    pub fn write(&self) {
        let mut text = String::from("services:\n");
        for (name, service) in &self.services {
            writeln!(text, "  {name}:").unwrap();
            if service.is_built {
                writeln!(text, "    build: {{ context: ., dockerfile_inline: 'FROM {}' }}", service_image())
                    .unwrap();
            } else {
                text.push_str("    image: IMAGE\n");
            }
            text.push_str("    init: true\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n");
            writeln!(text, "    environment:\n      MODE: '{}'", service.mode).unwrap();
            for secret in &service.secrets {
                if service.as_files {
                    writeln!(text, "      {secret}_FILE: /run/secrets/{}", secret.to_lowercase()).unwrap();
                } else {
                    writeln!(text, "      {secret}: '${{{secret}}}'").unwrap();
                }
            }
            if service.replicas != 1 {
                writeln!(text, "    deploy: {{ replicas: {} }}", service.replicas).unwrap();
            }
            match &service.follows {
                Some((other, "restart")) => writeln!(
                    text,
                    "    depends_on: {{ {other}: {{ condition: service_started, restart: true }} }}"
                )
                .unwrap(),
                Some((other, _)) => writeln!(text, "    network_mode: 'service:{other}'").unwrap(),
                None => {}
            }
            if service.is_idle {
                text.push_str("    profiles: [never]\n");
            }
            if service.mounts || service.has_data {
                text.push_str("    volumes:\n");
            }
            if service.mounts {
                text.push_str("      - ./mounted.txt:/mounted.txt:ro\n");
            }
            if service.has_data {
                writeln!(text, "      - data-{name}:/data").unwrap();
            }
        }
        text.push_str("volumes:\n");
        for (name, _) in self.services.iter().filter(|(_, service)| service.has_data) {
            writeln!(text, "  data-{name}: {{}}").unwrap();
        }
        if !self.services.values().any(|service| service.has_data) {
            text = text.replace("\nvolumes:\n", "\n");
        }
        self.scene.compose(&text);
        self.scene.write("mounted.txt", format!("content {}\n", self.content));
        let mut manifest = String::from("secrets:\n");
        let mut dotenv = String::new();
        for (name, secret) in &self.secrets {
            writeln!(manifest, "  {name}: {{ from: ['{}:{name}'] }}", secret.source).unwrap();
            if secret.source == "dotenv" {
                writeln!(dotenv, "{name}={}", secret.value).unwrap();
            }
        }
        self.scene.write("claude-secrets.yml", manifest);
        self.scene.write(".env", dotenv);
    }

    /// Runs a mode, which must end well, and returns its report.
    #[track_caller]
    pub fn run(&self, mode: &str) -> Value {
        let words = [mode, "--quiet", "--format", "json", "--wait=false", "--delivery", self.delivery];
        let mut command = self.scene.cli(words);
        if self.remove_orphans {
            command.arg("--remove-orphans");
        }
        for (name, secret) in self.secrets.iter().filter(|(_, secret)| secret.source == "env") {
            command.env(name, &secret.value);
        }
        let done = done(command).expect(0);
        let text = String::from_utf8(done.stdout).unwrap();
        for value in self.secrets.values().map(|secret| &secret.value) {
            assert!(!text.contains(value) && !done.stderr.contains(value), "a value in the report");
        }
        serde_json::from_str(&text).unwrap()
    }

    /// Whether nothing can tell what a secret was: the files were wiped, or none of those that had it has it.
    pub fn is_open(&self, secret: &str) -> bool {
        let mut users =
            self.services.iter().filter(|(_, service)| !service.is_idle && service.secrets.contains(secret));
        let had = |name: &String| self.delivered.get(name).is_some_and(|all| all.contains_key(secret));
        self.is_wiped || !users.any(|(name, _)| had(name))
    }

    /// Takes note of what was delivered.
    pub fn deployed(&mut self) {
        let is_orphan = |name: &String| !self.services.contains_key(name);
        let mut delivered: BTreeMap<_, _> = std::mem::take(&mut self.delivered);
        delivered.retain(|name, _| !is_orphan(name) || !self.remove_orphans);
        for (name, service) in self.services.iter().filter(|(_, service)| !service.is_idle) {
            let has =
                service.secrets.iter().map(|secret| (secret.clone(), self.secrets[secret].value.clone()));
            delivered.insert(name.clone(), has.collect());
        }
        self.delivered = delivered;
        self.came_from = self.secrets.iter().map(|(name, secret)| (name.clone(), secret.source)).collect();
        self.is_wiped = false;
    }

    /// Ids of a service's containers, with the time at which each was started.
    pub fn containers(&self, service: &str) -> BTreeMap<String, String> {
        let project = format!("label=com.docker.compose.project={}", self.scene.name);
        let service = format!("label=com.docker.compose.service={service}");
        let ids = docker(["ps", "-aq", "--no-trunc", "--filter", &project, "--filter", &service]);
        let started = |id: &str| docker(["inspect", "--format", "{{.State.StartedAt}}", id]);
        ids.split_whitespace().map(|id| (id.to_owned(), started(id))).collect()
    }

    /// The names of the project's volumes: ours with the service of each, then its own.
    pub fn volumes(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for label in ["claude-secrets.project", "com.docker.compose.project"] {
            let filter = format!("label={label}={}", self.scene.name);
            let format = "{{.Name}} {{.Label \"claude-secrets.service\"}}";
            let lines = docker(["volume", "ls", "--filter", &filter, "--format", format]);
            all.extend(lines.lines().map(|line| {
                let (name, service) = line.split_once(' ').unwrap_or((line, ""));
                (name.to_owned(), service.trim().to_owned())
            }));
        }
        all
    }
}

fn service(secrets: &[&str]) -> Service {
    Service {
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        as_files: false,
        mode: 0,
        replicas: 1,
        follows: None,
        mounts: false,
        has_data: false,
        is_built: false,
        is_idle: false,
    }
}
