//! One run that asks GitHub: a project, a repository, a token, and a proxy that may do harm on the way.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::peers::github::{Github, OWNER, Repository, Token};
use crate::peers::proxy::Proxy;
use crate::scene::{Done, Scene, done};

/// What is planted in every value, and nothing that is said may hold.
pub(crate) const CANARY: &str = "canary";
/// Permissions to list everything.
pub(crate) const ALL: &[&str] =
    &["secrets=read", "variables=read", "environments=read", "dependabot_secrets=read", "actions=read"];

/// A project, its repository at GitHub, and who asks.
pub(crate) struct Case {
    pub(crate) github: Arc<Github>,
    pub(crate) repository: Repository,
    pub(crate) proxy: Proxy,
    pub(crate) scene: Scene,
    pub(crate) token: Token,
    variables: Vec<(String, String)>,
}

impl Case {
    /// A project with a service that needs these secrets, and a token that may list everything.
    pub(crate) fn new(secrets: &str) -> Self {
        let github = Github::shared();
        let (repository, token) = (github.standin.repository(), github.standin.token(ALL));
        let proxy = Proxy::before(github.address());
        let scene = Scene::new("github");
        scene.compose(
            "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n",
        );
        scene.write("claude-secrets.yml", secrets);
        Self { github, repository, proxy, scene, token, variables: Vec::new() }
    }

    /// With another token.
    pub(crate) fn with_token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    /// With one more variable of the step.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In a workflow of the repository, by this event.
    pub(crate) fn in_workflow(self, event: &str, payload: &Value) -> Self {
        let path = self.scene.beside("event.json");
        std::fs::write(&path, payload.to_string()).unwrap();
        let repository = self.repository.full_name();
        let log = self.scene.beside("summary");
        self.variable("GITHUB_ACTIONS", "true")
            .variable("GITHUB_REPOSITORY", &repository)
            .variable("GITHUB_REPOSITORY_OWNER", OWNER)
            .variable("GITHUB_SERVER_URL", "https://github.com")
            .variable("GITHUB_EVENT_NAME", event)
            .variable("GITHUB_EVENT_PATH", path.to_str().unwrap())
            .variable("GITHUB_ACTOR", "octocat")
            .variable("GITHUB_RUN_ID", "1658821493")
            .variable("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53")
            .variable("GITHUB_STEP_SUMMARY", log.to_str().unwrap())
    }

    /// Runs a mode with these words, and checks that no value was said.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let file = self.scene.beside("token");
        crate::scene::write_private(&file, &self.token.0);
        let mut command = self.scene.cli(words);
        command.arg("--github-token-file").arg(&file).args(["--report-file", "report.json"]);
        self.finish(command)
    }

    /// The same without the flag for the token.
    pub(crate) fn run_without_token(&self, words: &[&str]) -> Said {
        let mut command = self.scene.cli(words);
        command.args(["--report-file", "report.json"]);
        self.finish(command)
    }

    fn finish(&self, mut command: Command) -> Said {
        command.env("GITHUB_API_URL", self.proxy.url()).envs(self.variables.iter().cloned());
        let Done { code, stdout, stderr } = done(command);
        let log = String::from_utf8_lossy(&stdout).into_owned() + &stderr;
        let masks = log.lines().filter(|line| !line.starts_with("::add-mask::"));
        let shown: String = masks.collect::<Vec<_>>().join("\n");
        assert!(!shown.contains(CANARY), "a value was said:\n{shown}");
        let text = std::fs::read_to_string(self.scene.project().join("report.json")).unwrap_or_default();
        assert!(!text.contains(CANARY), "a value was reported:\n{text}");
        Said { code, log, report: serde_json::from_str(&text).unwrap_or_default() }
    }
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) log: String,
    pub(crate) report: Value,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.log);
        self
    }

    /// The codes of its errors.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let others = self.report["other_errors"].as_array().unwrap();
        let all = std::iter::once(&self.report["error"]).chain(others);
        all.filter_map(|error| error["code"].as_str()).collect()
    }

    /// Its errors as text, with the remedies.
    pub(crate) fn errors(&self) -> String {
        format!("{} {}", self.report["error"], self.report["other_errors"])
    }

    /// Its warnings: text and remedy, each in one line.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.report["warnings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        warnings.iter().map(|one| format!("{} → {}", text(&one["fact"]), text(&one["help"]))).collect()
    }

    /// The warnings that hold this text.
    #[track_caller]
    pub(crate) fn warning(&self, text: &str) -> String {
        let found = self.warnings().into_iter().find(|one| one.contains(text));
        found.unwrap_or_else(|| panic!("no warning says {text}: {:?}\n{}", self.warnings(), self.log))
    }

    pub(crate) fn notes(&self) -> String {
        self.report["notes"].to_string()
    }
}

/// The payload of an event of a pull request, whose head is in this repository.
pub(crate) fn pull_request(number: u64, head: &str, base: &str) -> Value {
    let repo = |name: &str| json!({ "repo": { "full_name": name, "fork": name != base } });
    json!({ "pull_request": { "number": number, "head": repo(head), "base": repo(base) } })
}
