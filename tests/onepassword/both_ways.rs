//! What holds whether `op` or a Connect server is asked.

use super::account;
use super::peers::onepassword::{Account, Item};
use super::run::Run;

/// Does the same with a run of each way.
async fn each_way(account: &Account, check: impl AsyncFn(&'static str, Run)) {
    let (op, connect) = (account.op(), account.connect());
    check("op", Run::by_op(&op)).await;
    check("connect", Run::by_connect(&op, &connect)).await;
    assert!(!op.calls().is_empty() && !connect.requests().is_empty(), "both were asked");
}

#[tokio::test]
async fn what_is_there_is_found_and_what_is_not_is_absent() {
    let account = account();
    each_way(&account, async |way, run| {
        let references = ["op://Prod/postgres/password", "op://Prod/nowhere/credential"];
        let expected = ["found p@ss w0rd\"$x", "absent op://Prod/nowhere/credential"];
        assert_eq!(run.answers(&references).await, expected, "{way}");
    })
    .await;
}

#[tokio::test]
async fn names_are_compared_without_case_and_ids_do_as_well() {
    let account = Account::new();
    let vault = account.vault("My Vault");
    let item = account.put("My Vault", Item::new("The Item").field_in("A Section", "a field", "v"));
    each_way(&account, async |way, run| {
        for reference in [
            "op://my vault/the item/a section/A FIELD".to_owned(),
            "op://My Vault/The Item/a field".to_owned(),
            format!("op://{vault}/{item}/a field"),
            format!("op://My Vault/{item}/A Section/a field"),
        ] {
            assert_eq!(run.answer(&reference).await, "found v", "{way} {reference}");
        }
    })
    .await;
}

#[tokio::test]
async fn values_of_any_form_arrive_byte_for_byte() {
    let account = Account::new();
    account.vault("Prod");
    let values = [
        "",
        " blanks ",
        "tail\n",
        "a\r\nb\r",
        "\t\n\n",
        "{{ op://Prod/0/credential }}",
        "op://Prod/0/credential",
        "$HOME ${HOME}",
        "'\"\\`",
        "{\"a\": null}",
        "grüße \u{1f511} \u{2028}",
        &"x".repeat(64 * 1024),
        &"line\n".repeat(50_000),
    ];
    for (index, value) in values.iter().enumerate() {
        account.put("Prod", Item::credential(&index.to_string(), value));
    }
    let references: Vec<String> =
        (0..values.len()).map(|index| format!("op://Prod/{index}/credential")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    each_way(&account, async |way, run| {
        let answers = run.answers(&references).await;
        for (answer, value) in answers.iter().zip(values) {
            assert!(answer.strip_prefix("found ") == Some(value), "{way} {} bytes", value.len());
        }
    })
    .await;
}

#[tokio::test]
async fn attached_files_of_any_bytes_arrive_whole() {
    let account = Account::new();
    account.vault("Prod");
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    // Characters that `op inject` leaves out, and nothing by which that could be seen.
    let controls = b"\x00archive\x00\x1b[0m".to_vec();
    account.put("Prod", Item::new("keys").file("store.p12", &all).file("a.tar", &controls));
    each_way(&account, async |way, run| {
        for (reference, bytes) in [
            ("op://Prod/keys/store.p12", &all),
            ("op://Prod/keys/store.p12?attribute=content", &all),
            ("op://Prod/keys/a.tar?attribute=content", &controls),
        ] {
            let replies = run.replies(&[reference, "op://Prod/keys/nowhere"]).await;
            let claude_secrets::sources::Reply::Found(found) = &replies[0] else {
                panic!("{way} {reference} is there")
            };
            assert!(found.value.expose() == bytes.as_slice(), "{way} {reference}: {}", found.value.shape());
        }
    })
    .await;
}

#[tokio::test]
async fn one_time_passwords_are_read_as_1password_writes_them() {
    let account = account();
    each_way(&account, async |way, run| {
        let code = run.answer("op://Prod/postgres/one-time password?attribute=otp").await;
        assert_eq!(code, "found 123456", "{way}");
        let kind = run.answer("op://Prod/postgres/password?attribute=type").await;
        assert_eq!(kind, "found CONCEALED", "{way}");
    })
    .await;
}

#[tokio::test]
async fn two_items_of_one_title_are_told_by_their_ids_and_never_by_a_value() {
    let account = account();
    let ids: Vec<String> = account.ids("Prod", "twice");
    each_way(&account, async |way, run| {
        let answers = run.answers(&["op://Prod/twice/credential", "op://Prod/postgres/username"]).await;
        let fact = format!(
            "failed op://Prod/twice/credential: 2 items of the vault `Prod` are called `twice`: {}, {}",
            ids[0], ids[1]
        );
        assert_eq!(answers, [fact, "found app".to_owned()], "{way}");
        assert_eq!(run.answer(&format!("op://Prod/{}/credential", ids[1])).await, "found two", "{way}");
    })
    .await;
}

#[tokio::test]
async fn a_vault_that_is_not_shared_or_not_there_is_denied_since_nobody_tells_which() {
    let account = account();
    each_way(&account, async |way, run| {
        for vault in ["Locked", "Nowhere"] {
            let reference = format!("op://{vault}/item/credential");
            let answers = run.answers(&[&reference, "op://Prod/postgres/username"]).await;
            let fact = format!(
                "denied {reference}: no vault `{vault}` found: it does not exist, or is not shared with this login"
            );
            assert_eq!(answers, [fact, "found app".to_owned()], "{way}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_field_that_is_not_there_is_a_failure_and_the_others_are_found() {
    let account = account();
    each_way(&account, async |way, run| {
        let answers = run
            .answers(&[
                "op://Prod/postgres/nope",
                "op://Prod/postgres/username",
                "op://Prod/postgres/admin/nope",
            ])
            .await;
        assert!(
            answers[0].starts_with("failed op://Prod/postgres/nope: the item has no field `nope`"),
            "{way}"
        );
        assert_eq!(answers[1], "found app", "{way}");
        assert!(answers[2].contains("the item has no field `admin/nope`"), "{way} {}", answers[2]);
        assert!(
            !answers.iter().any(|answer| answer.contains("p@ss") || answer.contains("canary")),
            "{answers:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_item_whose_title_cannot_be_written_is_named_by_its_id() {
    let account = Account::new();
    account.vault("Prod");
    let id = account.put("Prod", Item::credential("a/b (c)", "v"));
    each_way(&account, async |way, run| {
        assert_eq!(run.answer(&format!("op://Prod/{id}/credential")).await, "found v", "{way}");
        let five = run.answer("op://Prod/a/b (c)/x/credential").await;
        assert_eq!(
            five, "failed op://Prod/a/b (c)/x/credential: it has 5 parts instead of three or four",
            "{way}"
        );
    })
    .await;
}

#[tokio::test]
async fn the_items_of_a_vault_are_listed_for_a_wildcard() {
    let account = Account::new();
    account.vault("claude-bot");
    account.put("claude-bot", Item::credential("anthropic-api-key", "1"));
    account.put("claude-bot", Item::credential("github-token", "2"));
    account.put("claude-bot", Item::credential("old", "3").with("state", "ARCHIVED"));
    let odd = account.put("claude-bot", Item::credential("a/b", "4"));
    each_way(&account, async |way, run| {
        let all = run.list("op://claude-bot/").await.unwrap();
        let expected = ["anthropic-api-key", "github-token", &odd]
            .map(|item| format!("op://claude-bot/{item}/credential"));
        assert_eq!(all, expected, "{way}");
        let some = run.list("op://claude-bot/github-").await.unwrap();
        assert_eq!(some, ["op://claude-bot/github-token/credential"], "{way}");
        let denied = run.list("op://Nowhere/").await.unwrap_err();
        assert!(denied.starts_with("denied op://Nowhere/*: no vault `Nowhere` found"), "{denied}");
        for prefix in ["op://", "op://claude-bot/x/", "x"] {
            let failed = run.list(prefix).await.unwrap_err();
            assert_eq!(failed, format!("failed {prefix}*: only the items of a vault can be listed"), "{way}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_import_of_a_vault_names_each_secret_by_its_item() {
    let account = Account::new();
    account.vault("claude-bot");
    account.put("claude-bot", Item::credential("anthropic-api-key", "1"));
    account.put("claude-bot", Item::credential("github-token", "2"));
    each_way(&account, async |way, run| {
        let run = run.manifest("import: ['op://claude-bot/*']\n");
        let resolution = run.resolve().await;
        let found: Vec<String> = resolution
            .available()
            .map(|(secret, value)| format!("{}={}", secret.name, String::from_utf8_lossy(value.expose())))
            .collect();
        assert_eq!(found, ["ANTHROPIC_API_KEY=1", "GITHUB_TOKEN=2"], "{way}");
    })
    .await;
}
