//! What can be wrong about the action's own container, started as the runner starts it.

use crate::case::CANARY;
use crate::forms::{Scanner, heard};
use crate::support::engine::Engine;
use crate::support::project::Workspace;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.compose("services:\n  web:\n    image: IMAGE\n    command: SLEEP\n    environment: { KEY: }\n");
    workspace
}

/// Masking means to print each value once: not where the engine ships that off the machine.
#[test]
fn nothing_is_masked_where_the_log_leaves_the_machine() {
    let workspace = project();
    let ran = workspace
        .deploy("file")
        .input("secrets", "KEY")
        .env("KEY", CANARY)
        .option("--log-driver=syslog")
        .option("--log-opt=syslog-address=udp://127.0.0.1:5514")
        .fail(2, "unsafe-log-driver");
    assert!(heard(&ran.bytes).masks.is_empty(), "a mask would be the leak");
    Scanner::new([("KEY", CANARY.as_bytes())]).assert_clean("the log", &ran.bytes);
    assert!(ran.log.contains("syslog") && ran.log.contains("daemon.json"), "{}", ran.log);
    assert!(workspace.containers().is_empty() && workspace.read("docker-compose.secrets.yml").is_none());
}

/// A workspace that is in no mount of the container: the engine would make an empty directory of its own.
#[test]
fn a_workspace_that_the_host_does_not_have_is_refused() {
    let workspace = project();
    let file = workspace.path().join("docker-compose.yml");
    let mount = format!("-v={}:/elsewhere/docker-compose.yml:ro", file.display());
    let ran = workspace
        .deploy("file")
        .input("secrets", "KEY")
        .input("project-directory", "/elsewhere")
        .env("KEY", CANARY)
        .option(&mount)
        .fail(5, "workspace-not-on-host");
    assert!(ran.log.contains("/elsewhere"), "{}", ran.log);
    Scanner::new([("KEY", CANARY.as_bytes())]).assert_clean("the log", &heard(&ran.bytes).rest);
    assert!(workspace.containers().is_empty());
    assert!(!std::path::Path::new("/elsewhere").exists());
}

/// One annotation, on the one stream, for a run that fails.
#[test]
fn a_failed_run_has_one_error_annotation() {
    let workspace = project();
    for (secrets, status, code) in
        [("KEY\nOTHER", 3, "secrets-missing"), ("MY-KEY", 2, "secret-name-invalid")]
    {
        let ran = workspace.deploy("file").input("secrets", secrets).env("KEY", CANARY).fail(status, code);
        let errors = heard(&ran.bytes).commands.iter().filter(|command| *command == "error").count();
        assert_eq!(errors, 1, "{}", ran.log);
    }
    Engine::shared().remove_project(&workspace.project);
}
