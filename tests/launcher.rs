//! The launcher before any program, in any image, as any user: the program cannot tell that it was there, but for its
//! variables and completed arguments, and `docker inspect` shows none of them.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub)] // the parts of this program are modules of their own

#[path = "launcher/site.rs"]
mod site;
mod support;

#[path = "launcher/alike.rs"]
mod alike;
#[path = "launcher/failing.rs"]
mod failing;
#[path = "launcher/health.rs"]
mod health;
#[path = "launcher/process.rs"]
mod process;
#[path = "launcher/shown.rs"]
mod shown;
#[path = "launcher/version.rs"]
mod version;
