//! The Docker Engine: its API, and what is asked of it. Nothing here knows what a Compose project is.

pub mod api;
pub mod call;
pub mod containers;
pub mod empty_image;
pub mod events;
pub mod helpers;
pub mod host_directory;
pub mod host_paths;
pub mod inspection;
mod limits;
pub mod lock;
pub mod logins;
pub(crate) mod memory_directory;
pub mod objects;
pub mod tools;
pub mod volumes;
