//! What goes wrong on the way to a server, in sentences.

use std::io::ErrorKind;
use std::time::Duration;

use super::known_hosts::Doubt;
use crate::error::{Code, Error, plain_reason};
use crate::remote::is_unknown_name;
use crate::settings::Server;

/// Why there is no session. It holds nothing of a key.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server's key is not taken.
    Host(Doubt),
    /// The library's own.
    Ssh(russh::Error),
    /// The server gave no answer in this time.
    Late(Duration),
    /// The server wants more than a key, or refuses it; with what was offered.
    Refused(String),
    /// The server refuses a certificate; with the fact and the remedies.
    Certificate(String, Vec<String>),
    /// The agent does not answer, or has no key.
    Agent(&'static str),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Fault {
    /// As the user sees it.
    pub(super) fn error(self, server: &Server) -> Error {
        match self {
            Self::Host(doubt) => host(doubt, server),
            Self::Late(limit) => Error::new(
                Code::EngineUnreachable,
                format!("{server} does not answer: no SSH session within {} s", limit.as_secs()),
            )
            .help("Does a firewall drop what comes from this machine, or is something else listening on that port?"),
            Self::Refused(offered) => Error::new(
                Code::SshDenied,
                format!("{server} refuses the login: {offered}"),
            )
            .help(format!(
                "Is the public key (`ssh-keygen -yf KEY`) in ~/.ssh/authorized_keys of {}, and is that the right user?",
                server.user.as_deref().unwrap_or("the user")
            )),
            Self::Certificate(fact, help) => help.into_iter().fold(
                Error::new(Code::SshDenied, format!("{server} refuses the login: {fact}")),
                Error::help,
            ),
            Self::Agent(what) => Error::new(Code::SshKeyInvalid, format!("the SSH agent {what}"))
                .help("`ssh-add -l` shows its keys. Or give a key by SSH_PRIVATE_KEY or SSH_PRIVATE_KEY_FILE."),
            Self::Ssh(russh::Error::IO(error)) => network(&error, server),
            Self::Ssh(russh::Error::NoCommonAlgo { kind, theirs, .. }) => Error::new(
                Code::EngineUnreachable,
                format!("{server} and this program have no {kind:?} algorithm in common (the server has {})", theirs.join(", ")),
            )
            .help("Update the server's OpenSSH, or allow newer algorithms in its sshd_config."),
            Self::Ssh(russh::Error::Version) => Error::new(
                Code::EngineUnreachable,
                format!("what answers at {server} is not an SSH server"),
            )
            .help("Correct the port in `docker-host`."),
            Self::Ssh(error) => Error::new(
                Code::EngineUnreachable,
                format!("the SSH connection to {server} broke: {error}"),
            )
            .help("Does it work by hand? `ssh -v` shows what the server says; on the server `journalctl -u ssh` does."),
        }
    }
}

fn host(doubt: Doubt, server: &Server) -> Error {
    match doubt {
        Doubt::Unknown { fingerprint, line } => Error::new(
            Code::HostKeyUnknown,
            format!("{server} is not known yet: it shows the key {fingerprint}"),
        )
        .help("On the server, compare: `for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done`")
        .help(format!("If it is the same, add this line to `ssh-known-hosts`: {line}")),
        Doubt::Changed { fingerprint } => Error::new(
            Code::HostKeyChanged,
            format!(
                "{server} shows another key than the known one: {fingerprint}. Somebody may be listening in between, or the \
                 server was set up anew"
            ),
        )
        .help("Nothing was sent. Ask whoever runs the server whether its key was changed, and only then replace the line in `ssh-known-hosts` (or `ssh-fingerprint`)."),
        Doubt::Revoked { fingerprint } => Error::new(
            Code::HostKeyChanged,
            format!("{server} shows a key that is marked as revoked: {fingerprint}"),
        )
        .help("Nothing was sent. Give the server a new key, and add that to `ssh-known-hosts`."),
        Doubt::Certificate(what) => Error::new(
            Code::HostKeyChanged,
            format!("{server} shows a host certificate that {what}"),
        )
        .help("Sign the server's key again: `ssh-keygen -s CA -h -n NAME -I ID ssh_host_ed25519_key.pub`."),
    }
}

/// A session that broke in the middle of a run, and what came of taking it up again.
pub(super) fn broken(server: &Server, again: Option<Error>) -> Error {
    let broke = format!("the SSH connection to {server} broke in the middle of the run");
    let (fact, help) = match again {
        None => (broke, Vec::new()),
        Some(why) => (format!("{broke}, and could not be taken up again: {}", why.fact), why.help),
    };
    let error = Error::new(Code::EngineUnreachable, fact).help(
        "Run this again: it goes on from what is there. On the server, `journalctl -u ssh` says why it broke, unless the network did.",
    );
    help.into_iter().fold(error, Error::help)
}

fn network(error: &std::io::Error, server: &Server) -> Error {
    let port = server.port();
    let (fact, help) = match error.kind() {
        ErrorKind::ConnectionRefused => (
            format!("{} refuses connections on port {port}", server.host),
            "Is the SSH server running, and on this port? Does a firewall let this machine in?",
        ),
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => (
            format!("{} cannot be reached on port {port}: {}", server.host, plain_reason(error)),
            "Is the machine up, and does its firewall let this machine in? GitHub's runners have changing addresses.",
        ),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => (
            format!("{server} broke the connection off"),
            "On the server, `journalctl -u ssh` says why: too many logins (MaxStartups, fail2ban), or a restart.",
        ),
        _ if is_unknown_name(error) => (
            format!("there is no machine with the name {}", server.host),
            "Correct the name in `docker-host`; does it exist in the public DNS?",
        ),
        _ => (
            format!("cannot reach {server}: {}", plain_reason(error)),
            "Check name and port in `docker-host`.",
        ),
    };
    Error::new(Code::EngineUnreachable, fact).help(help)
}

/// Why the engine's socket on the server cannot be reached, by what a shell there says of it; `None` where it says nothing.
pub(super) fn socket(status: Option<u32>, server: &Server) -> Error {
    let socket = &server.socket;
    let user = server.user.as_deref().unwrap_or("this user");
    let (fact, help) = match status {
        Some(super::probe::ABSENT) => (
            format!("there is no Docker socket at {socket} on {}", server.host),
            "Install the Docker Engine there: https://docs.docker.com/engine/install/. A rootless engine has its socket elsewhere: `docker-host: ssh://user@host/run/user/1000/docker.sock`.".to_owned(),
        ),
        Some(super::probe::DENIED) => (
            format!("permission denied: {user} may not use the Docker socket {socket} on {}", server.host),
            format!("On the server: `sudo usermod -aG docker {user}`. Members of that group are root there."),
        ),
        Some(super::probe::OPEN) => (
            format!("{} forbids SSH forwarding, and has no `docker` program to do without", server.host),
            "Set `AllowStreamLocalForwarding yes` in its sshd_config (and take `restrict` without `port-forwarding` out of authorized_keys), or install `docker-ce-cli`.".to_owned(),
        ),
        _ => (
            format!("{} does not let {user} reach the Docker socket {socket}", server.host),
            "Allow forwarding (`restrict,port-forwarding` in authorized_keys, `AllowStreamLocalForwarding yes` in sshd_config), and make the user a member of the group `docker`.".to_owned(),
        ),
    };
    Error::new(Code::EngineUnreachable, fact).help(help)
}
