//! What holds when a Connect server is asked: how many requests it takes, and what each of its answers means.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use claude_secrets::sources::Reply;
use serde_json::json;

use super::account;
use super::peers::onepassword::{Account, CONNECT_TOKEN, Item};
use super::run::Run;

#[tokio::test]
async fn the_first_secret_of_an_item_takes_three_requests_and_others_of_it_none() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect);
    let references =
        ["op://Prod/postgres/username", "op://Prod/postgres/password", "op://prod/POSTGRES/admin/token"];
    let answers = run.answers(&references).await;
    assert!(answers.iter().all(|answer| answer.starts_with("found ")), "{answers:?}");
    let requests = connect.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert_eq!(requests[0], "/v1/vaults");
}

#[tokio::test]
async fn a_batch_lists_each_vault_once_and_reads_each_item_once() {
    let account = Account::new();
    let op = account.op();
    let connect = account.connect();
    for vault in ["One", "Two"] {
        account.vault(vault);
        for n in 0..40 {
            account.put(vault, Item::credential(&format!("item-{n}"), &format!("{vault} {n}")));
        }
    }
    let reference = |vault: &str, n: usize| format!("op://{vault}/item-{n}/credential");
    let references: Vec<String> =
        ["One", "Two"].iter().flat_map(|vault| (0..60).map(move |n| reference(vault, n))).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let answers = Run::by_connect(&op, &connect).answers(&references).await;
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("found ")).count(), 80);
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("absent ")).count(), 40);
    assert_eq!(answers[61], "found Two 1");
    assert_eq!(connect.requests().len(), 1 + 2 + 80);
}

#[tokio::test]
async fn ids_need_no_list_and_what_looks_like_one_may_be_a_title() {
    let account = Account::new();
    let op = account.op();
    let vault = account.vault("Prod");
    let item = account.put("Prod", Item::credential("key", "v"));
    let title = "abcdefghijklmnopqrstuvwxyz";
    account.put("Prod", Item::credential(title, "odd"));
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect);
    assert_eq!(run.answer(&format!("op://{vault}/{item}/credential")).await, "found v");
    assert_eq!(connect.requests(), ["/v1/vaults".to_owned(), format!("/v1/vaults/{vault}/items/{item}")]);
    assert_eq!(run.answer(&format!("op://Prod/{title}/credential")).await, "found odd");
    let nowhere = "00000000000000000000000000";
    let absent = run.answer(&format!("op://Prod/{nowhere}/credential")).await;
    assert_eq!(absent, format!("absent op://Prod/{nowhere}/credential"));
    let hidden = run.answer(&format!("op://{nowhere}/{item}/credential")).await;
    assert!(hidden.starts_with("denied "), "{hidden}");
}

#[tokio::test]
async fn the_version_and_the_date_of_the_item_come_with_the_value() {
    let account = Account::new();
    let op = account.op();
    account.vault("Prod");
    account.put("Prod", Item::credential("key", "v").with("version", 7));
    let connect = account.connect();
    let replies = Run::by_connect(&op, &connect).replies(&["op://Prod/key/credential"]).await;
    let Reply::Found(found) = &replies[0] else { panic!("it is there") };
    assert_eq!(found.version.as_deref(), Some("7"));
    let changed = humantime::format_rfc3339(found.changed.unwrap()).to_string();
    assert_eq!(changed, "2026-02-01T00:00:00Z");
    assert_eq!(found.place, "op://Prod/key/credential");
    assert!(found.expires.is_none());
}

#[tokio::test]
async fn a_field_that_is_in_two_sections_must_be_named_with_its_section() {
    let account = Account::new();
    let op = account.op();
    account.vault("Prod");
    let item = Item::new("db").field_in("blue", "token", "b").field_in("green", "token", "g");
    account.put("Prod", item);
    let item = Item::new("login").field("password", "main").field_in("old", "password", "canary");
    account.put("Prod", item);
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect);
    let replies = run.replies(&["op://Prod/db/token"]).await;
    let Reply::Failed(refusal) = &replies[0] else { panic!("it is ambiguous") };
    assert_eq!(
        refusal.fact,
        "op://Prod/db/token: the item has several fields `token`: `blue/token`, `green/token`"
    );
    assert!(refusal.help_text().contains("`op://Prod/db/blue/token`"), "{}", refusal.help_text());
    assert_eq!(run.answer("op://Prod/db/green/token").await, "found g");
    // The one in no section is meant where no section is named; 1Password's own field has its name as its id, too.
    assert_eq!(run.answer("op://Prod/login/password").await, "found main");
    assert_eq!(run.answer("op://Prod/login/old/password").await, "found canary");
}

#[tokio::test]
async fn a_missing_field_names_those_that_exist_and_no_value() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    let answer = Run::by_connect(&op, &connect).answer("op://Prod/postgres/passwrd").await;
    assert_eq!(
        answer,
        "failed op://Prod/postgres/passwrd: the item has no field `passwrd`; the fields are: username, password, admin/token, one-time password, ca.pem"
    );
}

#[tokio::test]
async fn what_a_connect_server_does_not_have_is_told() {
    let account = account();
    let op = account.op();
    account.put("Prod", Item::credential("retired", "canary").with("state", "ARCHIVED"));
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect);
    for (reference, expected) in [
        ("op://Prod/retired/credential", "the item is archived"),
        (
            "op://Prod/postgres/password?ssh-format=openssh",
            "a Connect server returns SSH keys only as PKCS#8",
        ),
        ("op://Prod/postgres/password?attribute=otp", "the field contains no one-time password"),
        ("op://Prod/postgres/password?attribute=colour", "it has no such attribute"),
        ("op://Prod/postgres/ca.pem?attribute=otp", "it has no such attribute"),
    ] {
        assert_eq!(run.answer(reference).await, format!("failed {reference}: {expected}"));
    }
}

#[tokio::test]
async fn names_that_op_cannot_take_are_no_matter_here() {
    let account = Account::new();
    let op = account.op();
    account.vault("Bücher & Co");
    account.put("Bücher & Co", Item::credential("Zugang (neu) #1", "v"));
    let connect = account.connect();
    let answer = Run::by_connect(&op, &connect).answer("op://bücher & co/zugang (NEU) #1/credential").await;
    assert_eq!(answer, "found v");
}

#[tokio::test]
async fn a_token_of_another_server_is_denied() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect).variable("OP_CONNECT_TOKEN", "other-canary");
    let answer = run.answer("op://Prod/postgres/username").await;
    assert_eq!(
        answer,
        "denied op://Prod/postgres/username: the Connect server does not accept OP_CONNECT_TOKEN (401)"
    );
}

#[tokio::test]
async fn a_vault_that_the_token_loses_in_the_middle_is_denied() {
    let account = account();
    let op = account.op();
    account.put("Prod", Item::credential("second", "v"));
    let connect = account.connect();
    let source = Run::by_connect(&op, &connect).open().unwrap().unwrap();
    let item = |name: &str| claude_secrets::sources::Item { name: name.to_owned(), version: None };
    let (first, second) = (item("op://Prod/postgres/username"), item("op://Prod/second/credential"));
    assert!(matches!(source.read(std::slice::from_ref(&first)).await[0], Reply::Found(_)));
    account.share("Prod", false);
    let replies = source.read(&[first, second]).await;
    assert!(matches!(replies[0], Reply::Found(_)), "it was read before");
    assert!(matches!(replies[1], Reply::Denied(_)));
}

#[tokio::test]
async fn a_server_that_is_no_connect_server_is_told() {
    let account = account();
    let op = account.op();
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not that of a Connect server"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered with status 404"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
            "answered with status 302",
        ),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "answered with status 400"),
    ] {
        let host = server_of(answer);
        let run = Run::without_login(&op)
            .variable("OP_CONNECT_HOST", &host)
            .variable("OP_CONNECT_TOKEN", CONNECT_TOKEN);
        let said = run.answer("op://Prod/postgres/username").await;
        assert!(
            said.starts_with("failed op://Prod/postgres/username: ") && said.contains(expected),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_address_may_have_a_path_and_the_version_of_the_api() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    for end in ["/", "/v1", "/v1/"] {
        let host = format!("{}{end}", connect.url());
        let run = Run::by_connect(&op, &connect).variable("OP_CONNECT_HOST", &host);
        assert_eq!(run.answer("op://Prod/postgres/username").await, "found app", "{host}");
    }
}

#[tokio::test]
async fn where_both_ways_are_given_the_connect_server_is_asked_and_that_is_said() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect).variable("OP_SERVICE_ACCOUNT_TOKEN", "ops_canary");
    assert_eq!(run.answer("op://Prod/postgres/username").await, "found app");
    assert!(op.calls().is_empty(), "`op` was not run");
    let remarks = run.open().unwrap().unwrap().remarks(&[]);
    assert_eq!(remarks.len(), 1);
    assert_eq!(
        remarks[0].fact,
        "onepassword: using the Connect server of `OP_CONNECT_HOST` and ignoring OP_SERVICE_ACCOUNT_TOKEN, like 1Password's own tools"
    );
    assert!(Run::by_connect(&op, &connect).open().unwrap().unwrap().remarks(&[]).is_empty());
}

#[tokio::test]
async fn a_member_of_a_value_that_is_json_is_picked_as_everywhere() {
    let account = Account::new();
    let op = account.op();
    account.vault("Prod");
    let value = json!({ "user": "app", "password": "s3cret" }).to_string();
    account.put("Prod", Item::credential("db", &value));
    let connect = account.connect();
    let run = Run::by_connect(&op, &connect)
        .manifest("secrets: { KEY: { from: ['onepassword:op://Prod/db/credential#password'] } }");
    let resolution = run.resolve().await;
    assert!(resolution.secrets[0].value.as_ref().unwrap().expose() == b"s3cret");
}

/// The address of a server that gives every request this answer.
fn server_of(answer: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}
