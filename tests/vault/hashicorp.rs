//! Answers as `HashiCorp`'s server gives them where they differ from `OpenBao`'s, by a server of the test's own: no such
//! server is to be had here. The shapes are those of its API documentation and public transcripts.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::case::Case;
use crate::peers::proxy::{Fault, Proxy, Rule};

const TOKEN: &str = "hvs.canary-token";

/// A server that says this to requests whose paths start so.
fn server(answers: &[(&str, u16, Value)]) -> Proxy {
    let server = Proxy::alone();
    for (path, status, body) in answers {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let body = body.to_string().into_bytes();
        let path = format!("/v1/{path}");
        server.rule(Rule::always(Fault::Status { status: *status, headers, body }).under(&path));
    }
    server
}

/// What wraps every answer, since 1.16 with `mount_type`.
fn whole(data: &Value) -> Value {
    json!({
        "request_id": "0c2a", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
        "wrap_info": null, "warnings": null, "auth": null, "mount_type": "kv",
    })
}

fn mount(path: &str, kind: &str, options: Value) -> Value {
    let mut data = json!({
        "accessor": "kv_1", "config": { "default_lease_ttl": 0, "max_lease_ttl": 0, "listing_visibility": "hidden" },
        "deprecation_status": "supported", "description": "", "local": false, "plugin_version": "",
        "running_plugin_version": "v0.20.0+builtin", "running_sha256": "", "seal_wrap": false, "uuid": "5c",
    });
    data["path"] = json!(path);
    data["type"] = json!(kind);
    data["options"] = options;
    whole(&data)
}

fn version(data: &Value, deletion: &str, destroyed: bool) -> Value {
    whole(&json!({
        "data": data,
        "metadata": {
            "created_time": "2024-05-06T07:08:09.123456789Z", "custom_metadata": { "owner": "bot" },
            "deletion_time": deletion, "destroyed": destroyed, "version": 7,
        },
    }))
}

fn denied() -> Value {
    json!({ "errors": ["1 error occurred:\n\t* permission denied\n\n"] })
}

fn bad_token() -> Value {
    json!({ "errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"] })
}

fn case(server: &Proxy) -> Case {
    Case::default().setting("addr", &server.url()).variable("VAULT_TOKEN", TOKEN)
}

#[tokio::test]
async fn what_newer_servers_say_besides_changes_nothing() {
    let server = server(&[
        ("sys/internal/ui/mounts/secret", 200, mount("secret/", "kv", json!({ "version": "2" }))),
        ("sys/internal/ui/mounts/old", 200, mount("old/", "kv", Value::Null)),
        ("secret/data/bot/item", 200, version(&json!({ "value": "canary", "n": 1.50 }), "", false)),
        ("secret/data/bot/gone", 404, version(&Value::Null, "2024-06-01T00:00:00.5Z", false)),
        ("secret/data/bot/dead", 404, version(&Value::Null, "", true)),
        ("secret/data/bot/nothing", 404, json!({ "errors": [] })),
        ("secret/data/bot/shut", 403, denied()),
        ("old/item", 200, {
            let mut item = whole(&json!({ "value": "canary-old", "ttl": "1h" }));
            item["lease_duration"] = json!(3600);
            item
        }),
    ]);
    let told = case(&server)
        .secret("A", "vault:secret/bot/item")
        .secret("B", "vault:secret/bot/gone")
        .secret("C", "vault:secret/bot/dead")
        .secret("D", "vault:secret/bot/nothing")
        .secret("E", "vault:secret/bot/shut")
        .secret("F", "vault:old/item");
    let ended = told.done().await.unwrap();
    assert_eq!(ended.value("A").as_deref(), Some("canary"));
    let told = told.told().await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "canary @7");
    assert!(lines[1].contains("version 7 was deleted on 2024-06-01T00:00:00Z"), "{told}");
    assert!(lines[2].contains("version 7 was destroyed"), "{told}");
    assert_eq!(lines[3], "Missing");
    assert!(
        lines[4].starts_with(
            "Denied E: vault:secret/bot/shut: the token of `VAULT_TOKEN` is not allowed to read it"
        ),
        "{told}"
    );
    assert_eq!(lines[5], "canary-old");
    // The first version of the engine names a time that is no lease.
    let origin = |at: usize| ended.resolution.secrets[at].origin.as_ref().unwrap();
    assert!(origin(5).expires.is_none() && origin(0).expires.is_none());
    let changed = humantime::format_rfc3339_seconds(origin(0).changed.unwrap()).to_string();
    assert_eq!(changed, "2024-05-06T07:08:09Z");
}

#[tokio::test]
async fn a_bad_token_is_told_by_status_and_not_by_words() {
    for words in [bad_token(), json!({ "errors": ["permission denied"] }), denied()] {
        let server = server(&[("", 403, words)]);
        let wrong = case(&server).key("vault:secret/bot/item").wrong().await;
        assert!(
            wrong.contains("the token of `VAULT_TOKEN` is not valid, or has no permission there"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_lease_ends_with_its_token_and_so_the_token_is_not_taken_back() {
    let login = json!({ "auth": {
        "client_token": TOKEN, "accessor": "a", "policies": ["bot"], "token_policies": ["bot"], "metadata": {},
        "lease_duration": 1200, "renewable": true, "entity_id": "", "token_type": "service", "orphan": true,
        "mfa_requirement": null, "num_uses": 0,
    }});
    let mut credentials = whole(&json!({ "username": "canary-u", "password": "canary-p" }));
    credentials["lease_id"] = json!("database/creds/bot/1f");
    credentials["lease_duration"] = json!(3600);
    credentials["mount_type"] = json!("database");
    let server = server(&[
        ("auth/approle/login", 200, login),
        ("sys/internal/ui/mounts/database", 200, mount("database/", "database", Value::Null)),
        ("database/creds/bot", 200, credentials),
        ("database/creds/nobody", 400, json!({ "errors": ["unknown role: nobody"] })),
    ]);
    let case = Case::default().setting("addr", &server.url()).variable("VAULT_ROLE_ID", "canary-role");
    let both = case.clone().secret("USER", "vault:database/creds/bot#username");
    let both = both.secret("PASSWORD", "vault:database/creds/bot#password");
    let ended = both.done().await.unwrap();
    assert_eq!(
        (ended.value("USER").unwrap(), ended.value("PASSWORD").unwrap()),
        ("canary-u".into(), "canary-p".into())
    );
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    // One pair of credentials was made, and lives on.
    let expected = ["auth/approle/login", "sys/internal/ui/mounts/database/creds/bot", "database/creds/bot"];
    assert_eq!(asked, expected.map(|path| format!("/v1/{path}")));
    let expires = ended.resolution.secrets[0].origin.as_ref().unwrap().expires.unwrap();
    let left = expires.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_mins(19) && left <= Duration::from_mins(20), "{left:?}");
    let wrong = case.key("vault:database/creds/nobody#username").wrong().await;
    assert!(wrong.contains("the engine at `database` does not return that (status 400)"), "{wrong}");
}

/// The answer to a login, with a token that may be taken back.
fn login() -> Value {
    json!({ "auth": {
        "client_token": TOKEN, "accessor": "a", "policies": ["bot"], "lease_duration": 1200, "renewable": true,
        "token_type": "service", "num_uses": 0,
    }})
}

#[tokio::test]
async fn a_token_is_taken_back_also_when_the_time_of_the_run_is_over() {
    let server = server(&[
        ("auth/approle/login", 200, login()),
        ("auth/token/revoke-self", 204, Value::Null),
        ("sys/internal/ui/mounts/secret", 200, mount("secret/", "kv", json!({ "version": "2" }))),
    ]);
    server.rule(Rule::always(Fault::Hang));
    let case = Case::default().setting("addr", &server.url()).variable("VAULT_ROLE_ID", "canary-role");
    let wrong = case.variable("INPUT_TIMEOUT", "1s").key("vault:secret/bot/item").wrong().await;
    assert!(wrong.contains("no answer within the timeout of 1s"), "{wrong}");
    let last = server.seen().pop().unwrap();
    assert_eq!(
        (last.target.as_str(), last.header("x-vault-token")),
        ("/v1/auth/token/revoke-self", Some(TOKEN))
    );
}

#[tokio::test]
async fn a_server_that_does_not_let_a_token_be_taken_back_is_not_waited_for() {
    let server = server(&[
        ("auth/approle/login", 200, login()),
        ("sys/internal/ui/mounts/secret", 200, mount("secret/", "kv", json!({ "version": "2" }))),
        ("secret/data/bot/item", 200, version(&json!({ "value": "canary" }), "", false)),
    ]);
    server.rule(Rule::always(Fault::Hang));
    let case = Case::default().setting("addr", &server.url()).variable("VAULT_ROLE_ID", "canary-role");
    let started = std::time::Instant::now();
    assert_eq!(case.key("vault:secret/bot/item").told().await, "canary @7");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_lease_that_no_calendar_holds_is_none() {
    let mut credentials = whole(&json!({ "value": "canary" }));
    credentials["lease_id"] = json!("database/creds/bot/1f");
    credentials["lease_duration"] = json!(999_999_999_999_u64);
    let server = server(&[
        ("sys/internal/ui/mounts/database", 200, mount("database/", "database", Value::Null)),
        ("database/creds/bot", 200, credentials),
    ]);
    let ended = case(&server).key("vault:database/creds/bot").done().await.unwrap();
    assert_eq!(ended.value("KEY").as_deref(), Some("canary"));
    // The report writes dates, and ends the program over one that cannot be written.
    assert!(ended.resolution.secrets[0].origin.as_ref().unwrap().expires.is_none());
}

#[tokio::test]
async fn a_login_that_wants_a_second_factor_or_holds_no_token_says_so() {
    let wants = json!({ "auth": { "client_token": "", "mfa_requirement": { "mfa_request_id": "d0" } } });
    for (answer, expected) in [
        (wants, "vault: the login with `approle` at `auth/approle` requires a second factor"),
        (
            json!({ "auth": null, "data": {} }),
            "vault: the login with `approle` at `auth/approle`: the response contains no token",
        ),
    ] {
        let server = server(&[("auth/approle/login", 200, answer)]);
        let case = Case::default().setting("addr", &server.url()).variable("VAULT_ROLE_ID", "canary-role");
        let wrong = case.key("vault:secret/bot/item").wrong().await;
        assert!(wrong.contains(expected), "{wrong}");
    }
}

#[tokio::test]
async fn a_refused_login_repeats_the_servers_words_only_without_a_credential_in_them() {
    for (words, shown) in [("invalid role or secret ID", true), ("no secret id canary-secret here", false)] {
        let server = server(&[("auth/approle/login", 400, json!({ "errors": [words] }))]);
        let case = Case::default().setting("addr", &server.url()).variable("VAULT_ROLE_ID", "canary-role");
        let case = case.variable("VAULT_SECRET_ID", "canary-secret").key("vault:secret/bot/item");
        let wrong = case.wrong().await;
        assert_eq!(wrong.contains(words), shown, "{wrong}");
        assert!(wrong.contains("was refused"), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_not_consistent_yet_is_asked_again() {
    let server =
        server(&[("sys/internal/ui/mounts/secret", 200, mount("secret/", "kv", json!({ "version": "2" })))]);
    let behind = Fault::Status {
        status: 412,
        headers: Vec::new(),
        body: json!({ "errors": ["required index state not present"] }).to_string().into_bytes(),
    };
    server.rule(Rule::times(2, behind).under("/v1/secret/data/bot/item"));
    server.rule(Rule::always(Fault::json(version(&json!({ "value": "canary" }), "", false).to_string())));
    assert_eq!(case(&server).key("vault:secret/bot/item").told().await, "canary @7");
}
