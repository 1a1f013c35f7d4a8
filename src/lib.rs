//! claude-secrets-action: a Docker Compose project's secrets, from every store, as Docker secrets.
pub mod delivery;
pub mod error;
pub mod secret;
pub mod tracked;
