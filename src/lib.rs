//! claude-secrets-action: a Docker Compose project's secrets, from every store, as Docker secrets.
pub mod access;
pub mod commands;
pub mod console;
pub mod delivery;
pub mod docker;
pub mod error;
pub mod github;
pub mod interrupt;
pub mod manifest;
pub mod mask;
pub mod proof;
pub mod report;
pub mod resolve;
pub mod secret;
pub mod settings;
pub mod sources;
pub mod tracked;
