//! What children of the program get: no value in any argument or variable, in any mode.

use crate::project::Given;
use crate::scene::{Scene, done, is_root};
use crate::spy::Spy;

#[test]
fn no_child_gets_a_value_in_its_arguments_or_environment() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    for delivery in ["file", "volume"] {
        let given = Given::new("leaks");
        let spy = Spy::new(&given.scene);
        let command = given.command(&["deploy", "--delivery", delivery]);
        let done = done(spy.behind(&given.scene, &command)).expect(0);
        given.scanner.assert_clean("standard error", done.stderr.as_bytes());
        let mut calls = (0, 0);
        for started in spy.started() {
            if started.is_compose {
                calls.1 += 1;
                // Its interpolation must pass, so it gets something in each secret's place.
                assert!(started.text.windows(9).any(|w| w == b"NASTY_00="));
            } else {
                calls.0 += 1;
            }
            given.scanner.assert_clean("the arguments or environment of a child", &started.text);
            for (_, path) in given.variables().iter().filter(|(name, _)| name.ends_with("_FILE")) {
                let path = path.to_string_lossy();
                let text = String::from_utf8_lossy(&started.text);
                assert!(!text.contains(&*path), "a child is told of {path}");
            }
        }
        assert!(calls.0 == 0 && calls.1 >= 1, "{calls:?} calls of docker and Compose were seen");
    }
}

/// Variables of a step that are secret by their names or places, most of them with a value that holds `canary`.
const STEP: &[(&str, &str)] = &[
    ("KEY", "canary-declared"),
    ("BOT_KEY", "{\"field\": \"canary-of-a-reference\"}"),
    ("KEY_FILE", "canary-of-a-file"),
    ("ALIAS", "postgres://u:canary-declared@db"),
    ("INPUT_GITHUB-SECRETS", "{\"OTHER\": \"canary-undeclared\", \"FROM_GITHUB\": \"canary-github\"}"),
    ("ALL", "{\"OTHER\": \"canary-undeclared\", \"FROM_GITHUB\": \"canary-github\"}"),
    ("INPUT_REGISTRIES", "registry.invalid user canary-registry"),
    ("INPUT_GITHUB-TOKEN", "github_pat_canary-of-the-api"),
    ("INPUT_UNKNOWN", "canary-of-an-input"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-of-the-runner"),
    ("ACTIONS_RUNTIME_TOKEN", "canary-of-the-runner-too"),
    ("GITHUB_TOKEN", "canary-of-github"),
    ("VAULT_TOKEN", "canary-of-vault"),
    ("OLD_VAULT_TOKEN", "canary-of-another-vault"),
    ("OP_SERVICE_ACCOUNT_TOKEN", "canary-of-1password"),
    ("AWS_SECRET_ACCESS_KEY", "canary-of-aws"),
    ("AZURE_CLIENT_SECRET", "canary-of-azure"),
];

const MANIFEST: &str = "sources:\n  old-vault: { kind: vault, addr: 'https://vault.invalid' }\nservices:\n  web: [KEY, BOT, \
                        FROM_GITHUB]\nsecrets:\n  KEY: {}\n  BOT: { from: ['env:BOT_KEY#field'] }\n  FROM_GITHUB: {}\n";

/// A run of the step. `KEY_FILE` names a file of the project.
fn step(scene: &Scene, words: &[&str]) -> std::process::Command {
    scene.write("canary-of-a-file", "canary-declared");
    let mut command = scene.cli(words);
    command.envs(STEP.iter().copied()).env("RELEASE", "v1");
    command
}

#[test]
fn in_no_mode_a_child_gets_what_is_secret_by_its_name_or_place() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = Scene::new("leaks");
    scene.compose(
        "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n    environment: { KEY: \
         '${KEY:?}', TAG: '${RELEASE:?}' }\n",
    );
    scene.write("claude-secrets.yml", MANIFEST);
    let spy = Spy::new(&scene);
    for mode in ["create-compose", "create-files", "validate", "deploy", "deploy", "down"] {
        let words = [mode, "--verbose", "--sources", "env", "--wait=false"];
        let said = done(spy.behind(&scene, &step(&scene, &words))).expect(0);
        assert!(!said.stderr.contains("canary"), "{mode}: {}", said.stderr);
        let started = spy.started();
        assert!(started.iter().any(|s| s.is_compose), "{mode} starts no Compose");
        for started in started {
            let text = String::from_utf8_lossy(&started.text).into_owned();
            assert!(!text.contains("canary"), "{mode}: {text}");
            // Everything else reaches Compose's interpolation.
            assert!(!started.is_compose || text.contains("RELEASE=v1"), "{mode}: {text}");
        }
    }
}

/// A mode that asks for no values, a run that cannot begin, and what is no run at all: nothing that they quote is a secret.
#[test]
fn in_no_mode_anything_is_printed_that_is_secret_by_its_name_or_place() {
    let scene = Scene::new("leaks");
    let by_manifest =
        ["canary-declared", "canary-github", "canary-of-a-reference", "canary-of-another-vault"];
    let by_place = [
        "canary-undeclared",
        "canary-registry",
        "canary-of-an-input",
        "canary-of-the-runner",
        "canary-of-github",
        "canary-of-vault",
        "canary-of-1password",
        "canary-of-aws",
    ];
    for value in by_manifest.iter().chain(&by_place).copied() {
        // Where our own words or Compose's quote what they were given.
        scene.compose(&format!("services:\n  '{value}':\n    image: IMAGE\n    command: [sleep, '3000']\n"));
        scene.write("claude-secrets.yml", MANIFEST.replace("  web:", &format!("  '{value}':")));
        let compose = format!("{value}.yaml");
        let after_the_manifest =
            [&["down"][..], &["create-compose", "--verbose"], &["create-compose", "--services", value]];
        let before_it = [
            &["deploy", "--compose-files", &compose][..],
            &["deploy", "--project-directory", value],
            &["deploy", "--secrets", value],
            &["policy", "--config", &compose],
            &["policy", value],
            &["deploy", value],
            &[value],
        ];
        let before_it = before_it.into_iter().filter(|_| by_place.contains(&value));
        for words in after_the_manifest.into_iter().chain(before_it) {
            let said = done(step(&scene, words));
            assert!(!said.stderr.contains(value), "{words:?}: {}", said.stderr);
            let out = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(!out.contains(value), "{words:?}: {out}");
        }
    }
}

/// `claude-secrets … > log` in a `run:` step: nobody takes the masks out of a file.
#[test]
fn under_actions_no_mask_is_printed_into_a_file() {
    for mode in ["deploy", "validate", "create-compose", "down"] {
        let scene = Scene::new("leaks");
        scene.compose(
            "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sh, -c, 'cat /run/secrets/key; exit 3']\n    \
             environment: [KEY]\n",
        );
        scene.write("claude-secrets.yml", MANIFEST);
        let log = scene.beside("log");
        let mut command = step(&scene, &[mode, "--sources", "env", "--verbose"]);
        let file = std::fs::File::create(&log).unwrap();
        let status = command.env("GITHUB_ACTIONS", "true").stdout(file).output().unwrap().status;
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(status.code(), Some(if mode == "deploy" { 6 } else { 0 }), "{mode}: {text}");
        assert!(!text.contains("canary") && !text.contains("::add-mask::"), "{mode}: {text}");
        assert!(text.contains("::group::"), "{mode}: {text}");
    }
}
