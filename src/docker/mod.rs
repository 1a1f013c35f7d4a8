//! The Docker side: programs, the engine, the project, its images, deployment and health, paths of the host.

pub mod command;
pub mod discovery;
pub mod engine;
pub mod health;
pub mod host_directory;
pub mod host_paths;
pub mod images;
pub mod inspection;
pub mod lock;
pub mod model;
pub mod project;
pub mod said;
pub mod socket;
pub mod up;
