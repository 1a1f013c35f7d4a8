//! The worker side: three places, first come first served, by the commands and by the code that docs/worker.md shows.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub)] // the parts of this program are modules of their own

mod support;

#[path = "worker/commands.rs"]
mod commands;
#[path = "worker/in_a_container.rs"]
mod in_a_container;
#[path = "documentation/markdown.rs"]
#[allow(dead_code, clippy::expect_used, reason = "other tests use the rest")]
mod markdown;
#[path = "worker/snippets.rs"]
mod snippets;
