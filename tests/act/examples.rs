//! The workflows of `examples/` with their Compose projects, run as they stand there.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::site::{Run, Secrets, Site, docker};

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
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        let log = docker(["logs", &standing[*service].0]);
        assert!(log.starts_with(&digest), "{service} has not read what it should");
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
