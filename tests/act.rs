//! Real workflow files that use the action with `uses: ./`, run by act: from a push and by hand, in both deliveries.
//!
//! act is the one that `CLAUDE_SECRETS_ACT` names, else `act` on the PATH; the image under test is `CLAUDE_SECRETS_IMAGE`.
//! Without them the tests fail. What is act's own and what is ours differs in its log: act masks a secret of several lines
//! only as a whole and knows nothing of `.env`, so a line of these that stays hidden was hidden by the action's masks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "act/examples.rs"]
mod examples;
#[path = "act/site.rs"]
mod site;
mod support;

use site::{Run, Runner, Site, secrets};

#[test]
fn a_push_deploys_files_and_the_next_one_restarts_nothing() {
    let site = Site::new("push-file", Runner::Container, "file");
    pushes_deploy(&site);
}

#[test]
fn a_push_deploys_volumes_and_the_next_one_from_a_new_checkout_restarts_nothing() {
    let site = Site::new("push-volume", Runner::Machine, "volume");
    pushes_deploy(&site);
}

#[test]
fn a_dispatch_deploys_the_environment_that_its_input_names_and_takes_it_down() {
    let site = Site::new("dispatch-volume", Runner::Container, "volume");
    dispatches_deploy(&site);
    let run = site.dispatch(&[("mode", "deploy"), ("environment", "staging")], &secrets());
    assert_eq!(run.outputs()["result"], "unchanged", "{}", run.log);
    taken_down(&site);
}

#[test]
fn a_dispatch_deploys_files_from_a_checkout_that_is_new_each_time() {
    let site = Site::new("dispatch-file", Runner::Machine, "file");
    dispatches_deploy(&site);
    taken_down(&site);
}

#[test]
fn a_missing_secret_fails_the_job_and_touches_nothing_that_runs() {
    let site = Site::new("missing", Runner::Container, "volume");
    expect_deployed(&site, &site.push(&secrets()));
    let before = site.standing();

    let mut incomplete = secrets();
    incomplete.remove("KEY_PEM");
    let run = site.push(&incomplete);

    assert!(!run.succeeded, "{}", run.log);
    assert_eq!(run.said("outcome "), "failure");
    let outputs = run.outputs();
    assert_eq!(outputs["result"], "failed");
    assert_eq!(outputs["error-code"], "secrets-missing");
    assert_eq!(outputs["missing"], r#"["KEY_PEM"]"#);
    let told = |line: &str| {
        line.contains("::error file=claude-secrets.yml,line=10::1 secret has a problem: KEY_PEM")
            && line.contains("was not found")
    };
    assert_eq!(run.log.lines().filter(|line| told(line)).count(), 1, "{}", run.log);
    assert_eq!(site.standing(), before, "a failed run touched the project");
}

/// Two pushes: the first deploys, the second finds everything up to date.
fn pushes_deploy(site: &Site) {
    let run = site.push(&secrets());
    expect_deployed(site, &run);
    // The careless step printed both secrets: what is left of them are masks and the frame of the key.
    run.said("printed");
    assert!(run.printed().contains(&"WEBHOOK_SECRET=***"), "the careless step's .env:\n{}", run.log);

    let before = site.standing();
    let run = site.push(&secrets());
    assert!(run.succeeded, "{}", run.log);
    assert_eq!(run.outputs()["result"], "unchanged", "{}", run.log);
    assert_eq!(run.outputs()["recreated"], "[]");
    assert_eq!(site.standing(), before, "a container was restarted for nothing");
    expect_reads(site);
}

/// By hand for staging; production is then refused, since the project of that name is staging's.
fn dispatches_deploy(site: &Site) {
    let run = site.dispatch(&[("mode", "deploy"), ("environment", "staging")], &secrets());
    expect_deployed(site, &run);
    let before = site.standing();
    let run = site.dispatch(&[("mode", "deploy"), ("environment", "production")], &secrets());
    assert!(!run.succeeded, "{}", run.log);
    assert_eq!(run.outputs()["error-code"], "other-environment");
    assert_eq!(site.standing(), before, "a refused run touched the project");
}

fn taken_down(site: &Site) {
    let run = site.dispatch(&[("mode", "down"), ("environment", "staging")], &secrets());
    assert!(run.succeeded, "{}", run.log);
    assert_eq!(run.outputs()["result"], "removed");
    assert_eq!(site.left_in_engine(), []);
    for generated in ["data", "docker-compose.secrets.yml"] {
        assert!(!site.repository().join(generated).exists(), "{generated} is left");
    }
}

fn expect_deployed(site: &Site, run: &Run) {
    assert!(run.succeeded, "{}", run.log);
    assert_eq!(run.said("outcome "), "success");
    let outputs = run.outputs();
    assert_eq!(outputs["result"], "deployed", "{}", run.log);
    assert_eq!(outputs["resolved"], r#"{"API_KEY":"env","KEY_PEM":"env","WEBHOOK_SECRET":"dotenv"}"#);
    assert_eq!(outputs["missing"], "[]");
    assert_eq!(outputs["error-code"], "");
    assert_eq!(run.said("values in the environment "), "0");
    assert_eq!(run.said("names in the environment "), "0");
    expect_reads(site);
    site.expect_clean_inspect();
}

/// Each service reads exactly its secrets, byte for byte.
fn expect_reads(site: &Site) {
    let secrets = secrets();
    let (api, pem, webhook) = (&secrets["API_KEY"], &secrets["KEY_PEM"], &site.webhook_secret());
    site.expect_reads("web", &[("api_key", api), ("key_pem", pem)]);
    site.expect_reads("worker", &[("key_pem", pem), ("webhook_secret", webhook)]);
}
