//! What a person's own `~/.ssh/config` says of a server, as OpenSSH's client itself reads it: it alone knows what `Match`,
//! `Include` and a pattern come to (`ssh -G`, ssh(1)). Only on the command line.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::error::{Code, Error, Result};
use crate::settings::Server;
use crate::settings::{Environment, Settings};

/// What the client needs to find its way, and what `Match` may ask for; nothing of what the run was given.
const VARIABLES: &[&str] = &["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TERM", "LANG", "LC_ALL"];
/// The keys that the client looks for by itself.
const USUAL: &[&str] =
    &["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
/// So many servers may be on the way to one.
const MOST_JUMPS: usize = 8;

/// The file, where there is one.
pub(super) struct SshConfig {
    file: PathBuf,
    home: PathBuf,
    variables: Environment,
    limit: Duration,
}

/// A server with what the file says of it.
pub(super) struct Entry {
    /// The server, with the name, user and port that count.
    pub(super) server: Server,
    /// The keys that the file names for it.
    pub(super) keys: Vec<PathBuf>,
    /// The files with servers' keys.
    pub(super) known_hosts: Vec<PathBuf>,
    /// `ProxyJump`, the nearest first.
    pub(super) jumps: Vec<String>,
}

impl SshConfig {
    /// The file of the person who runs this; `None` under GitHub Actions, and where there is none.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let home = settings.variables.path("HOME").filter(|_| !settings.platform.actions)?;
        let file = home.join(".ssh/config");
        let (variables, limit) = (settings.variables.clone(), settings.timeout);
        file.is_file().then_some(Self { file, home, variables, limit })
    }

    /// What it says of a server. What the address says itself goes first.
    ///
    /// # Errors
    /// [`Code::Usage`] when the client cannot be asked, refuses the file, or the file names a program as the way there.
    pub(super) async fn of_server(&self, server: &Server) -> Result<Entry> {
        let said = self.ask(server).await?;
        let first = |key: &str| said.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let is_set = |value: &&str| !value.is_empty() && *value != "none";
        if first("proxycommand").as_ref().is_some_and(is_set) {
            return Err(Error::new(
                Code::Usage,
                format!("~/.ssh/config has a ProxyCommand for {}, and no program is started on the way", server.host),
            )
            .help("Name the servers on the way by `ProxyJump` or `--ssh-jump`; a ProxyJump that comes first in the file counts."));
        }
        let named = Server {
            user: server.user.clone().or_else(|| first("user").map(str::to_owned)),
            host: first("hostname").unwrap_or(&server.host).to_owned(),
            port: server.port.or_else(|| first("port")?.parse().ok()),
            socket: server.socket.clone(),
        };
        let usual: Vec<PathBuf> = USUAL.iter().map(|name| self.home.join(".ssh").join(name)).collect();
        let path = |text: &str| self.path(text, &named, server);
        let keys = said.iter().filter(|(name, _)| name == "identityfile").map(|(_, value)| path(value));
        let keys = keys.filter(|key| !usual.contains(key)).collect();
        let known = first("userknownhostsfile").filter(is_set).unwrap_or_default();
        // The client prints a path with a blank in it as it prints two.
        let whole = path(known);
        let known_hosts = if whole.is_file() { vec![whole] } else { known.split(' ').map(path).collect() };
        let jumps = first("proxyjump").filter(is_set).unwrap_or_default();
        let jumps = jumps.split(',').filter(|jump| !jump.is_empty()).map(str::to_owned).collect();
        Ok(Entry { server: named, keys, known_hosts, jumps })
    }

    /// The servers on the way to an entry, the nearest first, each with what the file says of it. The last of several is
    /// reached by those before it; a single one may be behind others itself.
    ///
    /// # Errors
    /// As [`SshConfig::of_server`], and for a way without an end.
    pub(super) async fn way_to(&self, entry: &Entry) -> Result<Vec<Entry>> {
        let mut way: Vec<Entry> = Vec::new();
        let mut jumps = entry.jumps.clone();
        while !jumps.is_empty() {
            if way.len() + jumps.len() > MOST_JUMPS {
                return Err(Error::new(
                    Code::Usage,
                    format!(
                        "~/.ssh/config: more than {MOST_JUMPS} servers are on the way to {}",
                        entry.server.host
                    ),
                )
                .help("Does one of them name itself by `ProxyJump`? `ssh -G HOST` shows it."));
            }
            let mut found = Vec::new();
            for jump in &jumps {
                let jump = jump.strip_prefix("ssh://").unwrap_or(jump);
                found.push(self.of_server(&Server::parse("ssh-jump", jump)?).await?);
            }
            jumps = found.first().map(|first| first.jumps.clone()).unwrap_or_default();
            found.append(&mut way);
            way = found;
        }
        Ok(way)
    }

    async fn ask(&self, server: &Server) -> Result<Vec<(String, String)>> {
        let mut command = Command::new("ssh");
        command.arg("-G").arg("-F").arg(&self.file);
        if let Some(user) = &server.user {
            command.args(["-l", user]);
        }
        if let Some(port) = server.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", &server.host]).env_clear();
        for name in VARIABLES {
            if let Some(value) = self.variables.text(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let unread = |what: &str| Error::new(Code::Usage, format!("~/.ssh/config cannot be read: {what}"));
        let asked = tokio::time::timeout(self.limit, command.output()).await;
        let output = asked
            .map_err(|_| {
                unread("`ssh -G` does not end").help("Which command of its `Match exec` lines waits?")
            })?
            .map_err(|_| {
                unread("there is no program `ssh` to read it")
                    .help("Install OpenSSH's client, or move the file away and say everything by flags.")
            })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default().trim().to_owned();
            return Err(unread(&said).help(format!("`ssh -G {}` says the same.", server.host)));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A path as the file has it, with what `~` and the tokens of `ssh_config(5)` stand for.
    fn path(&self, text: &str, named: &Server, asked: &Server) -> PathBuf {
        let home = self.home.display().to_string();
        let text = text.strip_prefix("~/").map_or_else(|| text.to_owned(), |below| format!("%d/{below}"));
        let mut parts = text.split('%');
        let mut path = parts.next().unwrap_or_default().to_owned();
        while let Some(part) = parts.next() {
            let Some(token) = part.chars().next() else {
                // Two of them stand for one.
                path.push('%');
                path += parts.next().unwrap_or_default();
                continue;
            };
            match token {
                'd' => path += &home,
                'h' => path += &named.host,
                'n' => path += &asked.host,
                'p' => path += &named.port().to_string(),
                'r' => path += named.user.as_deref().unwrap_or_default(),
                'u' => path += self.variables.text("USER").unwrap_or_default(),
                other => path.extend(['%', other]),
            }
            path += &part[token.len_utf8()..];
        }
        PathBuf::from(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_tokens_that_the_client_knows() {
        let config = SshConfig {
            file: PathBuf::new(),
            home: "/home/u".into(),
            variables: Environment::from_pairs([("USER".to_owned(), "me".to_owned())]),
            limit: Duration::ZERO,
        };
        let server = |text: &str| Server::parse("docker-host", text).unwrap();
        let (named, asked) = (server("deploy@h.example:2222"), server("alias"));
        for (text, path) in [
            ("~/.ssh/id", "/home/u/.ssh/id"),
            ("%d/.ssh/%r@%h:%p", "/home/u/.ssh/deploy@h.example:2222"),
            ("/keys/%n-%u", "/keys/alias-me"),
            ("/100%%/%x", "/100%/%x"),
            ("/plain", "/plain"),
            ("/end%", "/end%"),
        ] {
            assert_eq!(config.path(text, &named, &asked), PathBuf::from(path), "{text}");
        }
    }
}
