//! The page about the source: its messages are those that are said, and its commands are commands.
//!
//! There is no Azure here to run them against. They run with an `az` that writes down how it is called, and every call must
//! be one that the Azure CLI has (learn.microsoft.com, "Azure CLI reference").

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::pages;
use crate::peers::azure::SUBJECTS;

const PAGE: &str = "docs/sources/azure.md";
/// The commands that the page may show, with the options that they take.
const COMMANDS: [(&str, &[&str]); 10] = [
    ("account show", &["query", "output"]),
    ("ad app create", &["display-name", "query", "output"]),
    ("ad app federated-credential create", &["id", "parameters"]),
    ("ad signed-in-user show", &["query", "output"]),
    ("ad sp create", &["id"]),
    ("group create", &["name", "location"]),
    ("keyvault create", &["name", "resource-group", "enable-rbac-authorization"]),
    ("keyvault secret set", &["vault-name", "name", "file"]),
    ("keyvault show", &["name", "query", "output"]),
    ("role assignment create", &["role", "assignee", "scope"]),
];

#[test]
fn every_message_that_the_page_explains_is_one_that_is_said() {
    let code = pages::code(&["src/sources/azure", "src/sources/identity.rs"]);
    let explained = pages::explained(PAGE, "Troubleshooting");
    assert!(explained.len() > 15, "{explained:?}");
    for words in explained {
        assert!(code.contains(&words), "nothing says: {words}");
    }
}

#[test]
fn every_command_on_the_page_runs_and_is_one_that_the_azure_cli_has() {
    for subject in SUBJECTS {
        the_page_runs_for(subject);
    }
}

/// The whole page, for a repository whose jobs have this subject.
fn the_page_runs_for(subject: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (az, calls) = (directory.path().join("az"), directory.path().join("calls"));
    // Each word on a line of its own, as JSON would need a program more; a line break within a word becomes a blank.
    let script = "#!/bin/sh\nfor word in \"$@\"; do printf '%s' \"$word\" | tr '\\n' ' '; echo; done >> \"$CALLS\"\necho >> \"$CALLS\"\necho said-by-az\n";
    std::fs::write(&az, script).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    pfx(directory.path());
    pages::gh(directory.path(), subject);
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    for block in pages::commands(PAGE) {
        let mut bash = pages::shell(&block);
        let done = bash
            .current_dir(directory.path())
            .env("PATH", &path)
            .env("CALLS", &calls)
            .env("PFX_PASSWORD", "x")
            .output()
            .unwrap();
        assert!(done.status.success(), "{block}\n{}", String::from_utf8_lossy(&done.stderr));
    }
    let calls = std::fs::read_to_string(calls).unwrap();
    let mut used = BTreeSet::new();
    for call in calls.split("\n\n").filter(|call| !call.trim().is_empty()) {
        used.insert(known(&call.lines().collect::<Vec<_>>(), subject));
    }
    assert_eq!(used, COMMANDS.iter().map(|(command, _)| *command).collect());
    let pem = std::fs::read_to_string(directory.path().join("application.pem")).unwrap();
    assert!(pem.contains("-----BEGIN CERTIFICATE-----") && pem.contains("-----BEGIN PRIVATE KEY-----"));
}

/// The command of a call, whose options are known to have it.
fn known(words: &[&str], subject: &str) -> &'static str {
    let command = words.iter().take_while(|word| !word.starts_with("--"));
    let command = command.fold(String::new(), |mut all, word| {
        write!(all, "{}{word}", if all.is_empty() { "" } else { " " }).unwrap();
        all
    });
    let entry = COMMANDS.iter().find(|(known, _)| *known == command);
    let (known, options) = entry.unwrap_or_else(|| panic!("the Azure CLI has no such command: {words:?}"));
    let given = &words[command.split(' ').count()..];
    assert!(given.len().is_multiple_of(2), "an option without a value: {words:?}");
    for pair in given.chunks(2) {
        let option = pair[0].strip_prefix("--").unwrap_or_default();
        assert!(options.contains(&option), "`{command}` has no option {}", pair[0]);
        assert!(!pair[1].is_empty(), "an empty value: {words:?}");
        if option == "parameters" {
            let parameters: Value = serde_json::from_str(pair[1]).unwrap();
            assert_eq!(parameters["subject"], subject);
            assert_eq!(parameters["audiences"][0], "api://AzureADTokenExchange");
        }
    }
    known
}

/// A PFX file, `application.pfx`, whose password is `x`.
fn pfx(directory: &Path) {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 1 -subj /CN=x 2>/dev/null
openssl pkcs12 -export -inkey key -in certificate -out application.pfx -passout pass:x";
    let done = pages::shell(script).current_dir(directory).status().unwrap();
    assert!(done.success());
}
