//! `claude-secrets policy`: what each store must allow for a manifest, as text to paste.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "policy/applied.rs"]
mod applied;
#[path = "support/cli.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]
mod cli;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peers/mod.rs"]
mod peers;

use cli::Cli;

const MANIFEST: &str = "
prefix: claude-bot
sources:
  aws: { region: eu-central-1, role-arn: 'arn:aws:iam::123456789012:role/deploy' }
  vault: { addr: https://vault.example.com }
  azure: { vault-name: example, client-id: 11111111-1111-1111-1111-111111111111 }
  onepassword: {}
import: ['vault:secret/imported/*', 'aws:claude-bot/db#*']
secrets:
  API_KEY:
  ONE: { from: ['aws:team/one#field'] }
  TWO: { from: ['aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:two-AbCdEf'] }
  THREE: { from: ['vault:secret/data/three#key', 'vault:database/creds/role#password'] }
  FOUR: { from: ['azure:four@0123456789abcdef0123456789abcdef'] }
  FIVE: { from: ['op://Shared/five/password'] }
";

/// Status, standard output, standard error.
fn printed(manifest: &str, words: &[&str]) -> (i32, String, String) {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("claude-secrets.yml"), manifest).unwrap();
    Cli::new(project.path(), &[&["policy"], words].concat()).run()
}

#[test]
fn aws_is_told_which_secrets_may_be_read_and_whether_many_at_once() {
    let (status, text, _) = printed(MANIFEST, &["aws"]);
    assert_eq!(status, 0);
    insta::assert_snapshot!("aws", text);
    let (_, narrow, _) = printed(MANIFEST, &["aws", "--without-batch"]);
    assert!(!narrow.contains("BatchGetSecretValue") && narrow.contains("ReadSecrets"), "{narrow}");
    serde_json::from_str::<serde_json::Value>(&narrow).unwrap();
}

#[test]
fn vault_is_told_which_paths_may_be_read_and_listed() {
    let (status, text, _) = printed(MANIFEST, &["vault", "--environment", "production"]);
    assert_eq!(status, 0);
    insta::assert_snapshot!("vault", text);
    let one = MANIFEST.replace("addr:", "kv-version: 1, addr:");
    let (_, text, _) = printed(&one, &["vault"]);
    assert!(text.contains("\"secret/claude-bot/*\"") && text.contains("\"secret/imported/*\""), "{text}");
}

#[test]
fn azure_and_1password_are_told_by_commands() {
    let (status, text, _) = printed(MANIFEST, &["azure"]);
    assert_eq!(status, 0);
    insta::assert_snapshot!("azure", text);
    let (status, text, _) = printed(MANIFEST, &["onepassword"]);
    assert_eq!(status, 0);
    insta::assert_snapshot!("onepassword", text);
}

#[test]
fn all_that_are_named_are_told_with_what_each_text_is_apart_from_the_texts() {
    let (status, texts, titles) = printed(MANIFEST, &[]);
    assert_eq!(status, 0);
    let ids: Vec<&str> = titles.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(ids, ["aws", "vault", "azure", "onepassword"]);
    assert!(texts.contains("BatchGetSecretValue") && texts.contains("az role assignment"), "{texts}");
}

#[test]
fn without_a_store_there_is_an_error_that_says_how_to_name_one() {
    for words in [&[][..], &["env"], &["nowhere"]] {
        let (status, _, said) = printed("secrets: { API_KEY: }\n", words);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("claude-secrets policy aws"), "{said}");
    }
    let (status, text, _) = printed("secrets: { API_KEY: }\n", &["vault"]);
    assert!(status == 0 && text.contains("secret/data/claude-bot/*"), "{text}");
}
