//! A service that prints its secrets while it dies: its last lines go to our log, redacted, and command nothing.

use crate::forms::{Masker, heard};
use crate::project::Given;
use crate::scene::done;

/// What a hostile or careless program prints beside its secrets.
const COMMANDS: [&str; 6] = [
    "::set-output name=report::forged",
    "::add-mask::forged",
    "::stop-commands::forged",
    "::forged::",
    "::error file=a,line=1::forged",
    "##[add-mask]forged",
];

/// Services that print a few secrets each, plainly and in base64 with neighbours, and end with an error. The gate shows
/// their last twenty lines.
fn dying(given: &Given) {
    let small: Vec<_> = given.secrets.iter().filter(|secret| secret.value.len() < 1024).collect();
    let (mut services, mut grants) = (String::new(), String::new());
    for (number, some) in small.chunks(4).enumerate() {
        let prints: String = some
            .iter()
            .map(|secret| {
                let file = format!("/run/secrets/{}", secret.file());
                format!("printf x; cat {file}; echo; (printf u:; cat {file}) | base64 -w0; ")
            })
            .collect();
        // At the end, so that they are among the last lines whichever service is seen to fail first.
        let commands: String = COMMANDS.iter().map(|line| format!("echo '{line}'; ")).collect();
        services += &format!(
            "  dying{number}:\n    image: IMAGE\n    command: [sh, -c, \"{prints}{commands}exit 3\"]\n"
        );
        let names: Vec<&str> = some.iter().map(|secret| secret.name.as_str()).collect();
        grants += &format!("  dying{number}: [{}]\n", names.join(", "));
    }
    let names: Vec<&str> = small.iter().map(|secret| secret.name.as_str()).collect();
    let names: String = names.iter().map(|name| format!("  {name}: {{}}\n")).collect();
    given.scene.compose(&format!("services:\n{services}"));
    given.scene.write(
        "claude-secrets.yml",
        format!("sources:\n  docker-secrets: {{ dir: given }}\nservices:\n{grants}secrets:\n{names}"),
    );
}

#[test]
fn what_a_dying_service_prints_is_redacted() {
    let given = Given::new("leaks");
    dying(&given);
    let done = done(given.command(&["deploy"])).expect(6);
    assert!(done.stderr.contains("forged") && done.stderr.contains("***"), "{}", done.stderr);
    given.scanner.assert_clean("standard error", done.stderr.as_bytes());
    given.scanner.assert_clean("standard output", &done.stdout);
    given.scanner.assert_clean("the report", &std::fs::read(given.scene.beside("report.json")).unwrap());
}

/// The same as GitHub's runner hears it: every mask comes first, and nothing that a container prints is obeyed.
#[test]
fn what_a_dying_service_prints_commands_nothing() {
    let given = Given::new("leaks");
    dying(&given);
    let mut command = given.command(&["deploy"]);
    command.env("GITHUB_ACTIONS", "true").env("RUNNER_TEMP", given.scene.beside(""));
    let done = done(command);
    assert_eq!(done.code, 6, "{}", String::from_utf8_lossy(&heard(&done.stdout).rest));
    assert_eq!(done.stderr, "", "commands and masks need one stream");
    let heard = heard(&done.stdout);
    assert_eq!(heard.before_last_mask, 0, "the masks come before anything else");
    assert!(!heard.masks.iter().any(|mask| mask == b"forged"));
    let known = ["group", "endgroup", "error", "warning", "notice", "stop-commands"];
    for command in &heard.commands {
        assert!(known.contains(&command.as_str()), "the runner would obey {command}");
    }
    let text = String::from_utf8_lossy(&heard.rest);
    assert!(text.contains("::set-output name=report::forged"), "the service's lines are shown");
    given.scanner.assert_clean("the log before the runner's own masker", &heard.rest);
    // Later steps of the job have the runner's masker alone: it knows every value of text, line by line.
    let masker = Masker::new(&heard.masks);
    for secret in given.secrets.iter().filter(|secret| secret.value.len() < 1024) {
        for line in secret.value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii) {
            let plain = line.len() < 8 || line.starts_with(b"-----") || std::str::from_utf8(line).is_err();
            assert!(plain || masker.hides(line), "the runner does not know a line of {}", secret.name);
        }
    }
}
