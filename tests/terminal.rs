//! On a terminal a run shows what it is doing, in colours unless `NO_COLOR` is set, and within the terminal's columns. Nowhere
//! else is anything of that printed.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::process::Command;

use scene::{PROGRAM, Scene, done};

const VALUE: &str = "canary-on-a-terminal";

fn project() -> Scene {
    let scene = Scene::new("terminal");
    let names: Vec<String> = (0..60).map(|n| format!("SOME_RATHER_LONG_NAME_OF_A_KEY_{n:03}")).collect();
    let variables: Vec<String> = names.iter().map(|name| format!("{name}: ''")).collect();
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    environment: {{ {} }}\n",
        variables.join(", ").replace(": ''", ":")
    ));
    scene.write("claude-secrets.yml", format!("secrets: {{ {} }}\n", names.join(": , ") + ":"));
    scene.write(
        ".env",
        names.iter().map(|name| format!("{name}={VALUE}-{name}")).collect::<Vec<_>>().join("\n"),
    );
    scene
}

/// What a terminal of 80 columns is sent by a run in it. `script` (util-linux) makes the terminal.
fn on_a_terminal(scene: &Scene, words: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("script");
    let line = format!("stty cols 80 rows 24; exec {PROGRAM} {words}");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut command = scene.scrubbed(command);
    command.env("TERM", "xterm").env("SHELL", "/bin/sh").envs(variables.iter().copied());
    let done = done(command);
    assert_eq!(done.code, 0, "{}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stdout).unwrap()
}

/// The lines that stay: without what the terminal was told to take back, and without colours.
fn lines(sent: &str) -> Vec<String> {
    let colours = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let moves = regex_lite::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").unwrap();
    let sent = colours.replace_all(sent, "").into_owned();
    sent.split('\n')
        .map(|line| {
            let line = line.trim_end_matches('\r');
            moves.replace_all(line.rsplit('\r').next().unwrap_or(line), "").into_owned()
        })
        .collect()
}

#[test]
fn a_terminal_gets_progress_and_colours_and_tables_that_fit() {
    let scene = project();
    let sent = on_a_terminal(&scene, "validate", &[]);
    assert!(sent.contains("dotenv: 60 secrets"), "what is being done: {sent}");
    assert!(sent.contains("\u{1b}[32mvalidated\u{1b}[0m"), "{sent}");
    assert!(!sent.contains(VALUE), "{sent}");
    let shown = lines(&sent);
    let table: Vec<&String> = shown
        .iter()
        .skip_while(|line| !line.starts_with("SECRET "))
        .take_while(|line| !line.starts_with("delivery"))
        .collect();
    assert!(table.len() > 20, "{shown:#?}");
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{table:#?}");
    assert!(table.iter().any(|line| line.contains('…')), "{table:#?}");
}

#[test]
fn no_color_is_honoured_and_a_quiet_run_moves_nothing() {
    let scene = project();
    let sent = on_a_terminal(&scene, "validate", &[("NO_COLOR", "1")]);
    assert!(!sent.contains("\u{1b}[3"), "{sent}");
    let sent = on_a_terminal(&scene, "validate --quiet", &[]);
    assert!(!sent.contains("dotenv: 60 secrets"), "{sent}");
}

#[test]
fn without_a_terminal_and_under_github_actions_there_is_neither() {
    let scene = project();
    let plain = done(scene.cli(["validate"])).expect(0);
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.stderr);
    let sent = on_a_terminal(&scene, "validate", &[("GITHUB_ACTIONS", "true")]);
    assert!(!sent.contains('\u{1b}'), "{sent}");
}

#[test]
fn nothing_of_a_manifest_and_nothing_that_a_service_prints_commands_the_terminal() {
    let scene = Scene::new("terminal-escapes");
    scene.compose("services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: , OTHER: }\n");
    scene.write(
        "claude-secrets.yml",
        "secrets:\n  API_KEY: { description: \"red \\e[31m back\\rover \\u202Edesrever\" }\n  \
         OTHER: { description: \"\\e]0;title\\a\" }\n",
    );
    let run = |words: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new("script");
        let line = format!("exec {PROGRAM} {words}");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut command = scene.scrubbed(command);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").envs(variables.iter().copied());
        String::from_utf8(done(command).stdout).unwrap()
    };
    for actions in [&[][..], &[("GITHUB_ACTIONS", "true")]] {
        let sent = run("validate", actions);
        assert!(sent.contains("\\u{1b}[31m back") && sent.contains("\\u{202e}desrever"), "{sent}");
        assert!(!sent.contains("\u{1b}[31m back") && !sent.contains('\u{202e}'), "{sent:?}");
        assert!(!sent.contains("\u{1b}]0;"), "{sent:?}");
    }
    scene.write("claude-secrets.yml", "secrets: { API_KEY: }\n");
    scene.compose(
        "services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: }\n    command: \
         [sh, -c, \"printf '\\\\033]0;title\\\\007\\\\033[2J\\\\033[31mred\\\\n'; exit 3\"]\n",
    );
    let sent = run("deploy", &[("API_KEY", VALUE)]);
    assert!(sent.contains("\\u{1b}]0;title\\u{7}\\u{1b}[2J\u{1b}[31mred\u{1b}[0m"), "{sent:?}");
    assert!(!sent.contains("\u{1b}]0;title") && !sent.contains("\u{1b}[2J\u{1b}[31mred"), "{sent:?}");
}
