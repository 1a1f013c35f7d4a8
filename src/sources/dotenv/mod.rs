//! The `dotenv` source: files of `NAME=value` lines.
pub mod parse;
