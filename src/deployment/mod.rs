//! A deployment: services come up, are found healthy, and can read what they were granted.

pub mod health;
pub mod readers;
pub mod up;
mod watched;
