//! What holds when `op` is asked: how often, with which environment, and what each of its failures means.

use std::path::Path;
use std::time::{Duration, Instant};

use claude_secrets::sources::Source;
use serde_json::json;

use super::account;
use super::peers::onepassword::{Account, DELETED_TOKEN, Item, SERVICE_ACCOUNT_TOKEN};
use super::run::Run;

/// What the interpreter of the stand-in adds by itself.
const OF_THE_INTERPRETER: &str = "LC_CTYPE";

#[tokio::test]
async fn fifty_references_are_one_process() {
    let account = Account::new();
    let op = account.op();
    account.vault("Prod");
    for n in 0..50 {
        account.put("Prod", Item::credential(&format!("item-{n}"), &format!("value\n{n}")));
    }
    let references: Vec<String> = (0..50).map(|n| format!("op://Prod/item-{n}/credential")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let answers = Run::by_op(&op).answers(&references).await;
    assert_eq!(answers, (0..50).map(|n| format!("found value\n{n}")).collect::<Vec<_>>());
    let calls = op.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].arguments, ["inject"]);
    let template = calls[0].template.as_deref().unwrap();
    assert!(template.contains("{{ op://Prod/item-49/credential }}") && !template.contains("value"));
}

#[tokio::test]
async fn missing_items_cost_one_list_of_their_vault_and_no_further_try() {
    let account = account();
    let op = account.op();
    let missing: Vec<String> = (0..20).map(|n| format!("op://Prod/none-{n}/credential")).collect();
    let references: Vec<&str> =
        missing.iter().map(String::as_str).chain(["op://Prod/postgres/username"]).collect();
    let answers = Run::by_op(&op).answers(&references).await;
    assert!(answers[..20].iter().all(|answer| answer.starts_with("absent ")), "{answers:?}");
    assert_eq!(answers[20], "found app");
    let calls: Vec<Vec<String>> = op.calls().into_iter().map(|call| call.arguments).collect();
    let list = ["item", "list", "--format=json", "--vault=Prod", "--include-archive"];
    assert_eq!(calls, [vec!["inject"], list.to_vec(), vec!["inject"]]);
    // Nothing is left to ask for.
    let none = Run::by_op(&op).answers(&["op://Prod/none/credential"]).await;
    assert_eq!(none, ["absent op://Prod/none/credential"]);
    assert_eq!(op.calls().len(), 5);
}

#[tokio::test]
async fn what_op_finds_by_other_means_is_not_called_absent() {
    let account = account();
    let op = account.op();
    account.put("Prod", Item::credential("retired", "old").with("state", "ARCHIVED"));
    let site =
        Item::credential("The shop", "v").with("urls", json!([{ "href": "https://shop.example.com" }]));
    account.put("Prod", site);
    let references = [
        "op://Prod/none/credential",
        "op://Prod/retired/credential",
        "op://Prod/shop.example.com/credential",
    ];
    let answers = Run::by_op(&op).answers(&references).await;
    assert_eq!(answers[..2], ["absent op://Prod/none/credential", "found old"]);
    // The stand-in knows no websites; the real one may, so that this is for it to say.
    assert!(answers[2].starts_with("failed op://Prod/shop.example.com/credential: `op` failed: "));
}

#[tokio::test]
async fn op_gets_what_it_needs_of_the_environment_and_nothing_else() {
    let account = account();
    let op = account.op();
    let run = Run::by_op(&op)
        .variable("HTTPS_PROXY", "http://proxy.example.com:3128")
        .variable("NO_PROXY", "localhost")
        .variable("API_KEY", "canary")
        .variable("OP_DEBUG", "true")
        .variable("HOME", "/home/somebody");
    assert_eq!(run.answer("op://Prod/postgres/username").await, "found app");
    let calls = op.calls();
    let mut names: Vec<&str> = calls[0].environment.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| *name != OF_THE_INTERPRETER);
    names.sort_unstable();
    let expected = [
        "HOME",
        "HTTPS_PROXY",
        "NO_PROXY",
        "OP_CACHE",
        "OP_CONFIG_DIR",
        "OP_SERVICE_ACCOUNT_TOKEN",
        "PATH",
        "USER",
    ];
    assert_eq!(names, expected);
    let private = calls[0].variable("OP_CONFIG_DIR").unwrap();
    assert_eq!(calls[0].variable("HOME"), Some(private));
    assert!(!Path::new(private).exists(), "it goes with the source");
    assert_eq!(calls[0].variable("OP_CACHE"), Some("false"));
    assert!(calls.iter().all(|call| !call.arguments.iter().any(|word| word.contains(SERVICE_ACCOUNT_TOKEN))));
}

#[tokio::test]
async fn certificates_that_are_trusted_are_trusted_by_op_as_well() {
    let account = account();
    let op = account.op();
    let pem = rcgen::generate_simple_self_signed(["authority.example.com".to_owned()]).unwrap().cert.pem();
    let run = Run::by_op(&op).variable("INPUT_CA-CERTIFICATES", &pem);
    assert_eq!(run.answer("op://Prod/postgres/username").await, "found app");
    let file = op.calls()[0].variable("SSL_CERT_FILE").unwrap().to_owned();
    assert!(file.starts_with(op.calls()[0].variable("OP_CONFIG_DIR").unwrap()), "{file}");
}

#[tokio::test]
async fn every_failure_of_op_has_its_own_sentence() {
    let account = account();
    let op = account.op();
    let reference = "op://Prod/postgres/username";
    let token = |token: &'static str| Run::by_op(&op).variable("OP_SERVICE_ACCOUNT_TOKEN", token);
    let denied = token("not-one").answer(reference).await;
    assert_eq!(
        denied,
        format!(
            "denied {reference}: 1Password does not accept OP_SERVICE_ACCOUNT_TOKEN: it is not a service account token"
        )
    );
    let denied = token(DELETED_TOKEN).answer(reference).await;
    assert_eq!(
        denied,
        format!("denied {reference}: the service account of OP_SERVICE_ACCOUNT_TOKEN was deleted")
    );
    for (said, expected) in [
        (
            "(403) Forbidden (Firewall Rule): The IP address of your SCIM bridge was blocked by a 1Password firewall rule.",
            "denied REF: 1Password's firewall blocks the address of this machine",
        ),
        (
            "(403) Forbidden: You aren't authorized to access this resource.",
            "denied REF: 1Password refuses this service account (403)",
        ),
        (
            "You are not currently signed in. Please run `op signin --help`",
            "denied REF: `op` is not signed in to 1Password",
        ),
        (
            "(429) Too Many Requests: You've reached the maximum number of this type of requests this service account is allowed to make. Please retry in 58 minutes or try other requests.",
            "failed REF: the rate limit of this service account is reached; retry in 58 minutes",
        ),
        ("read: context deadline exceeded", "failed REF: `op` failed: read: context deadline exceeded"),
    ] {
        for status in [1, 0] {
            op.behave(&json!({ "fails with": said, "status": status }));
            let answer = Run::by_op(&op).answer(reference).await;
            assert_eq!(answer, expected.replace("REF", reference), "status {status}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_is_reached_in_the_middle_leaves_the_rest_unanswered_and_is_not_tried_again() {
    let account = account();
    let op = account.op();
    op.behave(&json!({ "calls left": 1 }));
    let answers =
        Run::by_op(&op).answers(&["op://Prod/postgres/username", "op://Prod/none/credential"]).await;
    assert!(answers.iter().all(|answer| answer.contains("retry in 58 minutes")), "{answers:?}");
    assert_eq!(op.calls().len(), 2);
    let replies = Run::by_op(&op).replies(&["op://Prod/postgres/username"]).await;
    let claude_secrets::sources::Reply::Failed(refusal) = &replies[0] else { panic!("the limit is reached") };
    assert!(
        refusal.help_text().contains("per hour")
            && refusal.help_text().contains("op service-account ratelimit")
    );
}

#[tokio::test]
async fn many_wrong_fields_are_not_found_out_one_by_one_for_ever() {
    let account = account();
    let op = account.op();
    let wrong: Vec<String> = (0..10).map(|n| format!("op://Prod/postgres/none-{n}")).collect();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let answers = Run::by_op(&op).answers(&wrong).await;
    assert!(answers[..6].iter().all(|answer| answer.contains("the item has no field")), "{answers:?}");
    assert!(answers[6..].iter().all(|answer| answer.contains("6 other references are wrong")), "{answers:?}");
    assert_eq!(op.calls().len(), 6);
}

#[tokio::test]
async fn what_op_takes_in_no_reference_is_refused_and_spoils_nothing() {
    let account = account();
    let op = account.op();
    let run = Run::by_op(&op);
    let answers = run
        .answers(&[
            "op://Prod/a (b)/credential",
            "op://Prod/postgres/username",
            "op://Prod/postgres/username#x",
        ])
        .await;
    assert_eq!(answers[0], "failed op://Prod/a (b)/credential: `op` does not accept `(` in a reference");
    assert_eq!(answers[1], "found app");
    assert_eq!(answers[2], "failed op://Prod/postgres/username#x: `op` does not accept `#` in a reference");
    assert_eq!(op.calls().len(), 1);
}

#[tokio::test]
async fn a_program_that_is_not_there_or_too_old_is_told_with_how_to_get_it() {
    let account = account();
    let op = account.op();
    let reference = "op://Prod/postgres/username";
    let help = async |run: Run| {
        let replies = run.replies(&[reference]).await;
        let claude_secrets::sources::Reply::Failed(refusal) = &replies[0] else {
            panic!("it cannot be asked")
        };
        assert!(
            refusal.help_text().contains("developer.1password.com/docs/cli/get-started"),
            "{}",
            refusal.help_text()
        );
        refusal.fact.clone()
    };
    let missing = help(Run::by_op(&op).variable("PATH", "/nowhere:.:")).await;
    assert_eq!(missing, format!("{reference}: the 1Password CLI `op` is not in the PATH"));
    let step = Run::by_op(&op)
        .variable("PATH", "/nowhere")
        .variable("GITHUB_ACTION_REPOSITORY", "octo-org/secrets")
        .variable("GITHUB_ACTION_REF", "v1");
    let claude_secrets::sources::Reply::Failed(refusal) = &step.replies(&[reference]).await[0] else {
        panic!("it cannot be asked")
    };
    assert!(refusal.help_text().contains("\nuses: octo-org/secrets/with-op@v1\n"), "{}", refusal.help_text());
    let named = Run::by_op(&op).settings("{ op-path: tools/op }");
    let path = named.project.path().join("tools/op");
    assert_eq!(
        help(named).await,
        format!("{reference}: `sources.onepassword.op-path` is not a program: {}", path.display())
    );
    for (version, fact) in [
        ("1.12.3", "`op` is version 1.12.3, but 2.18 or newer is required"),
        ("2.17.0", "`op` is version 2.17.0, but 2.18 or newer is required"),
    ] {
        op.behave(&json!({ "version": version, "fails with": "unknown command \"inject\" for \"op\"" }));
        assert_eq!(help(Run::by_op(&op)).await, format!("{reference}: {fact}"));
    }
}

#[tokio::test]
async fn op_may_be_named_by_a_setting() {
    let account = account();
    let op = account.op();
    let settings = format!("{{ op-path: {} }}", op.path().display());
    let run = Run::by_op(&op).variable("PATH", "/nowhere").settings(&settings);
    assert_eq!(run.answer("op://Prod/postgres/username").await, "found app");
}

#[tokio::test]
async fn a_program_that_hangs_is_stopped_when_the_time_is_over() {
    let account = account();
    let op = account.op();
    op.behave(&json!({ "hangs": 600 }));
    let start = Instant::now();
    let run = Run::by_op(&op).variable("INPUT_TIMEOUT", "2s");
    let answers = run.answers(&["op://Prod/postgres/username", "op://Prod/postgres/password"]).await;
    for answer in answers {
        assert!(answer.contains("no answer within the timeout of 2s for all sources"), "{answer}");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    let process = format!("/proc/{}", op.calls()[0].process);
    for _ in 0..100 {
        if !Path::new(&process).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{process} still runs");
}

#[tokio::test]
async fn who_is_signed_in_is_used_where_an_account_is_named_and_never_on_a_runner() {
    let account = account();
    let op = account.op();
    op.behave(&json!({ "signed in": true }));
    let named =
        || Run::without_login(&op).settings("{ account: my.example.com }").variable("HOME", "/home/me");
    assert_eq!(named().answer("op://Prod/postgres/username").await, "found app");
    let call = op.calls().remove(0);
    assert_eq!(call.arguments, ["inject", "--account=my.example.com"]);
    assert_eq!(call.variable("HOME"), Some("/home/me"));
    assert!(call.variable("OP_CONFIG_DIR").is_none() && call.variable("OP_SERVICE_ACCOUNT_TOKEN").is_none());
    let on_a_runner = named().variable("GITHUB_ACTIONS", "true").open().err().unwrap();
    assert_eq!(on_a_runner.code.token(), "source-unknown");
    // A token is for runs without a person; what names an account is for those with one.
    let token = named().variable("OP_SERVICE_ACCOUNT_TOKEN", SERVICE_ACCOUNT_TOKEN);
    assert_eq!(token.answer("op://Prod/postgres/username").await, "found app");
    assert_eq!(op.calls()[1].arguments, ["inject"]);
    let by_a_variable_alone =
        Run::without_login(&op).manifest("secrets: { KEY: }").variable("OP_ACCOUNT", "x");
    assert!(by_a_variable_alone.open().unwrap().is_none());
}

#[tokio::test]
async fn reads_are_counted_and_so_it_is_asked_last() {
    let account = account();
    let op = account.op();
    assert!(Run::by_op(&op).open().unwrap().unwrap().is_metered());
    let connect = account.connect();
    assert!(!Run::by_connect(&op, &connect).open().unwrap().unwrap().is_metered());
}

#[tokio::test]
async fn a_lost_race_with_the_program_is_no_panic() {
    // It ends before the template, which is longer than a pipe holds, was written.
    let account = account();
    let op = account.op();
    op.behave(&json!({ "version": "1.12.3" }));
    let references: Vec<String> =
        (0..3000).map(|n| format!("op://Prod/an item with a long name {n}/credential")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let answers = Run::by_op(&op).answers(&references).await;
    assert!(answers.iter().all(|answer| answer.contains("is version 1.12.3")));
    let source: Box<dyn Source> = Run::by_op(&op).open().unwrap().unwrap();
    assert!(source.read(&[]).await.is_empty());
}
