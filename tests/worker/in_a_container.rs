//! The commands in containers, with secrets mounted as this action mounts them.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::support::engine::{Done, Engine};
use crate::support::{action_image, service_image};

fn secrets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("api_key", 0o444), ("db-password", 0o444), ("closed", 0o400)] {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("value of {name}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// In the action's image, which has nothing but our programs.
fn alone(secrets: &TempDir, options: &[&str], words: &[&str]) -> Done {
    let mount = format!("--volume={}:/run/secrets:ro", secrets.path().display());
    let fixed = ["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", &mount];
    Engine::shared().run(&[&fixed[..], options, &[&action_image()], words].concat())
}

#[test]
fn get_and_validate_need_nothing_but_the_program() {
    let secrets = secrets();
    let got = alone(&secrets, &["--user=10001"], &["get", "API_KEY"]);
    assert_eq!(got.stdout, b"value of api_key\n", "{}", got.stderr);
    let seen = alone(&secrets, &["--user=10001"], &["validate", "--worker"]);
    assert!(!seen.success);
    assert_eq!(seen.stdout, b"API_KEY\t/run/secrets/api_key\t17 bytes, 2 lines\n", "{}", seen.stderr);
    let said =
        "cannot read /run/secrets/closed for CLOSED: permission denied (this process runs as uid 10001)";
    assert!(seen.stderr.contains(said), "{}", seen.stderr);
    assert!(!seen.stderr.contains("value of"), "{}", seen.stderr);
    let seen = alone(&secrets, &["--user=10001"], &["validate", "--worker", "API_KEY"]);
    assert!(seen.success, "{}", seen.stderr);
}

/// The program is one file: it works in an image that does not know it.
#[test]
fn exec_sets_everything_that_is_mounted() {
    let (secrets, parts) = (secrets(), tempfile::tempdir().unwrap());
    let engine = Engine::shared();
    let program = parts.path().join("claude-secrets");
    let container = engine.text(&["create", &action_image()]);
    let from = format!("{container}:/usr/local/bin/claude-secrets");
    engine.text(&["cp", &from, program.to_str().unwrap()]);
    engine.text(&["rm", &container]);
    let mount = format!("--volume={}:/run/secrets:ro", secrets.path().display());
    let own = format!("--volume={}:/claude-secrets:ro", program.display());
    let script =
        r#"printf '%s|' "$$" "$API_KEY" "$CLOSED" "$PW" "${PW_FILE-none}" "$TLS_FILE" "${TLS-none}""#;
    let words = ["run", "--rm", "--network=none", &mount, &own, "--entrypoint=/claude-secrets"];
    let variables = ["--env=PW_FILE=/run/secrets/db-password", "--env=TLS_FILE=/etc/hostname"];
    let image = service_image();
    let command = [image.as_str(), "exec", "--", "sh", "-c", script];
    let done = engine.run(&[&words[..], &variables, &command].concat());
    let text = String::from_utf8(done.stdout).unwrap();
    let wanted = "1|value of api_key\n|value of closed\n|value of db-password\n|none|/etc/hostname|none|";
    assert_eq!(text, wanted, "{}", done.stderr);
}
