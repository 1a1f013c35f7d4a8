//! claude-secrets-action: a Docker Compose project's secrets, from every store, as Docker secrets.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod access;
pub mod arguments;
pub mod cli;
pub mod commands;
pub mod compose;
#[cfg(test)]
mod computed;
pub mod console;
pub mod count;
pub mod delivery;
pub mod deployment;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod files;
pub mod github;
pub mod harden;
mod ignored;
pub mod init;
pub mod interrupt;
pub mod labels;
pub mod lint;
pub mod manifest;
pub mod mask;
pub mod nearest;
pub mod progress;
pub mod proof;
pub mod release;
pub mod remote;
pub mod report;
pub mod reserved;
pub mod resolve;
pub mod search;
pub mod secret;
pub mod sensitive;
pub mod settings;
pub mod shell;
pub mod sources;
pub(crate) mod stages;
pub mod tracked;
pub mod version;
pub mod visible;
pub mod worker;
mod yaml;
