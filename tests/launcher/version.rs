//! `--version`: what tells one interface of the launcher from another.

use claude_secrets_launcher::interface;

use crate::site::Site;
use crate::support::service_image;

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
