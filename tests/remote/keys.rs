//! The kinds of keys that people have, of users and of hosts, against a real server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::peers::bao::Bao;
use crate::scene::done;
use crate::site::{KEY, OTHER, Remote};
use crate::support::sshd::Sshd;

const WORD: &str = "a passphrase of 27 letters";

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Lets a key in, by its public half as `ssh-keygen` reads it.
fn allow(sshd: &Sshd, public: &str) {
    fs::write(sshd.path("authorized_keys"), format!("restrict,port-forwarding {public}\n")).unwrap();
}

fn public_of(key: &Path, word: &str) -> String {
    let output = Command::new("ssh-keygen").args(["-y", "-P", word, "-f"]).arg(key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_kind_of_key_that_openssh_and_openssl_make_logs_in() {
    let remote = Remote::new("", "");
    let folder = remote.scene.beside("keys");
    fs::create_dir(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    let mut made: Vec<(PathBuf, &str)> = Vec::new();
    for (name, words, word) in [
        ("ed25519", &["-t", "ed25519"][..], ""),
        ("ed25519 encrypted", &["-t", "ed25519"], WORD),
        ("rsa", &["-t", "rsa", "-b", "3072"], ""),
        ("rsa encrypted", &["-t", "rsa", "-b", "2048"], WORD),
        ("rsa as PKCS#1", &["-t", "rsa", "-b", "2048", "-m", "PEM"], ""),
        ("rsa as PKCS#8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"], ""),
        ("ecdsa", &["-t", "ecdsa", "-b", "256"], ""),
        ("ecdsa 384 encrypted", &["-t", "ecdsa", "-b", "384"], WORD),
        ("ecdsa 521", &["-t", "ecdsa", "-b", "521"], ""),
        ("ecdsa as PKCS#8", &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"], ""),
        ("ecdsa as SEC1", &["-t", "ecdsa", "-b", "256", "-m", "PEM"], ""),
        ("rsa as encrypted PKCS#8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"], WORD),
    ] {
        let file = path(&name.replace([' ', '#'], "-"));
        let shown = file.display().to_string();
        run("ssh-keygen", &[&["-q", "-C", "", "-N", word, "-f", &shown], words].concat());
        made.push((file, word));
    }
    let mut failed = Vec::new();
    for (file, word) in made {
        allow(&remote.sshd, &public_of(&file, word));
        let before = remote.sshd.logins();
        let mut command = remote.call("validate");
        command.env("SSH_PRIVATE_KEY", fs::read_to_string(&file).unwrap());
        if !word.is_empty() {
            command.env("SSH_KEY_PASSPHRASE", word);
        }
        let done = done(command);
        if done.code != 0 || remote.sshd.logins() != before + 1 {
            failed.push(format!("{}: {}", file.display(), done.stderr));
        }
        assert!(!done.stderr.contains(WORD), "{}", done.stderr);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// An agent with a key, which ends with this.
struct Agent {
    socket: PathBuf,
    process: std::process::Child,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let process =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        crate::support::wait_until("the agent listens", 10, || socket.exists());
        Self { socket, process }
    }

    fn add(&self, key: &Path) {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_agent_logs_in_on_the_command_line_and_never_under_actions() {
    let remote = Remote::new("", "");
    let agent = Agent::start(&remote.scene.beside(""));
    let call = || {
        let mut command = remote.call("validate");
        command.env_remove("SSH_PRIVATE_KEY").env("SSH_AUTH_SOCK", &agent.socket).env("HOME", "/nonexistent");
        command
    };
    remote.fails(call(), "ssh-key-invalid", &["the SSH agent has no key"]);
    agent.add(&remote.sshd.path("stranger"));
    remote.fails(call(), "ssh-denied", &["it takes none of the 1 keys of the SSH agent"]);
    agent.add(&remote.sshd.path("client"));
    done(call()).expect(0);
    let mut gone = call();
    gone.env("SSH_AUTH_SOCK", "/nonexistent");
    remote.fails(gone, "ssh-key-invalid", &["the SSH agent does not answer"]);
    let mut actions = call();
    actions.env("GITHUB_ACTIONS", "true").env("RUNNER_ENVIRONMENT", "github-hosted");
    remote.fails(actions, "ssh-key-invalid", &["there is no key to log in with"]);
    assert_eq!(remote.sshd.logins(), 1);
}

#[test]
fn a_key_in_a_store_logs_in_and_is_masked() {
    let remote = Remote::new("", "");
    let bao = Bao::start();
    let key = remote.sshd.text("client");
    bao.put("deploy", &json!({ "key": key }));
    bao.policy("deploy", &[("secret/data/deploy", "read")]);
    let token = bao.token(&json!({ "policies": ["deploy"], "ttl": "10m" }));
    let mut command = remote.call("validate");
    command.args(["--ssh-key", "vault:secret/deploy#key", "--sources", "env"]).env_remove("SSH_PRIVATE_KEY");
    command.env("VAULT_ADDR", bao.url()).env("VAULT_TOKEN", &token);
    let done = done(command).expect(0);
    assert!(!done.stderr.contains(key.lines().nth(1).unwrap()), "{}", done.stderr);
    assert_eq!(remote.sshd.logins(), 1);
}

#[test]
fn a_host_certificate_is_taken_from_its_authority_and_from_no_other() {
    let remote = Remote::new("", "");
    let folder = remote.scene.beside("authority");
    fs::create_dir(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-C", "", "-N", "", "-f", &path("ca")]);
    // A server of its own for each certificate: it is read at the start.
    let server = |words: &[&str]| {
        let host =
            path(&format!("host-{}", words.join("").replace(|c: char| !c.is_ascii_alphanumeric(), "")));
        run("ssh-keygen", &["-q", "-t", "ed25519", "-C", "", "-N", "", "-f", &host]);
        let (authority, public) = (path("ca"), format!("{host}.pub"));
        let signing = [&["-q", "-s", &authority, "-I", "server", "-h"], words, &[&public]].concat();
        run("ssh-keygen", &signing);
        let sshd = Sshd::start(&format!("HostKey {host}\nHostCertificate {host}-cert.pub"));
        fs::copy(remote.sshd.path("client.pub"), sshd.path("authorized_keys")).unwrap();
        sshd
    };
    let authority = fs::read_to_string(folder.join("ca.pub")).unwrap();
    let call = |sshd: &Sshd, line: &str| {
        let host = format!("ssh://root@127.0.0.1:{}", sshd.port());
        let mut command = remote.scene.cli(["validate", "--secrets", "KEY\nOTHER", "--docker-host", &host]);
        command.args(["--ssh-known-hosts", line, "--report-file", "report.json"]);
        command.env("SSH_PRIVATE_KEY", remote.sshd.text("client")).env("KEY", KEY).env("OTHER", OTHER);
        command
    };
    let line = |sshd: &Sshd, key: &str| format!("@cert-authority [127.0.0.1]:{} {key}", sshd.port());
    let good = server(&["-n", "127.0.0.1"]);
    done(call(&good, &line(&good, &authority))).expect(0);
    assert_eq!(good.logins(), 1);
    // What another authority signed is a certificate of nobody.
    let stranger = remote.sshd.text("stranger.pub");
    remote.fails(
        call(&good, &line(&good, &stranger)),
        "host-key-changed",
        &["none of the known authorities signed it"],
    );
    let other = server(&["-n", "other.example"]);
    remote.fails(call(&other, &line(&other, &authority)), "host-key-changed", &["is not for this name"]);
    let expired = server(&["-n", "127.0.0.1", "-V", "20200101:20200102"]);
    remote.fails(call(&expired, &line(&expired, &authority)), "host-key-changed", &["has expired"]);
}
