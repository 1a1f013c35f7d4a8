//! Reads a value from its file, and says why it could not be read.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use crate::interface::Pair;
use crate::message::Message;

/// Much more than the kernel takes for one variable or argument, on every platform.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why a value could not be read.
pub(crate) enum Fault {
    /// The system says no.
    System(Errno),
    /// The path names a directory, a pipe or a device.
    NoFile,
    /// There is more in it than can be handed on.
    TooLarge,
    /// A NUL byte ends a variable and an argument, so none can hold one.
    HoldsNul,
}

/// Appends the bytes of the file to `bytes`, exactly as they are.
#[expect(
    clippy::disallowed_methods,
    reason = "it is looked at before, and read up to a limit, as the action's reader does"
)]
pub(crate) fn append(path: &[u8], bytes: &mut Vec<u8>) -> Result<(), Fault> {
    let path = OsStr::from_bytes(path);
    let start = bytes.len();
    // Looked at before it is opened: a pipe without a writer would make the service wait for ever.
    if !std::fs::metadata(path).map_err(|error| system(&error))?.is_file() {
        return Err(Fault::NoFile);
    }
    let file = std::fs::File::open(path).map_err(|error| system(&error))?;
    file.take(LARGEST + 1).read_to_end(bytes).map_err(|error| system(&error))?;
    let value = bytes.get(start..).unwrap_or_default();
    if value.len() as u64 > LARGEST {
        Err(Fault::TooLarge)
    } else if value.contains(&0) {
        Err(Fault::HoldsNul)
    } else {
        Ok(())
    }
}

/// What is wrong, for whom, and what to do about it.
pub(crate) fn message(pair: &Pair, fault: &Fault) -> Message {
    fact(pair, fault).and(match fault {
        Fault::System(Errno::EACCES) => {
            "\n  Set the user that the program really runs as in `services:` of claude-secrets.yml, e.g. `uid: 999`, or \
             `deliver: file` if it can read a file itself."
        }
        Fault::System(Errno::ENOENT) => {
            "\n  Something else is mounted over the directory, or the container is older than this secret: deploy again."
        }
        Fault::TooLarge | Fault::HoldsNul => {
            "\n  Set `deliver: file` for it in `services:` of claude-secrets.yml."
        }
        Fault::System(_) | Fault::NoFile => "",
    })
}

/// What is wrong, in a line.
fn fact(pair: &Pair, fault: &Fault) -> Message {
    let said = Message::new("cannot read ").and(&pair.path).and(" for ").and(&pair.name).and(": ");
    match fault {
        Fault::System(error) => said
            .error(*error)
            .and(" (the program runs as uid ")
            .number(nix::unistd::geteuid().as_raw() as usize)
            .and(")"),
        Fault::NoFile => said.and("it is not a file"),
        Fault::TooLarge => said.and("it is larger than 4 MiB, and no variable or argument can be"),
        Fault::HoldsNul => said.and("it holds a NUL byte, and no variable or argument can"),
    }
}

fn system(error: &std::io::Error) -> Fault {
    Fault::System(error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
}
