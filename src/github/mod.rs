//! What is said to GitHub: commands in a step's output and files for its runner, and requests to its API.

pub mod api;
pub mod event;
pub mod files;
pub mod repository;
pub mod workflow;
