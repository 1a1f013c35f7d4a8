//! The one way to read a file: only what is a regular file on a real file system, and never more of it than a limit.

mod read;

pub use self::read::{Contents, LARGEST_SETTINGS, LARGEST_VALUES, check, read, read_aside};
