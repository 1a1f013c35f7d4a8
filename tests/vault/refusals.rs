//! What a server's 403 and 404 can mean, and what is made of it.

use serde_json::{Value, json};

use crate::case::Case;
use crate::peers::bao::Bao;
use crate::peers::proxy::{Fault, Proxy, Rule, Seen};

fn server() -> Bao {
    let bao = Bao::start();
    bao.put("bot/item", &json!({ "value": "canary-value" }));
    bao.put("other/item", &json!({ "value": "canary-other" }));
    bao.policy("bot", &[("secret/data/bot/*", "read")]);
    bao
}

fn reader(bao: &Bao) -> Case {
    Case::to(bao).variable("VAULT_TOKEN", &bao.token(&json!({ "policies": ["bot"] })))
}

#[tokio::test]
async fn a_policy_that_lacks_is_told_as_text_to_paste() {
    let bao = server();
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    let denied = reader(&bao).key("vault:secret/other/item").wrong().await;
    assert!(
        denied.contains("KEY: vault:secret/other/item: the token of `VAULT_TOKEN` is not allowed to read it"),
        "{denied}"
    );
    assert!(
        denied.contains("path \"secret/data/other/item\" {\n      capabilities = [\"read\"]\n    }"),
        "{denied}"
    );
    bao.policy("bot", &[("kv1/bot/*", "read")]);
    let denied = reader(&bao).key("vault:kv1/other").wrong().await;
    assert!(denied.contains("path \"kv1/other\" {"), "{denied}");
}

#[tokio::test]
async fn some_denied_items_leave_the_others_found_and_are_explained_by_one_more_request() {
    let bao = server();
    let proxy = Proxy::before(bao.address());
    let mut case = reader(&bao).setting("addr", &proxy.url()).secret("A", "vault:secret/bot/item");
    for number in 0..10 {
        case = case.secret(&format!("B{number}"), &format!("vault:secret/other/{number}"));
    }
    let told = case.told().await;
    assert!(told.starts_with("canary-value @1\nDenied B0: vault:secret/other/0: the token of"), "{told}");
    assert_eq!(proxy.seen().len(), 1 + 11 + 1);
}

#[tokio::test]
async fn a_wrong_mount_and_a_bad_token_are_told_apart_as_far_as_the_server_lets() {
    let bao = server();
    for (case, expected) in [
        (
            reader(&bao).key("vault:secrt/bot/item"),
            "vault:secrt/bot/item: nothing is mounted there, or the token of `VAULT_TOKEN` has no permission below it",
        ),
        (
            Case::as_root(&bao).key("vault:secrt/bot/item"),
            "vault:secrt/bot/item: http://SERVER has nothing mounted for `secrt/",
        ),
        (
            Case::to(&bao).variable("VAULT_TOKEN", "canary-of-nobody").key("vault:secret/bot/item"),
            "vault:secret/bot/item: the token of `VAULT_TOKEN` is not valid, or has no permission there",
        ),
        (Case::as_root(&bao).key("vault:secret"), "vault:secret: that is a mount, not an item in it"),
        (Case::as_root(&bao).key("vault:secret/bot/"), "vault:secret/bot/: it ends with a slash"),
        (Case::as_root(&bao).key("vault:secret//item"), "vault:secret//item: a part of its path is empty"),
        (
            Case::as_root(&bao).key("vault:secret/../sys/raw"),
            "vault:secret/../sys/raw: a part of its path is empty",
        ),
        (Case::as_root(&bao).key("vault:sys/raw/bot"), "vault:sys/raw/bot: "),
    ] {
        let wrong = case.wrong().await;
        let expected = expected.replace("SERVER", &bao.address().to_string());
        assert!(wrong.contains(&format!("KEY: {expected}")), "{expected}\n{wrong}");
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_told_as_such_after_it_was_good() {
    let bao = server();
    let proxy = Proxy::before(bao.address());
    let token = bao.token(&json!({ "policies": ["bot"] }));
    let case = Case::to(&bao).setting("addr", &proxy.url()).variable("VAULT_TOKEN", &token);
    let case = case.key("vault:secret/bot/item");
    // It ends between the question for the mount and the reading.
    let revoking = bao.url();
    let ending = token.clone();
    proxy.rule(Rule::times(1, Fault::Delay(std::time::Duration::ZERO)).when(move |seen: &Seen| {
        if seen.target.starts_with("/v1/secret/") {
            let done = std::process::Command::new("curl")
                .args(["-sf", "--noproxy", "*", "-X", "POST", "-H", &format!("X-Vault-Token: {ending}")])
                .arg(format!("{revoking}/v1/auth/token/revoke-self"))
                .status();
            assert!(done.unwrap().success());
            return true;
        }
        false
    }));
    let wrong = case.wrong().await;
    assert!(wrong.contains("the token of `VAULT_TOKEN` became invalid during the run"), "{wrong}");
}

/// A proxy that keeps `sys/` from clients, as some do.
fn guarded(bao: &Bao) -> Proxy {
    let proxy = Proxy::before(bao.address());
    proxy.rule(Rule::always(Fault::status(403)).under("/v1/sys/"));
    proxy
}

#[tokio::test]
async fn where_the_server_may_not_tell_the_mount_its_answers_do() {
    let bao = server();
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    bao.mount("team/kv", "kv", &json!({ "version": "2" }));
    bao.must("POST", "kv1/bot/item", &json!({ "value": "canary-1" }));
    bao.must("POST", "team/kv/data/bot/item", &json!({ "data": { "value": "canary-team" } }));
    bao.put("gone", &json!({ "value": "canary" }));
    bao.must("DELETE", "secret/data/gone", &Value::Null);
    let proxy = guarded(&bao);
    let root = || Case::as_root(&bao).setting("addr", &proxy.url());
    for (case, expected) in [
        (root().key("vault:secret/bot/item"), "canary-value @1"),
        (root().key("vault:secret/data/bot/item@1"), "canary-value @1"),
        (root().key("vault:secret/bot/nothing"), "Missing"),
        (root().key("vault:secret/gone"), "Failed KEY: vault:secret/gone: version 1 was deleted on"),
        (root().key("vault:kv1/bot/item"), "canary-1"),
        (root().key("vault:kv1/bot/nothing"), "Missing"),
        (
            root().key("vault:kv1/bot/item@1"),
            "Failed KEY: vault:kv1/bot/item@1: the mount `kv1` does not keep versions",
        ),
        (root().setting("mount", "team/kv").key("vault:team/kv/bot/item"), "canary-team @1"),
        (root().key("vault:nowhere/bot/item"), "Failed KEY: vault:nowhere/bot/item: "),
        (root().setting("kv-version", "2").key("vault:secret/bot/item"), "canary-value @1"),
        (root().setting("kv-version", "1").key("vault:kv1/bot/item"), "canary-1"),
        (
            root().setting("kv-version", "1").key("vault:secret/bot/item"),
            "Failed KEY: vault:secret/bot/item: the mount `secret` keeps versions",
        ),
        (
            root().setting("kv-version", "2").key("vault:kv1/bot/item"),
            "Failed KEY: vault:kv1/bot/item: the mount `kv1` does not keep versions",
        ),
        (root().setting("kv-version", "2").key("vault:secret/bot/nothing"), "Missing"),
    ] {
        let told = case.told().await;
        assert!(
            told == expected || told.starts_with("Failed") && told.starts_with(expected),
            "{expected}: {told}"
        );
    }
    let reader = reader(&bao).setting("addr", &proxy.url());
    assert_eq!(reader.clone().key("vault:secret/bot/item").told().await, "canary-value @1");
    let unsure = reader.clone().key("vault:secret/bot/nothing").wrong().await;
    assert!(unsure.contains("cannot determine whether the mount `secret` keeps versions"), "{unsure}");
    assert!(unsure.contains("`kv-version: 2`"), "{unsure}");
    let told = reader.clone().setting("kv-version", "2").key("vault:secret/bot/nothing");
    assert_eq!(told.told().await, "Missing");
    let denied = reader.key("vault:secret/other/item").wrong().await;
    assert!(denied.contains("path \"secret/data/other/item\""), "{denied}");
    let listed = root().setting("kv-version", "2").import("vault:secret/bot/*").done().await.unwrap();
    assert_eq!(listed.value("ITEM").as_deref(), Some("canary-value"));
}

#[tokio::test]
async fn variables_alone_are_meant_and_what_they_are_denied_stops_the_run() {
    let bao = server();
    let case = Case::default().variable("VAULT_ADDR", &bao.url()).variable("VAULT_TOKEN", "canary-of-nobody");
    let case = case.conventional("KEY").variable("KEY", "of the environment");
    let ended = case.done().await.unwrap();
    assert_eq!(ended.value("KEY"), None, "the value below may be stale");
    assert!(ended.warnings().is_empty(), "{:?}", ended.warnings());
}
