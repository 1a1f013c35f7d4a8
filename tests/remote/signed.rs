//! A key that is made for the run alone, and signed by the SSH engine of a real `OpenBao`.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peers::bao::Bao;
use crate::scene::{Scene, done};
use crate::site::{KEY, OTHER, Remote};
use crate::support::tap::Tap;

const SIGNED: &str = "vault:ssh-client-signer/sign/deploy";

/// A server that trusts the authority of an SSH engine, and no key.
struct Signed {
    bao: Bao,
    remote: Remote,
    token: String,
}

impl Signed {
    fn new() -> Self {
        let bao = Bao::start();
        bao.mount("ssh-client-signer", "ssh", &Value::Null);
        let made = bao.must("POST", "ssh-client-signer/config/ca", &json!({ "generate_signing_key": true }));
        bao.policy("deploy", &[("ssh-client-signer/sign/deploy", "update")]);
        let scene = Scene::new("remote");
        let authority = scene.beside("authority.pub");
        std::fs::write(&authority, made["data"]["public_key"].as_str().unwrap()).unwrap();
        let remote = Remote::in_scene(scene, &format!("TrustedUserCAKeys {}", authority.display()), "");
        std::fs::remove_file(remote.sshd.path("authorized_keys")).unwrap();
        let token = bao.token(&json!({ "policies": ["deploy"], "ttl": "10m" }));
        let this = Self { bao, remote, token };
        this.role(&json!({}));
        this
    }

    /// The role, with this changed.
    fn role(&self, with: &Value) {
        let mut role = json!({
            "key_type": "ca", "allow_user_certificates": true, "allowed_users": "root,nobody", "ttl": "5m",
            "default_extensions": { "permit-port-forwarding": "" },
        });
        for (name, value) in with.as_object().unwrap() {
            role[name] = value.clone();
        }
        self.bao.must("POST", "ssh-client-signer/roles/deploy", &role);
    }

    fn call(&self, host: &str, signed: &str) -> Command {
        let known = self.remote.sshd.known_hosts("host");
        let mut command = self.remote.scene.cli([
            "validate",
            "--secrets",
            "KEY\nOTHER",
            "--docker-host",
            host,
            "--sources",
            "env",
        ]);
        command.args([
            "--ssh-fingerprint",
            &self.remote.sshd.fingerprint("host"),
            "--ssh-known-hosts",
            &known,
        ]);
        command.args(["--ssh-sign", signed, "--report-file", "report.json"]);
        command.env("KEY", KEY).env("OTHER", OTHER).env_remove("DOCKER_HOST");
        command.env("VAULT_ADDR", self.bao.url()).env("VAULT_TOKEN", &self.token);
        command
    }
}

#[test]
fn a_key_of_this_run_is_signed_and_logs_in() {
    let signed = Signed::new();
    let host = signed.remote.host("root");
    done(signed.call(&host, SIGNED)).expect(0);
    let log = signed.remote.sshd.text("log");
    assert_eq!(signed.remote.sshd.logins(), 1);
    assert!(log.contains("ED25519-CERT"), "{log}");
    // Connections are forwarded, also where the role gives that right only to who asks for it.
    signed.role(
        &json!({ "default_extensions": {}, "allowed_extensions": "permit-port-forwarding,permit-pty" }),
    );
    done(signed.call(&host, SIGNED)).expect(0);
    assert!(!signed.remote.sshd.text("log").contains("Starting session"), "{log}");
    // Else Docker's program there leads to the engine.
    signed.role(&json!({ "default_extensions": {}, "allowed_extensions": "permit-pty" }));
    done(signed.call(&host, SIGNED)).expect(0);
    assert!(signed.remote.sshd.text("log").contains("Starting session"));

    // A login to the store for this run is taken back.
    signed.bao.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    let (role, secret) = signed.bao.approle("deploy", &json!({ "token_policies": ["deploy"] }));
    let before = signed.bao.tokens();
    let mut command = signed.call(&host, SIGNED);
    command.env_remove("VAULT_TOKEN").env("VAULT_ROLE_ID", role).env("VAULT_SECRET_ID", secret);
    done(command).expect(0);
    assert_eq!((signed.bao.tokens(), signed.remote.sshd.logins()), (before, 4));
}

#[test]
fn whoever_does_not_sign_is_told_with_the_remedy() {
    let signed = Signed::new();
    let (host, fails) = (signed.remote.host("root"), |command, code: &str, said: &[&str]| {
        signed.remote.fails(command, code, said);
    });
    fails(
        signed.call(&host, "vault:ssh-client-signer/sign/other"),
        "source-denied",
        &[
            "is not allowed to update it",
            "path \"ssh-client-signer/sign/other\"",
            "capabilities = [\"update\"]",
        ],
    );
    fails(
        signed.call(&host, "vault:no-such-mount/sign/deploy"),
        "source-denied",
        &["nothing is mounted there, or the token of `VAULT_TOKEN` has no permission below it"],
    );
    signed.bao.policy("deploy", &[("ssh-client-signer/sign/*", "update")]);
    fails(
        signed.call(&host, "vault:ssh-client-signer/sign/other"),
        "source-denied",
        &["has no role `other`", "vault list ssh-client-signer/roles"],
    );
    fails(
        signed.call(&signed.remote.host("deploy"), SIGNED),
        "source-denied",
        &["signs no certificate for the user deploy", "allowed_users=deploy"],
    );
    signed.role(&json!({ "allow_user_certificates": false, "allow_host_certificates": true }));
    fails(
        signed.call(&host, SIGNED),
        "source-denied",
        &["does not sign a key of type ssh-ed25519", "allow_user_certificates=true"],
    );
    signed.role(&json!({}));
    fails(
        signed.call(&host, "vault:ssh-client-signer/roles/deploy"),
        "source-failed",
        &["no role that signs keys", "ssh-client-signer/sign/deploy"],
    );
    fails(signed.call(&host, "env:DEPLOY"), "source-failed", &["env signs no SSH keys"]);
    fails(signed.call(&host, "hunter2"), "reference-invalid", &["ssh-sign: the input is not a reference"]);
    fails(
        signed.call(&host, "vault:ssh-client-signer/sign/deploy#key"),
        "reference-invalid",
        &["without a field"],
    );
    let mut both = signed.call(&host, SIGNED);
    both.args(["--ssh-key", "env:KEY"]);
    fails(both, "usage", &["`ssh-key` and `ssh-sign` are both given"]);
    let mut nowhere = signed.call(&host, SIGNED);
    nowhere.env_remove("VAULT_ADDR");
    fails(nowhere, "source-unknown", &["`vault` is not configured", "VAULT_ADDR"]);
    assert_eq!(signed.remote.sshd.logins(), 0);
}

#[test]
fn a_certificate_that_the_server_refuses_is_told_with_its_times_and_its_authority() {
    let signed = Signed::new();
    let refused = "refuses the login";
    signed.remote.fails(
        signed.call(&signed.remote.host("nobody"), "vault:ssh-client-signer/sign/deploy"),
        "engine-unreachable",
        &["permission denied: nobody may not use"],
    );
    // It expires on the way.
    signed.role(&json!({ "ttl": "1s", "not_before_duration": "1s" }));
    let tap = Tap::before(signed.remote.sshd.port());
    tap.delay(Duration::from_secs(3));
    let host = format!("ssh://root@127.0.0.1:{}", tap.port());
    signed.remote.fails(
        signed.call(&host, SIGNED),
        "ssh-denied",
        &[refused, "was valid until", "Compare the clocks"],
    );
    // The server trusts another authority.
    signed.role(&json!({}));
    signed.bao.must("DELETE", "ssh-client-signer/config/ca", &Value::Null);
    signed.bao.must("POST", "ssh-client-signer/config/ca", &json!({ "generate_signing_key": true }));
    signed.remote.fails(
        signed.call(&signed.remote.host("root"), SIGNED),
        "ssh-denied",
        &[
            refused,
            "TrustedUserCAKeys",
            "vault read -field=public_key ssh-client-signer/config/ca",
            "signed by SHA256:",
        ],
    );
}
