//! One row of the table and how it is tried: a project that runs, a change that breaks it, a run that must refuse.

use std::process::Command;

use crate::forms::Scanner;
use crate::scene::{Scene, done};

/// It stands in every input that can hold a value, and nowhere in what is printed.
pub const CANARY: &str = "canary-Zq7-value-of-a-secret";

/// The project that runs before.
pub const GOOD: &str = "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n    \
                        environment: { KEY: '${KEY}' }\n";

/// What must come of a run.
pub struct Refusal {
    pub status: i32,
    pub code: &'static str,
    /// What the message must name: the thing and its place.
    pub names: &'static [&'static str],
    /// A word of the remedy.
    pub fix: &'static str,
}

/// A project that was deployed once and runs.
pub fn running() -> Scene {
    let scene = Scene::new("bad");
    scene.compose(GOOD);
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--wait=false"]);
    command.env("KEY", "the-value-of-before");
    done(command).expect(0);
    scene
}

/// The same words as before with another value, which alone would recreate the service.
pub fn again(scene: &Scene, words: &[&str]) -> Command {
    let mut command = scene.cli(["deploy", "--wait=false", "--verbose"].iter().chain(words));
    command.env("KEY", CANARY);
    command
}

/// Runs `command`, which must refuse as `wanted`, and change nothing.
#[track_caller]
pub fn refuses(scene: &Scene, mut command: Command, what: &str, wanted: &Refusal) {
    let outputs = scene.beside("outputs");
    std::fs::write(&outputs, "").unwrap();
    command.env("GITHUB_OUTPUT", &outputs);
    let (containers, tree) = (scene.containers(), scene.tree());
    let done = done(command);
    let said = &done.stderr;
    assert_eq!(done.code, wanted.status, "{what}: {said}");
    let outputs = std::fs::read_to_string(&outputs).unwrap();
    let given = |name: &str, value: &str| {
        let mut lines = outputs.lines();
        let found = lines
            .find(|line| line.starts_with(&format!("{name}=")) || line.starts_with(&format!("{name}<<")));
        found.is_some_and(|line| line.ends_with(&format!("={value}")) || lines.next() == Some(value))
    };
    assert!(given("result", "failed") && given("error-code", wanted.code), "{what}: {outputs}\n{said}");
    says_it_once(what, said, wanted);
    assert!(done.stdout.is_empty(), "{what}");
    let scanner = Scanner::new([("KEY", CANARY.as_bytes())]);
    scanner.assert_clean(what, said.as_bytes());
    scanner.assert_clean(what, outputs.as_bytes());
    assert!(scene.containers() == containers, "{what}: what ran before was touched");
    let now = scene.tree();
    let changed: Vec<_> =
        tree.iter().filter(|(path, before)| now.get(*path) != Some(before)).map(|(path, _)| path).collect();
    let new: Vec<_> = now.keys().filter(|path| !tree.contains_key(*path)).collect();
    assert!(changed.is_empty() && new.is_empty(), "{what}: changed {changed:?}, new {new:?}");
}

/// One error, with what it is about and a remedy; of several problems one more for each.
#[track_caller]
pub fn says_it_once(what: &str, said: &str, wanted: &Refusal) {
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    let several = errors.len() > 2 && errors[0].contains(&(errors.len() - 1).to_string());
    assert!(errors.len() == 1 || several, "{what}: {said}");
    let message = said.split_once("error: ").map(|(_, rest)| rest).unwrap_or_default();
    for name in wanted.names {
        assert!(message.contains(name), "{what} does not name {name}: {said}");
    }
    let fix = message.split_once("fix: ").map_or("", |(_, rest)| rest);
    assert!(fix.contains(wanted.fix), "{what} has no remedy with {:?}: {said}", wanted.fix);
}
