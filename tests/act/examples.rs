//! The workflows of `examples/` with their Compose projects, run as they stand there.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::site::{Run, Secrets, Site, docker};
use crate::support::daemon::Daemon;
use crate::support::engine::Engine;
use crate::support::sshd::Sshd;

const VALUE: &str = "canary-example $HOME 'single' \"double\" %0A";

fn secret(name: &'static str) -> Secrets {
    BTreeMap::from([(name, VALUE.to_owned())])
}

/// The run's result, as the example's last step prints it.
fn result(run: &Run) -> &str {
    run.said("Result ")
}

/// What the services print first: the digest of what they read.
fn expect_read(site: &Site, expected: &[(&str, &str)]) {
    let standing = site.standing();
    assert_eq!(standing.len(), expected.len(), "{standing:?}");
    for (service, text) in expected {
        let log = docker(["logs", &standing[*service].0]);
        assert!(log.starts_with(&digest(text)), "{service} has not read what it should");
    }
    site.expect_clean_inspect();
}

/// Deploys, and again: nothing restarts.
fn expect_deploys(site: &Site, event: &str, secrets: &Secrets, expected: &[(&str, &str)]) {
    let run = site.example(event, &[], secrets);
    assert!(run.succeeded, "{}", run.log);
    assert_eq!(result(&run), "deployed", "{}", run.log);
    expect_read(site, expected);
    let before = site.standing();
    let run = site.example(event, &[], secrets);
    assert_eq!(result(&run), "unchanged", "{}", run.log);
    assert_eq!(site.standing(), before);
}

#[test]
fn the_example_of_a_push_deploys() {
    let site = Site::of_example("push", "");
    expect_deploys(&site, "push", &secret("API_KEY"), &[("web", VALUE)]);
}

#[test]
fn the_example_of_every_night_deploys() {
    let site = Site::of_example("nightly", "");
    expect_deploys(&site, "schedule", &secret("API_KEY"), &[("web", VALUE)]);
}

#[test]
fn the_example_of_variables_deploys_the_project_as_it_was() {
    let site = Site::of_example("from-variables", "");
    let url = format!("postgres://app:{VALUE}@db/app");
    expect_deploys(&site, "push", &secret("DB_PASSWORD"), &[("db", VALUE), ("web", &url)]);
}

#[test]
fn the_example_of_environments_deploys_the_one_that_is_chosen() {
    let site = Site::of_example("environments", "-staging");
    let run = |mode| {
        site.example("workflow_dispatch", &[("environment", "staging"), ("mode", mode)], &secret("API_KEY"))
    };
    let deployed = run("deploy");
    assert!(deployed.succeeded, "{}", deployed.log);
    assert_eq!(result(&deployed), "deployed");
    expect_read(&site, &[("web", VALUE)]);
    assert_eq!(result(&run("validate")), "validated");
    assert_eq!(result(&run("down")), "removed");
    assert_eq!(site.left_in_engine(), []);
}

/// A server with an engine of its own that is reached by SSH, and what a repository must have to reach it.
struct Server {
    daemon: Daemon,
    sshd: Sshd,
    /// Its address, as `docker-host` takes it.
    host: String,
    /// The line of `known_hosts`.
    known: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let (address, daemon) = (Engine::shared().gateway().to_string(), Daemon::start_building(folder));
        daemon.load("debian:trixie-slim");
        let sshd = Sshd::start(&format!("ListenAddress {address}"));
        let host = format!("ssh://root@{address}:{}{}", sshd.port(), daemon.engine().socket());
        let known = sshd.known_hosts_at(&address, "host");
        Self { daemon, sshd, host, known }
    }

    /// Its only container, and what that printed.
    fn container(&self) -> (String, String) {
        let id = self.daemon.engine().text(&["ps", "--quiet"]);
        let said = self.daemon.engine().text(&["logs", &id]);
        (id, said)
    }

    /// The key is not in the log.
    fn expect_no_key(&self, run: &Run) {
        for line in self.sshd.text("client").lines().filter(|line| !line.starts_with("---")) {
            assert!(!run.log.contains(line), "{}", run.log);
        }
    }
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[test]
fn the_example_of_a_hosted_runner_deploys_to_a_server() {
    let mut site = Site::of_example("hosted-to-server", "");
    let server = Server::start(site.home());
    site.variable("DOCKER_HOST_OF_SERVER", &server.host);
    site.variable("SSH_KNOWN_HOSTS", &server.known);
    site.only("server", "frankfurt");
    let mut secrets = secret("API_KEY");
    secrets.insert("SSH_PRIVATE_KEY", server.sshd.text("client"));

    let run = site.example("push", &[], &secrets);
    assert!(run.succeeded, "{}", run.log);
    assert_eq!(result(&run), "deployed", "{}", run.log);
    let (web, said) = server.container();
    assert!(
        said.contains(&digest(VALUE)),
        "the service reads its secret, and the file of the checkout: {said}"
    );
    assert!(site.standing().is_empty(), "nothing runs on the runner");
    server.expect_no_key(&run);
    let run = site.example("push", &[], &secrets);
    assert_eq!(result(&run), "unchanged", "{}", run.log);
    assert_eq!((server.container().0, server.sshd.logins()), (web, 2));
}

#[test]
fn the_first_workflow_of_the_readme_deploys_to_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut site = Site::of_readme(
        &server.host,
        "name: shop\nservices:\n  worker:\n    image: debian:trixie-slim\n    init: true\n    command: [sh, -c, 'sha256sum \
         \"$$ANTHROPIC_API_KEY_FILE\" && exec sleep infinity']\n    environment: [ANTHROPIC_API_KEY_FILE]\n",
    );
    site.variable("SSH_KNOWN_HOSTS", &server.known);
    // SENTRY_DSN is optional, and this repository has none.
    let mut secrets = secret("ANTHROPIC_API_KEY");
    secrets.insert("SSH_PRIVATE_KEY", server.sshd.text("client"));

    for event in ["push", "workflow_dispatch", "schedule"] {
        let run = site.example(event, &[], &secrets);
        assert!(run.succeeded, "{event}: {}", run.log);
        let (_, said) = server.container();
        assert!(said.starts_with(&digest(VALUE)), "{event}: the service reads its secret: {said}");
        server.expect_no_key(&run);
        let expected = if event == "push" { "deployed" } else { "unchanged" };
        assert!(run.printed().iter().any(|line| line.starts_with(expected)), "{event}: {}", run.log);
    }
    assert!(site.standing().is_empty(), "nothing runs on the runner");
    assert_eq!(server.sshd.logins(), 3);
}
