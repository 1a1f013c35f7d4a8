//! What is read, from which paths, and in how many requests.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::case::Case;
use crate::peers::bao::Bao;
use crate::peers::proxy::{Fault, Proxy, Rule, Seen};

/// The paths that were asked for, below the API.
fn asked(proxy: &Proxy) -> Vec<String> {
    let path = |seen: &Seen| seen.target.trim_start_matches("/v1/").to_owned();
    proxy.seen().iter().map(path).collect()
}

#[tokio::test]
async fn a_secret_is_found_with_its_version_and_one_that_is_not_there_is_absent() {
    let bao = Bao::start();
    bao.put("claude-bot/anthropic", &json!({ "key": "canary-key", "value": "canary-value" }));
    let case = Case::as_root(&bao).secret("A", "vault:secret/claude-bot/anthropic#key");
    let case = case.secret("B", "vault:secret/claude-bot/anthropic");
    let case = case.secret("C", "vault:secret/claude-bot/nothing");
    assert_eq!(case.told().await, "canary-key @1\ncanary-value @1\nMissing");
}

#[tokio::test]
async fn paths_are_taken_as_people_write_them() {
    let bao = Bao::start();
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    bao.mount("team/a/kv", "kv", &json!({ "version": "2" }));
    bao.mount("team/b", "kv", &json!({ "version": "1" }));
    bao.put("bot/deep/er/item", &json!({ "value": "v2" }));
    bao.put("data/habit", &json!({ "value": "an item that is called so" }));
    bao.put("sp%20ace%3F%23%25/%C3%A4+&=", &json!({ "value": "odd" }));
    bao.must("POST", "kv1/bot/item", &json!({ "value": "v1" }));
    bao.must("POST", "kv1/data/bot/item", &json!({ "value": "v1 below data" }));
    bao.must("POST", "team/a/kv/data/bot/item", &json!({ "data": { "value": "slashes, v2" } }));
    bao.must("POST", "team/b/bot/item", &json!({ "value": "slashes, v1" }));
    bao.must("POST", "cubbyhole/own", &json!({ "value": "cubbyhole" }));
    for (reference, expected) in [
        ("vault:secret/bot/deep/er/item", "v2 @1"),
        ("vault:secret/data/bot/deep/er/item", "v2 @1"),
        ("vault:v1/secret/data/bot/deep/er/item#value", "v2 @1"),
        ("vault:/secret/bot/deep/er/item", "v2 @1"),
        ("vault:secret/data/data/habit", "an item that is called so @1"),
        ("vault:secret/sp ace?%23%25/ä+&=", "odd @1"),
        ("vault:kv1/bot/item", "v1"),
        ("vault:kv1/data/bot/item", "v1 below data"),
        ("vault:team/a/kv/bot/item", "slashes, v2 @1"),
        ("vault:team/a/kv/data/bot/item", "slashes, v2 @1"),
        ("vault:team/b/bot/item", "slashes, v1"),
        ("vault:cubbyhole/own", "cubbyhole"),
        ("vault:cubbyhole/nothing", "Missing"),
        ("vault:kv1/nothing", "Missing"),
    ] {
        assert_eq!(Case::as_root(&bao).key(reference).told().await, expected, "{reference}");
    }
}

#[tokio::test]
async fn fields_are_what_the_item_has() {
    let bao = Bao::start();
    let odd = "line one\nline two \u{1f511} \"quoted\" $HOME\n";
    bao.put(
        "item",
        &json!({ "text": odd, "number": 15, "deep": { "er": [1, 2] }, "none": null, "a/b": "slash" }),
    );
    bao.put("empty", &json!({}));
    for (reference, expected) in [
        ("vault:secret/item#text", &*format!("{odd} @1")),
        ("vault:secret/item#number", "15 @1"),
        ("vault:secret/item#deep", "{\"er\":[1,2]} @1"),
        ("vault:secret/item#/deep/er/1", "2 @1"),
        ("vault:secret/item#a/b", "slash @1"),
        ("vault:secret/item#none", "Missing"),
        (
            "vault:secret/item",
            "Failed KEY: vault:secret/item: there is no field `value`; the fields are: a/b, deep, none, number, text",
        ),
    ] {
        assert_eq!(Case::as_root(&bao).key(reference).told().await, expected, "{reference}");
    }
    let none = Case::as_root(&bao).key("vault:secret/empty#x").told().await;
    assert!(none.starts_with("Failed KEY: vault:secret/empty#x: there is no field `x`"), "{none}");
}

#[tokio::test]
async fn versions_are_read_and_those_that_were_taken_away_are_no_absence() {
    let bao = Bao::start();
    for number in 1..=4 {
        bao.put("item", &json!({ "value": format!("canary {number}") }));
    }
    bao.must("POST", "secret/delete/item", &json!({ "versions": [2] }));
    bao.must("PUT", "secret/destroy/item", &json!({ "versions": [3] }));
    bao.put("gone", &json!({ "value": "canary" }));
    bao.must("DELETE", "secret/data/gone", &serde_json::Value::Null);
    bao.put("was", &json!({ "value": "canary" }));
    bao.must("DELETE", "secret/metadata/was", &serde_json::Value::Null);
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    bao.must("POST", "kv1/item", &json!({ "value": "canary" }));
    for (reference, expected) in [
        ("vault:secret/item", "canary 4 @4"),
        ("vault:secret/item@1", "canary 1 @1"),
        ("vault:secret/item@4", "canary 4 @4"),
        ("vault:secret/item@2", "Failed KEY: vault:secret/item@2: version 2 was deleted on "),
        ("vault:secret/item@3", "Failed KEY: vault:secret/item@3: version 3 was destroyed"),
        ("vault:secret/item@9", "Failed KEY: vault:secret/item@9: there is no version 9; the newest is 4"),
        ("vault:secret/nothing@9", "Missing"),
        ("vault:secret/item@0", "Failed KEY: vault:secret/item@0: a version must be a positive number"),
        ("vault:secret/item@new", "Failed KEY: vault:secret/item@new: a version must be a positive number"),
        ("vault:secret/gone", "Failed KEY: vault:secret/gone: version 1 was deleted on "),
        ("vault:secret/was", "Missing"),
        ("vault:kv1/item@1", "Failed KEY: vault:kv1/item@1: the mount `kv1` does not keep versions"),
    ] {
        let told = Case::as_root(&bao).key(reference).told().await;
        assert!(
            told == expected || told.starts_with("Failed") && told.starts_with(expected),
            "{reference}: {told}"
        );
    }
    let wrong = Case::as_root(&bao).key("vault:secret/gone").wrong().await;
    assert!(wrong.contains("`vault kv undelete -mount=secret -versions=1 'gone'`"), "{wrong}");
    assert!(wrong.contains("`vault kv metadata delete -mount=secret 'gone'`"), "{wrong}");
}

#[tokio::test]
async fn dates_come_with_the_values() {
    let bao = Bao::start();
    bao.must("POST", "secret/metadata/item", &json!({ "delete_version_after": "90m" }));
    bao.put("item", &json!({ "value": "canary" }));
    let ended = Case::as_root(&bao).key("vault:secret/item").done().await.unwrap();
    let origin = ended.resolution.secrets[0].origin.as_ref().unwrap();
    let age = SystemTime::now().duration_since(origin.changed.unwrap()).unwrap();
    let left = origin.expires.unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(age < Duration::from_secs(20), "{age:?}");
    assert!(left > Duration::from_mins(89) && left < Duration::from_mins(91), "{left:?}");
    assert_eq!((origin.place.as_str(), origin.version.as_deref()), ("secret/item version 1", Some("1")));
}

#[tokio::test]
async fn a_mount_is_asked_about_once_and_an_item_is_read_once() {
    let bao = Bao::start();
    bao.mount("kv1", "kv", &json!({ "version": "1" }));
    for number in 0..50 {
        bao.put(&format!("bot/{number}"), &json!({ "value": format!("canary {number}"), "other": "x" }));
        bao.must("POST", &format!("kv1/{number}"), &json!({ "value": format!("canary {number}") }));
    }
    let proxy = Proxy::before(bao.address());
    let mut case = Case::as_root(&bao).setting("addr", &proxy.url());
    for number in 0..50 {
        case = case.secret(&format!("A{number}"), &format!("vault:secret/bot/{number}"));
        case = case.secret(&format!("B{number}"), &format!("vault:secret/data/bot/{number}#other"));
        case = case.secret(&format!("C{number}"), &format!("vault:kv1/{number}"));
    }
    let ended = case.done().await.unwrap();
    assert!(ended.resolution.check().is_ok());
    assert_eq!(ended.value("A7").as_deref(), Some("canary 7"));
    let asked = asked(&proxy);
    let about_mounts = asked.iter().filter(|path| path.starts_with("sys/internal/ui/mounts/")).count();
    assert_eq!((about_mounts, asked.len()), (2, 102), "{asked:?}");
}

/// A server whose mount `secret` is of this version of the engine, with an item, and a run that logs in to it by itself.
fn with_login(version: &str) -> (Bao, Proxy, Case) {
    let bao = Bao::start();
    bao.must("DELETE", "sys/mounts/secret", &json!({}));
    bao.mount("secret", "kv", &json!({ "version": version }));
    bao.policy("bot", &[("secret/*", "read")]);
    bao.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    let (role_id, secret_id) = bao.approle("bot", &json!({ "token_policies": ["bot"] }));
    match version {
        "2" => bao.put("bot/item", &json!({ "value": "canary" })),
        _ => drop(bao.must("POST", "secret/bot/item", &json!({ "value": "canary" }))),
    }
    let proxy = Proxy::before(bao.address());
    let case = Case::to(&bao).setting("addr", &proxy.url());
    let case = case.variable("VAULT_ROLE_ID", &role_id).variable("VAULT_SECRET_ID", &secret_id);
    (bao, proxy, case.key("vault:secret/bot/item"))
}

#[tokio::test]
async fn after_a_login_items_are_read_while_the_server_tells_what_is_mounted() {
    const HELD: Duration = Duration::from_secs(2);
    let (_bao, proxy, case) = with_login("2");
    proxy.rule(Rule::always(Fault::Delay(HELD)).under("/v1/sys/internal/ui/mounts/"));
    assert_eq!(case.told().await, "canary @1");
    let seen = proxy.seen();
    let at = |path: &str| {
        let mut all = seen.iter().filter(|seen| seen.path() == path);
        let first = all.next().unwrap().at;
        assert!(all.next().is_none(), "{path} is asked for once");
        first
    };
    let asked_for_mount = at("/v1/sys/internal/ui/mounts/secret/bot/item");
    let read = at("/v1/secret/data/bot/item");
    assert!(
        read.saturating_duration_since(asked_for_mount) < HELD / 2,
        "the two requests are under way together"
    );
}

#[tokio::test]
async fn what_is_read_early_counts_for_nothing_where_the_mount_keeps_no_versions() {
    let (bao, proxy, case) = with_login("1");
    bao.must(
        "POST",
        "secret/data/bot/item",
        &json!({ "data": { "value": "another" }, "metadata": { "version": 1 } }),
    );
    assert_eq!(case.told().await, "canary");
    let read =
        asked(&proxy).into_iter().filter(|path| path.ends_with("bot/item") && path.starts_with("secret/"));
    assert_eq!(read.collect::<Vec<_>>(), ["secret/data/bot/item", "secret/bot/item"]);
}

#[tokio::test]
async fn two_hundred_secrets_are_there_within_ten_round_trips() {
    let bao = Bao::start();
    bao.policy("bot", &[("secret/data/bot/*", "read")]);
    bao.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    let (role_id, secret_id) = bao.approle("bot", &json!({ "token_policies": ["bot"] }));
    for number in 0..200 {
        bao.put(&format!("bot/{number}"), &json!({ "value": format!("canary {number}") }));
    }
    let proxy = Proxy::before(bao.address());
    let case = Case::to(&bao).setting("addr", &proxy.url());
    let case = case.variable("VAULT_ROLE_ID", &role_id).variable("VAULT_SECRET_ID", &secret_id);
    let case = (0..200)
        .fold(case, |case, number| case.secret(&format!("S{number}"), &format!("vault:secret/bot/{number}")));
    let ended = case.done().await.unwrap();
    assert!(ended.resolution.check().is_ok());
    let reads = proxy.seen().iter().filter(|seen| seen.target.starts_with("/v1/secret/")).count();
    // Login, mount, and then 32 at a time, and the token is given back.
    assert_eq!((reads, proxy.seen().len()), (200, 203));
    assert!(1 + 1 + 200_usize.div_ceil(claude_secrets::sources::net::CONCURRENCY) < 10);
}

#[tokio::test]
async fn without_a_reference_it_is_the_conventional_place_below_prefix_and_environment() {
    let bao = Bao::start();
    bao.mount("team/kv", "kv", &json!({ "version": "2" }));
    bao.put("claude-bot/anthropic-api-key", &json!({ "value": "canary-1" }));
    bao.put("bot/production/anthropic-api-key", &json!({ "value": "canary-2" }));
    bao.must(
        "POST",
        "team/kv/data/claude-bot/anthropic-api-key",
        &json!({ "data": { "value": "canary-3" } }),
    );
    let case = Case::as_root(&bao).conventional("ANTHROPIC_API_KEY");
    assert_eq!(case.told().await, "canary-1 @1");
    let placed = case.clone().variable("INPUT_PREFIX", "bot").variable("INPUT_ENVIRONMENT", "production");
    assert_eq!(placed.told().await, "canary-2 @1");
    assert_eq!(case.setting("mount", "team/kv/").told().await, "canary-3 @1");
}

#[tokio::test]
async fn two_servers_each_get_their_own_login_and_no_other() {
    let (new, old) = (Bao::start(), Bao::start());
    old.put("item", &json!({ "value": "canary-old" }));
    new.put("item", &json!({ "value": "canary-new" }));
    let old_token = old.token(&json!({ "policies": ["root"] }));
    let (to_new, to_old) = (Proxy::before(new.address()), Proxy::before(old.address()));
    let case = Case::as_root(&new).setting("addr", &to_new.url());
    let case = case.setting_of("old-vault", "kind", "vault").setting_of("old-vault", "addr", &to_old.url());
    let case = case.variable("OLD_VAULT_TOKEN", &old_token);
    let case = case.secret("A", "vault:secret/item").secret("B", "old-vault:secret/item");
    assert_eq!(case.told().await, "canary-new @1\ncanary-old @1");
    let token = |proxy: &Proxy, other: &str| {
        proxy.seen().iter().any(|seen| seen.header("x-vault-token") == Some(other))
    };
    assert!(!token(&to_new, &old_token) && !token(&to_old, crate::peers::bao::ROOT));
}
