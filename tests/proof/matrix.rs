//! A project whose every surface can be given a value by hand, and what a run of the program says of it.

use std::process::Command;

use serde_json::Value;

use crate::scene::{Done, Scene, docker, done, service_image};
use crate::{NUMBER, PASSWORD, VALUE};

/// The project without anything planted, deployed once and found unchanged once.
pub struct Project {
    pub scene: Scene,
    pub delivery: &'static str,
}

/// Values that stand in names, ids and words of every project by chance, and one of which all but a part does: the shape that
/// AWS gives every database.
const EVERYDAY: [(&str, &str); 6] = [
    ("WORD", "running"),
    ("DRIVER", "overlay2"),
    ("SERVICE", "frontend"),
    ("NAMES", "backend-data"),
    ("HEXADECIMAL", "beef"),
    (
        "DATABASE",
        concat!(
            r#"{"username":"appuser","password":""#,
            "canary4h8w2k6n9p3r",
            r#"","engine":"postgres","host":"db","port":5432}"#
        ),
    ),
];

impl Project {
    /// Writes it and deploys it, twice.
    pub fn new(delivery: &'static str) -> Self {
        let this = Self { scene: Scene::new("proof"), delivery };
        let image = service_image();
        this.scene.write(
            "compose.yaml",
            format!(
                "name: {}\nservices:\n  frontend:\n    image: {image}\n    init: true\n    stop_signal: SIGKILL\n    \
                 command: [sh, -c, 'echo appuser of postgres at db:5432; exec sleep 3000']\n    \
                 environment: {{ KEY: , PIN: , LOG_LEVEL: info, DB_USER: appuser, DB_HOST: db, DB_PORT: 5432 }}\n    networks: [backend]\n    \
                 volumes: ['backend-data:/data']\n    labels: {{ example.role: front, example.owner: appuser }}\n    \
                 healthcheck: {{ test: [CMD, 'true'], interval: 1s }}\n\
                 networks:\n  backend:\n    labels: {{ example.role: net }}\n\
                 volumes:\n  backend-data:\n    labels: {{ example.role: data }}\n",
                this.scene.name
            ),
        );
        let everyday: String = EVERYDAY.iter().map(|(name, _)| format!("  {name}:\n")).collect();
        let granted: String = EVERYDAY.iter().map(|(name, _)| format!(", {name}")).collect();
        this.scene.write(
            "claude-secrets.yml",
            format!(
                "services: {{ frontend: [KEY, PIN{granted}] }}\nsecrets:\n  KEY: {{ description: Key of a made-up service }}\n  \
                 PIN:\n{everyday}"
            ),
        );
        let first = this.run("deploy").expect(0);
        assert!(first.stderr.contains("no secret value found"), "{}", first.stderr);
        let second = this.run("deploy").expect(0);
        for said in
            ["unchanged", "searched 1 container, 1 network", "no secret value found", "can read the secrets"]
        {
            assert!(second.stderr.contains(said), "{said} in {}", second.stderr);
        }
        this
    }

    /// Runs a mode.
    pub fn run(&self, mode: &str) -> Done {
        done(self.command(mode))
    }

    /// A call of a mode.
    pub fn command(&self, mode: &str) -> Command {
        let mut command = self.scene.cli([mode, "--delivery", self.delivery, "--report-file", "report.json"]);
        command.env("KEY", VALUE).env("PIN", NUMBER).envs(EVERYDAY);
        command
    }

    /// Brings the project up by hand with the override and one more file, which the program never hears of: so all that it
    /// compares is as it was.
    pub fn plant(&self, text: &str) {
        let path = self.scene.beside("plant.yaml");
        std::fs::write(&path, text).unwrap();
        let compose = |words: &[&str], planted: bool| {
            let mut command = Command::new("docker");
            command.args(["compose", "-f", "compose.yaml", "-f", "docker-compose.secrets.yml"]);
            if planted {
                command.arg("-f").arg(&path);
            }
            command.args(words);
            let mut command = self.scene.scrubbed(command);
            command.env("KEY", "").env("PIN", "");
            done(command).expect(0)
        };
        compose(&["down", "--volumes", "-t", "1"], false);
        compose(&["up", "--detach", "--wait"], true);
    }

    /// The only container.
    pub fn container(&self) -> String {
        self.scene.containers()["frontend"].0.clone()
    }

    /// Runs a mode that must find leaks, and returns the facts. The value is nowhere in what it says.
    #[track_caller]
    pub fn leaks(&self, mode: &str) -> Vec<String> {
        self.problems(mode, 7, "leak")
    }

    /// Runs a mode that must fail so, and returns the facts. The value is nowhere in what it says.
    #[track_caller]
    pub fn problems(&self, mode: &str, status: i32, code: &str) -> Vec<String> {
        self.problems_of(&self.run(mode).expect(status), code)
    }

    /// The facts of a failed run.
    #[track_caller]
    pub fn problems_of(&self, said: &Done, code: &str) -> Vec<String> {
        let report = std::fs::read_to_string(self.scene.project().join("report.json")).unwrap();
        for (what, text) in [("the log", &said.stderr), ("the report", &report)] {
            for value in [VALUE, NUMBER, PASSWORD] {
                assert!(!text.contains(value), "{what} shows the value: {}", text.replace(value, "<VALUE>"));
            }
        }
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["error"]["code"], code);
        let problems = report["error"]["problems"].as_array().unwrap();
        problems.iter().map(|problem| problem["fact"].as_str().unwrap().to_owned()).collect()
    }

    /// The same in each mode and run: every one of these places is told, and nothing is told besides.
    #[track_caller]
    pub fn finds_exactly(&self, places: &[String]) {
        for mode in ["deploy", "deploy", "validate"] {
            let facts = self.leaks(mode);
            for place in places {
                assert!(
                    facts.iter().any(|fact| fact.contains(place.as_str())),
                    "{mode} with {} does not tell of {place}: {facts:#?}",
                    self.delivery
                );
            }
            for fact in &facts {
                assert!(
                    places.iter().any(|place| fact.contains(place.as_str())),
                    "{mode} with {} tells of {fact}",
                    self.delivery
                );
            }
        }
    }
}

/// Waits until the health check of a container has printed something.
pub fn wait_for_health(container: &str) {
    let start = std::time::Instant::now();
    while docker(["inspect", "--format", "{{range .State.Health.Log}}{{.Output}}{{end}}", container])
        .trim()
        .is_empty()
    {
        assert!(start.elapsed().as_secs() < 120, "no health check has run");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
