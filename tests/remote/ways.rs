//! The ways to a server, and to the engine there.

use crate::scene::done;
use crate::site::{KEY, OTHER, Remote};
use crate::spy::Spy;
use crate::support::sshd::Sshd;

#[test]
fn a_server_that_forbids_forwarding_is_reached_by_its_docker() {
    let remote = Remote::new("AllowStreamLocalForwarding no", "");
    let done = done(remote.call("validate")).expect(0);
    assert!(done.stderr.contains("the engine is at ssh://root@127.0.0.1"), "{}", done.stderr);
    assert_eq!(remote.sshd.logins(), 1);
}

#[test]
fn another_server_may_be_on_the_way_and_a_fingerprint_is_enough() {
    let remote = Remote::new("", "");
    let bastion = Sshd::start("");
    std::fs::copy(remote.sshd.path("client.pub"), bastion.path("authorized_keys")).unwrap();
    let host = remote.host("root");
    let words = ["validate", "--secrets", "KEY\nOTHER", "--docker-host", &host];
    let known = format!("{}\n{}", remote.sshd.known_hosts("host"), bastion.known_hosts("host"));
    let mut command = remote.scene.cli(words);
    command.args(["--ssh-jump", &format!("root@127.0.0.1:{}", bastion.port()), "--ssh-known-hosts", &known]);
    command.env("SSH_PRIVATE_KEY", remote.sshd.text("client")).env("KEY", KEY).env("OTHER", OTHER);
    done(command).expect(0);
    assert_eq!((remote.sshd.logins(), bastion.logins()), (1, 1));

    let mut command = remote.scene.cli(words);
    command.args(["--ssh-fingerprint", &remote.sshd.fingerprint("host")]);
    command.env("SSH_PRIVATE_KEY_FILE", remote.sshd.path("client")).env("KEY", KEY).env("OTHER", OTHER);
    done(command).expect(0);
}

#[test]
fn the_key_may_be_in_a_source_and_no_child_gets_it() {
    let remote = Remote::new("", "");
    let spy = Spy::new(&remote.scene);
    let key = remote.sshd.text("client");
    let line = key.lines().nth(1).unwrap();
    for (variable, more) in [("DEPLOY_KEY", &["--ssh-key", "env:DEPLOY_KEY"][..]), ("SSH_PRIVATE_KEY", &[])] {
        let mut command = remote.call("validate");
        command.args(more).env_remove("SSH_PRIVATE_KEY").env(variable, &key);
        let done = done(spy.behind(&remote.scene, &command)).expect(0);
        let given: Vec<u8> = spy.started().into_iter().flat_map(|started| started.text).collect();
        let given = String::from_utf8_lossy(&given);
        assert!(given.contains("DOCKER_HOST=unix:///tmp/claude-secrets-"), "{given}");
        assert!(!given.contains(line) && !done.stderr.contains(line), "{variable}");
        assert!(!given.contains("DOCKER_TLS_VERIFY"));
    }
    assert_eq!(remote.sshd.logins(), 2);
    let mut value = remote.call("validate");
    value.args(["--ssh-key", line]);
    remote.fails(value, "reference-invalid", &["ssh-key: the input is not a reference"]);
}
