//! The image, as GitHub's runner starts it, beside an enterprise server: its names, its record of the deployment, its comment.

use crate::case::{ALL, pull_request};
use crate::peers::gate::Gate;
use crate::peers::github::Github;
use crate::peers::proxy::Proxy;
use crate::support::project::Workspace;
use crate::support::runner::{Ran, Step};

const PROJECT: &str = "
services:
  web:
    image: IMAGE
    command: SLEEP
    stop_signal: SIGKILL
    environment: [API_KEY, SENTRY_DSN]
";

fn warnings(ran: &Ran) -> String {
    ran.report["warnings"].to_string()
}

#[test]
fn the_image_tells_names_records_the_deployment_and_comments() {
    let github = Github::shared();
    let repository = github.standin.repository();
    repository
        .has_since("actions/secrets", "API_KEY", "2020-01-10T14:59:22Z")
        .has("actions/secrets", &["SENTRY_DSN"]);
    let token = github.standin.app_token(&[ALL, &["deployments=write", "pull_requests=write"]].concat());
    let workspace = Workspace::new();
    workspace.compose(PROJECT);
    let gateway = workspace.engine.gateway();
    let proxy = Proxy::tls(github.address(), &[&gateway.to_string()]);
    let gate = Gate::to(proxy.address(), gateway);
    let told = |step: Step<'_>| {
        step.input("secrets", "API_KEY\nSENTRY_DSN?")
            .input("github-token", &token.0)
            .input("ca-certificates", proxy.authority_pem())
            .input("max-age", "90d")
            .input("comment", "true")
            .input("deployment", "production")
            .env("API_KEY", "canary-Zq7-value")
            .env("GITHUB_API_URL", format!("https://{}/", gate.address))
            .env("GITHUB_REPOSITORY", repository.full_name())
            .run()
    };
    let own = repository.full_name();
    let event = workspace.temp().join("_github_workflow/event.json");
    std::fs::write(&event, pull_request(7, &own, &own).to_string()).unwrap();
    let step = workspace.step().input("mode", "validate").env("GITHUB_EVENT_NAME", "pull_request");
    let ran = told(step);
    assert_eq!(ran.status, 0, "{}", ran.log);
    assert!(warnings(&ran).contains("has SENTRY_DSN, and this step does not get it"), "{}", ran.log);
    assert!(warnings(&ran).contains("API_KEY was written on 2020-01-10"), "{}", ran.log);
    let comments = repository.comments(7);
    assert!(comments.len() == 1 && comments[0].1.contains("SENTRY_DSN"), "{comments:?}");
    assert!(repository.deployments().is_empty());

    std::fs::write(&event, "{}").unwrap();
    let ran = told(workspace.deploy("volume"));
    assert_eq!(ran.status, 0, "{}", ran.log);
    let deployments = repository.deployments();
    assert!(deployments.len() == 1 && deployments[0]["statuses"][1]["state"] == "success", "{deployments:?}");
    assert_eq!(repository.comments(7).len(), 1);
    for id in workspace.containers().values() {
        assert!(!workspace.engine.text(&["inspect", id]).contains(&token.0));
    }
    let shown = ran.log.lines().filter(|line| !line.starts_with("::add-mask::"));
    assert!(shown.clone().count() > 10);
    assert!(
        shown.into_iter().all(|line| !line.contains(&token.0) && !line.contains("canary-Zq7")),
        "{}",
        ran.log
    );
}
