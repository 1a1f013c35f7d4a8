//! The image with the runner's own arguments deploys examples/claude-bot to another machine.

use std::fs;
use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::engine::Engine;
use crate::support::project::Workspace;
use crate::support::runner::{Ran, Step};
use crate::support::sshd::Sshd;
use crate::support::{service_image, wait_until};

const API_KEY: &str = "sk-ant-canary-Zq7-api";
const TOKEN: &str = "canary-Zq7-token";
const DEPLOY_KEY: &str = "canary-Zq7-first-line\ncanary-Zq7-second-line\n";
/// What the bot's image is built from.
const PARTS: &[&str] = &["docker:28.2.2-cli"];

/// A checkout of the example on a runner, and a server with an engine of its own.
struct Bot {
    workspace: Workspace,
    sshd: Sshd,
    daemon: Daemon,
    address: String,
}

impl Bot {
    fn new() -> Self {
        let workspace = Workspace::named("claude-bot");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/claude-bot");
        for entry in fs::read_dir(example).unwrap() {
            let entry = entry.unwrap();
            workspace.write(&entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        }
        let secrets = workspace.temp().join("machine-secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("docs_deploy_key"), DEPLOY_KEY).unwrap();
        let manifest = String::from_utf8(workspace.read("claude-secrets.yml").unwrap()).unwrap();
        workspace.write(
            "claude-secrets.yml",
            manifest.replace("/srv/claude-bot/secrets", &secrets.display().to_string()),
        );
        workspace.write(
            "docker-compose.override.yml",
            "services: { worker-review: { volumes: [ './prompts:/etc/bot:ro' ] } }\n",
        );
        workspace.write("prompts/review.txt", "first\n").commit();

        let address = Engine::shared().gateway().to_string();
        // The runner's folders are not there.
        let daemon = Daemon::start_building(workspace.path());
        for image in PARTS.iter().map(|part| (*part).to_owned()).chain([service_image()]) {
            daemon.load(&image);
        }
        let sshd = Sshd::start(&format!("ListenAddress {address}"));
        Self { workspace, sshd, daemon, address }
    }

    fn step(&self, webhook: &str) -> Step<'_> {
        self.workspace.write(".env", format!("WEBHOOK_SECRET={webhook}\n"));
        let socket = self.daemon.engine().socket().to_owned();
        let host = format!("ssh://root@{}:{}{socket}", self.address, self.sshd.port());
        self.workspace
            .step()
            .input("project-name", self.workspace.project.as_str())
            .input("docker-host", host)
            .input("ssh-known-hosts", self.sshd.known_hosts_at(&self.address, "host"))
            .env("RUNNER_ENVIRONMENT", "github-hosted")
            .env("SSH_PRIVATE_KEY", self.sshd.text("client"))
            .env("ANTHROPIC_API_KEY", API_KEY)
            .env("BOT_TOKEN", TOKEN)
    }

    fn deploys(&self, webhook: &str, result: &str, recreated: &[&str]) -> Ran {
        let before = self.sshd.logins();
        let ran = self.step(webhook).succeed();
        assert_eq!(ran.output("result"), result, "{}", ran.log);
        assert_eq!(ran.list("recreated"), recreated, "{}", ran.log);
        assert_eq!(self.sshd.logins(), before + 1, "one login for the whole run");
        let shown: Vec<&str> = ran.log.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        let key = self.sshd.text("client");
        for value in ["canary-Zq7", key.lines().nth(1).unwrap()] {
            assert!(!shown.join("\n").contains(value) && !ran.summary.contains(value), "{}", ran.log);
        }
        ran
    }

    /// What a service says that it can read.
    fn reads(&self, service: &str) -> Vec<String> {
        let engine = self.daemon.engine();
        let label = format!("label=com.docker.compose.service={service}");
        let id = engine.text(&["ps", "--quiet", "--filter", &label]);
        wait_until("the service has listed its secrets", 30, || {
            String::from_utf8_lossy(&engine.run(&["logs", &id]).stdout)
                .contains(&format!("{service}: end of the list"))
        });
        let said = engine.text(&["logs", &id]);
        // One that the Compose file has as a variable is one, for the program alone.
        let asked = "worker-review: has a VALUE IN THE VARIABLE WEBHOOK_SECRET";
        let other = |line: &&str| line.contains("VALUE IN THE VARIABLE") && *line != asked;
        assert!(!said.contains("is denied") && said.lines().find(other).is_none(), "{said}");
        let start = format!("{service}: can read ");
        let lines = said.lines().filter_map(|line| line.strip_prefix(&start)?.split_once(':'));
        let mut names: Vec<String> = lines.map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_example_bot_runs_on_another_machine_and_leaves_nothing_there() {
    let bot = Bot::new();
    let engine = bot.daemon.engine();
    let all = ["claude-orchestrator", "worker-docs", "worker-review"];
    bot.deploys("canary-Zq7-webhook-1", "deployed", &all);
    assert_eq!(bot.reads("claude-orchestrator"), ["anthropic_api_key", "github_token"]);
    assert_eq!(bot.reads("worker-review"), ["anthropic_api_key", "webhook_secret"]);
    assert_eq!(bot.reads("worker-docs"), ["anthropic_api_key", "docs_deploy_key"]);
    let orchestrator =
        engine.text(&["ps", "--quiet", "--filter", "label=com.docker.compose.service=claude-orchestrator"]);
    let said = engine.text(&["logs", &orchestrator]);
    assert!(said.contains("task-worker: can read anthropic_api_key"), "the worker that it starts: {said}");
    assert!(bot.workspace.containers().is_empty(), "nothing runs on the runner's machine");

    bot.deploys("canary-Zq7-webhook-1", "unchanged", &[]);
    bot.deploys("canary-Zq7-webhook-2", "deployed", &["worker-review"]);
    bot.workspace.write("prompts/review.txt", "second\n");
    bot.deploys("canary-Zq7-webhook-2", "deployed", &["worker-review"]);
    let review =
        engine.text(&["ps", "--quiet", "--filter", "label=com.docker.compose.service=worker-review"]);
    assert_eq!(engine.text(&["exec", &review, "cat", "/etc/bot/review.txt"]), "second");
    bot.workspace.commit();

    // The next job has a new checkout, and the services run on without it.
    fs::remove_dir_all(bot.workspace.path().join("prompts")).unwrap();
    assert_eq!(engine.text(&["exec", &review, "cat", "/etc/bot/review.txt"]), "second");
    bot.workspace.checkout();
    bot.deploys("canary-Zq7-webhook-2", "unchanged", &[]);

    let down = bot.step("canary-Zq7-webhook-2").input("mode", "down").succeed();
    assert_eq!(down.output("result"), "removed");
    let networks = ["network", "ls", "--quiet", "--filter", "type=custom"];
    for left in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"], &networks] {
        assert_eq!(engine.lines(left), [""; 0], "{left:?}");
    }
    assert_eq!(bot.sshd.logins(), 6);
    bot.workspace.git(&["diff", "--exit-code"]);
    let files: Vec<_> = bot.workspace.files().into_keys().collect();
    assert!(!files.iter().any(|file| file.ends_with("docker-compose.secrets.yml")), "{files:?}");
}
