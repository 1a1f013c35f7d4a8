//! What goes wrong with GitHub: a warning of a deployment, and an error only of `validate --repo`.

use serde_json::json;

use crate::case::{ALL, Case};
use crate::peers::github::Token;
use crate::peers::proxy::{Fault, Nobody, Proxy, Rule, Seen};

const ONE: &str = "secrets: { API_KEY: {} }\nservices: { web: [API_KEY] }\n";

fn case() -> Case {
    Case::new(ONE).variable("API_KEY", "canary-Zq7-value")
}

/// What `validate --repo` says, which must fail with this code; and what a workflow's `deploy` says, which must not.
#[track_caller]
fn said(case: Case, code: &str) -> (String, String) {
    let name = case.repository.full_name();
    let failed = case.run(&["validate", "--repo", &name]).expect(4);
    assert_eq!(failed.codes(), [code], "{}", failed.errors());
    let case = case.in_workflow("push", &json!({}));
    let passed = case.run(&["deploy", "--delivery", "volume", "--strict"]).expect(0);
    (failed.errors(), passed.warning("GitHub's secrets were not compared"))
}

#[test]
fn a_repository_that_is_none_or_not_there() {
    let case = case();
    for malformed in ["octo-repo", "https://github.com/octo-org/octo-repo", "a/b/c", "github_pat_canary"] {
        let failed = case.run(&["validate", "--repo", malformed]).expect(2);
        assert!(failed.log.contains("repo: expected `owner/name`"), "{}", failed.log);
        assert!(malformed.len() < 10 || !failed.log.contains(malformed), "it may be a token: {}", failed.log);
    }
    let failed = case.run(&["validate", "--repo", "octo-org/nowhere"]).expect(4);
    assert_eq!(failed.codes(), ["github-denied"]);
    assert!(failed.errors().contains("the secrets of octo-org/nowhere: not found"), "{}", failed.errors());
    assert!(case.proxy.seen().iter().all(|seen| !seen.target.contains("canary")));
    let failed = case.run_without_token(&["validate", "--repo", "octo-org/octo-repo"]).expect(2);
    assert!(failed.log.contains("there is no token"), "{}", failed.log);
    let failed = case.run(&["validate", "--offline", "--repo", "octo-org/octo-repo"]).expect(2);
    assert!(failed.log.contains("with `offline` nothing is asked"), "{}", failed.log);
}

#[test]
fn inputs_that_go_together_are_checked_together() {
    let case = case();
    for (words, told) in [
        (&["deploy", "--deployment", "production"][..], "only a workflow's run is recorded"),
        (&["deploy", "--environment-url", "https://x.example"], "goes with `deployment` alone"),
        (&["deploy", "--deployment", "p", "--environment-url", "javascript:1"], "an address such as"),
    ] {
        let failed = case.run(words).expect(2);
        assert!(failed.log.contains(told), "{told}: {}", failed.log);
    }
}

#[test]
fn a_token_without_the_permission_is_told_which() {
    let case = case();
    let token = case.github.standin.app_token(&["deployments=write"]);
    let (failed, warned) = said(case.with_token(token), "github-denied");
    for text in [failed, warned] {
        assert!(text.contains("the token may not do that"), "{text}");
        assert!(text.contains("`Secrets: read` (GitHub: `secrets=read`)"), "{text}");
        assert!(text.contains("`GITHUB_TOKEN` can never have that"), "{text}");
    }
}

#[test]
fn what_a_token_may_list_is_compared_and_the_rest_is_told() {
    let case = case();
    case.repository.has("environments/production/secrets", &["API_KEY"]);
    let token = case.github.standin.token(&["secrets=read"]);
    let case = case.with_token(token);
    let said = case
        .run(&["validate", "--repo", &case.repository.full_name(), "--environment", "production"])
        .expect(0);
    let told = said.warning("the secrets of the environment `production`");
    assert!(told.contains("`Environments: read`"), "{told}");
    assert!(
        said.notes().contains("the variables of") && said.notes().contains("Dependabot"),
        "{}",
        said.notes()
    );
}

#[test]
fn a_token_that_is_none() {
    let (failed, warned) =
        said(case().with_token(Token("github_pat_canary-revoked".to_owned())), "github-denied");
    for text in [failed, warned] {
        assert!(text.contains("GitHub does not know the token, and says: Bad credentials"), "{text}");
    }
    let case = case().with_token(Token("github_pat_canary\nsecond-line".to_owned()));
    let failed = case.run(&["validate", "--repo", "octo-org/octo-repo"]).expect(2);
    assert!(failed.errors().contains("the token holds a line break"), "{}", failed.errors());
}

#[test]
fn a_limit_that_is_reached_is_told_with_its_end() {
    let refused = |status: u16, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Fault::Status { status, headers, body: br#"{"message":"API rate limit exceeded"}"#.to_vec() }
    };
    let reset = ("x-ratelimit-reset", "4102444800");
    let case_of = |fault: Fault| {
        let case = case();
        case.proxy.rule(Rule::always(fault));
        case
    };
    for status in [403, 429] {
        let case = case_of(refused(status, &[("x-ratelimit-remaining", "0"), reset]));
        let name = case.repository.full_name();
        let failed = case.run(&["validate", "--repo", &name]).expect(4);
        assert_eq!(failed.codes(), ["github-failed"]);
        assert!(failed.errors().contains("until 2100-01-01T00:00:00Z, for "), "{}", failed.errors());
        let asked = case.proxy.seen();
        let lists: std::collections::BTreeSet<_> = asked.iter().map(|seen| seen.path().to_owned()).collect();
        assert_eq!(asked.len(), lists.len(), "what is limited for an hour is not asked for again");
    }
    let (failed, warned) = said(case_of(refused(403, &[("retry-after", "3600")])), "github-failed");
    for text in [failed, warned] {
        assert!(text.contains("for 60 minutes"), "{text}");
    }
    let case =
        case_of(refused(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999")]));
    let failed = case.run(&["validate", "--repo", &case.repository.full_name()]).expect(4);
    assert!(failed.errors().contains("does not say until when"), "{}", failed.errors());
}

#[test]
fn a_short_limit_is_waited_for() {
    let case = case();
    let headers = vec![("retry-after".to_owned(), "1".to_owned())];
    case.proxy.rule(Rule::times(3, Fault::Status { status: 403, headers, body: b"{}".to_vec() }));
    case.repository.has("actions/secrets", &["API_KEY"]);
    let said = case.run(&["validate", "--repo", &case.repository.full_name()]).expect(0);
    assert!(said.log.contains("has 1 secret and"), "{}", said.log);
}

#[test]
fn a_server_that_is_down_or_no_github() {
    let nobody = Nobody::take();
    let case = case().variable("GITHUB_API_URL", &format!("http://{}", nobody.address));
    let (failed, warned) = said(case, "github-failed");
    for text in [failed, warned] {
        assert!(text.contains("no connection: "), "{text}");
    }
    for (fault, told) in [
        (Fault::json("<html>"), "is not what GitHub's API answers"),
        (Fault::json("{\"total_count\": 1e9, \"secrets\": []}"), "is not what GitHub's API answers"),
        (
            Fault::Status { status: 500, headers: Vec::new(), body: b"<html>oops".to_vec() },
            "answers with status 500\"",
        ),
        (Fault::Endless(b"{".to_vec()), "longer than 16 MiB"),
    ] {
        let case = self::case();
        case.proxy.rule(Rule::always(fault));
        let failed = case.run(&["validate", "--repo", &case.repository.full_name()]).expect(4);
        assert_eq!(failed.codes(), ["github-failed"]);
        assert!(failed.errors().contains(told), "{told}: {}", failed.errors());
    }
    let case = self::case();
    case.proxy.rule(Rule::always(Fault::Hang));
    let failed = case.run(&["validate", "--repo", &case.repository.full_name(), "--timeout", "1s"]).expect(4);
    assert!(failed.errors().contains("no answer within 1s"), "{}", failed.errors());
}

#[test]
fn an_enterprise_server_with_a_certificate_of_its_own() {
    let case = case();
    case.repository.has("actions/secrets", &["API_KEY"]);
    // It runs as long as somebody has it, and the server is before this one.
    let github = case.github.clone();
    let server = Proxy::tls(github.address(), &["localhost"]);
    let url = server.url();
    let case = case.variable("GITHUB_API_URL", &url);
    let (failed, warned) = said(case, "github-failed");
    for text in [failed, warned] {
        assert!(text.contains("no secure connection") && text.contains("`ca-certificates`"), "{text}");
    }
    let case = self::case();
    case.repository.has("actions/secrets", &["API_KEY"]);
    let name = case.repository.full_name();
    let pem = case.scene.write("ghes-ca.pem", server.authority_pem());
    let case = case.variable("GITHUB_API_URL", &url);
    let said = case.run(&["validate", "--repo", &name, "--ca-certificates", pem.to_str().unwrap()]).expect(0);
    assert!(said.log.contains(&format!("GitHub: {name} has 1 secret ")), "{}", said.log);
    // Its API is below a path.
    let server = Proxy::alone_tls(&["localhost"]);
    let entry =
        r#"{"name":"API_KEY","created_at":"2026-01-10T14:59:22Z","updated_at":"2026-01-10T14:59:22Z"}"#;
    let secrets = format!(r#"{{"total_count":1,"secrets":[{entry}]}}"#);
    let own = |end: &'static str| {
        move |seen: &Seen| seen.path() == format!("/api/v3/repos/octo-org/octo-repo/{end}")
    };
    server.rule(Rule::always(Fault::json(secrets)).when(own("actions/secrets")));
    let case = self::case().variable("GITHUB_API_URL", &format!("{}/api/v3", server.url()));
    let pem = case.scene.write("ghes-ca.pem", server.authority_pem());
    let words = ["validate", "--repo", "octo-org/octo-repo", "--ca-certificates", pem.to_str().unwrap()];
    let said = case.run(&words).expect(0);
    assert!(said.log.contains("GitHub: octo-org/octo-repo has 1 secret"), "{}", said.log);
    // In clear over a network the token is not sent at all.
    let case = self::case().variable("GITHUB_API_URL", "http://ghes.example/api/v3");
    let failed = case.run(&["validate", "--repo", "octo-org/octo-repo"]).expect(2);
    assert!(failed.errors().contains("the token is not sent there"), "{}", failed.errors());
}

#[test]
fn a_repository_that_was_renamed_is_followed_on_the_same_server_alone() {
    let case = case();
    case.repository.has("actions/secrets", &["API_KEY"]);
    let moved = |to: String| {
        let headers = vec![("location".to_owned(), to)];
        let fault = Fault::Status { status: 301, headers, body: b"{}".to_vec() };
        case.proxy
            .rule(Rule::always(fault).when(|seen| seen.path().starts_with("/repos/octo-org/old-name/")));
    };
    moved(format!(
        "{}/repos/{}/actions/secrets?per_page=100&page=1",
        case.proxy.url(),
        case.repository.full_name()
    ));
    let said = case.run(&["validate", "--repo", "octo-org/old-name"]);
    assert!(said.log.contains("has 1 secret"), "{}", said.log);
    case.proxy.clear();
    let elsewhere = Proxy::alone();
    moved(format!("{}/repos/x/y", elsewhere.url()));
    let failed = case.run(&["validate", "--repo", "octo-org/old-name"]).expect(4);
    assert!(failed.errors().contains("sends on to another place"), "{}", failed.errors());
    assert!(elsewhere.seen().is_empty(), "the token went to another server");
}

#[test]
fn a_token_that_arrives_empty_in_a_workflow_is_warned_of() {
    let case = case().in_workflow("push", &json!({})).variable("INPUT_GITHUB-TOKEN", "");
    let name = case.repository.full_name();
    let said = case.run_without_token(&["validate", "--repo", &name, "--strict"]).expect(0);
    said.warning("`github-token` is not given, or arrives empty");
    assert!(case.proxy.seen().is_empty());
}

#[test]
fn an_event_that_cannot_be_read_is_no_event() {
    let case = case().in_workflow("pull_request", &json!([1, "x"]));
    let token = case.github.standin.token(ALL);
    let case = case.with_token(token);
    case.run(&["validate", "--comment"]).expect(0);
}
