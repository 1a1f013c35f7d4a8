//! What can be seen of the values: nothing in the container's configuration, and in the process list only arguments that
//! were asked for.

use crate::site::Site;
use crate::support::engine::Engine;
use crate::support::{service_image, wait_until};

#[test]
fn docker_inspect_shows_no_value() {
    let engine = Engine::shared();
    let site = Site::new()
        .file("pw", "canary-of-the-variable")
        .file("arg", "canary-of-the-argument")
        .variable("PW", "pw")
        .argument("ARG", "arg");
    let argument = "--password=claude-secrets-placeholder.ARG.";
    let words = ["sh", "-c", "/probe has PW /run/secrets/pw && echo same; exec /probe serve", argument];
    let container = site.start(&[], &service_image(), &words);
    wait_until("the program is ready", 20, || engine.text(&["logs", &container]).contains("ready"));
    assert!(engine.text(&["logs", &container]).contains("same"));
    let shown = engine.text(&["inspect", "--size", &container]);
    assert!(shown.contains("CLAUDE_SECRETS_VARIABLES=PW=pw"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    let mounts =
        ["A /probe", "A /run/claude-secrets", "A /run/claude-secrets/exec", "A /run/secrets", "C /run"];
    // The engine tells them in any order.
    let mut changed = engine.lines(&["diff", &container]);
    changed.sort();
    assert_eq!(changed, mounts, "nothing is written but where mounts are");
}

/// As without us: an argument is in the process list. A variable is not, nor in what the launcher says.
#[test]
fn the_process_list_shows_arguments_that_were_asked_for_and_no_variable() {
    let engine = Engine::shared();
    let site = Site::new()
        .file("pw", "canary-of-the-variable")
        .file("arg", "canary of the argument")
        .variable("PW", "pw")
        .argument("ARG", "arg");
    let words = ["/probe", "serve", "--password=claude-secrets-placeholder.ARG.;"];
    let container = site.start(&[], &service_image(), &words);
    wait_until("the program is ready", 20, || engine.text(&["logs", &container]) == "ready");
    let list = engine.text(&["top", &container]);
    assert!(list.contains("--password=canary of the argument;"), "{list}");
    assert!(!list.contains("canary-of-the-variable"), "{list}");
}
