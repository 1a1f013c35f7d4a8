//! Compose reads `.env` and `env_file` by itself, interpolates them, and quotes them in its warnings and errors.

use crate::forms::Scanner;
use crate::scene::{Scene, done};

const BARE: &str =
    "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n";

/// What Compose prints of such a value when it is left alone: the tail, which is not the value.
#[test]
fn the_tail_of_a_value_with_a_dollar_is_not_told_by_composes_warning() {
    let scene = Scene::new("leaks");
    scene.compose(&format!(
        "{BARE}    env_file: [app.env]\n    environment: {{ KEY: '${{KEY}}', TAG: '${{TAG_NOT_SET}}' }}\n"
    ));
    scene.write(".env", "KEY=p$w0rdTail\nOTHER=${an0therTail}x\n");
    scene.write("app.env", "KEY=p$w0rdTail\n");
    for mode in ["validate", "create-compose", "deploy", "deploy", "down"] {
        let said =
            done(scene.cli([mode, "--secrets", "KEY\nOTHER", "--verbose", "--wait=false"])).expect(0).stderr;
        for tail in ["w0rdTail", "an0therTail"] {
            assert!(!said.contains(tail), "{mode} tells {tail}:\n{said}");
        }
        if ["validate", "create-compose"].contains(&mode) {
            assert!(said.contains("TAG_NOT_SET"), "{mode}: what the Compose file names is told:\n{said}");
        }
    }
}

#[test]
fn an_env_file_that_compose_rejects_is_not_quoted() {
    for (file, text) in [
        (".env", "KEY=\"unterminated canary-value\nB=x\n"),
        ("app.env", "KEY=\"unterminated canary-value\nB=x\n"),
        (".env", "KEY=abc${UNCLOSED canary-value\n"),
        ("app.env", "KEY=abc${UNCLOSED canary-value\n"),
        (".env", "KEY=x${V:?canary-value}\n"),
        ("app.env", "KEY=x${V?canary-value}\n"),
        (".env", "KEY-B canary-value=2\n"),
        ("app.env", "canary-value two three\n"),
        ("app.env", "KEY=abc${1canary-value}\n"),
    ] {
        // As a source, and as a file that only Compose reads.
        for sources in ["dotenv, env", "env"] {
            let scene = Scene::new("leaks");
            scene.compose(&format!("{BARE}    env_file: [app.env]\n"));
            scene.write(".env", "B=x\n");
            scene.write("app.env", "B=x\n");
            scene.write(file, text);
            let words = ["deploy", "--verbose", "--secrets", "KEY", "--sources", sources];
            let mut command = scene.cli(words);
            if sources == "env" {
                command.env("KEY", "some-value-of-a-variable");
            }
            let done = done(command);
            assert!(done.code != 0, "{text:?} in {file}");
            assert!(!done.stderr.contains("canary"), "{text:?} in {file}:\n{}", done.stderr);
            assert!(scene.containers().is_empty());
        }
    }
}

#[test]
fn a_type_error_of_compose_tells_no_value() {
    for definition in [
        "ports: ['${KEY}:80']",
        "cpus: '${KEY}'",
        "mem_limit: '${KEY}'",
        "restart: '${KEY}'",
        "user: '${KEY}'",
    ] {
        let scene = Scene::new("leaks");
        scene.compose(&format!("{BARE}    {definition}\n"));
        scene.write(".env", "KEY='canary-value-of-dotenv'\n");
        let done = done(scene.cli(["deploy", "--verbose", "--secrets", "KEY"]));
        assert_eq!(done.code, 2, "{definition}: {}", done.stderr);
        let scanner = Scanner::new([("KEY", &b"canary-value-of-dotenv"[..])]);
        scanner.assert_clean(definition, done.stderr.as_bytes());
        assert!(scene.containers().is_empty());
    }
}
