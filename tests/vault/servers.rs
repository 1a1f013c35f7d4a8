//! Servers that do not do their work, or are reached in a wrong way: each gets a sentence of its own.

use serde_json::{Value, json};

use crate::case::Case;
use crate::peers::authority::Authority;
use crate::peers::bao::{Bao, ROOT};
use crate::peers::proxy::{Fault, Proxy, Rule};

/// A run that reads one secret from this address with a token.
fn at(url: &str) -> Case {
    Case::default().setting("addr", url).variable("VAULT_TOKEN", ROOT).key("vault:secret/bot/item")
}

fn answer(status: u16, body: &Value) -> Fault {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Fault::Status { status, headers, body: body.to_string().into_bytes() }
}

#[tokio::test]
async fn a_server_without_keys_and_one_that_is_sealed_say_so() {
    let new = Bao::start_uninitialised();
    let wrong = at(&new.url()).wrong().await;
    let fact = format!("KEY: vault: {} is not initialised: it is a new server", new.url());
    assert!(wrong.contains(&fact) && wrong.contains("vault operator init"), "{wrong}");
    let sealed = Bao::start();
    sealed.seal();
    let wrong = at(&sealed.url()).wrong().await;
    let fact = format!("KEY: vault: {} is sealed", sealed.url());
    assert!(wrong.contains(&fact) && wrong.contains("vault operator unseal"), "{wrong}");
    // A login is told the same as a read.
    let login = Case::to(&sealed).variable("VAULT_ROLE_ID", "canary").variable("VAULT_SECRET_ID", "canary");
    let wrong = login.key("vault:secret/bot/item").wrong().await;
    assert!(
        wrong.contains("the login with `approle` at `auth/approle`") && wrong.contains("is sealed"),
        "{wrong}"
    );
}

#[tokio::test]
async fn a_standby_node_that_answers_nothing_or_sends_on_says_so() {
    let health = |standby: bool, dr: &str| json!({ "initialized": true, "sealed": false, "standby": standby, "replication_dr_mode": dr });
    for (health, expected) in [
        (health(true, "disabled"), "is a standby node that cannot reach the active one"),
        (health(false, "secondary"), "is a disaster recovery secondary, which serves no secrets"),
        (health(false, "disabled"), "answered with status 500"),
        (json!({}), "answered with status 500"),
    ] {
        let node = Proxy::alone();
        node.rule(Rule::always(answer(429, &health)).under("/v1/sys/health"));
        node.rule(Rule::always(answer(500, &json!({ "errors": ["canary"] }))));
        let wrong = at(&node.url()).wrong().await;
        assert!(wrong.contains(&format!("KEY: vault: {} {expected}", node.url())), "{wrong}");
        // It is asked about itself without the token.
        let about = node.seen().into_iter().filter(|seen| seen.path() == "/v1/sys/health");
        let tokens: Vec<_> = about.map(|seen| seen.header("x-vault-token").map(str::to_owned)).collect();
        assert_eq!(tokens, [None]);
    }
    let active = Bao::start();
    active.put("bot/item", &json!({ "value": "canary" }));
    let node = Proxy::alone();
    let location = format!("{}/v1/sys/internal/ui/mounts/secret/bot/item", active.url());
    let headers = vec![("Location".to_owned(), location)];
    node.rule(Rule::always(Fault::Status { status: 307, headers, body: Vec::new() }));
    let wrong = at(&node.url()).wrong().await;
    let fact =
        format!("{} redirects to {}, and a token is not sent to another server", node.url(), active.url());
    assert!(wrong.contains(&fact) && wrong.contains("set `addr` to it"), "{wrong}");
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed_once() {
    let bao = Bao::start();
    bao.put("bot/item", &json!({ "value": "canary" }));
    let proxy = Proxy::before(bao.address());
    let to = |path: &str| {
        let headers = vec![("Location".to_owned(), path.to_owned())];
        Fault::Status { status: 308, headers, body: Vec::new() }
    };
    proxy.rule(Rule::times(1, to("/v1/secret/data/bot/item")).under("/v1/secret/data/bot/item"));
    assert_eq!(at(&proxy.url()).told().await, "canary @1");
    proxy.clear();
    proxy.rule(Rule::always(to("/v1/secret/data/bot/item")).under("/v1/secret/data/"));
    let wrong = at(&proxy.url()).wrong().await;
    assert!(wrong.contains("redirects to"), "{wrong}");
}

#[tokio::test]
async fn what_is_no_vault_is_never_an_absence() {
    for (status, body) in
        [(404, "not here"), (404, "{}"), (200, "<html>canary</html>"), (403, "no"), (302, "")]
    {
        let server = Proxy::alone();
        server.rule(Rule::always(Fault::Status { status, headers: Vec::new(), body: body.into() }));
        let told = at(&server.url()).told().await;
        assert!(told.starts_with("Failed"), "{status} {body}: {told}");
    }
    let server = Proxy::alone();
    let wrong = at(&server.url()).wrong().await;
    assert!(wrong.contains("answered with status 404, but not like Vault"), "{wrong}");
    assert!(wrong.contains("its address must start with `https://`"), "{wrong}");
}

#[tokio::test]
async fn tls_is_checked_with_the_authority_that_is_named_and_never_switched_off() {
    let authority = Authority::new();
    let bao = Bao::start_tls(&authority);
    bao.put("bot/item", &json!({ "value": "canary-value" }));
    let case = at(&bao.tls_url());
    let unknown = case.clone().variable("VAULT_SKIP_VERIFY", "true");
    let ended = unknown.done().await.unwrap();
    assert_eq!(ended.warnings(), ["VAULT_SKIP_VERIFY is ignored"]);
    let wrong = unknown.wrong().await;
    assert!(wrong.contains("no secure connection") && wrong.contains("`ca-certificates`"), "{wrong}");
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = file("ca.pem", authority.pem());
    for case in [
        case.clone().setting("ca-certificates", &ca),
        case.clone().setting("ca-certificates", authority.pem()),
        case.clone().variable("VAULT_CACERT", &ca),
        case.clone().variable("VAULT_CACERT_BYTES", authority.pem()),
        case.clone().variable("INPUT_CA-CERTIFICATES", &ca),
    ] {
        assert_eq!(case.told().await, "canary-value @1");
    }
    let wrong_name = case.clone().setting("ca-certificates", &ca);
    let wrong_name = wrong_name.setting("addr", &bao.tls_url().replace("localhost", "127.0.0.2"));
    assert!(wrong_name.told().await.starts_with("Failed"));
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_gets_it() {
    let authority = Authority::new();
    let bao = Bao::start_mutual_tls(&authority);
    bao.put("bot/item", &json!({ "value": "canary-value" }));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let without = at(&bao.tls_url()).setting("ca-certificates", authority.pem());
    assert!(without.told().await.starts_with("Failed"));
    let issued = authority.issue(&["bot.example.com"]);
    let case = without.setting("client-cert", &file("client.pem", &issued.certificate));
    assert_eq!(case.clone().variable("VAULT_CLIENT_KEY", &issued.key).told().await, "canary-value @1");
    assert_eq!(
        case.clone().setting("client-key", &file("client.key", &issued.key)).told().await,
        "canary-value @1"
    );
    let other = authority.issue(&["other.example.com"]);
    let mixed = case.variable("VAULT_CLIENT_KEY", &other.key).told().await;
    assert!(mixed.starts_with("the client certificate and its key cannot be used together"), "{mixed}");
}

#[tokio::test]
async fn plain_http_to_a_port_for_tls_and_the_other_way_round_fail_with_a_hint() {
    let authority = Authority::new();
    let bao = Bao::start_tls(&authority);
    let wrong = at(&bao.tls_url().replace("https://", "http://")).wrong().await;
    assert!(wrong.contains("answered with status 400, but not like Vault"), "{wrong}");
    assert!(wrong.contains("If the server uses TLS, its address must start with `https://`."), "{wrong}");
    let told = at(&bao.url().replace("http://", "https://")).told().await;
    assert!(told.starts_with("Failed") && told.contains("no secure connection"), "{told}");
}

#[tokio::test]
async fn plain_http_over_a_network_is_warned_of() {
    let case = Case::default().setting("addr", "http://vault.invalid:8200").variable("VAULT_TOKEN", ROOT);
    let case = case.key("vault:secret/x").variable("INPUT_TIMEOUT", "1s");
    let warnings = case.done().await.unwrap().warnings();
    assert!(
        warnings[0].contains("the connection to http://vault.invalid:8200 does not use TLS"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_namespace_goes_with_every_request_and_a_wrong_one_is_named() {
    let bao = Bao::start();
    bao.must("POST", "sys/namespaces/team-a", &json!({}));
    let inside = [("X-Vault-Token", ROOT), ("X-Vault-Namespace", "team-a")];
    let mounted = json!({ "type": "kv", "options": { "version": "2" } });
    bao.ask_with("POST", "sys/mounts/secret", &mounted, &inside);
    let written = || {
        let data = json!({ "data": { "value": "canary-of-team-a" } });
        bao.ask_with("POST", "secret/data/bot/item", &data, &inside).status == 200
    };
    while !written() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    bao.put("bot/item", &json!({ "value": "canary-of-root" }));
    assert_eq!(at(&bao.url()).told().await, "canary-of-root @1");
    assert_eq!(at(&bao.url()).setting("namespace", "/team-a/").told().await, "canary-of-team-a @1");
    assert_eq!(at(&bao.url()).variable("VAULT_NAMESPACE", "team-a").told().await, "canary-of-team-a @1");
    let wrong = at(&bao.url()).setting("namespace", "team-b").wrong().await;
    assert!(wrong.contains("has no namespace `team-b`") && wrong.contains("Correct `namespace`"), "{wrong}");
    let login = Case::to(&bao).setting("namespace", "team-b").variable("VAULT_ROLE_ID", "canary-role");
    let wrong = login.key("vault:secret/x").wrong().await;
    assert!(wrong.contains("has no namespace `team-b`"), "{wrong}");
}

#[tokio::test]
async fn a_server_behind_a_path_is_reached_there() {
    let server = Proxy::alone();
    let mount = json!({ "data": { "path": "secret/", "type": "kv", "options": { "version": "1" } } });
    server.rule(
        Rule::always(answer(200, &mount)).under("/kept/here/v1/sys/internal/ui/mounts/secret/bot/item"),
    );
    let item = json!({ "data": { "value": "canary" }, "lease_id": "" });
    server.rule(Rule::always(answer(200, &item)).under("/kept/here/v1/secret/bot/item"));
    assert_eq!(at(&format!("{}/kept/here/", server.url())).told().await, "canary");
}
