//! What GitHub's page of deployments shows.

use serde_json::{Value, json};

use crate::case::Case;
use crate::peers::issuer::Issuer;
use crate::peers::proxy::{Fault, Rule};

const ONE: &str = "secrets: { API_KEY: {} }\nservices: { web: [API_KEY] }\n";
const WORDS: &[&str] = &["deploy", "--delivery", "volume", "--deployment", "production"];

fn case(permissions: &[&str]) -> Case {
    let case = Case::new(ONE);
    let token = case.github.standin.app_token(permissions);
    case.with_token(token).in_workflow("push", &json!({})).variable("API_KEY", "canary-Zq7-value")
}

fn states(deployment: &Value) -> Vec<&str> {
    deployment["statuses"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect()
}

#[test]
fn a_deployment_is_recorded_with_its_address_and_how_it_ended() {
    let case = case(&["deployments=write"]);
    let words = [WORDS, &["--environment-url", "https://app.example.com"]].concat();
    let said = case.run(&words).expect(0);
    assert_eq!(said.report["result"], "deployed");
    let all = case.repository.deployments();
    let [deployment] = &all[..] else { panic!("{all:?}") };
    assert_eq!(deployment["environment"], "production");
    assert_eq!(deployment["ref"], "ffac537e6cbbf934b08745a378932722df287a53");
    assert_eq!(states(deployment), ["in_progress", "success"]);
    let last = &deployment["statuses"][1];
    assert_eq!(last["environment_url"], "https://app.example.com");
    let run = format!("https://github.com/{}/actions/runs/1658821493", case.repository.full_name());
    assert_eq!(last["log_url"], run.as_str());

    case.scene.compose("services:\n  web:\n    image: IMAGE\n    command: ['false']\n");
    case.run(WORDS).expect(6);
    let all = case.repository.deployments();
    assert_eq!(states(&all[1]), ["in_progress", "failure"]);
}

#[test]
fn a_job_with_an_environment_of_its_own_is_recorded_by_github() {
    let issuer = Issuer::start_as_github();
    issuer.claim("environment", "production");
    let mut case = case(&["deployments=write"]);
    for (name, value) in issuer.variables() {
        case = case.variable(&name, &value);
    }
    let said = case.run(WORDS).expect(0);
    assert!(case.repository.deployments().is_empty());
    assert!(said.notes().contains("recorded by GitHub itself"), "{}", said.notes());
}

#[test]
fn a_record_that_fails_fails_no_deployment_and_names_the_permission() {
    let case = case(&[]);
    let words = [WORDS, &["--strict"]].concat();
    let said = case.run(&words).expect(0);
    let told = said.warning("the deployment is not recorded");
    assert!(told.contains("permissions:\n  contents: read\n  deployments: write"), "{told}");
    assert!(case.repository.deployments().is_empty());
}

#[test]
fn an_end_that_cannot_be_recorded_fails_no_deployment() {
    let case = case(&["deployments=write"]);
    let count = std::sync::atomic::AtomicUsize::new(0);
    case.proxy.rule(Rule::always(Fault::status(500)).when(move |seen| {
        seen.path().ends_with("/statuses") && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0
    }));
    case.run(WORDS).expect(0).warning("how the deployment ended is not recorded");
}

#[test]
fn nothing_is_recorded_of_a_run_that_changes_nothing_or_unasked() {
    let case = case(&["deployments=write"]).variable("API_KEY", "");
    case.run(WORDS).expect(3);
    let case = case.variable("API_KEY", "canary-Zq7-value");
    case.run(&["validate", "--deployment", "production"]).expect(0);
    case.run(&["deploy", "--delivery", "volume"]).expect(0);
    assert!(case.repository.deployments().is_empty());
}
