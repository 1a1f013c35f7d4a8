//! How this program reads: only files that are regular ones on a real file system, and neither of them nor of what a
//! program or a server sends more than a limit.

mod read;
mod stream;

pub use self::read::{Contents, LARGEST_SETTINGS, LARGEST_VALUES, check, read, read_aside, read_opened};
pub use self::stream::{Gathered, all_of, beginning_of};
