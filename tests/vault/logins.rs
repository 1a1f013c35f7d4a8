//! Every way to log in, and what becomes of the token afterwards.

use serde_json::{Value, json};

use crate::case::Case;
use crate::peers::bao::Bao;
use crate::peers::issuer::{Issuer, SUBJECTS};
use crate::peers::proxy::{Fault, Proxy, Rule};

/// A server with one secret, and a policy `bot` that allows to read it and nothing else.
fn server() -> Bao {
    let bao = Bao::start();
    bao.put("bot/item", &json!({ "value": "canary-value" }));
    bao.policy("bot", &[("secret/data/bot/*", "read")]);
    bao
}

fn enable(bao: &Bao, method: &str, mount: &str) {
    bao.must("POST", &format!("sys/auth/{mount}"), &json!({ "type": method }));
}

fn with_approle(bao: &Bao, with: &Value) -> Case {
    enable(bao, "approle", "approle");
    let (role_id, secret_id) = bao.approle("bot", with);
    let case = Case::to(bao).variable("VAULT_ROLE_ID", &role_id).variable("VAULT_SECRET_ID", &secret_id);
    case.key("vault:secret/bot/item")
}

/// The workflow of `octo-org/octo-repo`, whose identity the server trusts for the role `deploy`.
fn with_identity(bao: &Bao, issuer: &Issuer, mount: &str) -> Case {
    enable(bao, "jwt", mount);
    let config = json!({
        "oidc_discovery_url": issuer.name(), "bound_issuer": issuer.name(), "default_role": "deploy",
    });
    bao.must("POST", &format!("auth/{mount}/config"), &config);
    let role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": ["https://github.com/octo-org", "of-our-own"],
        "bound_claims": { "repository": "octo-org/octo-repo", "repository_id": "74" },
        "token_policies": ["bot"],
        "token_ttl": "5m",
    });
    bao.must("POST", &format!("auth/{mount}/role/deploy"), &role);
    Case::to(bao)
        .variables(issuer.variables())
        .variable("GITHUB_ACTIONS", "true")
        .variable("GITHUB_SERVER_URL", "https://github.com")
        .variable("GITHUB_REPOSITORY_OWNER", "octo-org")
        .key("vault:secret/bot/item")
}

#[tokio::test]
async fn a_token_that_was_given_is_taken_as_it_is_and_left_as_it_was() {
    let bao = server();
    let token = bao.token(&json!({ "policies": ["bot"] }));
    let proxy = Proxy::before(bao.address());
    let case = Case::to(&bao).setting("addr", &proxy.url()).variable("VAULT_TOKEN", &token);
    let case = case.key("vault:secret/bot/item");
    assert_eq!(case.told().await, "canary-value @1");
    assert_eq!(case.told().await, "canary-value @1");
    let asked: Vec<String> = proxy.seen().into_iter().map(|seen| seen.target).collect();
    let once = ["/v1/sys/internal/ui/mounts/secret/bot/item", "/v1/secret/data/bot/item"];
    assert_eq!(asked, [once, once].concat());
}

#[tokio::test]
async fn a_token_for_few_requests_is_good_for_as_many_items() {
    let bao = server();
    bao.put("bot/two", &json!({ "value": "canary-two" }));
    let token = bao.token(&json!({ "policies": ["bot"], "num_uses": 3 }));
    let case = Case::to(&bao).variable("VAULT_TOKEN", &token).secret("A", "vault:secret/bot/item");
    let case = case.secret("B", "vault:secret/bot/two").secret("C", "vault:secret/bot/nothing");
    assert_eq!(case.told().await, "canary-value @1\ncanary-two @1\nMissing");
    let used_up = case.key("vault:secret/bot/item").wrong().await;
    assert!(
        used_up.contains("the token of `VAULT_TOKEN` is not valid, or has no permission there"),
        "{used_up}"
    );
    let token = bao.token(&json!({ "policies": ["bot"], "num_uses": 2 }));
    let case = Case::to(&bao).variable("VAULT_TOKEN", &token).secret("A", "vault:secret/bot/item");
    let case = case.secret("B", "vault:secret/bot/two").secret("C", "vault:secret/bot/nothing");
    let too_few = case.wrong().await;
    assert!(too_few.contains("the token of `VAULT_TOKEN` became invalid during the run"), "{too_few}");
}

#[tokio::test]
async fn a_token_that_was_made_for_the_run_is_taken_back_also_when_reading_failed() {
    let bao = server();
    let case = with_approle(&bao, &json!({ "token_policies": ["bot"] }));
    let before = bao.tokens();
    assert_eq!(case.told().await, "canary-value @1");
    assert_eq!(bao.tokens(), before);
    let failing = case.clone().key("vault:secret/elsewhere");
    assert!(failing.told().await.starts_with("Denied"));
    assert_eq!(bao.tokens(), before);
    let importing = case.import("vault:secret/bot/*");
    assert!(importing.wrong().await.contains("is not allowed to list it"));
    assert_eq!(bao.tokens(), before);
}

#[tokio::test]
async fn an_import_and_the_secrets_take_one_login_together() {
    let bao = server();
    bao.policy("bot", &[("secret/data/bot/*", "read"), ("secret/metadata/bot/*", "list")]);
    let case = with_approle(&bao, &json!({ "token_policies": ["bot"], "secret_id_num_uses": 1 }));
    let ended = case.import("vault:secret/bot/*").done().await.unwrap();
    assert_eq!(
        (ended.value("KEY"), ended.value("ITEM")),
        (Some("canary-value".into()), Some("canary-value".into()))
    );
}

#[tokio::test]
async fn a_batch_token_and_one_for_few_requests_read_as_others_do() {
    let bao = server();
    let batch = with_approle(&bao, &json!({ "token_policies": ["bot"], "token_type": "batch" }));
    let proxy = Proxy::before(bao.address());
    assert_eq!(batch.setting("addr", &proxy.url()).told().await, "canary-value @1");
    assert!(proxy.seen().iter().all(|seen| !seen.target.ends_with("revoke-self")));
    let (role_id, secret_id) = bao.approle("few", &json!({ "token_policies": ["bot"], "token_num_uses": 1 }));
    let few = Case::to(&bao).variable("VAULT_ROLE_ID", &role_id).variable("VAULT_SECRET_ID", &secret_id);
    assert_eq!(few.clone().key("vault:secret/bot/item").told().await, "canary-value @1");
    let too_many = few.secret("A", "vault:secret/bot/item").secret("B", "vault:secret/bot/nothing");
    let wrong = too_many.wrong().await;
    assert!(
        wrong.contains("the token of the login with `approle` at `auth/approle` allows only 1 request"),
        "{wrong}"
    );
    assert!(wrong.contains("`token_num_uses`"), "{wrong}");
}

#[tokio::test]
async fn approle_takes_a_plain_or_a_wrapped_secret_id_or_none() {
    let bao = server();
    let case = with_approle(&bao, &json!({ "token_policies": ["bot"] }));
    assert_eq!(case.told().await, "canary-value @1");
    let refused = case.clone().variable("VAULT_SECRET_ID", "canary-of-nobody").wrong().await;
    assert!(
        refused.contains(
            "vault: the login with `approle` at `auth/approle` was refused (`invalid role or secret ID`)"
        ),
        "{refused}"
    );
    let wrapped = || {
        let headers = [("X-Vault-Token", crate::peers::bao::ROOT), ("X-Vault-Wrap-TTL", "60s")];
        let made = bao.ask_with("POST", "auth/approle/role/bot/secret-id", &json!({}), &headers);
        made.json["wrap_info"]["token"].as_str().unwrap().to_owned()
    };
    let case = case.variable("VAULT_SECRET_ID", "").variable("VAULT_WRAPPED_SECRET_ID", &wrapped());
    assert_eq!(case.told().await, "canary-value @1");
    let again = case.wrong().await;
    assert!(again.contains("vault: the wrapped secret id is no longer valid"), "{again}");
    assert!(again.contains("someone else did"), "{again}");
    // A lost answer is nobody's attack.
    let proxy = Proxy::before(bao.address());
    proxy.rule(Rule::times(1, Fault::Truncate).under("/v1/sys/wrapping/unwrap"));
    let lost = case.clone().setting("addr", &proxy.url()).variable("VAULT_WRAPPED_SECRET_ID", &wrapped());
    let lost = lost.wrong().await;
    assert!(lost.contains("the first request for it got no response"), "{lost}");
    let once = bao.approle("once", &json!({ "token_policies": ["bot"], "secret_id_num_uses": 1 }));
    proxy.clear();
    proxy.rule(Rule::times(1, Fault::Truncate).under("/v1/auth/approle/login"));
    let lost = Case::to(&bao).setting("addr", &proxy.url()).key("vault:secret/bot/item");
    let lost = lost.variable("VAULT_ROLE_ID", &once.0).variable("VAULT_SECRET_ID", &once.1).wrong().await;
    assert!(lost.contains("it may have consumed a single-use login"), "{lost}");
    let other = bao.ask_with(
        "GET",
        "secret/data/bot/item",
        &Value::Null,
        &[("X-Vault-Token", crate::peers::bao::ROOT), ("X-Vault-Wrap-TTL", "60s")],
    );
    let other = other.json["wrap_info"]["token"].as_str().unwrap();
    let no_secret_id = case.clone().variable("VAULT_WRAPPED_SECRET_ID", other).wrong().await;
    assert!(no_secret_id.contains("the wrapped value is not a secret ID of an AppRole"), "{no_secret_id}");
    let unbound = json!({
        "token_policies": ["bot"], "bind_secret_id": false, "token_bound_cidrs": ["127.0.0.1/32"],
    });
    bao.must("POST", "auth/approle/role/unbound", &unbound);
    let role = bao.must("GET", "auth/approle/role/unbound/role-id", &Value::Null);
    let none = case.variable("VAULT_WRAPPED_SECRET_ID", "");
    let none = none.variable("VAULT_ROLE_ID", role["data"]["role_id"].as_str().unwrap());
    assert_eq!(none.told().await, "canary-value @1");
}

#[tokio::test]
async fn the_workflows_identity_logs_in_with_githubs_own_audience_or_another() {
    let (bao, issuer) = (server(), Issuer::start());
    let case = with_identity(&bao, &issuer, "jwt");
    let by_input = case.clone().variable("INPUT_VAULT-ROLE", "deploy");
    for subject in SUBJECTS {
        issuer.claim("sub", subject);
        assert_eq!(by_input.told().await, "canary-value @1", "{subject}");
    }
    let by_manifest = case.clone().setting("role", "deploy").setting("jwt-audience", "of-our-own");
    assert_eq!(by_manifest.told().await, "canary-value @1");
    let by_default_role = case.clone().setting("auth", "jwt");
    assert_eq!(by_default_role.told().await, "canary-value @1");
    let own = "https://github.com/octo-org";
    assert_eq!(issuer.asked(), [own, own, "of-our-own", own]);
    let given = case.clone().variable("ACTIONS_ID_TOKEN_REQUEST_URL", "").setting("role", "deploy");
    let given = given.variable("VAULT_JWT", &issuer.token("of-our-own"));
    assert_eq!(given.told().await, "canary-value @1");
}

#[tokio::test]
async fn a_refused_identity_is_told_with_what_it_says_of_itself() {
    let (bao, issuer) = (server(), Issuer::start());
    let case = with_identity(&bao, &issuer, "github/actions");
    let case = case.setting("role", "deploy").setting("auth-mount", "auth/github/actions/");
    assert_eq!(case.told().await, "canary-value @1");
    let audience = case.clone().setting("jwt-audience", "elsewhere").wrong().await;
    assert!(audience.contains("the login with `jwt` at `auth/github/actions` was refused (`"), "{audience}");
    assert!(audience.contains("`bound_audiences`") && audience.contains("aud = \"elsewhere\""), "{audience}");
    let role = case.clone().setting("role", "nobody").wrong().await;
    assert!(role.contains("was refused"), "{role}");
    let mount = case.clone().setting("auth-mount", "nowhere").wrong().await;
    assert!(mount.contains("the login with `jwt` at `auth/nowhere` was refused"), "{mount}");
    assert!(mount.contains("`auth-mount`"), "{mount}");
    issuer.claim("repository", "octo-org/other");
    issuer.claim("sub", "repo:octo-org/other:ref:refs/heads/main");
    let claims = case.wrong().await;
    assert!(claims.contains("sub = \"repo:octo-org/other:ref:refs/heads/main\""), "{claims}");
    assert!(claims.contains("repository_id = \"74\", environment = \"production\""), "{claims}");
    assert!(
        claims.contains("the policy may have `repo:octo-org@65/other@74:ref:refs/heads/main`"),
        "{claims}"
    );
}

#[tokio::test]
async fn a_user_logs_in_by_password_also_where_the_method_is_mounted_elsewhere() {
    let bao = server();
    enable(&bao, "userpass", "people/userpass");
    let user = json!({ "password": "canary pass\nword \u{1f511}", "token_policies": "bot" });
    bao.must("POST", "auth/people/userpass/users/bot.user", &user);
    let case = Case::to(&bao).setting("username", "bot.user").setting("auth-mount", "people/userpass");
    let case = case.variable("VAULT_PASSWORD", "canary pass\nword \u{1f511}").key("vault:secret/bot/item");
    assert_eq!(case.told().await, "canary-value @1");
    let refused = case.variable("VAULT_PASSWORD", "canary").wrong().await;
    assert!(
        refused.contains("at `auth/people/userpass` was refused (`invalid username or password`)"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_pod_logs_in_by_its_service_account() {
    let (bao, issuer) = (server(), Issuer::start());
    // What the server asks the cluster: whose token is this?
    let cluster = Proxy::alone();
    let user = json!({ "username": "system:serviceaccount:deploy:bot", "uid": "1f0e", "groups": [] });
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": { "authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"] },
    });
    cluster.rule(Rule::always(Fault::json(review.to_string())));
    issuer.claim("iss", "https://kubernetes.default.svc");
    issuer.claim("sub", "system:serviceaccount:deploy:bot");
    issuer.claim("aud", json!(["https://kubernetes.default.svc"]));
    issuer.claim(
        "kubernetes.io",
        json!({ "namespace": "deploy", "serviceaccount": { "name": "bot", "uid": "1f0e" } }),
    );
    let token = issuer.token("https://kubernetes.default.svc");
    enable(&bao, "kubernetes", "kubernetes");
    let config = json!({
        "kubernetes_host": cluster.url(), "kubernetes_ca_cert": crate::peers::authority::Authority::new().pem(),
        "token_reviewer_jwt": token, "disable_local_ca_jwt": true,
    });
    bao.must("POST", "auth/kubernetes/config", &config);
    let role = json!({
        "bound_service_account_names": ["bot"], "bound_service_account_namespaces": ["deploy"], "token_policies": ["bot"],
    });
    bao.must("POST", "auth/kubernetes/role/bot", &role);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{token}\n")).unwrap();
    let path = file.path().display().to_string();
    let case = Case::to(&bao).setting("role", "bot").setting("kubernetes-token-file", &path);
    let case = case.key("vault:secret/bot/item");
    assert_eq!(case.told().await, "canary-value @1");
    let missing = case.clone().setting("kubernetes-token-file", "/nowhere/token").wrong().await;
    assert!(missing.contains("the service account's token /nowhere/token cannot be read"), "{missing}");
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = case.setting("kubernetes-token-file", &pipe.display().to_string()).wrong().await;
    assert!(pipe.contains("cannot be read: it is a pipe, not a regular file"), "{pipe}");
}

#[tokio::test]
async fn with_two_logins_auth_says_which() {
    let bao = server();
    let case =
        with_approle(&bao, &json!({ "token_policies": ["bot"] })).variable("VAULT_TOKEN", "canary-of-nobody");
    assert!(case.told().await.contains("more than one login is configured"));
    assert_eq!(case.clone().setting("auth", "approle").told().await, "canary-value @1");
    assert!(case.setting("auth", "token").wrong().await.contains("the token of `VAULT_TOKEN` is not valid"));
}

#[tokio::test]
async fn what_vault_login_left_is_taken_on_the_command_line_and_for_its_own_server_only() {
    let bao = server();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".vault-token"), bao.token(&json!({ "policies": ["bot"] })) + "\n")
        .unwrap();
    let case =
        Case::default().variable("HOME", &home.path().display().to_string()).key("vault:secret/bot/item");
    let own = case.clone().variable("VAULT_ADDR", &bao.url());
    assert_eq!(own.told().await, "canary-value @1");
    let action = own.clone().variable("GITHUB_ACTIONS", "true").told().await;
    assert!(action.contains("no login configured"), "{action}");
    let other = own.variable("VAULT_ADDR", "https://other.example.com").setting("addr", &bao.url());
    assert!(other.told().await.contains("no login configured"));
    let named = case.setting("addr", &bao.url());
    assert!(named.told().await.contains("no login configured"));
}
