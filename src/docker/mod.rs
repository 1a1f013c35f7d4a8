//! The Docker side: programs, the engine, the project, its images, deployment and health, paths of the host.

mod child_limits;
pub mod command;
pub mod discovery;
pub mod empty_image;
pub mod engine;
pub mod health;
pub mod host_directory;
pub mod host_mounts;
pub mod host_paths;
pub mod images;
pub mod includes;
pub mod inspection;
pub mod lock;
pub mod logins;
pub mod model;
pub mod mounted_files;
mod named_files;
pub(crate) mod place;
pub mod placeholder;
pub mod project;
pub mod read_by_compose;
pub mod readers;
pub mod said;
pub mod service;
pub mod socket;
pub mod up;
mod watched;
