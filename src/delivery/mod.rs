//! How secrets reach the services: as files below the project directory or in volumes, and by the override file.
//!
//! Whoever changes a project's files holds its [`ProjectLock`] while doing so; the types here do not lock by themselves.

pub mod build_context;
pub mod choose;
pub mod current;
pub mod in_clear;
pub mod launch;
pub mod names;
pub mod others;
pub mod override_file;
pub mod plan;
pub mod reach;
pub mod record;
pub mod revision;
pub mod volume;
pub mod workers;

mod context_pattern;
mod dockerfile;
mod files;
mod lock;
mod place;
mod project_file;
pub mod report_file;

/// Where Docker mounts the secrets of a container.
pub const TARGET: &str = "/run/secrets";

pub use files::{Difference, Held, SecretFile, SecretsDir};
pub use lock::ProjectLock;
pub use project_file::ProjectFile;
pub use report_file::ReportFile;
