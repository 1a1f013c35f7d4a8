//! A project of tests/projects as its `project.yml` describes it: the secrets, where their values are, and what each
//! service's program must find, in which form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::stand_in::{digest, digest_of_all};

/// The name of the file that describes a project; it is no part of the project.
pub const DESCRIPTION: &str = "project.yml";

/// What `project.yml` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Project {
    /// The shape that the project has, in a sentence.
    pub about: String,
    /// The `secrets` input, a declaration a line.
    pub secrets: Vec<String>,
    /// The step's `env`, and as well the environment of plain Compose: a name and its value.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What plain Compose needs besides, or instead, since it knows no references.
    #[serde(default)]
    pub env_of_compose: BTreeMap<String, String>,
    /// The same for the step.
    #[serde(default)]
    pub env_of_step: BTreeMap<String, String>,
    /// Values of secrets that are in the project's own files.
    #[serde(default)]
    pub in_files: BTreeMap<String, String>,
    /// Inputs that are options of Compose as well: `compose-files`, `profiles`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Inputs that only the action has.
    #[serde(default)]
    pub action: BTreeMap<String, String>,
    /// `claude-secrets.yml`: what the `secrets` input alone cannot say.
    #[serde(default)]
    pub manifest: String,
    /// What plain Compose says where it refuses the project.
    pub refused_by_compose: Option<String>,
    /// The images that services run, by the end of their name, with lines of a Dockerfile.
    pub images: BTreeMap<String, Vec<String>>,
    /// What the program of each service must find.
    pub services: BTreeMap<String, Service>,
    /// The same for programs that find another form when the action runs the project, by the manifest's word.
    #[serde(default)]
    pub services_with_manifest: BTreeMap<String, Service>,
    /// Services that must not run.
    #[serde(default)]
    pub idle: Vec<String>,
}

/// What the program of a service must find.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Service {
    /// Its role, when it shares that with other services; else it is the service's name.
    pub role: Option<String>,
    /// Variables with exactly these values.
    pub variables: BTreeMap<String, String>,
    /// Variables that may be set as long as they are empty.
    pub empty: Vec<String>,
    /// Files with exactly this content.
    pub files: BTreeMap<String, String>,
    /// Files that must not be there.
    pub missing: Vec<String>,
    /// The program's arguments.
    pub arguments: Option<Vec<String>>,
    /// The arguments of the health check, after the word `health`; the container must get healthy.
    pub health: Option<Vec<String>>,
    /// The arguments of the hook, after the word `hook`.
    pub hook: Option<Vec<String>>,
    /// What a step of the image's build must find: files.
    pub build: BTreeMap<String, String>,
    /// The numeric user that the program runs as.
    pub user: Option<u32>,
    /// Its process number, which is 1 where it is the container's first.
    pub process: Option<u32>,
    /// How many containers it has.
    pub replicas: Option<usize>,
    /// Whether it ends, with status 0.
    pub ends: bool,
}

/// The folder that all the projects are in.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects")
}

impl Project {
    /// The description of the project in a folder of that name.
    pub fn read(name: &str) -> Self {
        let path = folder().join(name).join(DESCRIPTION);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The declared names.
    pub fn declared(&self) -> Vec<&str> {
        let name = |line: &'_ str| line.find(['?', '=', ' ']).unwrap_or(line.len());
        self.secrets.iter().map(|line| &line[..name(line)]).collect()
    }

    /// All values of secrets, by name.
    pub fn values(&self) -> BTreeMap<&str, &str> {
        let all = self.env.iter().chain(&self.in_files);
        all.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The file of checks for each role, as the stand-in program reads it.
    pub fn checks(&self) -> BTreeMap<&str, String> {
        let mut names: BTreeSet<String> = self.declared().into_iter().map(str::to_owned).collect();
        for service in self.services.values() {
            names.extend(service.variables.keys().cloned());
        }
        let mut all = BTreeMap::new();
        for (name, service) in &self.services {
            let role = service.role.as_deref().unwrap_or(name);
            let text = service.checks(role, &names, self);
            let same = all.get(role).is_none_or(|other| *other == text);
            assert!(same, "the services of the role {role} ask for different things");
            all.insert(role, text);
        }
        all
    }
}

impl Service {
    fn checks(&self, role: &str, names: &BTreeSet<String>, project: &Project) -> String {
        let mut text = String::new();
        let mut sections = vec!["run"];
        sections.extend(self.health.is_some().then_some("health"));
        sections.extend(self.hook.is_some().then_some("hook"));
        for section in sections {
            let mut line = |kind: &str, name: &str, digest: &str| {
                assert!(!name.contains([' ', '\n']), "{role}: {kind} {name:?}");
                writeln!(text, "{section} {kind} {name} {digest}").unwrap();
            };
            for (name, value) in &self.variables {
                line("variable", name, &digest(value.as_bytes()));
            }
            for (kind, name) in self.others(names) {
                line(kind, &name, "-");
            }
            for (path, content) in &self.files {
                line("file", path, &digest(content.as_bytes()));
            }
            for path in &self.missing {
                line("no-file", path, "-");
            }
            for name in self.granted(project) {
                line("granted", &format!("/run/secrets/{}", name.to_lowercase()), "-");
            }
            let arguments = match section {
                "health" => &self.health,
                "hook" => &self.hook,
                _ => &self.arguments,
            };
            if let Some(words) = arguments {
                line("arguments", "-", &digest_of_all(words));
            }
            if let (Some(user), "run") = (self.user, section) {
                line("user", &user.to_string(), "-");
            }
            if let (Some(process), "run") = (self.process, section) {
                line("process", &process.to_string(), "-");
            }
        }
        if self.ends {
            text.push_str("run ends - -\n");
        }
        for (path, content) in &self.build {
            writeln!(text, "build file {path} {}", digest(content.as_bytes())).unwrap();
        }
        text
    }

    /// What must not be there: variables of other services, and the other form of what is asked for in one.
    fn others(&self, names: &BTreeSet<String>) -> BTreeSet<(&'static str, String)> {
        let mut all = BTreeSet::new();
        for name in names {
            let mut forms = vec![name.clone(), format!("{name}_FILE")];
            if let Some(bare) = name.strip_suffix("_FILE") {
                forms.push(bare.to_owned());
            }
            for form in forms.into_iter().filter(|form| !self.variables.contains_key(form)) {
                let kind = if self.empty.contains(&form) { "no-value" } else { "no-variable" };
                all.insert((kind, form));
            }
        }
        all
    }

    /// Declared names that the service has as a variable of that name, so that it has the file as well.
    fn granted<'a>(&self, project: &'a Project) -> Vec<&'a str> {
        let values = project.values();
        let same = |name: &&str| {
            self.variables.get(*name).is_some_and(|value| values.get(name) == Some(&value.as_str()))
        };
        project.declared().into_iter().filter(same).collect()
    }
}
