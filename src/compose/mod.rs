//! The Compose project: its files, what Docker Compose makes of them, and how Compose is called.

mod container_names;
pub mod discovery;
pub mod failed;
pub mod host_mounts;
pub mod images;
pub mod includes;
pub mod model;
pub mod mounted_files;
pub mod named_files;
pub mod own_names;
pub(crate) mod place;
pub mod placeholder;
pub mod program;
pub mod project;
pub mod read_by_compose;
pub mod said;
pub mod service;
pub mod shown;
