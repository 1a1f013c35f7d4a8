//! Imports: what a reference that ends in `*` stands for.

use serde_json::json;

use crate::case::Case;
use crate::peers::bao::Bao;

async fn names(case: &Case) -> String {
    match case.done().await {
        Ok(ended) => {
            let secrets = ended.resolution.secrets.iter();
            let name = |own: &claude_secrets::resolve::Resolved| {
                let name = own.secret.name.to_string();
                format!("{name}={}", ended.value(&name).unwrap_or_default())
            };
            secrets.map(name).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_prefix_stands_for_everything_below_it_with_folders_in_it() {
    let bao = Bao::start();
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    for item in ["bot/api-key", "bot/db/password", "bot/db/deep/user", "bother/x", "top"] {
        bao.put(item, &json!({ "value": item }));
        bao.must("POST", &format!("kv1/{item}"), &json!({ "value": item }));
    }
    for (import, expected) in [
        (
            "vault:secret/bot/*",
            "API_KEY=bot/api-key DB_DEEP_USER=bot/db/deep/user DB_PASSWORD=bot/db/password",
        ),
        (
            "vault:secret/data/bot/*",
            "API_KEY=bot/api-key DB_DEEP_USER=bot/db/deep/user DB_PASSWORD=bot/db/password",
        ),
        ("vault:kv1/bot/*", "API_KEY=bot/api-key DB_DEEP_USER=bot/db/deep/user DB_PASSWORD=bot/db/password"),
        ("vault:secret/bot/d*", "B_DEEP_USER=bot/db/deep/user B_PASSWORD=bot/db/password"),
        ("vault:secret/bot/db/pass*", "WORD=bot/db/password"),
        ("vault:secret/t*", "OP=top"),
        (
            "vault:secret/bot*",
            "HER_X=bother/x _API_KEY=bot/api-key _DB_DEEP_USER=bot/db/deep/user _DB_PASSWORD=bot/db/password",
        ),
    ] {
        assert_eq!(names(&Case::as_root(&bao).import(import)).await, expected, "{import}");
    }
    let whole = names(&Case::as_root(&bao).import("vault:secret/*")).await;
    assert!(whole.contains("BOT_API_KEY=bot/api-key") && whole.contains("TOP=top"), "{whole}");
    let nothing = names(&Case::as_root(&bao).import("vault:secret/nothing/*")).await;
    assert!(nothing.contains("no secrets are declared, and the imports found none"), "{nothing}");
}

#[tokio::test]
async fn every_field_of_an_item_is_read_with_one_request() {
    let bao = Bao::start();
    bao.put("bot/db", &json!({ "user": "canary-u", "pass-word": "canary-p" }));
    let proxy = crate::peers::proxy::Proxy::before(bao.address());
    let case = Case::as_root(&bao).setting("addr", &proxy.url()).import("vault:secret/bot/db#*");
    assert_eq!(names(&case).await, "PASS_WORD=canary-p USER=canary-u");
    let reads = proxy.seen().iter().filter(|seen| seen.path().starts_with("/v1/secret/")).count();
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn what_an_import_takes_is_counted_with_what_its_secrets_take() {
    let bao = Bao::start();
    bao.put("bot/one", &json!({ "value": "canary" }));
    bao.put("bot/folder/two", &json!({ "value": "canary" }));
    let proxy = crate::peers::proxy::Proxy::before(bao.address());
    let case = Case::as_root(&bao).setting("addr", &proxy.url()).import("vault:secret/bot/*");
    let ended = case.done().await.unwrap();
    let [asked] = &ended.resolution.asked[..] else { panic!("{:?}", ended.resolution.asked) };
    assert_eq!((asked.items, asked.found, asked.calls as usize), (2, 2, proxy.seen().len()));
}

#[tokio::test]
async fn what_may_not_be_listed_names_the_right_that_lacks() {
    let bao = Bao::start();
    bao.put("bot/one", &json!({ "value": "canary" }));
    bao.policy("reader", &[("secret/data/bot/*", "read")]);
    let token = bao.token(&json!({ "policies": ["reader"] }));
    let case = Case::to(&bao).variable("VAULT_TOKEN", &token).import("vault:secret/bot/*");
    let wrong = case.wrong().await;
    assert!(
        wrong.contains("vault:secret/bot/*: the token of `VAULT_TOKEN` is not allowed to list it"),
        "{wrong}"
    );
    assert!(wrong.contains("path \"secret/metadata/bot/*\" {\n      capabilities = [\"list\"]"), "{wrong}");
    let unknown = Case::as_root(&bao).import("vault:nowhere/bot/*").wrong().await;
    assert!(unknown.contains("vault:nowhere/bot/*: nothing is mounted there, or "), "{unknown}");
    assert!(unknown.contains("path \"nowhere/metadata/bot/*\" {"), "{unknown}");
    let other = Case::as_root(&bao).import("vault:cubbyhole/*").wrong().await;
    assert!(other.contains("`cubbyhole` is not a key/value engine"), "{other}");
}

#[tokio::test]
async fn a_list_has_an_end() {
    let bao = Bao::start();
    bao.put(&format!("{}item", "folder/".repeat(12)), &json!({ "value": "canary" }));
    let wrong = Case::as_root(&bao).import("vault:secret/folder/*").wrong().await;
    assert!(wrong.contains("folders more than 10 deep below it"), "{wrong}");
}
