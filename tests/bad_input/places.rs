//! Where the program reads and writes: files that may not be read, places that may not be written, a full disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use crate::case::{CANARY, GOOD, Refusal, again, refuses, running, says_it_once};
use crate::scene::{Scene, done, is_root};

/// A user with no rights of its own but those of the engine's socket.
const SOMEBODY: u32 = 4242;

fn as_somebody(scene: &Scene, inner: &Command) -> Command {
    use std::os::unix::fs::MetadataExt;
    let group = fs::metadata("/var/run/docker.sock").unwrap().gid().to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &SOMEBODY.to_string(), "--regid", &SOMEBODY.to_string(), "--groups", &group])
        .arg(inner.get_program())
        .args(inner.get_args());
    let mut command = scene.scrubbed(command);
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("HOME", scene.beside("home"));
    command
}

/// Wraps a run in a mount name space of its own, after a piece of shell.
fn after(scene: &Scene, shell: &str, inner: &Command) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{shell}\n\"$@\"; code=$?; [ -z \"$AFTER\" ] || eval \"$AFTER\"; exit $code");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    let mut command = scene.scrubbed(command);
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

#[test]
fn an_env_file_that_may_not_be_read_is_named() {
    if !is_root() {
        eprintln!("skipped: only root may run as somebody else");
        return;
    }
    let scene = running();
    scene.write(".env", format!("KEY='{CANARY}'\n"));
    fs::set_permissions(scene.project().join("compose.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(scene.beside(""), fs::Permissions::from_mode(0o777)).unwrap();
    let outputs = scene.beside("outputs");
    fs::write(&outputs, "").unwrap();
    chown(&outputs, Some(SOMEBODY), None).unwrap();
    let wanted = Refusal { status: 4, code: "source-failed", names: &[".env"], fix: "can read" };
    let command = as_somebody(&scene, &again(&scene, &["--secrets", "KEY"]));
    refuses(&scene, command, "an unreadable .env", &wanted);
}

#[test]
fn a_project_that_may_not_be_written_is_not_touched() {
    if !is_root() {
        eprintln!("skipped: only root may mount");
        return;
    }
    for delivery in ["file", "volume"] {
        let scene = running();
        let project = scene.project().display().to_string();
        let inner = again(&scene, &["--secrets", "KEY", "--delivery", delivery]);
        let shell = format!(
            "mount --bind {project} {project} && mount -o remount,ro,bind {project} && cd {project} || exit 99"
        );
        let wanted = Refusal { status: 5, code: "not-writable", names: &["/project"], fix: "writable" };
        refuses(&scene, after(&scene, &shell, &inner), "a read-only workspace", &wanted);
        let kept = crate::scene::docker(["volume", "ls", "-q", "--filter", &format!("name={}", scene.name)]);
        // What the deployment of before noted stays.
        let kept: Vec<&str> = kept.lines().filter(|name| !name.ends_with("_claude-secrets-record")).collect();
        assert_eq!(kept, [""; 0], "a volume is left of the refused delivery {delivery}");
    }
}

/// A project that was deployed once, whose program reads its secret from the file that the Compose file names.
fn reading_a_file() -> crate::scene::Scene {
    let scene = running();
    scene.compose(&GOOD.replace("KEY: '${KEY}'", "KEY_FILE: /run/secrets/key"));
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--wait=false"]);
    command.env("KEY", "the-value-of-before");
    done(command).expect(0);
    scene
}

#[test]
fn a_full_disk_leaves_the_files_of_before() {
    if !is_root() {
        eprintln!("skipped: only root may mount");
        return;
    }
    let scene = reading_a_file();
    let large = scene.beside("large");
    fs::write(&large, CANARY.repeat(8000)).unwrap();
    let listing = scene.beside("listing");
    let data = scene.project().join("data");
    // A small file system with what was there before and little room, in sight of this run alone.
    let shell = format!(
        "cp -a {data} {saved} && mount -t tmpfs -o size=160k,mode=755 none {data} && cp -a {saved}/. {data}/ || exit 99\n\
         rm -rf {saved}; (cd {data} && find . -ls && find . -type f -exec sha256sum {{}} +) | sort > {listing}.before\n\
         AFTER='(cd {data} && find . -ls && find . -type f -exec sha256sum {{}} +) | sort > {listing}.after'",
        data = data.display(),
        saved = scene.beside("saved").display(),
        listing = listing.display(),
    );
    let mut inner = again(&scene, &["--secrets", "KEY"]);
    inner.env_remove("KEY").env("KEY_FILE", &large);
    let wanted = Refusal { status: 5, code: "disk-full", names: &["/project/data/"], fix: "space" };
    let mut command = after(&scene, &shell, &inner);
    command.env_remove("KEY");
    refuses(&scene, command, "a full disk", &wanted);
    let read = |end: &str| fs::read_to_string(scene.beside(&format!("listing.{end}"))).unwrap();
    let times = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split_whitespace().filter(|word| !word.contains(':')).collect::<Vec<_>>().join(" ")
            })
            .collect()
    };
    assert!(read("before").contains("key"));
    assert_eq!(times(&read("before")), times(&read("after")));
}

#[test]
fn a_value_of_a_megabyte_with_any_bytes_arrives() {
    let scene = reading_a_file();
    let mut value: Vec<u8> =
        (0..1024 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    value[..3].copy_from_slice(b"\0\xff\xfe");
    let path = scene.beside("value");
    fs::write(&path, &value).unwrap();
    for delivery in ["file", "volume"] {
        let mut command = scene.cli(["deploy", "--secrets", "KEY", "--wait=false", "--delivery", delivery]);
        command.env("KEY_FILE", &path);
        done(command).expect(0);
        let id = &scene.containers()["web"].0;
        let read = Command::new("docker").args(["exec", id, "cat", "/run/secrets/key"]).output().unwrap();
        assert!(read.stdout == value, "{delivery}: {} bytes arrived", read.stdout.len());
    }
}

/// Two problems in one run are told in one error.
#[test]
fn every_missing_secret_is_told_at_once() {
    let scene = running();
    let done = done(again(&scene, &["--secrets", "KEY\nONE\nTWO\nTHREE"])).expect(3);
    let wanted = Refusal { status: 3, code: "secrets-missing", names: &["ONE", "TWO", "THREE"], fix: "" };
    says_it_once("three missing secrets", &done.stderr, &wanted);
}
