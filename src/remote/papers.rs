//! What a login to another machine needs, from inputs and variables.

use std::borrow::Cow;
use std::path::Path;

use super::address::Server;
use super::ssh::{self, Identity, Known, Login};
use super::tls::Papers;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};
use crate::secret::SecretValue;
use crate::settings::Settings;
use crate::sources::net;

/// The variables that hold a secret, or name the file of one: masked, and in no child.
pub const SECRET_VARIABLES: &[&str] =
    &["SSH_PRIVATE_KEY", "SSH_PRIVATE_KEY_FILE", "SSH_KEY_PASSPHRASE", "DOCKER_TLS_KEY"];

/// The keys that OpenSSH's client looks for by itself.
const KEY_FILES: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// What a session by SSH needs. On the command line the user's own key, agent and `known_hosts` count as well.
/// `key` is what a store has for `ssh-key`.
pub(super) fn ssh(settings: &Settings, server: &Server, key: Option<&SecretValue>) -> Result<Login> {
    let of_person = !settings.platform.actions;
    let engine = &settings.engine;
    let mut known = Known::default();
    if let Some(text) = &engine.known_hosts {
        known.add_lines("ssh-known-hosts", &known_hosts(text, &settings.workspace)?)?;
    }
    if let Some(text) = &engine.fingerprint {
        known.add_fingerprints("ssh-fingerprint", text)?;
    }
    let home = settings.variables.path("HOME").filter(|_| of_person).map(|home| home.join(".ssh"));
    if known.is_empty() {
        let own = home.as_ref().and_then(|home| text_of(&home.join("known_hosts")));
        match own {
            // What a person's own file has besides is none of our business.
            Some(text) => text.lines().for_each(|line| drop(known.add_lines("known_hosts", line))),
            None => return Err(nobody_known(server)),
        }
    }
    let identity = identity(settings, home.as_deref(), key)?;
    let user = settings.variables.text("USER").filter(|_| of_person);
    let named = |server: &Server| match server.user.clone().or_else(|| user.map(str::to_owned)) {
        Some(user) => Ok(Server { user: Some(user), ..server.clone() }),
        None => Err(Error::new(Code::Usage, format!("docker-host: there is no user in ssh://{server}"))
            .hint(format!("Write `ssh://deploy@{}`.", server.host))),
    };
    let jumps = engine.jumps.iter().map(named).collect::<Result<_>>()?;
    Ok(Login { server: named(server)?, jumps, identity, known, limit: settings.timeout })
}

fn identity(settings: &Settings, home: Option<&Path>, key: Option<&SecretValue>) -> Result<Identity> {
    let variables = &settings.variables;
    let passphrase = variables.value("SSH_KEY_PASSPHRASE");
    if let Some(key) = key {
        return ssh::read(key, "the secret of `ssh-key`", passphrase);
    }
    if let Some(key) = variables.value("SSH_PRIVATE_KEY") {
        return ssh::read(key, "SSH_PRIVATE_KEY", passphrase);
    }
    if let Some(path) = variables.path("SSH_PRIVATE_KEY_FILE") {
        return ssh::read_file(&settings.workspace.join(path), "SSH_PRIVATE_KEY_FILE", passphrase);
    }
    if let Some(home) = home {
        if let Some(socket) = variables.path("SSH_AUTH_SOCK") {
            return Ok(Identity::Agent(socket));
        }
        let file = KEY_FILES.iter().map(|name| home.join(name)).find(|path| path.is_file());
        if let Some(path) = file {
            return ssh::read_file(&path, &path.display().to_string(), passphrase);
        }
    }
    Err(Error::new(Code::SshKeyInvalid, "docker-host: there is no key to log in with")
        .hint("Give the private key as a secret under the step's `env:`: `SSH_PRIVATE_KEY: ${{ secrets.SSH_PRIVATE_KEY }}`.")
        .hint("An unset secret arrives empty: is it one of this repository, or of the job's `environment:`?"))
}

/// Lines of `known_hosts`: the text itself, or the file of the workspace that it names.
fn known_hosts(text: &str, workspace: &Path) -> Result<String> {
    if text.trim().contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    let path = workspace.join(text.trim());
    let contents = files::read(&path, LARGEST_SETTINGS).map_err(|error| {
        Error::io(Code::Usage, "read the file that ssh-known-hosts names,", &path, &error)
            .hint("Give the lines themselves (`ssh-keyscan HOST`, once they have been compared), or a file of the workspace.")
    })?;
    Ok(String::from_utf8_lossy(contents.value.expose()).into_owned())
}

fn nobody_known(server: &Server) -> Error {
    Error::new(Code::Usage, "docker-host: nothing says which key the server has, so that any machine could pass for it")
        .hint("Give `ssh-known-hosts` (lines of known_hosts) or `ssh-fingerprint` (`SHA256:…`).")
        .hint(format!(
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
        None => Err(Error::new(Code::Usage, format!("docker-host: TLS needs {name}, which is not given")).hint(
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
