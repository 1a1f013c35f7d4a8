//! An engine on another machine: one login by SSH to a real OpenSSH server, an engine that shares no file with the run, and
//! everything that can be wrong on the way.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "remote/bot.rs"]
mod bot;
#[path = "remote/config.rs"]
mod config;
#[path = "remote/cut.rs"]
mod cut;
#[path = "remote/deploying.rs"]
mod deploying;
#[path = "remote/faults.rs"]
mod faults;
#[path = "remote/keys.rs"]
mod keys;
#[path = "support/peers/mod.rs"]
mod peers;
#[allow(dead_code, unreachable_pub, reason = "the file serves several test programs")]
#[path = "support/scene.rs"]
mod scene;
#[path = "remote/signed.rs"]
mod signed;
#[path = "remote/site.rs"]
mod site;
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "the file serves several test programs")]
#[path = "support/spy.rs"]
mod spy;
mod support;
#[path = "remote/ways.rs"]
mod ways;
