//! x
pub mod github;
pub mod mask;
