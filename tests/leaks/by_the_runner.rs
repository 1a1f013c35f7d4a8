//! The same project by the image, started as GitHub's runner starts it.

use std::collections::BTreeMap;

use crate::adversarial_values::From;
use crate::forms::{Masker, heard};
use crate::project::{Given, SERVICES, contents, nothing_shows_of_services, reads_back};
use crate::support::engine::Engine;
use crate::support::project::Workspace;

fn nothing_is_seen(delivery: &str) {
    let workspace = Workspace::new();
    let given = Given::of(contents(&workspace.project));
    for (path, bytes) in &given.files {
        workspace.write(path, bytes);
    }
    let mut step =
        workspace.deploy(delivery).env("RUNNER_DEBUG", "1").input("github-secrets", given.github.clone());
    for (name, value) in given.variables() {
        step = step.env(&name, value);
    }
    let ran = step.succeed();
    let heard = heard(&ran.bytes);
    assert_eq!(heard.before_last_mask, 0, "the masks come before anything else");
    given.scanner.assert_clean("the log before the runner's own masker", &heard.rest);
    let known = ["group", "endgroup", "error", "warning", "notice", "stop-commands"];
    for command in &heard.commands {
        assert!(known.contains(&command.as_str()), "the runner obeys {command}");
    }
    // The rest of the job has the runner's masker alone. What is no text it cannot be told.
    let masker = Masker::new(&heard.masks);
    for secret in given.secrets.iter().filter(|secret| secret.from != From::File) {
        for line in secret.value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii) {
            let plain = line.len() < 8 || line.starts_with(b"-----");
            assert!(plain || masker.hides(line), "the runner does not know a line of {}", secret.name);
        }
    }
    given.scanner.assert_clean("the summary", ran.summary.as_bytes());
    given.scanner.assert_clean("the report", ran.report_text.as_bytes());
    assert!(ran.summary.contains("NASTY_00") && ran.report_text.contains("NASTY_00"));
    for (name, value) in &ran.outputs {
        given.scanner.assert_clean(name, value.as_bytes());
    }
    let containers: BTreeMap<String, String> = workspace.containers();
    for service in SERVICES {
        reads_back(&given.secrets, service, &containers[service]);
    }
    nothing_shows_of_services(&given.scanner, &containers);
    let text = workspace.read("docker-compose.secrets.yml").unwrap();
    given.scanner.assert_clean("the override file", &text);
    Engine::shared().remove_project(&workspace.project);
}

#[test]
fn by_the_runner_no_value_is_seen_with_files() {
    nothing_is_seen("file");
}

#[test]
fn by_the_runner_no_value_is_seen_with_volumes() {
    nothing_is_seen("volume");
}
