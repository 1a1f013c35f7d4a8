//! No secret value can be found outside of the secrets themselves: not in what we print, write or label, not in what
//! Docker shows, not in any child's arguments or environment. With values that break quoting and masking, to all kinds
//! of services, in both deliveries, against the real engine.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs
#![allow(clippy::format_collect, clippy::format_push_string)] // the texts of test projects are short

#[path = "support/adversarial_values.rs"]
mod adversarial_values;
#[path = "support/forms.rs"]
mod forms;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/spy.rs"]
mod spy;
mod support;

#[path = "leaks/by_the_runner.rs"]
mod by_the_runner;
#[path = "leaks/children.rs"]
mod children;
#[path = "leaks/compose_says.rs"]
mod compose_says;
#[path = "leaks/dying.rs"]
mod dying;
#[path = "leaks/gitleaks.rs"]
mod gitleaks;
#[path = "leaks/logins.rs"]
mod logins;
#[path = "leaks/matrix.rs"]
mod matrix;
#[path = "leaks/memory.rs"]
mod memory;
#[path = "leaks/older_output.rs"]
mod older_output;
#[path = "leaks/project.rs"]
mod project;

use project::{Deployed, SERVICES};

fn nothing_is_seen(delivery: &str) {
    let deployed = Deployed::by_command_line(delivery);
    for service in SERVICES {
        deployed.reads_back(service);
    }
    deployed.nothing_shows();
}

#[test]
fn no_value_is_seen_with_files() {
    nothing_is_seen("file");
}

#[test]
fn no_value_is_seen_with_volumes() {
    nothing_is_seen("volume");
}
