//! A second judge that knows nothing of us: gitleaks, with a rule for the planted values, over what the redactor let pass.
//! It decodes base64, hexadecimal digits and percent-encoding by itself.

use std::io::Write;
use std::process::{Command, Stdio};

use claude_secrets::mask::{Plan, Redactor};

use crate::adversarial_values;
use crate::forms::forms;

/// Every planted value has this word in it, but for those that are random from end to end.
const RULE: &str =
    "[[rules]]\nid = \"planted\"\ndescription = \"a planted value\"\nregex = '''(?i)canary'''\n";

/// Whether gitleaks finds a planted value.
fn finds(log: &[u8]) -> bool {
    let program = std::env::var_os("CLAUDE_SECRETS_GITLEAKS").unwrap_or_else(|| {
        panic!("CLAUDE_SECRETS_GITLEAKS is not set: run `scripts/test`, which installs what it names")
    });
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULE).unwrap();
    let mut child = Command::new(program)
        .args([
            "stdin",
            "--no-banner",
            "--log-level=error",
            "--exit-code=9",
            "--max-decode-depth=5",
            "--config",
        ])
        .arg(&rules)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(log).unwrap();
    match child.wait().unwrap().code() {
        Some(0) => false,
        Some(9) => true,
        other => panic!("gitleaks ended with {other:?}"),
    }
}

#[test]
fn gitleaks_finds_nothing_in_what_the_redactor_lets_pass() {
    let secrets = adversarial_values::values();
    let redactor = Redactor::new(&Plan::new(secrets.iter().map(|s| (s.name.as_str(), s.value.as_slice()))));
    let mut log = Vec::new();
    for secret in &secrets {
        for (encoding, form) in forms(&secret.value) {
            if encoding != "a part" && form.len() <= 4096 {
                log.extend_from_slice(encoding.as_bytes());
                log.extend_from_slice(b": ");
                log.extend_from_slice(&form);
                log.push(b'\n');
            }
        }
    }
    assert!(finds(&log), "it finds them before");
    let redacted = redactor.redact_line(&log).into_owned();
    assert!(!finds(&redacted), "and nothing behind the redactor");
    let leak = [redacted, b"key=sesame-canary-planted\n".to_vec()].concat();
    assert!(finds(&leak), "but it does find one that is planted there");
}
