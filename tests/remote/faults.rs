//! Everything that can be wrong on the way.

use std::net::TcpListener;
use std::process::Command;

use crate::scene::done;
use crate::site::{FILES, KEY, OTHER, Remote, read};
use crate::support::between::Between;
use crate::support::small_image;
use crate::support::sshd::{NOBODY, keygen};

#[test]
fn whatever_is_wrong_on_the_way_is_said_with_its_remedy() {
    let remote = Remote::new("", "");
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = remote.call("deploy");
        change(&mut command);
        command
    };
    // A key that is not known, and one that is another.
    let call = |host: &str, known: &str| {
        let mut command = remote.scene.cli(["deploy", "--secrets", "KEY\nOTHER", "--docker-host", host]);
        command.args(["--ssh-known-hosts", known, "--timeout", "5s", "--report-file", "report.json"]);
        command.env("SSH_PRIVATE_KEY", remote.sshd.text("client")).env("KEY", KEY).env("OTHER", OTHER);
        command
    };
    let (host, known) = (remote.host("root"), remote.sshd.known_hosts("host"));
    let other_name = known.replace("127.0.0.1", "localhost");
    remote.fails(call(&host, &other_name), "host-key-unknown", &[&remote.sshd.fingerprint("host"), &known]);
    let changed = remote.sshd.known_hosts("stranger");
    remote.fails(
        call(&host, &changed),
        "host-key-changed",
        &["another key than the known one", "Nothing was sent"],
    );
    assert_eq!(remote.sshd.logins(), 0);

    // Keys that cannot be used, or are refused.
    let stranger = remote.sshd.text("stranger");
    remote.fails(
        with(&|command| {
            command.env("SSH_PRIVATE_KEY", &stranger);
        }),
        "ssh-denied",
        &["refuses the login", &remote.sshd.fingerprint("stranger"), "authorized_keys of root"],
    );
    remote.fails(call(&remote.host("no-such-user"), &known), "ssh-denied", &["for the user no-such-user"]);
    let locked = remote.scene.beside("locked");
    keygen(&locked, "hunter2hunter2");
    let locked = std::fs::read_to_string(locked).unwrap();
    let encrypted = with(&|command| {
        command.env("SSH_PRIVATE_KEY", &locked);
    });
    remote.fails(encrypted, "ssh-key-invalid", &["is encrypted", "SSH_KEY_PASSPHRASE"]);
    let wrong = with(&|command| {
        command.env("SSH_PRIVATE_KEY", &locked).env("SSH_KEY_PASSPHRASE", "hunter3hunter3");
    });
    remote.fails(wrong, "ssh-key-invalid", &["cannot be opened with SSH_KEY_PASSPHRASE"]);
    let none = with(&|command| {
        command.env("SSH_PRIVATE_KEY", "").env("HOME", "/nonexistent");
    });
    remote.fails(none, "ssh-key-invalid", &["there is no key to log in with", "arrives empty"]);

    // Machines that are not there, or are something else.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let silent = format!("ssh://root@127.0.0.1:{port}");
    remote.fails(
        call(&silent, &known),
        "engine-unreachable",
        &["does not answer: no SSH session within 5 s"],
    );
    drop(free);
    remote.fails(call(&silent, &known), "engine-unreachable", &["refuses connections on port"]);
    let nowhere = "ssh://root@no-such-machine.invalid";
    remote.fails(
        call(nowhere, &known),
        "engine-unreachable",
        &["no machine with the name no-such-machine.invalid"],
    );

    // Servers that lead to no engine.
    let nobody = call(&remote.host(NOBODY), &known);
    remote.fails(
        nobody,
        "engine-unreachable",
        &["permission denied: nobody may not use", "usermod -aG docker nobody"],
    );
    let elsewhere = call(&format!("{host}/run/none.sock"), &known);
    remote.fails(elsewhere, "engine-unreachable", &["there is no Docker socket at /run/none.sock"]);

    // What nothing says, and what would be in clear.
    let mut unknown = remote.scene.cli(["deploy", "--secrets", "KEY\nOTHER", "--docker-host", &host]);
    unknown
        .args(["--report-file", "report.json"])
        .env("KEY", KEY)
        .env("OTHER", OTHER)
        .env("HOME", "/nonexistent");
    unknown.env("SSH_PRIVATE_KEY", remote.sshd.text("client"));
    remote.fails(unknown, "usage", &["nothing says which key the server has", "ssh-keyscan"]);
    let files = with(&|command| {
        command.args(["--delivery", "file"]);
    });
    remote.fails(files, "delivery-failed", &["`file` cannot reach a remote engine"]);
}

/// A server with an engine that says this of itself.
fn saying(version: &str) -> (Remote, Between, tempfile::TempDir) {
    let folder = tempfile::Builder::new().prefix("css-").tempdir_in("/var/tmp").unwrap();
    let (path, version) = (folder.path().join("docker.sock"), version.to_owned());
    let engine =
        Between::at(&path, move |asked| asked.starts_with("GET /version ").then(|| (200, version.clone())));
    (Remote::new("", path.to_str().unwrap()), engine, folder)
}

#[test]
fn a_server_without_forwarding_and_without_docker_is_told_what_it_lacks() {
    let programs = tempfile::Builder::new().prefix("css-").tempdir_in("/var/tmp").unwrap();
    std::os::unix::fs::symlink("/bin/sh", programs.path().join("sh")).unwrap();
    let bare = format!(
        "AllowStreamLocalForwarding no\nForceCommand PATH={}; export PATH; eval \"$SSH_ORIGINAL_COMMAND\"",
        programs.path().display()
    );
    let remote = Remote::new(&bare, "");
    remote.fails(
        remote.call("deploy"),
        "engine-unreachable",
        &[
            "forbids SSH forwarding, and has no `docker` program",
            "AllowStreamLocalForwarding yes",
            "docker-ce-cli",
        ],
    );
    // One that runs nothing at all for this key.
    let remote = Remote::new("AllowStreamLocalForwarding no\nForceCommand /bin/false", "");
    remote.fails(remote.call("deploy"), "engine-unreachable", &["does not let root reach the Docker socket"]);
}

#[test]
fn an_engine_that_is_too_old_or_of_another_machine_is_told() {
    let (remote, ..) = &saying(r#"{"Version":"19.03.15","ApiVersion":"1.40"}"#);
    remote.fails(
        remote.call("deploy"),
        "engine-too-old",
        &["speaks API 1.40, 1.41 or newer is needed", "20.10"],
    );

    let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    let (remote, ..) = &saying(&format!(r#"{{"Version":"20.10","ApiVersion":"1.41","Arch":"{other}"}}"#));
    let command = remote.call("deploy");
    let machine = format!("the engine's machine is {other}");
    remote.fails(
        command,
        "launcher-missing",
        &[&machine, "variables of web, worker cannot be set", "`deliver: file`"],
    );
    assert!(remote.scene.containers().is_empty());
    // What reads files needs no program of ours there.
    remote.scene.write("claude-secrets.yml", FILES);
    done(remote.call("deploy")).expect(0);
}

#[test]
fn a_full_disk_of_the_server_ends_the_run_and_the_next_one_goes_on() {
    let (remote, daemon) = Remote::with_disk("48m");
    let engine = daemon.engine();
    done(remote.call("deploy")).expect(0);
    let small = small_image();
    let fill = [
        "run",
        "--name=filler",
        "--network=none",
        "--volume=filler:/f",
        &small,
        "sh",
        "-c",
        "cat /dev/zero >/f/all",
    ];
    assert!(!engine.run(&fill).success, "the disk is full");
    let mut rotation = remote.call("deploy");
    rotation.env("KEY", "canary-Zq7-new");
    let ended = done(rotation);
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(remote.report()["error"]["code"], "disk-full", "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    assert_eq!(read(&engine, "web", "/run/secrets/key"), KEY);
    engine.text(&["rm", "filler"]);
    engine.text(&["volume", "rm", "filler"]);
    let mut again = remote.call("deploy");
    again.env("KEY", "canary-Zq7-new");
    done(again).expect(0);
    assert_eq!(read(&engine, "web", "/run/secrets/key"), "canary-Zq7-new");
}
