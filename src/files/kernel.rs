//! What the kernel tells in files of its own of this machine and its processes. Only paths of ours come here: what somebody
//! else names is read by [`super::read()`], which refuses these files.

use std::io::Read as _;

/// A machine with thousands of mounts has some megabytes of them.
const MOST: u64 = 16 * 1024 * 1024;

/// Takes the path of a file below `/proc` and returns its text; empty where it cannot be read or is no text.
#[expect(clippy::disallowed_methods, reason = "the one reader refuses what the kernel makes up")]
pub fn told_by_the_kernel(path: &str) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    if read.is_err() {
        text.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_and_what_is_not_there_is_empty() {
        assert!(told_by_the_kernel("/proc/self/status").contains("VmHWM:"));
        assert_eq!(told_by_the_kernel("/proc/self/is-not-there"), "");
    }
}
