//! A project with all nasty values and all kinds of services, deployed, and everything that can be seen of it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::forms::Scanner;
use crate::nasty::{From, Nasty, values};
use crate::scene::{Done, Scene, docker, done, write_private};

/// Users and restrictions of services.
pub const SERVICES: [&str; 4] = ["root", "nonroot", "readonly", "nocaps"];

/// Where each value goes so that the program finds it.
pub struct Given {
    pub scene: Scene,
    pub secrets: Vec<Nasty>,
    pub scanner: Scanner,
}

/// A deployed project and what the run left to read.
pub struct Deployed {
    pub given: Given,
    pub done: Done,
}

impl Given {
    /// The project with its sources, nothing deployed.
    pub fn new(kind: &str) -> Self {
        let scene = Scene::new(kind);
        let secrets = values();
        let scanner = Scanner::new(
            secrets
                .iter()
                .map(|secret| (secret.name.as_str(), secret.value.as_slice())),
        );
        let this = Self {
            scene,
            secrets,
            scanner,
        };
        this.write();
        this
    }

    fn write(&self) {
        let names: Vec<&str> = self.secrets.iter().map(|secret| secret.name.as_str()).collect();
        let map: String = names
            .iter()
            .map(|name| format!("      {name}: ${{{name}}}\n"))
            .collect();
        let list: String = names.iter().map(|name| format!("      - {name}\n")).collect();
        // Each service prints all that it can read, plainly and encoded: that is its own log, not ours.
        let common = "    image: IMAGE\n    stop_signal: SIGKILL\n    \
                      command: [sh, -c, 'cat /run/secrets/*; base64 /run/secrets/*; exec sleep 3000']\n";
        self.scene.compose(&format!(
            "services:\n  root:\n{common}    environment:\n{map}  nonroot:\n{common}    user: '4242:4242'\n    \
             environment:\n{list}  readonly:\n{common}    read_only: true\n    env_file: [.env]\n  nocaps:\n{common}    \
             cap_drop: [ALL]\n    environment:\n{map}"
        ));
        let all = names.join(", ");
        let services: String = SERVICES
            .iter()
            .map(|service| format!("  {service}: [{all}]\n"))
            .collect();
        let secrets: String = names.iter().map(|name| format!("  {name}: {{}}\n")).collect();
        self.scene.write(
            "claude-secrets.yml",
            format!("sources:\n  docker-secrets: {{ dir: given }}\nservices:\n{services}secrets:\n{secrets}"),
        );
        let mut dotenv = String::new();
        let mut github = serde_json::Map::new();
        for secret in &self.secrets {
            match secret.from {
                From::Dotenv => {
                    let text = std::str::from_utf8(&secret.value).unwrap();
                    dotenv += &format!("{}='{text}'\n", secret.name);
                }
                From::GithubSecrets => {
                    let text = String::from_utf8(secret.value.clone()).unwrap();
                    github.insert(secret.name.clone(), text.into());
                }
                From::DockerSecrets => {
                    self.scene
                        .write(&format!("given/{}", secret.file()), &secret.value);
                }
                From::File => {
                    self.scene
                        .write(&format!("files/{}", secret.file()), &secret.value);
                }
                From::Variable => {}
            }
        }
        self.scene.write(".env", dotenv);
        let github = serde_json::to_string_pretty(&github).unwrap();
        write_private(&self.scene.beside("github.json"), github);
    }

    /// The values of the variables through which the program gets secrets.
    pub fn variables(&self) -> BTreeMap<String, std::ffi::OsString> {
        use std::os::unix::ffi::OsStringExt;
        let mut all = BTreeMap::new();
        for secret in &self.secrets {
            match secret.from {
                From::Variable => {
                    all.insert(
                        secret.name.clone(),
                        std::ffi::OsString::from_vec(secret.value.clone()),
                    );
                }
                From::File => {
                    all.insert(
                        format!("{}_FILE", secret.name),
                        format!("files/{}", secret.file()).into(),
                    );
                }
                _ => {}
            }
        }
        all
    }

    /// A call of the command line that finds every value, and leaves a report, outputs and a summary.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.scene.cli(words);
        command
            .arg("--github-secrets-file")
            .arg(self.scene.beside("github.json"))
            .arg("--report-file")
            .arg(self.scene.beside("report.json"))
            .envs(self.variables());
        for (variable, file) in LEFT {
            let path = self.scene.beside(file);
            std::fs::write(&path, "").unwrap();
            command.env(variable, path);
        }
        command
    }
}

/// The files of the runner's commands. Nothing may be written to the last three.
const LEFT: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "output"),
    ("GITHUB_STEP_SUMMARY", "summary"),
    ("GITHUB_ENV", "env"),
    ("GITHUB_STATE", "state"),
    ("GITHUB_PATH", "path"),
];

impl Deployed {
    /// Deploys with the command line, with every detail that it can print.
    pub fn by_command_line(delivery: &str) -> Self {
        let given = Given::new("leaks");
        let done = done(given.command(&["deploy", "--verbose", "--delivery", delivery])).expect(0);
        Self { given, done }
    }

    fn id(&self, service: &str) -> String {
        self.given.scene.containers()[service].0.clone()
    }

    /// The service reads every value, byte for byte.
    #[track_caller]
    pub fn reads_back(&self, service: &str) {
        let id = self.id(service);
        let script = r#"cd /run/secrets && for f in *; do echo "$f $(base64 -w0 "$f")"; done"#;
        let printed = docker(["exec", &id, "sh", "-c", script]);
        let read: BTreeMap<&str, Vec<u8>> = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(file, text)| (file, data_encoding::BASE64.decode(text.as_bytes()).unwrap()))
            .collect();
        assert_eq!(
            read.len(),
            self.given.secrets.len(),
            "{service} has other files: {:?}",
            read.keys()
        );
        for secret in &self.given.secrets {
            let found = read.get(secret.file().as_str());
            assert!(
                found == Some(&secret.value),
                "{service} reads another {} ({:?})",
                secret.name,
                secret.from
            );
        }
    }

    /// Nothing that is printed, written or shown holds a value.
    #[track_caller]
    pub fn nothing_shows(&self) {
        let scene = &self.given.scene;
        let clean = |what: &str, text: &[u8]| self.given.scanner.assert_clean(what, text);
        clean("standard output", &self.done.stdout);
        clean("standard error", self.done.stderr.as_bytes());
        for (variable, file) in LEFT {
            let text = std::fs::read(scene.beside(file)).unwrap();
            let written = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"].contains(&variable);
            assert_eq!(!text.is_empty(), written, "{variable}");
            clean(variable, &text);
        }
        clean("the report", &std::fs::read(scene.beside("report.json")).unwrap());
        self.nothing_shows_in_the_project();
        for service in SERVICES {
            let id = self.id(service);
            clean("docker inspect", docker(["inspect", &id]).as_bytes());
            let script = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'";
            let processes = docker(["exec", &id, "sh", "-c", script]);
            assert!(processes.contains("NASTY_00_FILE="));
            clean("the environment and arguments of a service", processes.as_bytes());
            // Every service ran, and each prints its values: the scanner would find them.
            let own = Command::new("docker").args(["logs", &id]).output().unwrap();
            assert!(
                self.given.scanner.find(&own.stdout).len() > 100,
                "the scanner finds nothing in {service}'s log"
            );
        }
        for kind in ["volume", "network"] {
            let ids = docker([kind, "ls", "-q"]);
            for id in ids.split_whitespace() {
                clean(
                    "labels of a volume or network",
                    docker([kind, "inspect", id]).as_bytes(),
                );
            }
        }
    }

    /// Of what the program wrote into the project, only the secrets' own files hold values; `docker compose config`
    /// with the override, as someone would run it by hand, shows none.
    #[track_caller]
    fn nothing_shows_in_the_project(&self) {
        let scene = &self.given.scene;
        let given = [".env", "given", "files"].map(|name| scene.project().join(name));
        let secrets_dir = scene.project().join("data/secrets");
        let mut secret_files = 0;
        for (path, (_, _, content)) in scene.tree() {
            if given.iter().any(|own| path.starts_with(own)) {
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.starts_with(&secrets_dir) && name.starts_with("nasty_") {
                secret_files += 1;
            } else {
                self.given
                    .scanner
                    .assert_clean(&path.display().to_string(), &content);
            }
        }
        println!("{secret_files} secret files");
        for format in ["json", "yaml"] {
            let mut compose = Command::new("docker");
            compose.args([
                "compose",
                "-f",
                "compose.yaml",
                "-f",
                "docker-compose.secrets.yml",
            ]);
            compose.args(["--profile", "*", "config", "--format", format]);
            let shown = done(scene.scrubbed(compose)).expect(0);
            assert!(!shown.stdout.is_empty());
            self.given
                .scanner
                .assert_clean("docker compose config", &shown.stdout);
        }
    }
}
