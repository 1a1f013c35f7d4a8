//! `--check` and `--version`: what the action asks the launcher before it trusts it.

use claude_secrets_launcher::interface;

use crate::site::Site;
use crate::support::service_image;

fn check(site: &Site, user: &str, files: &[&str]) -> (i32, String) {
    let entry = format!("--entrypoint={}", interface::PATH);
    let ran = site.run(&[&entry, "--user", user], &service_image(), &[&["--check"], files].concat());
    assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    (ran.status, String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn the_check_names_what_the_user_cannot_read_and_shows_no_value() {
    let site = Site::new()
        .file("open", "canary")
        .roots_file("closed", "canary")
        .roots_file("other", "canary")
        .variable("OPEN", "open")
        .variable("CLOSED", "closed")
        .argument("MISSING", "missing");
    let missing = "cannot read /run/secrets/missing for MISSING: no such file (the program runs as uid 0)\n";
    assert_eq!(check(&site, "0", &["/run/secrets/other"]), (1, missing.to_owned()));
    let (status, said) = check(&site, "999", &["/run/secrets/other"]);
    assert_eq!(status, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "cannot read /run/secrets/closed for CLOSED: permission denied (the program runs as uid 999)",
            "cannot read /run/secrets/missing for MISSING: no such file (the program runs as uid 999)",
            "cannot read /run/secrets/other: permission denied (the program runs as uid 999)",
        ]
    );
}

#[test]
fn the_check_is_silent_when_all_is_well() {
    let site = Site::new().file("a", "canary").variable("A", "a").argument("B", "a");
    assert_eq!(check(&site, "999", &["/run/secrets/a"]), (0, String::new()));
}

/// A service whose launcher speaks another version of the interface is to be started anew; another release alone is no
/// reason.
#[test]
fn the_launcher_of_the_image_speaks_this_interface() {
    let entry = format!("--entrypoint={}", interface::PATH);
    let ran = Site::new().run(&[&entry], &service_image(), &["--version"]);
    let wanted = format!("claude-secrets-exec interface 1 release {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ran.status, String::from_utf8(ran.stdout).unwrap()), (0, wanted));
    assert_eq!(interface::VERSION, "1");
}
