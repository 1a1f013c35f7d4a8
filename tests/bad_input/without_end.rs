//! Answers without an end, and what a signal does to a run that waits: it ends by itself, in little memory.

use std::io::{PipeWriter, Write, pipe};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::odd_files::Project;
use crate::peers::proxy::{Fault, Proxy, Rule};
use crate::scene::write_script;

/// A signal ends a run within the grace of 7 s; a machine that does much besides may need some more.
const PATIENCE: Duration = Duration::from_secs(45);

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000"),
    ("AWS_SECRET_ACCESS_KEY", "made-up"),
    ("AWS_REGION", "eu-central-1"),
];

fn endless(start: &str) -> Proxy {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::Endless(start.as_bytes().to_vec())));
    server
}

#[track_caller]
fn is_too_long(what: &str, project: &Project, words: &[&str], variables: &[(&str, &str)]) {
    let (done, outputs) = project.run(words, variables);
    assert_eq!(done.code, 4, "{what}: {}", done.stderr);
    assert!(outputs.contains("source-failed"), "{what}: {outputs}");
    assert!(done.stderr.contains("the answer is longer than 16 MiB"), "{what}: {}", done.stderr);
}

#[test]
fn an_answer_without_an_end_is_given_up_in_every_store() {
    let project = Project::new();
    let server = endless(r#"{"SecretValues":[],"Errors":[],"NextToken":""#);
    let url = server.url();
    let variables = [&KEYS[..], &[("AWS_ENDPOINT_URL", url.as_str())]].concat();
    is_too_long("AWS, many", &project, &["--secrets", "KEY = aws:bot/key"], &variables);
    is_too_long("AWS, one", &project, &["--secrets", "KEY = aws:bot/key@AWSPREVIOUS"], &variables);
    let server = endless(r#"{"data":{"data":{"key":""#);
    let url = server.url();
    let variables = [("VAULT_ADDR", url.as_str()), ("VAULT_TOKEN", "hvs.made-up")];
    is_too_long("Vault", &project, &["--secrets", "KEY = vault:secret/bot#key"], &variables);
    let server = endless(r#"[{"id":""#);
    let url = server.url();
    let variables = [("OP_CONNECT_HOST", url.as_str()), ("OP_CONNECT_TOKEN", "made-up")];
    is_too_long("1Password Connect", &project, &["--secrets", "KEY = op://bot/key/credential"], &variables);
    let server = endless(r#"{"value":""#);
    let url = server.url();
    let variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "made-up"),
        ("VAULT_ADDR", "http://127.0.0.1:1"),
    ];
    let words =
        ["--secrets", "KEY = vault:secret/bot#key", "--vault-role", "bot", "--vault-jwt-audience", "bot"];
    is_too_long("GitHub's issuer", &project, &words, &variables);
}

#[test]
fn a_program_without_an_end_is_stopped() {
    let project = Project::new();
    let bin = project.path().join("bin");
    write_script(&bin.join("op"), "exec cat /dev/zero");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let variables = [("OP_SERVICE_ACCOUNT_TOKEN", "ops_made-up"), ("PATH", path.as_str())];
    is_too_long("op", &project, &["--secrets", "KEY = op://bot/key/credential"], &variables);
}

/// Starts a run, waits until `ready` says so, and asks it to end. What is returned is the status.
fn ended_by(mut command: Command, ready: impl Fn() -> bool) -> Option<i32> {
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "it never came so far");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    let told = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if told.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_ends_a_run_that_waits_for_a_server() {
    let (project, server) = (Project::new(), Proxy::alone());
    server.rule(Rule::always(Fault::Hang));
    let url = server.url();
    for variables in [
        [&KEYS[..], &[("AWS_ENDPOINT_URL", url.as_str())]].concat(),
        vec![("VAULT_ADDR", url.as_str()), ("VAULT_TOKEN", "hvs.made-up")],
    ] {
        let source = if variables.len() > 2 { "KEY = aws:bot/key" } else { "KEY = vault:secret/bot#key" };
        let mut command = project.command(&["--timeout", "10m", "--secrets", source]);
        command.envs(variables).stdout(Stdio::null()).stderr(Stdio::null());
        server.clear();
        server.rule(Rule::always(Fault::Hang));
        assert_eq!(ended_by(command, || !server.seen().is_empty()), Some(130), "{source}");
    }
}

/// The one thread hangs in a call of the system then, as with a share that does not answer.
#[test]
fn a_signal_ends_a_run_whose_output_nobody_takes() {
    let (reader, full) = full_pipe();
    let project = Project::new();
    let mut command = project.command(&["--verbose", "--secrets", "KEY"]);
    command.stdout(full.try_clone().unwrap()).stderr(full);
    let start = Instant::now();
    assert_eq!(ended_by(command, || start.elapsed() > Duration::from_secs(2)), Some(130));
    drop(reader);
}

fn full_pipe() -> (std::io::PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(writer.as_fd()).unwrap();
    fcntl_setfl(writer.as_fd(), flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b' '; 4096]).is_ok() {}
    fcntl_setfl(writer.as_fd(), flags).unwrap();
    (reader, writer)
}
