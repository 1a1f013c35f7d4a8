//! What the tests against a real engine share: a runner's folders, its way of starting the image, and the engine itself.
//!
//! `CLAUDE_SECRETS_IMAGE` names the image under test and `CLAUDE_SECRETS_TEST_IMAGE` the one that services run: one with
//! a shell, `cat`, `id`, `stat` and `setpriv`; `CLAUDE_SECRETS_SMALL_IMAGE` a smaller one. They must be in the engine;
//! nothing here pulls.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test program uses its own part, and what fails here fails the test"
)]

pub mod between;
pub mod cli;
pub mod daemon;
pub mod engine;
pub mod project;
pub mod runner;
pub mod sshd;
pub mod tap;

/// The image under test.
pub fn action_image() -> String {
    image_of("CLAUDE_SECRETS_IMAGE", "claude-secrets-action:dev")
}

/// The image that services run.
pub fn service_image() -> String {
    image_of("CLAUDE_SECRETS_TEST_IMAGE", "debian:trixie-slim")
}

/// An image with a shell and hardly anything else, and another C library or none.
pub fn small_image() -> String {
    image_of("CLAUDE_SECRETS_SMALL_IMAGE", "busybox:1.37.0")
}

fn image_of(variable: &str, default: &str) -> String {
    let image = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    assert!(
        engine::Engine::shared().has_image(&image),
        "the engine has no image {image}: run `scripts/test`, which makes it, or name another one in {variable}"
    );
    image
}

/// A part of a name that no other test of this or another process uses.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Polls until `done` says so, and fails with `what` when it has not after `seconds`.
pub fn wait_until(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < seconds, "{what}: not after {seconds} s");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
