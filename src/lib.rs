//! claude-secrets-action: a Docker Compose project's secrets, from every store, as Docker secrets.
pub mod sources;
