//! How this process was told to take a broken pipe, and how the program gets it back.
//!
//! Rust's start sets SIGPIPE to be ignored, before `main` and without leaving a trace of what was; a program that is
//! started with it ignored goes on writing into pipes that nobody reads. So it is looked up still before.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

static IGNORED: AtomicBool = AtomicBool::new(false);

ctor::declarative::ctor! {
    /// Runs before Rust's start, so it asks the kernel and uses nothing of the standard library that needs that start.
    #[ctor(unsafe)]
    fn look_up() {
        IGNORED.store(ignores_broken_pipes(), Ordering::Relaxed);
    }
}

/// Gives SIGPIPE back the meaning that it had when this process started.
pub(crate) fn restore() {
    if !IGNORED.load(Ordering::Relaxed) {
        sigpipe::reset();
    }
}

/// Whether SIGPIPE is ignored now; not where there is no `/proc`, since hardly any process starts others so.
fn ignores_broken_pipes() -> bool {
    let Ok(status) =
        nix::fcntl::open(c"/proc/self/status", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    else {
        return false;
    };
    let mut text = [0; 4096];
    let mut length = 0;
    while let Some(free) = text.get_mut(length..).filter(|free| !free.is_empty()) {
        match nix::unistd::read(&status, free) {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"SigIgn:\t"));
    line.is_some_and(ignores)
}

/// Whether a mask as `/proc` writes it, sixteen hexadecimal digits, has the bit of SIGPIPE, which is signal 13.
fn ignores(mask: &[u8]) -> bool {
    let mask = std::str::from_utf8(mask).ok().and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.is_some_and(|mask| mask >> 12 & 1 == 1)
}
