//! The page's commands work as they stand there, and what they set up is what the source logs in with and reads.

use serde_json::Value;

use crate::case::Case;
use crate::pages;
use crate::peers::bao::{Bao, ROOT};
use crate::peers::issuer::{GITHUB, Issuer, SUBJECTS};

const PAGE: &str = "docs/sources/vault.md";

/// Runs a block of the page, with `vault` on the PATH, and returns what it prints.
fn run(block: &str, bao: &Bao, directory: &std::path::Path) -> String {
    let link = directory.join("vault");
    if !link.exists() {
        std::os::unix::fs::symlink(crate::peers::program("CLAUDE_SECRETS_BAO"), &link).unwrap();
    }
    pages::gh(directory, SUBJECTS[0]);
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let done = pages::shell(block)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", &directory.display().to_string())])
        .envs([("VAULT_ADDR", bao.url().as_str()), ("VAULT_TOKEN", ROOT)])
        .env("ANTHROPIC_API_KEY", "canary-of-the-page")
        .output()
        .unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{block}\n{printed}\n{}", String::from_utf8_lossy(&done.stderr));
    printed
}

#[tokio::test]
async fn the_pages_commands_set_up_what_the_source_then_reads() {
    let (bao, issuer) = (Bao::start(), Issuer::start());
    // A server that is no playground has no engine yet.
    bao.must("DELETE", "sys/mounts/secret", &Value::Null);
    let directory = tempfile::tempdir().unwrap();
    let blocks = pages::commands(PAGE);
    assert_eq!(blocks.len(), 4, "setup, policy, identity, AppRole");
    // The server looks for the keys of the issuer where its name says; GitHub's are not to be had in a test.
    let printed: Vec<String> = blocks
        .iter()
        .map(|block| run(&block.replace(GITHUB, issuer.name()), &bao, directory.path()))
        .collect();
    let case = Case::to(&bao).conventional("ANTHROPIC_API_KEY");
    let workflow = case.clone().variables(issuer.variables()).setting("role", "deploy");
    let workflow =
        workflow.variable("GITHUB_ACTIONS", "true").variable("GITHUB_REPOSITORY_OWNER", "octo-org");
    for subject in SUBJECTS {
        issuer.claim("sub", subject);
        assert_eq!(workflow.told().await, "canary-of-the-page @1", "{subject}");
    }
    let imported = workflow.clone().import("vault:secret/claude-bot/*").done().await.unwrap();
    assert_eq!(imported.resolution.secrets.len(), 1, "it is declared already");
    // Where its output is no terminal, `vault` ends no line: a role id of 36 characters, and the wrapping token.
    let (role_id, wrapped) = printed.last().unwrap().lines().last().unwrap().split_at(36);
    let approle = case.variable("VAULT_ROLE_ID", role_id).variable("VAULT_WRAPPED_SECRET_ID", wrapped);
    assert_eq!(approle.told().await, "canary-of-the-page @1");
    issuer.claim("environment", "staging");
    assert!(workflow.wrong().await.contains("was refused"));
    issuer.claim("environment", "production");
    issuer.claim("repository_id", "75");
    assert!(workflow.wrong().await.contains("was refused"));
}

#[test]
fn every_error_that_the_page_explains_is_one_that_there_is() {
    let code = pages::code(&[
        "src/sources/vault",
        "src/sources/mod.rs",
        "src/sources/identity.rs",
        "src/sources/options.rs",
        "src/sources/net/failure.rs",
    ]);
    let explained = pages::explained(PAGE, "Errors");
    assert!(explained.len() > 20, "{explained:?}");
    for words in explained {
        assert!(code.contains(&words), "no error holds: {words}");
    }
}
