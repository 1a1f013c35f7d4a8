//! The commands of the source's page, run in order as its reader runs them; and the source, logged in as the page says.

use std::process::Output;

use crate::pages;
use crate::peers::aws::{Aws, Keys};
use crate::peers::issuer::{Issuer, SUBJECTS};
use crate::peers::program;
use crate::run::Run;

#[tokio::test]
async fn what_the_page_sets_up_is_what_the_source_reads() {
    for subject in SUBJECTS {
        the_page_sets_up_what_is_read_by(subject).await;
    }
}

/// The whole page, for a repository whose jobs have this subject.
async fn the_page_sets_up_what_is_read_by(subject: &str) {
    let aws = Aws::ministack();
    let directory = tempfile::tempdir().unwrap();
    pages::gh(directory.path(), subject);
    let output = reader_of_the_page(&aws, directory.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    let role = String::from_utf8(output.stdout).unwrap();
    let role =
        role.lines().find(|line| line.starts_with("arn:aws:iam::")).expect("the role's ARN is printed");

    let issuer = Issuer::start_as_github();
    issuer.claim("sub", subject);
    let by_workflow = Run::at(&aws.url()).variables(issuer.variables()).input("aws-role-arn", role);
    let all = [
        "aws:claude-bot/database-password",
        "aws:claude-bot/database-password@AWSPREVIOUS",
        "aws:claude-bot/old-key",
    ];
    let told = by_workflow.all(&all).await;
    assert!(told[0].value().len() == 44 && told[1].value().len() == 44 && told[0].value() != told[1].value());
    assert_eq!(told[2].value(), b"unused");
    by_workflow.one("aws:claude-bot/none").await.absent();
    by_workflow.one("aws:other/none").await.denied();
    let conventional = by_workflow.resolve("DATABASE_PASSWORD").await;
    assert!(conventional.check().is_ok());
    issuer.claim("repository_id", "75");
    by_workflow.one(all[0]).await.denied();
    issuer.claim("repository_id", "74");
    issuer.claim("sub", subject.replace("environment:production", "ref:refs/heads/main"));
    by_workflow.one(all[0]).await.denied();

    let keys: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("access-key.json")).unwrap()).unwrap();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let keys = Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey") };
    for told in Run::at(&aws.url()).keys(&keys).all(&all).await {
        told.value();
    }
}

#[test]
fn every_message_that_the_page_explains_is_one_that_is_said() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let mut said =
        text(&top.join("src/sources/identity.rs")) + &text(&top.join("src/sources/net/failure.rs"));
    let entries = std::fs::read_dir(top.join("src/sources/aws")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.is_file()) {
        said += &text(&path);
    }
    let page = text(&top.join("docs/sources/aws.md"));
    let (_, table) = page.split_once("## Troubleshooting").unwrap();
    let messages: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| *")?.split('*').next()).collect();
    assert!(messages.len() > 15, "{messages:?}");
    for message in messages {
        assert!(said.contains(message), "nothing says: {message}");
    }
}

/// Runs the page's commands, with no more than a reader has: the AWS CLI and somebody's login.
fn reader_of_the_page(aws: &Aws, directory: &std::path::Path) -> Output {
    let blocks = pages::commands("docs/sources/aws.md");
    assert!(blocks.len() > 5, "{} blocks", blocks.len());
    let cli = program("CLAUDE_SECRETS_AWS_CLI");
    let own = [cli.parent().unwrap(), directory].map(|path| path.display().to_string()).join(":");
    let path = format!("{own}:/usr/local/bin:/usr/bin:/bin");
    pages::shell(&blocks.join("\n"))
        .current_dir(directory)
        .env_clear()
        .env("PATH", path)
        .env("HOME", directory)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .unwrap()
}
