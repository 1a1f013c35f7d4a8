//! Ten thousand secrets in one run: all of them arrive, and what the run says of them stays readable and within what GitHub
//! takes. How long it takes is measured by `scripts/bench growth`.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use scene::{Scene, done};

const MANY: usize = 10_000;

/// What GitHub takes as the summary of a step, and as one output, which it counts in UTF-16.
const MOST_BYTES: usize = 1024 * 1024;

/// The longest line of a log that is shown whole.
const LONGEST_LINE: usize = 64 * 1024;

/// More lines than these nobody reads.
const MOST_LINES: usize = 1000;

fn name(number: usize) -> String {
    format!("A_SECRET_WITH_A_LONG_NAME_{number:05}")
}

fn value(number: usize) -> String {
    format!("canary-{:08x}-{number}", number.wrapping_mul(2_654_435_761) & 0xffff_ffff)
}

/// A project of two services with a manifest and a `.env` file of so many secrets.
fn project() -> Scene {
    let scene = Scene::new("many");
    scene.compose("services: { web: { image: IMAGE }, worker: { image: IMAGE } }\n");
    let (mut manifest, mut values) = ("secrets:\n".to_owned(), String::new());
    for number in 0..MANY {
        writeln!(manifest, "  {}:", name(number)).unwrap();
        writeln!(values, "{}={}", name(number), value(number)).unwrap();
    }
    scene.write("claude-secrets.yml", manifest);
    scene.write("values.env", values);
    scene
}

/// A run of this mode as a step of a workflow.
fn step(scene: &Scene, mode: &str) -> Command {
    for file in ["summary", "output"] {
        fs::write(scene.beside(file), "").unwrap();
    }
    let mut command = scene.cli([mode, "--env-file", "values.env", "--grant-to", "web,worker"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", scene.project())
        .env("GITHUB_STEP_SUMMARY", scene.beside("summary"))
        .env("GITHUB_OUTPUT", scene.beside("output"))
        .env("RUNNER_TEMP", scene.beside("home"));
    command
}

/// Holds what a run said against what GitHub takes and people read.
#[track_caller]
fn assert_readable(scene: &Scene, stdout: &[u8], stderr: &str) {
    let log = String::from_utf8_lossy(stdout).into_owned() + stderr;
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < LONGEST_LINE, "a line has {longest} bytes");
    assert!(lines.len() < MOST_LINES, "the log has {} lines", lines.len());
    assert!(!lines.iter().any(|line| line.contains("canary-")), "a value shows in the log");
    let summary = fs::read_to_string(scene.beside("summary")).unwrap();
    assert!(summary.len() < MOST_BYTES, "the summary has {} bytes", summary.len());
    for told in ["### Secrets", &name(0), "… and 9800 more", "```mermaid"] {
        assert!(summary.contains(told), "the summary lacks {told}");
    }
    assert!(!summary.contains("too long for GitHub"), "no part of the summary is left out");
    let outputs = fs::read_to_string(scene.beside("output")).unwrap();
    for line in outputs.lines() {
        assert!(2 * line.encode_utf16().count() < MOST_BYTES, "an output has {} characters", line.len());
    }
    assert!(outputs.contains(&name(MANY - 1)), "the outputs name all of them");
}

#[test]
fn ten_thousand_secrets_become_files_and_the_log_and_the_summary_stay_readable() {
    let scene = project();
    let first = done(step(&scene, "create-files")).expect(0);
    assert_readable(&scene, &first.stdout, &first.stderr);
    let file = |number: usize| scene.project().join("data/secrets").join(name(number).to_lowercase());
    for number in 0..MANY {
        assert_eq!(fs::read_to_string(file(number)).unwrap(), value(number));
    }
    scene.write(
        "values.env",
        fs::read_to_string(scene.project().join("values.env")).unwrap().replace(&value(7), "canary-other"),
    );
    let second = done(step(&scene, "create-files")).expect(0);
    assert_readable(&scene, &second.stdout, &second.stderr);
    assert_eq!(fs::read_to_string(file(7)).unwrap(), "canary-other");
    let outputs = fs::read_to_string(scene.beside("output")).unwrap();
    assert!(outputs.contains(&format!("[\"{}\"]", name(7))), "one has changed");
}

#[test]
fn ten_thousand_problems_are_told_within_what_github_takes() {
    let scene = project();
    scene.write("values.env", "");
    let ended = done(step(&scene, "create-files"));
    assert_ne!(ended.code, 0);
    let log = String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr;
    assert!(log.lines().all(|line| line.len() < LONGEST_LINE));
    let summary = fs::read_to_string(scene.beside("summary")).unwrap();
    assert!(summary.len() < MOST_BYTES, "the summary has {} bytes", summary.len());
    assert!(summary.contains("… and 9800 more: see the log or the JSON report."), "the problems are counted");
}
