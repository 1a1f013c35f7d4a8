//! The one comment on a pull request.

use std::path::Path;

use claude_secrets::github::api::Api;
use claude_secrets::github::api::comment::{Comment, Done};
use claude_secrets::github::repository::Repository;
use claude_secrets::secret::SecretValue;
use claude_secrets::settings::{Environment, Given, Settings};

use crate::case::{Case, pull_request};
use crate::peers::github::{Github, Token};
use crate::peers::proxy::{Fault, Proxy, Rule};

const ONE: &str = "secrets: { API_KEY: {} }\nservices: { web: [API_KEY] }\n";
const WRITE: &[&str] = &["pull_requests=write"];

fn case(token: impl Fn(&Github) -> Token) -> Case {
    let case = Case::new(ONE);
    let token = token(&case.github);
    let own = case.repository.full_name();
    case.with_token(token).in_workflow("pull_request", &pull_request(7, &own, &own))
}

#[test]
fn validate_writes_one_comment_and_later_runs_update_it() {
    let case = case(|github| github.standin.app_token(WRITE));
    // What others wrote is nobody's to change, also if it looks like ours.
    case.repository.comment_by("mallory", "User", 7, "<!-- claude-secrets-action %3A%3A -->\nall is well");
    for number in 0..120 {
        case.repository.comment_by("octocat", "User", 7, &format!("comment {number}"));
    }
    case.run(&["validate", "--comment"]).expect(3);
    let ours = || {
        let all = case.repository.comments(7);
        all.into_iter().filter(|(author, _)| author == "github-actions[bot]").collect::<Vec<_>>()
    };
    let first = ours();
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].1.contains("API_KEY") && first[0].1.contains("secrets-missing"), "{first:?}");
    let case = case.variable("API_KEY", "canary-Zq7-value");
    let said = case.run(&["validate", "--comment"]).expect(0);
    let all: Vec<_> = case
        .repository
        .comments(7)
        .into_iter()
        .filter(|(author, _)| author == "github-actions[bot]")
        .collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].1.contains("validated") && !all[0].1.contains("canary"), "{all:?}");
    assert!(said.warnings().is_empty(), "the token is there for the comment: {:?}", said.warnings());
    assert!(said.notes().contains("GitHub's secrets were not compared"), "{}", said.notes());
}

#[test]
fn a_token_that_may_not_comment_fails_nothing_and_is_told_the_permission() {
    let case = case(|github| github.standin.app_token(&[])).variable("API_KEY", "canary-Zq7-value");
    let said = case.run(&["validate", "--comment", "--strict"]).expect(0);
    let told = said.warning("has no comment of this run");
    assert!(told.contains("permissions:\n  contents: read\n  pull-requests: write"), "{told}");
    let said = case.run_without_token(&["validate", "--comment"]).expect(0);
    assert!(said.warning("comment: there is no token").contains("`${{ github.token }}`"));
}

#[test]
fn nothing_is_written_outside_of_a_pull_request_or_unasked() {
    let case = case(|github| github.standin.app_token(WRITE)).variable("API_KEY", "canary-Zq7-value");
    case.run(&["validate"]).expect(0);
    assert!(case.repository.comments(7).is_empty());
    let case = case.variable("GITHUB_EVENT_NAME", "push");
    case.run(&["validate", "--comment"]).expect(0);
    assert!(case.repository.comments(7).is_empty());
}

/// The API by way of a proxy, asked with a token.
fn api(proxy: &Proxy, token: &Token) -> Api {
    let variables = Environment::from_pairs([("GITHUB_API_URL", proxy.url())]);
    let given =
        Given { flags: &|_| None, variables: &variables, current_directory: Path::new("/"), verbose: false };
    let settings = Settings::read(None, &given).unwrap();
    Api::open(&settings, &SecretValue::new(token.0.clone().into_bytes())).unwrap()
}

#[tokio::test]
async fn a_comment_is_made_updated_left_alone_and_cut() {
    let github = Github::shared();
    let repository = github.standin.repository();
    let proxy = Proxy::before(github.address());
    for token in [github.standin.token(WRITE), github.standin.app_token(WRITE)] {
        let api = api(&proxy, &token);
        let name = Repository::of(&repository.full_name()).unwrap();
        let comment = Comment::new(&api, &name, 8, "deploy/--><!--:web:");
        let before = repository.comments(8).len();
        assert_eq!(comment.upsert("# One\n").await.unwrap(), Done::Made);
        assert_eq!(comment.upsert("# One\n").await.unwrap(), Done::Unchanged);
        assert_eq!(comment.upsert("# Two\n").await.unwrap(), Done::Updated);
        let all = repository.comments(8);
        assert_eq!(all.len(), before + 1);
        let text = &all.last().unwrap().1;
        assert!(text.ends_with(" -->\n# Two") && text.matches("-->").count() == 1, "{text}");
        // Another project of the same repository has another one.
        assert_eq!(Comment::new(&api, &name, 8, "other").upsert("# One").await.unwrap(), Done::Made);
        let long = format!("```\n{}```\n", "ein längerer Satz\n".repeat(10_000));
        assert_eq!(comment.upsert(&long).await.unwrap(), Done::Updated);
        let text = repository.comments(8)[before].1.clone();
        assert!(text.len() <= 65_536 && text.len() > 65_000, "{}", text.len());
        assert!(
            text.ends_with("a comment ends at 65,536 characters. The job summary has all of it._"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn two_runs_at_once_leave_one_comment_in_the_end() {
    let github = Github::shared();
    let repository = github.standin.repository();
    let proxy = Proxy::before(github.address());
    let token = github.standin.app_token(WRITE);
    let (api, name) = (api(&proxy, &token), Repository::of(&repository.full_name()).unwrap());
    let comment = Comment::new(&api, &name, 9, "web");
    comment.upsert("one").await.unwrap();
    let (author, text) = repository.comments(9).remove(0);
    repository.comment_by(&author, "Bot", 9, &text);
    comment.upsert("two").await.unwrap();
    let all = repository.comments(9);
    assert!(all.len() == 1 && all[0].1.ends_with("two"), "{all:?}");
}

#[tokio::test]
async fn what_may_have_been_written_is_not_written_again() {
    let github = Github::shared();
    let repository = github.standin.repository();
    let proxy = Proxy::before(github.address());
    let token = github.standin.app_token(WRITE);
    proxy.rule(Rule::times(1, Fault::CloseBeforeAnswer).when(|seen| seen.method == "POST"));
    proxy.rule(Rule::times(1, Fault::status(502)).when(|seen| seen.method == "GET"));
    let (api, name) = (api(&proxy, &token), Repository::of(&repository.full_name()).unwrap());
    assert!(Comment::new(&api, &name, 9, "web").upsert("one").await.is_err());
    let methods: Vec<String> = proxy.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["GET", "GET", "POST"]);
}
