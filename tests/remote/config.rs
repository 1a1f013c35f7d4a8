//! A person's own `~/.ssh/config`, which counts on the command line where no flag says otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::scene::done;
use crate::site::{KEY, OTHER, Remote};
use crate::support::sshd::Sshd;

/// A home with this configuration.
fn home(remote: &Remote, name: &str, config: &str) -> std::path::PathBuf {
    let home = remote.scene.beside(name);
    write(&home.join(".ssh/config"), config);
    home
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn call(remote: &Remote, home: &Path, host: &str) -> Command {
    let mut command = remote.scene.cli(["validate", "--secrets", "KEY\nOTHER", "--docker-host", host]);
    command.args(["--report-file", "report.json"]).env("HOME", home).env("KEY", KEY).env("OTHER", OTHER);
    command
}

#[test]
fn names_users_ports_keys_and_ways_are_those_that_ssh_itself_takes() {
    let (remote, bastion) = (Remote::new("", ""), Sshd::start(""));
    let key = |sshd: &Sshd| sshd.path("client").display().to_string();
    let included = remote.scene.beside("included");
    write(&included, "Match host behind\n  HostName 127.0.0.1\n");
    let known = remote.scene.beside("known hosts");
    fs::write(&known, format!("{}\n{}\n", remote.sshd.known_hosts("host"), bastion.known_hosts("host")))
        .unwrap();
    let config = format!(
        "Include {}\n\
         Host server beh*nd !other\n  HostName=127.0.0.1\n  User root\n  Port {}\n  IdentityFile \"{}\"\n\
         Host behind\n  ProxyJump gate\n  User nobody\n\
         Host gate\n  HostName 127.0.0.1\n  User root\n  Port {}\n  IdentityFile {}\n\
         Host *\n  UserKnownHostsFile \"{}\"\n  User nobody\n",
        included.display(),
        remote.sshd.port(),
        key(&remote.sshd),
        bastion.port(),
        key(&bastion),
        known.display()
    );
    let home = home(&remote, "home", &config);
    // The client's own word for it.
    let said =
        Command::new("ssh").args(["-G", "-F"]).arg(home.join(".ssh/config")).arg("behind").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    for line in ["hostname 127.0.0.1", "user root", "proxyjump gate"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }

    done(call(&remote, &home, "ssh://server")).expect(0);
    assert_eq!((remote.sshd.logins(), bastion.logins()), (1, 0));
    done(call(&remote, &home, "ssh://behind")).expect(0);
    assert_eq!((remote.sshd.logins(), bastion.logins()), (2, 1));

    // A flag goes first: another user, another way, another key.
    let denied = call(&remote, &home, "ssh://no-such-user@server");
    remote.fails(denied, "ssh-denied", &["for the user no-such-user"]);
    let mut direct = call(&remote, &home, "ssh://behind");
    direct.args(["--ssh-jump", "server"]);
    done(direct).expect(0);
    assert_eq!((remote.sshd.logins(), bastion.logins()), (4, 1));
    let mut other = call(&remote, &home, "ssh://server");
    other.env("SSH_PRIVATE_KEY", remote.sshd.text("stranger"));
    remote.fails(other, "ssh-denied", &[&remote.sshd.fingerprint("stranger")]);
    let mut changed = call(&remote, &home, "ssh://server");
    changed.args(["--ssh-known-hosts", &remote.sshd.known_hosts("stranger")]);
    remote.fails(changed, "host-key-changed", &["another key than the known one"]);

    // Never under Actions: a file in the workspace of a fork must not lead elsewhere.
    let mut actions = call(&remote, &home, "ssh://root@server");
    actions.args(["--ssh-known-hosts", &remote.sshd.known_hosts("host"), "--timeout", "5s"]);
    actions.env("GITHUB_ACTIONS", "true").env("RUNNER_ENVIRONMENT", "github-hosted");
    actions.env("SSH_PRIVATE_KEY", remote.sshd.text("client"));
    remote.fails(actions, "engine-unreachable", &["server"]);
}

#[test]
fn a_file_that_leads_nowhere_is_told() {
    let remote = Remote::new("", "");
    let fails = |name: &str, config: &str, said: &[&str]| {
        let home = home(&remote, name, config);
        remote.fails(call(&remote, &home, "ssh://server"), "usage", said);
    };
    fails(
        "broken",
        "Host server\n  Portt 22\n",
        &["~/.ssh/config cannot be read", "Bad configuration option"],
    );
    fails("program", "Host server\n  ProxyCommand nc %h %p\n", &["ProxyCommand", "--ssh-jump"]);
    fails(
        "round",
        "Host server\n  ProxyJump gate\nHost gate\n  ProxyJump server\n",
        &["more than 8 servers are on the way"],
    );
    let home = home(&remote, "alone", "Host server\n  HostName 127.0.0.1\n");
    let mut alone = call(&remote, &home, "ssh://server");
    alone.env("PATH", "/nonexistent");
    remote.fails(alone, "usage", &["there is no program `ssh`"]);
}
