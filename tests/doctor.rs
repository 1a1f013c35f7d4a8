//! `doctor` tells on one screen what is here, asks no store, and prints no value, however nasty it is.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/forms.rs"]
mod forms;
#[path = "support/scene.rs"]
mod scene;

use std::net::TcpListener;
use std::process::Command;

use forms::Scanner;
use scene::{Scene, done};

const NASTY: &str = "s.canary-Zq7$value'of'\"a\"second%0A";

fn doctor(scene: &Scene, variables: &[(&str, &str)]) -> Command {
    let mut command = scene.cli(["doctor"]);
    command.envs(variables.iter().copied());
    command
}

#[test]
fn everything_is_told_on_one_screen() {
    let scene = Scene::new("doctor");
    scene.compose(
        "services:\n  web:\n    image: IMAGE\n    environment: { KEY: }\n  proxy: { image: '${FROM:-ghcr.io}/traefik:3', profiles: [x] }\n",
    );
    scene.write("claude-secrets.yml", "secrets: { KEY: }\n");
    scene.write(".env", "KEY=canary-in-env\n");
    let said = String::from_utf8(done(doctor(&scene, &[])).expect(0).stdout).unwrap();
    for told in [
        "claude-secrets",
        "API 1.",
        "this user may use it",
        "compose.yaml",
        "1 secret declared",
        ".env",
        "hosts",
        "docker.io, ghcr.io",
    ] {
        assert!(said.contains(told), "{told} in\n{said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(said.lines().count() <= 24, "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn stores_are_told_with_their_hosts_and_logins_and_none_is_asked() {
    let scene = Scene::new("doctor");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    scene.compose("services:\n  web:\n    image: IMAGE\n    environment: { KEY: }\n");
    scene.write(
        "claude-secrets.yml",
        format!(
            "sources: {{ vault: {{ addr: 'http://127.0.0.1:{port}', role: deploy }} }}\nsecrets: {{ KEY: }}\n"
        ),
    );
    let key_id = "AKIAIOSFODNN7CANARY0";
    let variables = [
        ("VAULT_TOKEN", NASTY),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", "canary/of+AWS/wJalrXUtnFEMI0123456789"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bot"),
        ("AZURE_KEYVAULT_URL", "https://example.vault.azure.net"),
        ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
        ("AZURE_TENANT_ID", "66666666-2222-3333-4444-555555555555"),
        ("AZURE_CLIENT_SECRET", "canary~of.azure-secret"),
        ("OP_CONNECT_HOST", "https://connect.example:8443"),
        ("OP_CONNECT_TOKEN", "canary-connect-token"),
        ("KEY", NASTY),
        ("HTTPS_PROXY", "http://user:canary-proxy-password@proxy.example:3128"),
    ];
    let done = done(doctor(&scene, &variables)).expect(0);
    let said = String::from_utf8(done.stdout).unwrap();
    for told in [
        &format!("127.0.0.1:{port}"),
        "a token, VAULT_TOKEN",
        "secretsmanager.eu-central-1.amazonaws.com:443",
        "sts.eu-central-1.amazonaws.com:443",
        "example.vault.azure.net:443",
        "login.microsoftonline.com:443",
        "connect.example:8443",
        "HTTPS_PROXY",
    ] {
        assert!(said.contains(told), "{told} in\n{said}");
    }
    assert!(listener.accept().is_err(), "the store was asked");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let values = variables.iter().filter(|(_, value)| value.contains("canary") || *value == key_id);
    let values: Vec<(&str, &[u8])> = values.map(|(name, value)| (*name, value.as_bytes())).collect();
    for stream in [said.as_bytes(), done.stderr.as_bytes()] {
        Scanner::new(values.iter().copied()).assert_clean("doctor", stream);
    }
    assert!(!said.contains("canary-proxy"), "{said}");
}

#[test]
fn what_is_wrong_is_told_in_its_row_and_the_rest_all_the_same() {
    let scene = Scene::new("doctor");
    scene.compose("services: { web: { image: IMAGE } }\n");
    scene.write("claude-secrets.yml", format!("secrets: {{ KEY: '{}' }}\n", "canary-in-manifest"));
    let socket = scene.beside("nothing.sock");
    let host = format!("unix://{}", socket.display());
    let said = String::from_utf8(done(doctor(&scene, &[("DOCKER_HOST", &host)])).expect(0).stdout).unwrap();
    assert!(said.contains("it is not there") && said.contains("it does not answer"), "{said}");
    assert!(said.contains("manifest-invalid") && said.contains("compose.yaml"), "{said}");
    scene.compose("services: { web: { image: 'IMAGE${TAG:?}' } }\n");
    let rejected = String::from_utf8(done(doctor(&scene, &[])).expect(0).stdout).unwrap();
    assert!(rejected.contains("unknown ones of the images"), "{rejected}");
    assert!(!said.contains("canary"), "{said}");
    let empty = Scene::new("doctor");
    let said = String::from_utf8(done(doctor(&empty, &[])).expect(0).stdout).unwrap();
    assert!(said.contains("compose-file-missing"), "{said}");
}
