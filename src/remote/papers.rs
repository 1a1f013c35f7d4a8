//! What a login to another machine needs, from inputs and variables.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::ssh::{self, Identity, Known, Login, OwnKey};
use super::ssh_config::{Entry, SshConfig};
use super::tls::Papers;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};
use crate::secret::SecretValue;
use crate::settings::Server;
use crate::settings::Settings;
use crate::sources::net;

/// The variables that hold a secret, or name the file of one: masked, and in no child.
pub const SECRET_VARIABLES: &[&str] =
    &["SSH_PRIVATE_KEY", "SSH_PRIVATE_KEY_FILE", "SSH_KEY_PASSPHRASE", "DOCKER_TLS_KEY"];

/// The keys that OpenSSH's client looks for by itself.
const KEY_FILES: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// What a store has for a login.
pub enum Credential {
    /// The private key, for `ssh-key`.
    Key(SecretValue),
    /// A key of this run and its certificate, for `ssh-sign`: the certificate, and the reference of who signed it.
    Certificate(Box<OwnKey>, String, String),
}

/// A server to log in to, and the keys that the person's `~/.ssh/config` names for it.
struct Hop {
    server: Server,
    keys: Vec<PathBuf>,
}

/// The way to the engine's machine.
struct Way {
    /// The servers, that of the engine last.
    hops: Vec<Hop>,
    /// Files with servers' keys, on the command line.
    known_hosts: Vec<PathBuf>,
}

/// What a session by SSH needs. On the command line the user's own key, agent, `known_hosts` and `~/.ssh/config` count as
/// well. `credential` is what a store has for it.
pub(super) async fn ssh(
    settings: &Settings,
    server: &Server,
    credential: Option<Credential>,
) -> Result<Login> {
    let engine = &settings.engine;
    let way = way(settings, server).await?;
    let mut known = Known::default();
    if let Some(text) = &engine.known_hosts {
        known.add_lines("ssh-known-hosts", &known_hosts(text, &settings.workspace)?)?;
    }
    if let Some(text) = &engine.fingerprint {
        known.add_fingerprints("ssh-fingerprint", text)?;
    }
    if known.is_empty() {
        let own: Vec<String> = way.known_hosts.iter().filter_map(|path| text_of(path)).collect();
        if own.is_empty() {
            return Err(nobody_known(server));
        }
        // What a person's own file has besides is none of our business.
        own.iter().flat_map(|text| text.lines()).for_each(|line| drop(known.add_lines("known_hosts", line)));
    }
    let given = given(settings, credential)?;
    let of_hop = |hop: Hop| -> Result<(Server, Identity)> {
        let identity = match &given {
            Some(identity) => identity.clone(),
            None => own(settings, &hop.keys)?,
        };
        Ok((hop.server, identity))
    };
    let mut hops = way.hops.into_iter().map(of_hop).collect::<Result<Vec<_>>>()?;
    let (server, identity) = hops.pop().ok_or_else(no_key)?;
    Ok(Login { server, identity, jumps: hops, known, limit: settings.timeout })
}

/// The users of all servers that a session logs in to.
pub(super) async fn users(settings: &Settings, server: &Server) -> Result<Vec<String>> {
    let way = way(settings, server).await?;
    Ok(way.hops.into_iter().filter_map(|hop| hop.server.user).collect())
}

async fn way(settings: &Settings, server: &Server) -> Result<Way> {
    let home = settings.variables.path("HOME").filter(|_| !settings.platform.actions);
    let given = &settings.engine.jumps;
    let (mut hops, mut files) = (Vec::new(), Vec::new());
    let mut add = |entry: Entry| {
        files.extend(entry.known_hosts);
        hops.push(Hop { server: entry.server, keys: entry.keys });
    };
    if let Some(config) = SshConfig::of(settings) {
        let last = config.of_server(server).await?;
        if given.is_empty() {
            config.way_to(&last).await?.into_iter().for_each(&mut add);
        }
        for jump in given {
            add(config.of_server(jump).await?);
        }
        add(last);
    } else {
        files.extend(home.map(|home| home.join(".ssh/known_hosts")));
        let all = given.iter().chain([server]).cloned();
        hops.extend(all.map(|server| Hop { server, keys: Vec::new() }));
    }
    let user = settings.variables.text("USER").filter(|_| !settings.platform.actions);
    for hop in &mut hops {
        hop.server.user = hop.server.user.take().or_else(|| user.map(str::to_owned));
        if hop.server.user.is_none() {
            return Err(Error::new(
                Code::Usage,
                format!("docker-host: there is no user in ssh://{}", hop.server),
            )
            .help(format!("Write `ssh://deploy@{}`.", hop.server.host)));
        }
    }
    Ok(Way { hops, known_hosts: files })
}

/// Who logs in, where that is said: by an input or a variable.
fn given(settings: &Settings, credential: Option<Credential>) -> Result<Option<Identity>> {
    let variables = &settings.variables;
    let passphrase = variables.value("SSH_KEY_PASSPHRASE");
    match credential {
        Some(Credential::Key(key)) => {
            return ssh::read(&key, "the secret of `ssh-key`", passphrase).map(Some);
        }
        Some(Credential::Certificate(key, text, by)) => return key.certified(&text, &by).map(Some),
        None => {}
    }
    if let Some(key) = variables.value("SSH_PRIVATE_KEY") {
        return ssh::read(key, "SSH_PRIVATE_KEY", passphrase).map(Some);
    }
    if let Some(path) = variables.path("SSH_PRIVATE_KEY_FILE") {
        return ssh::read_file(&settings.workspace.join(path), "SSH_PRIVATE_KEY_FILE", passphrase).map(Some);
    }
    Ok(None)
}

/// A person's own key: the one that `~/.ssh/config` names for the server, else the agent's, else the usual ones.
fn own(settings: &Settings, keys: &[PathBuf]) -> Result<Identity> {
    let variables = &settings.variables;
    let passphrase = variables.value("SSH_KEY_PASSPHRASE");
    let home = variables.path("HOME").filter(|_| !settings.platform.actions).ok_or_else(no_key)?;
    let agent = variables.path("SSH_AUTH_SOCK");
    let read = |path: &PathBuf| ssh::read_file(path, &path.display().to_string(), passphrase);
    if let Some(path) = keys.iter().find(|path| path.is_file()) {
        return match (read(path), agent) {
            // The agent may have it, opened.
            (Err(error), Some(socket)) if passphrase.is_none() && error.fact.contains("is encrypted") => {
                Ok(Identity::Agent(socket))
            }
            (read, _) => read,
        };
    }
    if let Some(socket) = agent {
        return Ok(Identity::Agent(socket));
    }
    let usual = KEY_FILES.iter().map(|name| home.join(".ssh").join(name)).find(|path| path.is_file());
    usual.as_ref().map_or_else(|| Err(no_key()), read)
}

fn no_key() -> Error {
    Error::new(Code::SshKeyInvalid, "docker-host: there is no key to log in with")
        .help("Give the private key as a secret under the step's `env:`: `SSH_PRIVATE_KEY: ${{ secrets.SSH_PRIVATE_KEY }}`.")
        .help("An unset secret arrives empty: is it one of this repository, or of the job's `environment:`?")
}

/// Lines of `known_hosts`: the text itself, or the file of the workspace that it names.
fn known_hosts(text: &str, workspace: &Path) -> Result<String> {
    if text.trim().contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    let path = workspace.join(text.trim());
    let contents = files::read(&path, LARGEST_SETTINGS).map_err(|error| {
        Error::io(Code::Usage, "read the file that ssh-known-hosts names,", &path, &error)
            .help("Give the lines themselves (`ssh-keyscan HOST`, once they have been compared), or a file of the workspace.")
    })?;
    Ok(String::from_utf8_lossy(contents.value.expose()).into_owned())
}

fn nobody_known(server: &Server) -> Error {
    Error::new(Code::Usage, "docker-host: nothing says which key the server has, so that any machine could pass for it")
        .help("Give `ssh-known-hosts` (lines of known_hosts) or `ssh-fingerprint` (`SHA256:…`).")
        .help(format!(
            "`ssh-keyscan -p {} {}` prints the lines. Compare them on the server: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`",
            server.port(),
            server.host
        ))
}

/// What TLS needs: `docker-tls-ca`, `DOCKER_TLS_CERT` and `DOCKER_TLS_KEY`, else the files of `DOCKER_CERT_PATH`.
pub(super) fn tls(settings: &Settings) -> Result<Papers> {
    let variables = &settings.variables;
    let directory = variables.path("DOCKER_CERT_PATH");
    let file = |name: &str| Some(Cow::Owned(directory.as_ref()?.join(name).display().to_string()));
    let read = |text: Option<Cow<str>>, name: &str| {
        match text {
        Some(text) => net::pem(&text, &settings.workspace, name),
        None => Err(Error::new(Code::Usage, format!("docker-host: TLS needs {name}, which is not given")).help(
            "Give `docker-tls-ca`, and DOCKER_TLS_CERT and DOCKER_TLS_KEY under the step's `env:`; or DOCKER_CERT_PATH, a directory \
             with ca.pem, cert.pem and key.pem.",
        )),
    }
    };
    let text = |name: &str| variables.text(name).map(Cow::Borrowed);
    Ok(Papers {
        authorities: read(
            settings.engine.tls_ca.as_deref().map(Cow::Borrowed).or_else(|| file("ca.pem")),
            "`docker-tls-ca`",
        )?,
        certificate: read(text("DOCKER_TLS_CERT").or_else(|| file("cert.pem")), "DOCKER_TLS_CERT")?,
        key: SecretValue::new(read(text("DOCKER_TLS_KEY").or_else(|| file("key.pem")), "DOCKER_TLS_KEY")?),
    })
}

fn text_of(path: &Path) -> Option<String> {
    let contents = files::read(path, LARGEST_SETTINGS).ok()?;
    Some(String::from_utf8_lossy(contents.value.expose()).into_owned())
}
