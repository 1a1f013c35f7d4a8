//! The Docker side: programs, the engine, the project, its images, deployment and health, paths of the host.

pub mod command;
pub mod discovery;
pub mod engine;
pub mod health;
pub mod host_directory;
pub mod host_paths;
pub mod images;
pub mod lock;
pub mod logins;
pub mod model;
pub mod project;
pub mod read_by_compose;
pub mod said;
pub mod up;
