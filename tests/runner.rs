//! The image, started as GitHub's runner starts it, on a real engine: each service reads exactly its secrets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use support::project::Workspace;

const DELIVERIES: [&str; 2] = ["file", "volume"];

/// Two secrets with bytes that are easily lost on the way.
const API_KEY: &str = "sk-ant-\u{fc}ml\u{e4}ut $HOME ${X} %0A 'q' \"q\" \\n `id` end ";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";

/// Checks that a service reads these secrets, byte for byte, and that nothing else is there.
fn assert_reads(workspace: &Workspace, service: &str, expected: &[(&str, &str)]) {
    let names: Vec<&str> = expected.iter().map(|(file, _)| *file).collect();
    assert_eq!(workspace.secret_files(service), names, "{service}");
    for (file, value) in expected {
        let read = workspace.secret(service, file);
        assert!(read.is_some(), "{service} cannot read {file}");
        assert!(read.as_deref() == Some(value.as_bytes()), "{service} reads other bytes in {file}");
    }
    let variables = workspace.variables(service);
    for (file, value) in expected {
        let name = file.to_uppercase();
        assert_eq!(variables.get(&name).map_or("", String::as_str), "", "{service}: {name}");
        assert_eq!(variables[&format!("{name}_FILE")], format!("/run/secrets/{file}"), "{service}");
        assert!(variables.values().all(|text| !text.contains(value)), "{service}");
    }
    let mode = if expected.is_empty() { None } else { Some("docker_secrets") };
    assert_eq!(variables.get("SECRETS_MODE").map(String::as_str), mode, "{service}");
}

#[test]
fn each_kind_of_service_reads_exactly_its_secrets() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        let image = format!("{}-user", workspace.project);
        workspace.engine.build(&image, "RUN echo app:x:1500:1600::/:/bin/sh >> /etc/passwd\nUSER app");
        workspace.compose(&format!(
            "
x-common: &common
  image: IMAGE
  command: SLEEP
services:
  as-root:
    <<: *common
    environment: {{ API_KEY: '${{API_KEY:?}}', TAG: v1 }}
  both:
    <<: *common
    environment: [ API_KEY, PEM=$PEM ]
  image-user:
    <<: *common
    image: {image}
    environment: [ API_KEY ]
  numeric-user:
    <<: *common
    user: '1234:4321'
    environment: [ PEM ]
  read-only:
    <<: *common
    read_only: true
    user: '77'
    environment: {{ API_KEY: }}
  capless-root:
    <<: *common
    cap_drop: [ ALL ]
    environment: {{ PEM: }}
  capless-user:
    <<: *common
    cap_drop: [ ALL ]
    user: '1234:4321'
    environment: {{ API_KEY: }}
  nothing:
    <<: *common
    environment: {{ TAG: v1 }}
"
        ));
        let ran = workspace
            .deploy(delivery)
            .input("secrets", "API_KEY\nPEM\n")
            .env("API_KEY", API_KEY)
            .env("PEM", PEM)
            .succeed();
        assert_eq!(ran.output("result"), "deployed");
        let (key, pem) = (("api_key", API_KEY), ("pem", PEM));
        assert_reads(&workspace, "as-root", &[key]);
        assert_reads(&workspace, "both", &[key, pem]);
        assert_reads(&workspace, "image-user", &[key]);
        assert_reads(&workspace, "numeric-user", &[pem]);
        assert_reads(&workspace, "read-only", &[key]);
        assert_reads(&workspace, "capless-root", &[pem]);
        assert_reads(&workspace, "capless-user", &[key]);
        assert_reads(&workspace, "nothing", &[]);
        assert_eq!(workspace.variables("as-root")["TAG"], "v1");
        assert!(workspace.own_containers().is_empty());
    }
}
