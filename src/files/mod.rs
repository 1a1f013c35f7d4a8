//! How this program reads: only files that are regular ones on a real file system, and neither of them nor of what a
//! program or a server sends more than a limit.

mod kernel;
mod read;
mod stream;

pub use self::kernel::told_by_the_kernel;
pub use self::read::{
    Contents, LARGEST_PROGRAM, LARGEST_SETTINGS, LARGEST_VALUES, Links, check, read, read_aside,
    read_beginning, read_opened,
};
pub use self::stream::{Gathered, all_of, beginning_of};
