//! How secrets reach the services: as files below the project directory.
//!
//! Whoever changes a project holds its [`ProjectLock`] while doing so; the types here do not lock by themselves.

mod directory;
mod files;
mod index;
mod lock;
mod place;
mod project_file;
mod staging;
mod swap;

pub use files::{Difference, SecretFile, SecretsDir};
pub use lock::ProjectLock;
pub use project_file::ProjectFile;

#[cfg(test)]
mod tests;
