//! The workflow's identity tokens, from a service that does as GitHub's.

use std::sync::Arc;
use std::time::Duration;

use claude_secrets::diagnostic::Diagnostic;
use claude_secrets::secret::SecretValue;
use claude_secrets::settings::Environment;
use claude_secrets::sources::identity::Identity;
use data_encoding::BASE64URL_NOPAD;

use crate::network;
use crate::peers::proxy::{Fault, Proxy, Rule};

const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The identity of a job whose runner offers this service.
fn identity(service: &Proxy) -> Identity {
    let url = format!("{}/token?api-version=2.0", service.url());
    of(&[(URL, &url), (TOKEN, "canary-bearer")])
}

fn of(variables: &[(&str, &str)]) -> Identity {
    Identity::new(&Environment::from_pairs(variables.iter().copied()), Arc::new(network(&[])))
}

/// A service that gives a token with these claims.
fn service(claims: &str) -> Proxy {
    let service = Proxy::alone();
    service.rule(Rule::always(token(claims)));
    service
}

fn token(claims: &str) -> Fault {
    let token = format!("e30.{}.canary", BASE64URL_NOPAD.encode(claims.as_bytes()));
    Fault::json(format!(r#"{{"count":1,"value":"{token}"}}"#))
}

fn refused(answer: Result<SecretValue, Diagnostic>) -> Diagnostic {
    let refusal = answer.err().expect("no token");
    let said = format!("{} {}", refusal.fact, refusal.help_text());
    assert!(!said.contains("canary"), "{said}");
    refusal
}

#[tokio::test]
async fn a_token_is_asked_for_its_audience_as_the_runner_says() {
    let service = service(r#"{"iat":1000,"exp":1300}"#);
    let identity = identity(&service);
    assert!(identity.is_there());
    let token = identity.token("api://Azure AD?&").await.ok().unwrap();
    assert!(token.expose().starts_with(b"e30."));
    let seen = &service.seen()[0];
    assert_eq!(seen.target, "/token?api-version=2.0&audience=api%3A%2F%2FAzure+AD%3F%26");
    assert_eq!(seen.header("authorization"), Some("Bearer canary-bearer"));
}

#[tokio::test]
async fn a_token_is_asked_for_once_for_each_audience() {
    // By the issuer's clock it is 1970: only differences count.
    let service = service(r#"{"iat":1000,"exp":1300}"#);
    let identity = identity(&service);
    let audiences = ["vault", "sts.amazonaws.com", "vault", "vault"];
    let all = futures_util::future::join_all(audiences.map(|audience| identity.token(audience))).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(identity.token("vault").await.is_ok());
    assert_eq!(service.seen().len(), 2);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_asked_for_again() {
    // Half a minute before its end it is not used any more: this one is good for a second.
    let service = service(r#"{"iat":4000000000,"exp":4000000031}"#);
    let identity = identity(&service);
    for _ in 0..3 {
        assert!(identity.token("vault").await.is_ok());
    }
    assert_eq!(service.seen().len(), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(identity.token("vault").await.is_ok());
    assert_eq!(service.seen().len(), 2);
}

#[tokio::test]
async fn a_token_that_does_not_say_how_long_it_is_good_or_says_nonsense_is_used_once() {
    for claims in ["{}", r#"{"iat":1,"exp":18446744073709551615}"#] {
        let service = service(claims);
        let identity = identity(&service);
        for _ in 0..2 {
            assert!(identity.token("vault").await.is_ok());
        }
        assert_eq!(service.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_job_without_the_permission_gets_the_lines_to_add() {
    let url = "http://127.0.0.1:1/";
    for variables in [&[][..], &[(URL, url)], &[(TOKEN, "canary")], &[(URL, ""), (TOKEN, "")]] {
        let identity = of(variables);
        assert!(!identity.is_there());
        let refusal = refused(identity.token("vault").await);
        assert!(refusal.help_text().contains("permissions:\n  id-token: write"), "{}", refusal.help_text());
    }
}

#[tokio::test]
async fn a_service_that_refuses_is_not_asked_again_and_the_lines_are_given() {
    for status in [401, 403] {
        let service = Proxy::alone();
        service.rule(Rule::always(Fault::status(status)));
        let refusal = refused(identity(&service).token("vault").await);
        assert!(refusal.help_text().contains("id-token: write"), "{}", refusal.help_text());
        assert_eq!(service.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_service_with_a_bad_moment_is_asked_again() {
    let service = Proxy::alone();
    service.rule(Rule::times(1, Fault::status(503)));
    service.rule(Rule::times(1, Fault::Reset));
    service.rule(Rule::always(token(r#"{"iat":1,"exp":301}"#)));
    let identity = identity(&service);
    assert!(identity.token("vault").await.is_ok() && identity.token("vault").await.is_ok());
    assert_eq!(service.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_without_a_token_is_a_failure_that_quotes_nothing() {
    for body in
        ["", "canary", "[]", "{}", r#"{"value":null}"#, r#"{"value":""}"#, r#"{"value":{"a":"canary"}}"#]
    {
        let service = Proxy::alone();
        service.rule(Rule::always(Fault::json(body)));
        let refusal = refused(identity(&service).token("vault").await);
        assert!(refusal.fact.contains("identity token"), "{body}: {}", refusal.fact);
    }
}

#[tokio::test]
async fn variables_that_cannot_be_used_are_a_failure_that_quotes_nothing() {
    for (url, token) in [("canary", "t"), ("http://127.0.0.1:1/", "canary\nline")] {
        let refusal = refused(of(&[(URL, url), (TOKEN, token)]).token("vault").await);
        assert!(refusal.fact.contains("identity token"), "{}", refusal.fact);
    }
}
