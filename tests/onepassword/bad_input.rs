//! What cannot work is one clear error that names who said it, tells the shape of what was said and nothing of it, and
//! has the fix.

use claude_secrets::manifest::Scope;
use claude_secrets::secret::SecretName;

use super::account;
use super::run::Run;

/// A part of values that no error may repeat.
const CANARY: &str = "canary";

#[test]
fn settings_that_cannot_work_are_refused_when_the_source_is_opened() {
    let account = account();
    let op = account.op();
    let none = || Run::without_login(&op);
    let connect = |host: &str| none().variable("OP_CONNECT_HOST", host).variable("OP_CONNECT_TOKEN", "t");
    for (run, expected) in [
        (
            none().variable("OP_CONNECT_HOST", "https://canary.example.com"),
            "`OP_CONNECT_HOST` is set to a Connect server, but OP_CONNECT_TOKEN is not set",
        ),
        (
            none().settings("{ connect-host: https://canary.example.com }"),
            "`sources.onepassword.connect-host` is set to a Connect server, but OP_CONNECT_TOKEN is not set",
        ),
        (
            connect("https://example.com").settings("{ connect-host: https://canary.example.com }"),
            "`sources.onepassword.connect-host` and `OP_CONNECT_HOST` are two different servers, and it is unclear which one the login in the variables is for",
        ),
        (
            none().variable("OP_CONNECT_TOKEN", "canary"),
            "OP_CONNECT_TOKEN is set, but no Connect server is configured",
        ),
        (
            connect("canary.example.com:8080"),
            "`OP_CONNECT_HOST` is not a valid address of a Connect server (23 characters)",
        ),
        (
            connect("ftp://canary"),
            "`OP_CONNECT_HOST` is not a valid address of a Connect server (12 characters)",
        ),
        (connect("https://"), "`OP_CONNECT_HOST` is not a valid address of a Connect server (8 characters)"),
        (
            connect("https://user:canary@example.com"),
            "`OP_CONNECT_HOST` is not a valid address of a Connect server (31 characters)",
        ),
        (
            connect("https://example.com/?token=canary"),
            "`OP_CONNECT_HOST` is not a valid address of a Connect server (33 characters)",
        ),
        (
            connect("https://example.com").variable("OP_CONNECT_TOKEN", "canary\n"),
            "OP_CONNECT_TOKEN is not a valid token: it contains a space, a newline or the like (7 bytes, 2 lines)",
        ),
        (
            none().variable("OP_SERVICE_ACCOUNT_TOKEN", "ops_canary\nops_canary"),
            "OP_SERVICE_ACCOUNT_TOKEN is not a valid token: it contains a space, a newline or the like (21 bytes, 2 lines)",
        ),
        (
            Run::by_op(&op).settings("{ vault: op://canary/x }"),
            "`sources.onepassword.vault` is not a valid vault name: it is empty, or contains a `/` or `?`",
        ),
    ] {
        let error = run.open().err().unwrap_or_else(|| panic!("{expected}"));
        assert_eq!(error.fact, expected);
        assert_eq!(error.code.token(), "usage");
        assert!(!error.help.is_empty(), "{expected}");
        assert!(!error.to_string().contains(CANARY), "{error}");
    }
}

#[tokio::test]
async fn references_that_are_none_fail_each_by_itself() {
    let account = account();
    let op = account.op();
    let connect = account.connect();
    for run in [Run::by_op(&op), Run::by_connect(&op, &connect)] {
        let answers = run
            .answers(&[
                "Prod/postgres/password",
                "op://Prod/postgres",
                "op://Prod/postgres/a/b/c",
                "op://Prod//password",
                "op://Prod/postgres/password?field=x",
                "op://Prod/postgres/username",
            ])
            .await;
        let expected = [
            "failed Prod/postgres/password: it is not a 1Password reference",
            "failed op://Prod/postgres: it has 2 parts instead of three or four",
            "failed op://Prod/postgres/a/b/c: it has 5 parts instead of three or four",
            "failed op://Prod//password: a part of it is empty",
            "failed op://Prod/postgres/password?field=x: the query after the `?` is unknown",
            "found app",
        ];
        assert_eq!(answers, expected);
    }
}

#[test]
fn it_is_there_when_something_configures_it_and_else_not() {
    let account = account();
    let op = account.op();
    let unnamed = |run: Run| run.manifest("secrets: { KEY: }");
    assert!(unnamed(Run::without_login(&op)).open().unwrap().is_none());
    let source = unnamed(Run::by_op(&op)).open().unwrap().unwrap();
    assert!(!source.is_ambient(), "nobody sets its token for anything else");
    let error = Run::without_login(&op).settings("{ vault: Prod }").open().err().unwrap();
    assert_eq!(error.code.token(), "source-unknown");
    assert!(error.to_string().contains("docs/sources/onepassword.md"), "{error}");
}

#[test]
fn a_second_source_has_variables_of_its_own() {
    let account = account();
    let op = account.op();
    let manifest =
        "sources: { other: { kind: onepassword } }\nsecrets: { KEY: { from: ['other:op://v/i/f'] } }";
    let run = Run::without_login(&op).manifest(manifest).variable("OTHER_SERVICE_ACCOUNT_TOKEN", "ops_x");
    let ids: Vec<String> = run.open_all().unwrap().iter().map(|source| source.id().to_string()).collect();
    assert!(ids.contains(&"other".to_owned()) && !ids.contains(&"onepassword".to_owned()), "{ids:?}");
}

#[test]
fn a_secret_without_a_reference_has_its_conventional_place() {
    let account = account();
    let op = account.op();
    let place = |run: Run, prefix: &str, environment: Option<&str>| {
        let scope = Scope { prefix: prefix.to_owned(), environment: environment.map(str::to_owned) };
        let name = SecretName::parse("ANTHROPIC_API_KEY").ok().unwrap();
        run.open().unwrap().unwrap().conventional(&name, &scope).to_string()
    };
    let run = || Run::by_op(&op);
    assert_eq!(place(run(), "claude-bot", None), "op://claude-bot/anthropic-api-key/credential");
    assert_eq!(
        place(run(), "claude-bot", Some("production")),
        "op://claude-bot-production/anthropic-api-key/credential"
    );
    assert_eq!(place(run(), "claude-bot/prod", None), "op://claude-bot-prod/anthropic-api-key/credential");
    let named = run().settings("{ vault: My Vault }");
    assert_eq!(place(named, "claude-bot", Some("x")), "op://My Vault/anthropic-api-key/credential");
}
