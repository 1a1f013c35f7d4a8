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

/// What a shell makes of the printed commands: each word of each command, with `az` and `op` that only print theirs.
fn words_of(commands: &str) -> String {
    let script = format!(
        "az() {{ case $1 in keyvault) printf /vault;; *) printf '<%s>' \"$@\"; echo;; esac; }}\n\
         op() {{ printf '<%s>' \"$@\"; echo; }}\n{commands}"
    );
    let done = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{commands}\n{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_shell_takes_every_name_in_a_printed_command_for_itself() {
    for name in ["a$(id)", "a`id`", "a\"; id; \"", "a\\", "it's", "$HOME", "plain"] {
        let quoted = name.replace('\'', "''");
        let manifest = format!(
            "secrets:\n  A: {{ from: ['azure:{quoted}'] }}\n  B: {{ from: ['op://{quoted}/item/field'] }}\n\
             sources: {{ azure: {{ vault-name: '{quoted}', client-id: '{quoted}' }}, onepassword: {{}} }}\n"
        );
        let (status, text, said) = printed(&manifest, &["azure"]);
        assert_eq!(status, 0, "{said}");
        let words = words_of(&text);
        assert!(words.contains(&format!("<--scope></vault/secrets/{name}>")), "{text}\n{words}");
        assert!(words.contains(&format!("<--assignee><{name}>")), "{text}\n{words}");
        let (status, text, said) = printed(&manifest, &["onepassword"]);
        assert_eq!(status, 0, "{said}");
        assert!(words_of(&text).contains(&format!("<--vault><{name}:read_items>")), "{text}");
    }
}

#[test]
fn a_name_is_no_pattern_in_a_policy() {
    let manifest = "sources: { aws: { region: eu-central-1 } }\nimport: ['aws:t?m/*']\nsecrets:\n  A: { from: ['aws:x*#field'] }\n  \
                    B: { from: ['aws:$y'] }\n  C: { from: ['aws:arn:aws:secretsmanager:*:1:secret:z'] }\n";
    let (status, text, said) = printed(manifest, &["aws"]);
    assert_eq!(status, 0, "{said}");
    for named in [
        ":secret:x${*}-??????\"",
        ":secret:${$}y-??????\"",
        "\"arn:aws:secretsmanager:${*}:1:secret:z\"",
        ":secret:t${?}m/*\"",
    ] {
        assert!(text.contains(named), "{named}: {text}");
    }
    for (store, from, why) in [
        ("vault", "vault:secret/x*#key", "reads `*`, `+`, `{{` and `${`"),
        ("vault", "vault:secret/+/x#key", "reads `*`, `+`, `{{` and `${`"),
        ("vault", "vault:secret/%7B%7Bidentity.entity.id%7D%7D/x#key", "reads `*`, `+`, `{{` and `${`"),
        ("onepassword", "op://v:write_items/item/field", "begins at a `:` or `,`"),
        ("onepassword", "op://v,write_items/item/field", "begins at a `:` or `,`"),
        ("azure", "azure:x/..", "a slash ends the name"),
        ("aws", "aws:x\u{202e}y", "cannot be seen"),
    ] {
        let manifest = format!("secrets: {{ A: {{ from: ['{from}'] }} }}\n");
        let (status, text, said) = printed(&manifest, &[store]);
        assert_eq!((status, text.as_str()), (2, ""), "{from}: {said}");
        assert!(said.contains(why) && said.contains("fix: "), "{from}: {said}");
    }
}
