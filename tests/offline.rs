//! `validate --offline` finds what is wrong without credentials, sources or an engine, and says where: in the log, as
//! annotations at the manifest's lines, and as SARIF.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::os::unix::net::UnixListener;
use std::process::Command;

use scene::{Done, Scene, done};
use serde_json::Value;

const GOOD: &str = "services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: '${API_KEY:?}', DB: 'pg://u:${DB_PASSWORD:?}@db' }\n  db:\n    image: IMAGE\n";
const MANIFEST: &str = "sources: { vault: { addr: 'https://vault.example' } }\nsecrets:\n  API_KEY: { from: ['vault:secret/bot#key'] }\n  DB_PASSWORD:\n";

/// Runs `validate --offline` where the engine's socket is one of ours, which nobody may connect to.
fn offline(scene: &Scene, words: &[&str], variables: &[(&str, &str)]) -> Done {
    let socket = scene.beside("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut command = scene.cli(["validate", "--offline"].iter().chain(words));
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).envs(variables.iter().copied());
    let done = done(command);
    assert!(listener.accept().is_err(), "the engine was asked: {}", done.stderr);
    std::fs::remove_file(&socket).unwrap();
    done
}

fn scene(compose: &str, manifest: &str) -> Scene {
    let scene = Scene::new("offline");
    scene.compose(compose);
    scene.write("claude-secrets.yml", manifest);
    scene
}

#[test]
fn a_sound_project_is_validated_without_any_credential_and_nothing_is_written() {
    let scene = scene(GOOD, MANIFEST);
    let before = scene.tree();
    let done = offline(&scene, &[], &[]).expect(0);
    for told in ["API_KEY", "vault:secret/bot#key", "unasked", "DB_PASSWORD", "no source was asked", "web"] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    assert!(scene.tree() == before);
}

#[test]
fn everything_that_can_be_seen_offline_is_told() {
    let compose = format!("{GOOD}    labels: {{ key: '${{API_KEY}}' }}\n");
    let manifest = MANIFEST.replace("vault:secret", "valut:secret") + "services: { wbe: [DB_PASSWORD] }\n";
    let scene = scene(&compose, &manifest);
    let done = offline(&scene, &["--sources", "vualt"], &[]).expect(2);
    for told in
        ["did you mean `vault:`?", "Did you mean `vault`?", "services.db.labels.key", "Did you mean `web`?"]
    {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    for follows in ["was not found", "required variable"] {
        assert!(!done.stderr.contains(follows), "{follows}: {}", done.stderr);
    }
}

#[test]
fn a_source_narrows_what_is_told() {
    let scene = scene(GOOD, &format!("{MANIFEST}  OTHER: {{ from: ['env:OTHER'], required: false }}\n"));
    scene.compose(&GOOD.replace("DB:", "OTHER: '${OTHER}', DB:"));
    let done = offline(&scene, &["--source", "vault"], &[]).expect(0);
    let row = |name: &str| done.stderr.lines().any(|line| line.starts_with(name));
    assert!(row("API_KEY ") && row("DB_PASSWORD ") && !row("OTHER "), "{}", done.stderr);
    let done = offline(&scene, &["--source", "vualt"], &[]).expect(2);
    assert!(done.stderr.contains("Did you mean `vault`?"), "{}", done.stderr);
}

#[test]
fn one_source_is_asked_alone_and_what_others_have_is_not_missing() {
    let scene = scene(GOOD, "secrets: { API_KEY: {}, DB_PASSWORD: { from: ['dotenv:DB_PASSWORD'] } }\n");
    scene.write(".env", "DB_PASSWORD=canary-Zq7-value\n");
    let ask = |source: &str| {
        let mut command = scene.cli(["validate", "--source", source]);
        command.env("API_KEY", "canary-Zq7-other");
        done(command).expect(0).stderr
    };
    let said = ask("env");
    assert!(said.contains("API_KEY: found env:API_KEY") && !said.contains("DB_PASSWORD: "), "{said}");
    let said = ask("dotenv");
    assert!(
        said.contains("DB_PASSWORD: found dotenv:DB_PASSWORD") && said.contains("API_KEY: absent"),
        "{said}"
    );
}

#[test]
fn annotations_and_sarif_point_at_the_manifests_line() {
    let scene = scene(GOOD, &MANIFEST.replace("  DB_PASSWORD:\n", "  DB_PASSWORD: { requird: true }\n"));
    let actions = [("GITHUB_ACTIONS", "true"), ("RUNNER_TEMP", "/nowhere")];
    let done = offline(&scene, &["--sarif-file", "out.sarif"], &actions).expect(2);
    let log = String::from_utf8(done.stdout).unwrap();
    assert!(log.contains("::error file=claude-secrets.yml,line=4::"), "{log}");
    let text = std::fs::read_to_string(scene.project().join("out.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "claude-secrets.yml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&4.into(), &18.into()));
    // The next run replaces it, and nothing that it did not write.
    offline(&scene, &["--sarif-file", "out.sarif"], &[]).expect(2);
    scene.write("notes.txt", "of somebody else");
    let done = offline(&scene, &["--sarif-file", "notes.txt"], &[]).expect(5);
    assert!(done.stderr.contains("notes.txt is there and is no report"), "{}", done.stderr);
    let done = offline(&scene, &["--sarif-file", "compose.yaml"], &[]).expect(5);
    assert!(done.stderr.contains("is the same place as a Compose file"), "{}", done.stderr);
}

#[test]
fn a_missing_secret_is_told_at_its_line() {
    let scene = scene(GOOD, "secrets:\n  API_KEY:\n  DB_PASSWORD:\n");
    let mut command = scene.cli(["validate", "--sarif-file", "out.sarif"]);
    command.env("API_KEY", "canary-Zq7-value");
    done(command).expect(3);
    let text = std::fs::read_to_string(scene.project().join("out.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "secrets-missing");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn offline_goes_with_validate_alone() {
    let scene = scene(GOOD, MANIFEST);
    let done = done(scene.cli(["deploy", "--offline", "--source", "vault"])).expect(2);
    assert!(done.stderr.contains("offline: only allowed with mode `validate`"), "{}", done.stderr);
    assert!(done.stderr.contains("source: only allowed with mode `validate`"), "{}", done.stderr);
}

#[test]
fn without_compose_the_manifest_is_checked_all_the_same() {
    if !scene::is_root() {
        eprintln!("skipped: only root may hide a program from a run");
        return;
    }
    let scene = scene("services: [broken", MANIFEST);
    let run = |manifest: &str| {
        scene.write("claude-secrets.yml", manifest);
        let mut command = Command::new("/usr/bin/unshare");
        let hide = "for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do\n[ ! -d $d/docker/cli-plugins ] || mount -t tmpfs none $d/docker/cli-plugins || exit 99; done; PATH=/nowhere exec \"$0\" \"$@\"";
        command.args(["--mount", "/bin/sh", "-c", hide, scene::PROGRAM, "validate", "--offline"]);
        let mut command = scene.scrubbed(command);
        command.env("HOME", scene.beside("home"));
        done(command)
    };
    let sound = run(MANIFEST).expect(0);
    assert!(sound.stderr.contains("unasked"), "{}", sound.stderr);
    run(&MANIFEST.replace("vault:secret", "valut:secret")).expect(2);
}

#[test]
fn the_hooks_of_pre_commit_are_command_lines_of_this_program() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml");
    let hooks: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), 2);
    for hook in hooks {
        let words = hook["entry"].as_str().unwrap().split(' ').map(Into::into);
        assert!(claude_secrets::cli::parse(words).is_ok(), "{hook}");
        let files = regex_lite::Regex::new(hook["files"].as_str().unwrap()).unwrap();
        for file in ["claude-secrets.yml", "a/compose.yaml", "docker-compose.prod.yml"] {
            assert!(files.is_match(file), "{file}");
        }
        assert!(!files.is_match("README.md"));
    }
}

#[test]
fn a_quiet_run_tells_its_end_alone_and_json_goes_to_standard_output() {
    let scene = scene(GOOD, MANIFEST);
    for actions in [&[][..], &[("GITHUB_ACTIONS", "true")]] {
        for (manifest, status) in
            [(MANIFEST.to_owned(), 0), (MANIFEST.replace("vault:secret", "valut:secret"), 2)]
        {
            scene.write("claude-secrets.yml", manifest);
            let done = offline(&scene, &["--quiet", "--format", "json"], actions).expect(status);
            let report: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(report["result"], if status == 0 { "validated" } else { "failed" });
            let told: Vec<&str> = done.stderr.lines().collect();
            if status == 0 {
                assert!(told.len() == 1 && told[0].starts_with("validated: "), "{}", done.stderr);
            } else {
                assert!(told[0].starts_with("failed (source-unknown)"), "{}", done.stderr);
                assert!(done.stderr.contains("error") && !done.stderr.contains("SECRET "), "{}", done.stderr);
            }
        }
    }
}
