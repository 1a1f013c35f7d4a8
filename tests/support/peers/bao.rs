//! A real `OpenBao` server: in development mode, which keeps everything in memory, or as it comes, uninitialised.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::authority::Authority;
use super::{Peer, free_address, program, wire};

/// The root token of a server in development mode.
pub const ROOT: &str = "canary-root-token";

/// A running server. It stops when it is dropped.
pub struct Bao {
    peer: Peer,
    /// Where it speaks TLS.
    tls: Option<SocketAddr>,
}

/// An answer: its status, and its JSON.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; null when there is none.
    pub json: Value,
}

impl Bao {
    /// A server in development mode: unsealed, with a key/value engine of version 2 at `secret/`.
    pub fn start() -> Self {
        Self::in_development(None, false)
    }

    /// As [`Bao::start`], and it speaks TLS as well: with a certificate of this authority for `localhost` and 127.0.0.1,
    /// and it takes clients' certificates of that authority.
    pub fn start_tls(authority: &Authority) -> Self {
        Self::in_development(Some(authority), false)
    }

    /// As [`Bao::start_tls`], and with TLS it takes no client without a certificate.
    pub fn start_mutual_tls(authority: &Authority) -> Self {
        Self::in_development(Some(authority), true)
    }

    fn in_development(authority: Option<&Authority>, demanding: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = Command::new(program("CLAUDE_SECRETS_BAO"));
        command.args(["server", "-dev", "-dev-no-store-token"]);
        command.arg(format!("-dev-root-token-id={ROOT}")).arg(format!("-dev-listen-address={address}"));
        command.env("HOME", directory.path());
        let tls = authority.map(|authority| {
            let tls = free_address();
            let issued = authority.issue(&["localhost", "127.0.0.1"]);
            let file = |name: &str, text: &str| {
                let path = directory.path().join(name);
                std::fs::write(&path, text).unwrap();
                path.display().to_string()
            };
            let mut listener = format!(
                "listener \"tcp\" {{\n  address = \"{tls}\"\n  tls_require_and_verify_client_cert = {demanding}\n"
            );
            for (key, path) in [
                ("tls_cert_file", file("server.pem", &issued.certificate)),
                ("tls_key_file", file("server.key", &issued.key)),
                ("tls_client_ca_file", file("ca.pem", authority.pem())),
            ] {
                let _ = writeln!(listener, "  {key} = \"{path}\"");
            }
            command.arg(format!("-config={}", file("tls.hcl", &(listener + "}\n"))));
            tls
        });
        let bao = Self { peer: Peer::start(command, address, directory), tls };
        bao.wait_for(200);
        // The engine at `secret/` is made ready after the server is.
        bao.wait_until("secret/ is ready", || bao.ask("GET", "secret/config", &Value::Null).status == 200);
        bao
    }

    /// A server as it comes: nobody has initialised it.
    pub fn start_uninitialised() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (address, cluster) = (free_address(), free_address());
        let config = format!(
            "storage \"raft\" {{\n  path = \"{0}\"\n  node_id = \"one\"\n}}\n\
             listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://{address}\"\ncluster_addr = \"http://{cluster}\"\n",
            directory.path().display()
        );
        let file = directory.path().join("bao.hcl");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program("CLAUDE_SECRETS_BAO"));
        command.arg("server").arg(format!("-config={}", file.display())).env("HOME", directory.path());
        let bao = Self { peer: Peer::start(command, address, directory), tls: None };
        bao.wait_for(501);
        bao
    }

    /// Where it listens, plainly.
    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    /// Its address as a URL, with TLS.
    pub fn tls_url(&self) -> String {
        format!("https://localhost:{}", self.tls.expect("a server with TLS").port())
    }

    /// Asks as root, and takes any answer. A body that is null is none.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask_with(method, path, body, &[("X-Vault-Token", ROOT)])
    }

    /// Asks with these headers.
    pub fn ask_with(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut head = format!("{method} /v1/{path} HTTP/1.1\r\nHost: bao\r\nConnection: close\r\n");
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n{body}", body.len());
        let address = (Ipv4Addr::LOCALHOST, self.peer.address.port());
        let (status, body) = wire::ask(address.into(), &head);
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Reply { status, json }
    }

    /// Asks as root for something that must succeed, and returns its JSON.
    pub fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.ask(method, path, body);
        assert!((200..300).contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.json);
        reply.json
    }

    /// Writes a new version of an item at `secret/`.
    pub fn put(&self, item: &str, data: &Value) {
        self.must("POST", &format!("secret/data/{item}"), &json!({ "data": data }));
    }

    /// Mounts an engine. `options` are `{"version": "2"}` and the like.
    pub fn mount(&self, path: &str, kind: &str, options: &Value) {
        self.must("POST", &format!("sys/mounts/{path}"), &json!({ "type": kind, "options": options }));
        if options["version"] == "2" {
            let ready = || self.ask("GET", &format!("{path}/config"), &Value::Null).status == 200;
            self.wait_until("the mount is ready", ready);
        }
    }

    /// Writes a policy: paths with one capability each.
    pub fn policy(&self, name: &str, rules: &[(&str, &str)]) {
        let mut text = String::new();
        for (path, capability) in rules {
            let _ = writeln!(text, "path \"{path}\" {{ capabilities = [\"{capability}\"] }}");
        }
        self.must("PUT", &format!("sys/policies/acl/{name}"), &json!({ "policy": text }));
    }

    /// Makes a token. `with` is what `auth/token/create` takes.
    pub fn token(&self, with: &Value) -> String {
        let made = self.must("POST", "auth/token/create", with);
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Makes an `AppRole` (its mount must be there), and returns its id and a secret id.
    pub fn approle(&self, name: &str, with: &Value) -> (String, String) {
        let path = format!("auth/approle/role/{name}");
        self.must("POST", &path, with);
        let role = self.must("GET", &format!("{path}/role-id"), &Value::Null);
        let secret = self.must("POST", &format!("{path}/secret-id"), &json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&role["data"]["role_id"]), text(&secret["data"]["secret_id"]))
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        let listed = self.must("GET", "auth/token/accessors?list=true", &Value::Null);
        listed["data"]["keys"].as_array().map_or(0, Vec::len)
    }

    /// Seals it.
    pub fn seal(&self) {
        self.must("PUT", "sys/seal", &Value::Null);
    }

    fn wait_for(&self, health: u16) {
        self.wait_until("it is well", || self.ask("GET", "sys/health", &Value::Null).status == health);
    }

    fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: not yet\n{}", self.peer.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
