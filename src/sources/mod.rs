//! The places that may hold secrets.
pub mod dotenv;
