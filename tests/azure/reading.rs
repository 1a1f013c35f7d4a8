//! What is read: values with their versions and dates, and what becomes of secrets that are not valid.

use std::time::{Duration, Instant, SystemTime};

use claude_secrets::resolve::State;
use serde_json::json;

use crate::case::Case;
use crate::peers::azure::Azure;

fn seconds_from_now(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    now.saturating_add_signed(seconds)
}

#[tokio::test]
async fn a_secret_comes_with_its_version_and_dates_and_what_is_not_there_is_absent() {
    let azure = Azure::with_vault();
    let expires = seconds_from_now(86_400);
    let created = seconds_from_now(-3600);
    let version = azure.put_with("bot-key", "canary ü\n", &json!({ "exp": expires, "created": created }));
    let case = Case::logged_in(&azure, "one");
    let found = case.found("azure:bot-key").await;
    assert_eq!(found.value.unwrap().expose(), "canary ü\n".as_bytes());
    let origin = found.origin.unwrap();
    assert_eq!(origin.place, "kv-tests.vault.azure.net/secrets/bot-key");
    assert_eq!(origin.version.as_deref(), Some(version.as_str()));
    let time = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!((origin.changed, origin.expires), (time(created), time(expires)));
    let absent = case.secret("KEY", "azure:nowhere").resolve().await.unwrap();
    assert_eq!(absent.secrets[0].state, State::Missing);
    let error = absent.check().unwrap_err().to_string();
    assert!(error.contains("looked at: azure:nowhere (kv-tests.vault.azure.net)"), "{error}");
}

#[tokio::test]
async fn a_secret_without_a_reference_has_prefix_and_name_with_hyphens() {
    let azure = Azure::with_vault();
    azure.put("Claude-Bot-Production-Api-Key", "canary");
    let case = Case::logged_in(&azure, "s").variable("INPUT_ENVIRONMENT", "production");
    let found = case.conventional("API_KEY").resolve().await.unwrap();
    assert!(found.check().is_ok());
    assert_eq!(
        found.secrets[0].origin.as_ref().unwrap().reference.to_string(),
        "azure:claude-bot-production-api-key"
    );
}

#[tokio::test]
async fn a_version_is_the_one_that_the_reference_names() {
    let azure = Azure::with_vault();
    let old = azure.put("key", "canary-old");
    azure.put("key", "canary-new");
    let case = Case::logged_in(&azure, "s");
    assert_eq!(case.found(&format!("azure:key@{old}")).await.value.unwrap().expose(), b"canary-old");
    assert_eq!(case.found("azure:key").await.value.unwrap().expose(), b"canary-new");
    let (state, fact, help) = case.refused("azure:key@latest").await;
    assert_eq!(state, "Failed");
    assert!(fact.contains("azure:key@latest: a version in Key Vault has 32 hexadecimal digits"), "{fact}");
    assert!(help.contains("az keyvault secret list-versions --name key"), "{help}");
}

#[tokio::test]
async fn secrets_that_are_disabled_expired_or_not_yet_valid_are_told_apart() {
    let azure = Azure::with_vault();
    azure.put_with("off", "canary", &json!({ "enabled": false }));
    azure.put_with("old", "canary", &json!({ "exp": 1_577_836_800 }));
    azure.put_with("new", "canary", &json!({ "nbf": 4_070_908_800_u64 }));
    azure.put_with(
        "just-valid",
        "canary",
        &json!({ "nbf": seconds_from_now(-1), "exp": seconds_from_now(60) }),
    );
    let case = Case::logged_in(&azure, "s");
    for (name, fact, help) in [
        (
            "off",
            "azure:off: the secret is disabled",
            "set-attributes --vault-name kv-tests --name off --enabled true",
        ),
        ("old", "azure:old: the secret expired on 2020-01-01T00:00:00Z", "--name old --expires"),
        ("new", "azure:new: the secret is not valid before 2099-01-01T00:00:00Z", "--name new --not-before"),
    ] {
        let (state, actual, says) = case.refused(&format!("azure:{name}")).await;
        assert_eq!((state.as_str(), actual.as_str()), ("Failed", format!("KEY: {fact}").as_str()));
        assert!(says.contains(help), "{says}");
    }
    case.found("azure:just-valid").await;
}

#[tokio::test]
async fn a_deleted_secret_is_absent_though_it_can_be_recovered() {
    let azure = Azure::with_vault();
    azure.put("gone", "canary");
    azure.tell("delete", &json!({ "vault": "kv-tests", "name": "gone" }));
    let resolution = Case::logged_in(&azure, "s").secret("KEY", "azure:gone").resolve().await.unwrap();
    assert_eq!(resolution.secrets[0].state, State::Missing);
}

#[tokio::test]
async fn a_name_that_no_secret_can_have_is_told_with_its_reference_and_asks_nothing() {
    let azure = Azure::with_vault();
    let case = Case::logged_in(&azure, "s");
    let long = format!("azure:{}", "a".repeat(128));
    for (reference, fault) in [
        ("azure:bot/api_key", "its character 4 is not a letter (A-Z, a-z), digit or hyphen"),
        ("azure:key?api-version=x", "its character 4 is not a letter"),
        ("azure:..", "its character 1 is not a letter"),
        (long.as_str(), "it has 128 characters; 1 to 127 are allowed"),
    ] {
        let (state, fact, _) = case.refused(reference).await;
        assert_eq!(state, "Failed");
        assert!(
            fact.contains(&format!("KEY: {reference}: not a valid secret name in Key Vault: {fault}")),
            "{fact}"
        );
    }
    assert!(azure.requests("s").is_empty());
}

#[tokio::test]
async fn two_hundred_secrets_cost_one_login_and_one_request_each_many_at_a_time() {
    let azure = Azure::with_vault();
    let mut case = Case::logged_in(&azure, "s");
    for number in 0..200 {
        azure.put(&format!("many-{number}"), &format!("canary-{number}"));
        case = case.secret(&format!("KEY_{number}"), &format!("azure:many-{number}"));
    }
    azure.tell("session", &json!({ "name": "s", "delay": 0.02 }));
    let start = Instant::now();
    let resolution = case.resolve().await.unwrap();
    let took = start.elapsed();
    assert!(resolution.check().is_ok());
    let requests = azure.requests("s");
    let logins = requests.iter().filter(|(kind, _)| kind == "login").count();
    assert_eq!((logins, requests.len()), (1, 201), "one request a secret, none without a token");
    // One after the other they would take four seconds. Round trips are for the benchmark.
    assert!(took < Duration::from_secs(2), "{took:?}");
}
