//! What a step says to GitHub's runner: commands in its output, and files that the runner reads afterwards.

pub mod files;
pub mod workflow;
