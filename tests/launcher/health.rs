//! Health checks behind the launcher have the variables, in the form of a command and of a shell's line.

use crate::site::{Image, Site};
use crate::support::engine::Engine;
use crate::support::{service_image, small_image, wait_until};

const HEALTH: &str = "HEALTHCHECK --interval=300ms --timeout=10s --retries=2 CMD";
const CHECK: &str = "[\"/probe\", \"has\", \"PW\", \"/run/secrets/pw\"]";
const WRAPPED: &str =
    "[\"/run/claude-secrets/exec\", \"--\", \"/probe\", \"has\", \"PW\", \"/run/secrets/pw\"]";
const WRAPPED_SHELL: &str = "[\"/run/claude-secrets/exec\", \"--\", \"/bin/sh\", \"-c\", \"/probe has PW /run/secrets/pw && test \\\"$PW\\\" = 'value of pw'\"]";

fn health_of(base: &str, check: &str, options: &[&str]) -> String {
    let engine = Engine::shared();
    let site = Site::new().file("pw", "value of pw").variable("PW", "pw");
    let image = Image::of(&format!("FROM {base}\n{HEALTH} {check}\n"));
    let container = site.start(options, &image.0, &["/probe", "serve"]);
    let mut health = String::new();
    wait_until("the engine has a verdict", 30, || {
        let state = engine.inspect(&container)["State"]["Health"].clone();
        assert!(!state.to_string().contains("value of pw"), "{state}");
        state["Status"].as_str().unwrap().clone_into(&mut health);
        health != "starting"
    });
    engine.run(&["rm", "--force", &container]);
    health
}

#[test]
fn a_health_check_behind_the_launcher_has_the_variables() {
    let locked = ["--read-only", "--cap-drop=ALL", "--user=10001", "--init"];
    for (base, checks) in [
        ("scratch".to_owned(), &[WRAPPED][..]),
        (small_image(), &[WRAPPED, WRAPPED_SHELL]),
        (service_image(), &[WRAPPED, WRAPPED_SHELL]),
    ] {
        for check in checks {
            for options in [&[][..], &locked] {
                assert_eq!(health_of(&base, check, options), "healthy", "{base} {check} {options:?}");
            }
        }
    }
}

#[test]
fn a_health_check_without_the_launcher_has_none() {
    assert_eq!(health_of(&service_image(), CHECK, &[]), "unhealthy");
}
