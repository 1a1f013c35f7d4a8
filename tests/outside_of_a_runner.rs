//! The command line outside of any runner: a log for people, no workflow commands, flags that equal the inputs.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/forms.rs"]
mod forms;
#[path = "support/scene.rs"]
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use claude_secrets::settings::{INPUTS, Kind, Mode, input_variable};

use forms::Scanner;
use scene::{PROGRAM, Scene, docker, done, is_root, write_private};

const VALUE: &str = "canary-Zq7$value 'of' a\nsecond canary line%0A";

/// A user with no rights of its own but those of the engine's socket.
const SOMEBODY: u32 = 4242;

/// A service that prints its secret and dies when it is told to.
const PROJECT: &str = "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    \
                       command: [sh, -c, 'cat /run/secrets/key; [ ! -e /run/secrets/die ] || exit 3; sleep 3000']\n    \
                       environment: { KEY: }\n";

#[track_caller]
fn is_for_people(said: &str) {
    Scanner::new([("KEY", VALUE.as_bytes())]).assert_clean("standard error", said.as_bytes());
    for line in said.lines() {
        let command = line.trim_start();
        assert!(!command.starts_with("::") && !command.starts_with("##["), "a workflow command: {line}");
    }
}

#[test]
fn the_log_is_for_people_and_standard_output_stays_empty() {
    let scene = Scene::new("outside");
    scene.compose(PROJECT);
    for words in [
        &["validate"][..],
        &["create-files"],
        &["create-compose"],
        &["deploy", "--delivery", "file"],
        &["deploy", "--delivery", "volume", "--verbose"],
        &["down"],
    ] {
        let mut command = scene.cli(words.iter().chain(&["--secrets", "KEY"]));
        command.env("KEY", VALUE);
        let done = done(command).expect(0);
        assert!(done.stdout.is_empty(), "{words:?}");
        is_for_people(&done.stderr);
        let named = ["KEY", "env"].iter().all(|word| done.stderr.contains(word));
        assert!(named || ["down", "create-compose"].contains(&words[0]), "{words:?}: {}", done.stderr);
    }
    assert!(scene.containers().is_empty());
}

#[test]
fn a_run_that_fails_prints_redacted_lines_and_an_error_for_people() {
    let scene = Scene::new("outside");
    scene.compose(PROJECT);
    let mut command = scene.cli(["deploy", "--secrets", "KEY\nDIE"]);
    command.env("KEY", VALUE).env("DIE", "yes-now-please");
    let died = done(command).expect(6);
    is_for_people(&died.stderr);
    assert!(died.stderr.contains("***") && died.stderr.contains("error: "), "{}", died.stderr);
    assert!(died.stdout.is_empty());
    let missing = done(scene.cli(["deploy", "--secrets", "KEY"])).expect(3);
    is_for_people(&missing.stderr);
}

#[test]
fn a_user_who_is_not_root_deploys_files_that_any_service_user_reads() {
    if !is_root() {
        eprintln!("skipped: only root may run as somebody else");
        return;
    }
    let scene = Scene::new("outside");
    scene.compose(&format!("{PROJECT}    user: '7777:7777'\n"));
    chown(scene.project(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    chown(scene.project().join("compose.yaml"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let group = fs::metadata("/var/run/docker.sock").unwrap().gid().to_string();
    // Where the programs were built not everyone may go.
    let built = std::path::Path::new(PROGRAM).parent().unwrap();
    let installed = scene.beside("installed");
    fs::create_dir(&installed).unwrap();
    for program in ["claude-secrets", "claude-secrets-exec"] {
        assert!(Command::new("cp").arg(built.join(program)).arg(&installed).status().unwrap().success());
    }
    let user = SOMEBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--groups", &group]);
    command.arg(installed.join("claude-secrets"));
    command.args(["deploy", "--secrets", "KEY", "--delivery", "file"]);
    let mut command = scene.scrubbed(command);
    command.env("KEY", VALUE).env("HOME", scene.beside("home"));
    is_for_people(&done(command).expect(0).stderr);
    let mode = |path: &str| {
        let meta = fs::metadata(scene.project().join(path)).unwrap();
        (meta.mode() & 0o7777, meta.uid())
    };
    assert_eq!(mode("data/secrets"), (0o700, SOMEBODY));
    assert_eq!(mode("data/secrets/key"), (0o444, SOMEBODY));
    let id = &scene.containers()["web"].0;
    assert_eq!(docker(["exec", id, "cat", "/run/secrets/key"]), VALUE);
    assert_eq!(docker(["exec", id, "id", "-u"]).trim(), "7777");
}

/// Every text input by its flag does what the action input does; a flag wins.
#[test]
fn a_flag_equals_the_input_of_its_name() {
    let values = [
        ("secrets", "KEY\nOTHER?"),
        ("override-file", "made.yml"),
        ("secrets-dir", "data/other"),
        ("grant-to", "web"),
        ("project-name", "named-outside"),
        ("compose-files", "prod.yml"),
        ("environment", "production"),
        ("profiles", "extra"),
    ];
    let project = |by: &str| {
        let scene = Scene::new("outside");
        scene.compose("services: {}\n");
        fs::rename(scene.project().join("compose.yaml"), scene.project().join("unused.yaml")).unwrap();
        scene.write("prod.yml", "services:\n  web: { image: x }\n  more: { image: x, profiles: [extra] }\n");
        let mut command = scene.cli(["create-compose"]);
        for (name, value) in values {
            assert!(INPUTS.iter().any(|input| input.name == name));
            match by {
                "flags" => drop(command.arg(format!("--{name}")).arg(value)),
                _ => drop(command.env(input_variable(name), value)),
            }
            if by == "both" {
                command.arg(format!("--{name}={value}")).env(input_variable(name), "other-than-the-flag");
            }
        }
        done(command).expect(0);
        fs::read_to_string(scene.project().join("made.yml")).unwrap()
    };
    let flags = project("flags");
    assert!(flags.contains("./data/other/key"), "{flags}");
    assert_eq!(flags, project("inputs"));
    assert_eq!(flags, project("both"));
}

#[test]
fn github_secrets_come_from_a_file_and_no_flag_takes_a_secret() {
    let scene = Scene::new("outside");
    scene.compose(PROJECT);
    let path = scene.beside("github.json");
    write_private(&path, serde_json::json!({ "KEY": VALUE, "UNUSED": "never-taken" }).to_string());
    let mut command = scene.cli(["create-files", "--secrets", "KEY", "--github-secrets-file"]);
    command.arg(&path);
    is_for_people(&done(command).expect(0).stderr);
    assert_eq!(fs::read(scene.project().join("data/secrets/key")).unwrap(), VALUE.as_bytes());
    for input in INPUTS.iter().filter(|input| input.kind == Kind::Secret) {
        let refused = done(scene.cli(["deploy", &format!("--{}", input.name), VALUE])).expect(2);
        is_for_people(&refused.stderr);
        assert!(refused.stderr.contains(&format!("--{}-file", input.name)), "{}", refused.stderr);
    }
}

#[test]
fn help_lists_every_input_of_every_mode() {
    let scene = Scene::new("outside");
    for (mode, _) in Mode::ALL {
        let help = done(scene.cli([*mode, "--help"])).expect(0);
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.stderr.is_empty());
        for input in INPUTS.iter().filter(|input| input.name != "mode") {
            let flag = match input.kind {
                Kind::Secret => format!("--{}-file <FILE>", input.name),
                Kind::Switch => format!("--{}[=", input.name),
                Kind::Text | Kind::List => format!("--{} <", input.name),
            };
            assert!(text.contains(&flag), "{mode} --help does not list {flag}");
        }
    }
    let text = String::from_utf8(done(scene.cli(["--help"])).expect(0).stdout).unwrap();
    assert!(
        Mode::ALL.iter().all(|(mode, _)| text.contains(mode)) && text.contains("Exit statuses"),
        "{text}"
    );
}

#[test]
fn the_version_tells_the_commit_and_the_programs_that_are_used() {
    let scene = Scene::new("outside");
    let text = String::from_utf8(done(scene.cli(["--version"])).expect(0).stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let own = format!("claude-secrets {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(lines[0].starts_with(&own), "{text}");
    assert!(lines[1].starts_with("docker: Docker version "), "{text}");
    assert!(lines[2].starts_with("docker compose: Docker Compose version "), "{text}");
    // What the machine may lack.
    assert!(lines[3].starts_with("docker buildx: ") && lines[4].starts_with("op: "), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
    let nowhere = String::from_utf8(done_with_path(&scene, "/nowhere")).unwrap();
    // Plugins are no programs of the PATH.
    for line in ["\ndocker: not found", "\ndocker compose: Docker Compose version ", "\nop: not found"] {
        assert!(nowhere.contains(line), "{nowhere}");
    }
}

/// What `--version` prints where no program is.
fn done_with_path(scene: &Scene, path: &str) -> Vec<u8> {
    let mut command = scene.cli(["--version"]);
    command.env("PATH", path);
    done(command).expect(0).stdout
}

/// The statuses of the documentation, those of missing services and engines apart (`bad_input` has them all).
#[test]
fn the_exit_status_tells_what_went_wrong() {
    let scene = Scene::new("outside");
    scene.compose(PROJECT);
    for (words, status) in [
        (&["--version"][..], 0),
        (&["schema"], 0),
        (&["deplooy"], 2),
        (&["deploy", "--no-such-flag"], 2),
        (&["deploy", "--wait=maybe", "--secrets", "KEY"], 2),
        (&["validate", "--secrets", "KEY"], 3),
        (&["validate", "--secrets", "KEY", "--env-file", "nowhere.env"], 4),
        (&["create-compose", "--secrets", "KEY", "--override-file", "/etc/made.yml"], 5),
    ] {
        let done = done(scene.cli(words));
        assert_eq!(done.code, status, "{words:?}: {}", done.stderr);
        is_for_people(&done.stderr);
    }
    fs::set_permissions(scene.project(), fs::Permissions::from_mode(0o755)).unwrap();
}
