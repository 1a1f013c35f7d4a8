//! The stand-in for Azure as a peer: an HTTP proxy that ends here, behind which vaults and logins have their real names.
//! Microsoft's own client judges it (check.py, run by tests/azure.rs).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Peer, free_address, program, wire};

/// The tenant that has the vaults.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// Another tenant that knows the same applications.
pub const OTHER_TENANT: &str = "99999999-2222-3333-4444-555555555555";
/// An application: with a secret, a certificate, and a federated credential for each of [`SUBJECTS`].
pub const CLIENT: &str = "aaaaaaaa-0000-0000-0000-000000000001";
/// An application whose secret has expired.
pub const EXPIRED_CLIENT: &str = "aaaaaaaa-0000-0000-0000-000000000002";
/// An application that is disabled.
pub const DISABLED_CLIENT: &str = "aaaaaaaa-0000-0000-0000-000000000003";
/// The secret of an application.
pub const SECRET: &str = "the-client-secret";
/// The workflow that the application trusts, by its subject in the two forms that GitHub writes (docs.github.com, "OpenID
/// Connect reference", "Immutable subject claims").
pub const SUBJECTS: [&str; 2] = [
    "repo:octo-org/octo-repo:environment:production",
    "repo:octo-org@65/octo-repo@74:environment:production",
];
/// What the runner's endpoint of identity tokens wants to see.
const RUNNER_TOKEN: &str = "the-runner-token";

/// A running stand-in.
pub struct Azure {
    peer: Peer,
}

impl Azure {
    /// Starts one, without vaults.
    pub fn start() -> Self {
        let (address, directory) = (free_address(), tempfile::tempdir().unwrap());
        let mut command = python("standin.py");
        command.arg(address.port().to_string()).arg(directory.path());
        Self { peer: Peer::start(command, address, directory) }
    }

    /// Starts one with a vault `kv-tests`.
    pub fn with_vault() -> Self {
        let azure = Self::start();
        azure.tell("vault", &json!({ "name": "kv-tests" }));
        azure
    }

    /// Tells it something (control.py), and returns what it says to that.
    pub fn tell(&self, what: &str, given: &Value) -> Value {
        let body = given.to_string();
        let message = format!(
            "POST /control/{what} HTTP/1.1\r\nHost: stand-in\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, body) = wire::ask(self.peer.address, &message);
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{what} {given}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Stores a secret in the vault `kv-tests`, and returns its version.
    pub fn put(&self, name: &str, value: &str) -> String {
        self.put_with(name, value, &json!({}))
    }

    /// As [`Azure::put`], with attributes such as `exp`.
    pub fn put_with(&self, name: &str, value: &str, attributes: &Value) -> String {
        let given = json!({ "vault": "kv-tests", "name": name, "value": value, "attributes": attributes });
        self.tell("put", &given)["version"].as_str().unwrap().to_owned()
    }

    /// The versions of a secret in the vault `kv-tests`, the oldest first.
    pub fn versions(&self, name: &str) -> Vec<String> {
        let told = self.tell("versions", &json!({ "vault": "kv-tests", "name": name }));
        told["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version.as_str().unwrap().to_owned())
            .collect()
    }

    /// The requests of a session so far: `login` or `vault`, and the path.
    pub fn requests(&self, session: &str) -> Vec<(String, String)> {
        let log = self.tell("log", &json!({ "name": session }));
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
        log["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(entry, "kind"), text(entry, "path")))
            .collect()
    }

    /// The variables by which a client gets there, as a session.
    pub fn route(&self, session: &str) -> Vec<(String, String)> {
        let proxy = format!("http://{session}:x@{}", self.peer.address);
        let authority = self.file("ca.pem").display().to_string();
        vec![("HTTPS_PROXY".to_owned(), proxy), ("INPUT_CA-CERTIFICATES".to_owned(), authority)]
    }

    /// The variables by which a job may ask for identity tokens. `claims` is added to the address, and changes what they
    /// say: `subject=…`.
    pub fn job(&self, claims: &str) -> Vec<(String, String)> {
        let url = format!("http://{}/identity-token?api-version=2.0{claims}", self.peer.address);
        [("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER_TOKEN)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// The variable that says where the machine's metadata service is.
    pub fn machine(&self) -> (String, String) {
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST".to_owned(), format!("http://{}", self.peer.address))
    }

    /// A file that it wrote: `ca.pem`, the authority of its certificates, or `application.pem`, the certificate and key of
    /// the application.
    pub fn file(&self, name: &str) -> PathBuf {
        self.peer.directory.path().join(name)
    }

    /// Microsoft's client, which checks it: to be run.
    pub fn judge(&self) -> Command {
        let mut command = python("check.py");
        command.arg(self.peer.address.port().to_string()).arg(self.peer.directory.path());
        command.env("HTTPS_PROXY", format!("http://{}", self.peer.address));
        command.env("REQUESTS_CA_BUNDLE", self.file("ca.pem"));
        command
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(program("CLAUDE_SECRETS_AZURE_PYTHON"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/peers/azure").join(script));
    // Nothing is written into the work tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("NO_PROXY").env_remove("no_proxy");
    command
}
