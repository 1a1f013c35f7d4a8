//! claude-secrets-action: a Docker Compose project's secrets, from every store, as Docker secrets.
pub mod delivery;
pub mod error;
pub mod github;
pub mod mask;
pub mod manifest;
pub mod secret;
pub mod settings;
pub mod tracked;
