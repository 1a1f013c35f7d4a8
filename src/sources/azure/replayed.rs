//! Responses in the shapes of the real service, recorded over several years, and how they are interpreted.

use std::time::SystemTime;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::answer::Request;
use super::login::{Application, Login};
use super::vault::Vault;
use crate::secret::SecretValue;
use crate::sources::Reply;
use crate::sources::net::Answer;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// The interpretation of a response for `azure:key`: the value with its version and dates, or the fact.
fn told(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let vault = Vault {
        name: "v".to_owned(),
        host: "v.vault.azure.net".to_owned(),
        resource: "https://vault.azure.net".to_owned(),
        authority: "login.microsoftonline.com".to_owned(),
        audience: String::new(),
    };
    let application = Application { tenant: TENANT.to_owned(), client: "app".to_owned() };
    let login = Login::Secret(application, SecretValue::new(Vec::new()));
    let question = Request { vault: &vault, login: &login, what: "azure:key".to_owned(), name: Some("key") };
    let pairs = headers.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    });
    let answer = Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: pairs.collect::<HeaderMap>(),
        body: Zeroizing::new(body.as_bytes().to_vec()),
    };
    let seconds = |time: Option<SystemTime>| {
        time.map_or(0, |time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    let said = match question.reply(&answer) {
        Reply::Found(found) => {
            let value = String::from_utf8_lossy(found.value.expose()).into_owned();
            let version = found.version.unwrap_or_default();
            return format!("{value} {version} {} {}", seconds(found.changed), seconds(found.expires));
        }
        Reply::Absent(place) => format!("absent: {place}"),
        Reply::Denied(refusal) => format!("denied: {}", refusal.fact),
        Reply::Failed(refusal) => format!("failed: {}", refusal.fact),
    };
    assert!(!said.contains("canary"), "{said}");
    said
}

fn holds(said: &str, expected: &str) {
    assert!(said.contains(expected), "{said}");
}

#[test]
fn secrets_come_with_all_that_a_bundle_may_have_and_with_the_least() {
    let whole = r#"{"value":"v\u00e4lue\n","contentType":"text/plain","id":"https://v.vault.azure.net/secrets/key/0123456789abcdef0123456789abcdef","attributes":{"enabled":true,"nbf":1600000000,"exp":4102444800,"created":1700000000,"updated":1700000009,"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},"tags":{"owner":"x"}}"#;
    assert_eq!(told(200, &[], whole), "välue\n 0123456789abcdef0123456789abcdef 1700000000 4102444800");
    let of_certificate = r#"{"value":"MIIK","contentType":"application/x-pkcs12","id":"https://v.vault.azure.net/secrets/key/ab","managed":true,"attributes":{"enabled":true,"created":1700000000,"updated":1700000000},"kid":"https://v.vault.azure.net/keys/key/ab"}"#;
    assert_eq!(told(200, &[], of_certificate), "MIIK ab 1700000000 0");
    assert_eq!(told(200, &[], r#"{"value":"","id":"https://v.vault.azure.net/secrets/key/ab"}"#), " ab 0 0");
}

#[test]
fn the_vaults_own_clock_says_what_is_valid() {
    let body = r#"{"value":"canary","attributes":{"nbf":1600000000,"exp":1600000060}}"#;
    let at = |date: &str| told(200, &[("date", date)], body);
    holds(
        &at("Sun, 13 Sep 2020 12:26:39 GMT"),
        "failed: azure:key: the secret is not valid before 2020-09-13T12:26:40Z",
    );
    holds(
        &at("Sun, 13 Sep 2020 12:27:40 GMT"),
        "failed: azure:key: the secret expired on 2020-09-13T12:27:40Z",
    );
    assert_eq!(at("Sun, 13 Sep 2020 12:26:40 GMT"), "canary  0 1600000060");
}

#[test]
fn only_the_vaults_own_word_for_a_missing_secret_is_absent() {
    for text in [
        "A secret with (name/id) key was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.",
        "Secret not found: key",
    ] {
        let body = format!(r#"{{"error":{{"code":"SecretNotFound","message":"{text}"}}}}"#);
        assert_eq!(told(404, &[], &body), "absent: azure:key (v.vault.azure.net)");
    }
    for body in
        ["", "<html>404</html>", r#"{"error":{"code":"ResourceNotFound","message":"x"}}"#, r#"{"error":"x"}"#]
    {
        assert!(told(404, &[], body).starts_with("failed: "), "{body}");
    }
}

#[test]
fn refusals_are_told_by_their_codes_whatever_their_texts_say() {
    let inner = |code: &str| {
        format!(
            r#"{{"error":{{"code":"Forbidden","message":"canary\r\nVault: v;location=westeurope\r\n","innererror":{{"code":"{code}"}}}}}}"#
        )
    };
    for (code, expected) in [
        (
            "AccessDenied",
            "denied: azure:key: no access policy of v.vault.azure.net allows the application app to read it",
        ),
        ("ForbiddenByPolicy", "denied: azure:key: no access policy of v.vault.azure.net"),
        ("ForbiddenByRbac", "denied: azure:key: the application app has no role in v.vault.azure.net"),
        ("ForbiddenByFirewall", "denied: azure:key: the firewall of v.vault.azure.net"),
        ("ForbiddenByConnection", "denied: azure:key: v.vault.azure.net is closed to the public network"),
        ("SecretDisabled", "failed: azure:key: the secret is disabled"),
        (
            "SomethingNew",
            "denied: azure:key: v.vault.azure.net does not allow the application app to read it (403 SomethingNew)",
        ),
        (
            "canary with blanks",
            "denied: azure:key: v.vault.azure.net does not allow the application app to read it (403 Forbidden)",
        ),
    ] {
        holds(&told(403, &[], &inner(code)), expected);
    }
    holds(
        &told(403, &[], r#"{"error":{"code":"Forbidden","message":"canary"}}"#),
        "denied: azure:key: v.vault.azure.net does not allow",
    );
    let throttled = r#"{"error":{"code":"Throttled","message":"canary","innererror":{"code":"VaultRequestTypeLimitReached"}}}"#;
    holds(
        &told(429, &[("retry-after", "10")], throttled),
        "failed: azure:key: v.vault.azure.net is throttling requests",
    );
    holds(
        &told(400, &[], r#"{"error":{"code":"BadParameter","message":"canary"}}"#),
        "failed: azure:key: v.vault.azure.net refused the request (400 BadParameter)",
    );
    holds(
        &told(503, &[], "canary"),
        "failed: azure:key: v.vault.azure.net reported an internal error (status 503)",
    );
}

#[test]
fn a_token_that_is_not_taken_tells_the_tenant_of_the_vault() {
    let body = r#"{"error":{"code":"Unauthorized","message":"AKV10032: Invalid issuer. Expected one of https://sts.windows.net/canary/, found https://sts.windows.net/canary/."}}"#;
    let with = |challenge: &str| told(401, &[("www-authenticate", challenge)], body);
    let other = "99999999-2222-3333-4444-555555555555";
    for login in ["https://login.microsoftonline.com", "https://login.windows.net"] {
        let challenge =
            format!("Bearer authorization=\"{login}/{other}\", resource=\"https://vault.azure.net\"");
        let expected = format!(
            "denied: azure:key: v.vault.azure.net belongs to the tenant {other}, but the login belongs to {TENANT}"
        );
        assert_eq!(with(&challenge), expected);
    }
    let same = format!(
        "Bearer authorization_uri=\"https://login.microsoftonline.com/{TENANT}\", error=\"invalid_token\""
    );
    for challenge in [
        same.as_str(),
        "Bearer",
        "Bearer authorization=\"canary\"",
        "Bearer authorization=\"https://x/can ary\"",
    ] {
        assert_eq!(
            with(challenge),
            "denied: azure:key: v.vault.azure.net does not accept the token (status 401)"
        );
    }
}

#[test]
fn what_is_no_answer_of_a_vault_fails_and_is_not_quoted() {
    for (status, body) in [
        (200, "canary"),
        (200, r#"{"value":5,"x":"canary"}"#),
        (200, r#"{"value":null,"x":"canary"}"#),
        (200, r#"{"value":"canary","attributes":"canary"}"#),
        (204, ""),
        (302, "canary"),
        (403, "<html>canary</html>"),
    ] {
        let expected = format!(
            "failed: azure:key: the response of v.vault.azure.net (status {status}) is not that of a key vault"
        );
        assert_eq!(told(status, &[], body), expected);
    }
}
