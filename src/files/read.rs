//! Reads a file without trusting its name: a pipe, a device, a file that the kernel makes up or one without an end must
//! neither stop the run nor fill its memory, and the kernel's files (`/proc/self/environ`) hold what nobody granted.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, open};
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// The most bytes of a file with settings: a manifest, a token, Docker's configuration.
pub const LARGEST_SETTINGS: u64 = 1024 * 1024;

/// The most bytes of a file with values or certificates: one value has at most 1 MiB, and twice that and its line ends
/// where it is kept in hexadecimal.
pub const LARGEST_VALUES: u64 = 4 * 1024 * 1024;

/// File systems whose files the kernel makes up while they are read, by their magic numbers (`linux/magic.h` and, where
/// that does not have them, the kernel's own sources). Disks, network shares, overlays and tmpfs are none of them.
const MADE_UP: &[(u64, &str)] = &[
    (0x0000_9fa0, "proc"),
    (0x0000_9fa2, "usbdevice"),
    (0x6265_6572, "sysfs"),
    (0x6265_6570, "configfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x4341_5d53, "smackfs"),
    (0x5a3c_69f0, "aafs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0xcafe_4a11, "bpf"),
    (0xde5e_81e4, "efivarfs"),
    (0x6165_676c, "pstore"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x6573_5543, "fusectl"),
    (0x6e73_6673, "nsfs"),
    (0x5049_4446, "pidfs"),
    (0x5345_434d, "secretmem"),
    (0x1980_0202, "mqueue"),
    (0x0000_1cd1, "devpts"),
    (0x0765_5821, "resctrl"),
    (0xabba_1974, "xenfs"),
    (0x6759_6969, "rpc_pipefs"),
    (0x6e66_7364, "nfsd"),
    (0x0904_1934, "anon_inode"),
    (0x5049_5045, "pipefs"),
    (0x534f_434b, "sockfs"),
];

/// The most bytes of a program that is read to be copied: the launcher, also one that was built to be debugged.
pub const LARGEST_PROGRAM: u64 = 64 * 1024 * 1024;

/// How much of a file is in memory at a time, where that is not the whole.
const PIECE: usize = 64 * 1024;

/// Whether the last part of a path may be a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// What counts is where it leads to.
    Followed,
    /// It is no regular file.
    Refused,
}

/// What a file holds. It has no `Debug`: that may be a value.
pub struct Contents {
    /// Its bytes.
    pub value: SecretValue,
    /// When it was last written, where the file system tells.
    pub changed: Option<SystemTime>,
    /// Its permission bits.
    pub mode: u32,
}

/// Reads a regular file of at most `most` bytes. Links are followed: what counts is what is opened in the end.
///
/// # Errors
/// The system's, or what the file is instead (a named pipe, a device, a directory, a file of the kernel), or that it is
/// larger than `most`. No error tells anything of the content.
pub fn read(path: &Path, most: u64) -> Result<Contents> {
    let (file, size) = opened(path, most, Links::Followed)?;
    contents(file, size)
}

/// As [`read`], of a file that was opened by who knows how: without waiting for a pipe, and without following a link.
///
/// # Errors
/// As those of [`read`].
pub fn read_opened(file: File, most: u64) -> Result<Contents> {
    let size = acceptable(&file, most)?;
    contents(file, size)
}

fn contents(file: File, size: u64) -> Result<Contents> {
    let meta = file.metadata()?;
    let value = read_whole(file, size)?;
    Ok(Contents {
        value: value.into(),
        changed: meta.modified().ok(),
        mode: std::os::unix::fs::MetadataExt::mode(&meta) & 0o7777,
    })
}

/// As [`read`], away from the thread that everything else runs on: a network share that does not answer keeps only a
/// thread, and the run can be stopped.
///
/// # Errors
/// As those of [`read`].
pub async fn read_aside(path: PathBuf, most: u64) -> Result<Contents> {
    let read = tokio::task::spawn_blocking(move || read(&path, most)).await;
    read.unwrap_or_else(|_| Err(Error::other("reading it was given up")))
}

/// Reads the beginning of a regular file of any size, piece by piece. Returns the size of the whole.
///
/// # Errors
/// As those of [`read`], but for the size; with [`Links::Refused`] also that the path is a symbolic link.
pub fn read_beginning(path: &Path, most: u64, links: Links, mut piece: impl FnMut(&[u8])) -> Result<u64> {
    let (file, size) = opened(path, u64::MAX, links)?;
    let mut file = file.take(most.min(size));
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(length) => piece(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Looks at a file that a library or a program is going to read by itself.
///
/// # Errors
/// As those of [`read`].
pub fn check(path: &Path, most: u64) -> Result<()> {
    opened(path, most, Links::Followed).map(|_| ())
}

/// Opens a file for reading, with its size. It is looked at before that: to open a device may already do something, and
/// to open a pipe ends the waiting of who writes to it.
fn opened(path: &Path, most: u64, links: Links) -> Result<(File, u64)> {
    let links = match links {
        Links::Followed => OFlags::empty(),
        Links::Refused => OFlags::NOFOLLOW,
    };
    acceptable(&open(path, OFlags::PATH | OFlags::CLOEXEC | links, Mode::empty())?, most)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | links;
    let file = File::from(open(path, flags, Mode::empty())?);
    // Once more: something else may have taken its place.
    let size = acceptable(&file, most)?;
    Ok((file, size))
}

/// The size of what was opened, when it is a regular file that may be read.
fn acceptable(file: impl AsFd, most: u64) -> Result<u64> {
    let stat = fstat(&file)?;
    let refuse = |kind, what: &str| Err(Error::new(kind, what.to_owned()));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return refuse(ErrorKind::IsADirectory, "it is a directory"),
        FileType::Fifo => return refuse(ErrorKind::InvalidInput, "it is a pipe, not a regular file"),
        FileType::CharacterDevice | FileType::BlockDevice => {
            return refuse(ErrorKind::InvalidInput, "it is a device, not a regular file");
        }
        FileType::Socket => return refuse(ErrorKind::InvalidInput, "it is a socket, not a regular file"),
        FileType::Symlink => return refuse(ErrorKind::InvalidInput, "it is a link, not a regular file"),
        FileType::Unknown => return refuse(ErrorKind::InvalidInput, "it is not a regular file"),
    }
    if let Some(name) = made_up(&file)? {
        return refuse(
            ErrorKind::InvalidInput,
            &format!("it is made up by the kernel ({name}), not a regular file"),
        );
    }
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > most {
        return refuse(ErrorKind::FileTooLarge, &format!("it is larger than {}", shown(most)));
    }
    Ok(size)
}

/// The kernel's file system that an open file is on; `None` for real ones. By the file that was opened, not by its path:
/// such a file system may be mounted anywhere, and links lead to it.
fn made_up(file: impl AsFd) -> Result<Option<&'static str>> {
    let kind = fstatfs(file)?.f_type;
    // The kernel's numbers have 32 bits; where the field has more, the sign is spread over the rest.
    #[expect(clippy::cast_sign_loss, reason = "see above")]
    let magic = kind as u64 & 0xffff_ffff;
    Ok(MADE_UP.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name))
}

/// Reads a file to its end, which must come where its size says. Memory is taken once: to grow would leave copies behind
/// that nobody wipes.
fn read_whole(mut file: impl Read, size: u64) -> Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(size).ok().and_then(|size| size.checked_add(1));
    let room = room.ok_or_else(|| Error::from(ErrorKind::OutOfMemory))?;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut length = 0;
    while length < room {
        match file.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if length == room {
        // What has no end says that it has no bytes.
        return Err(Error::other("it has more bytes than its size says, as if it were written right now"));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn shown(bytes: u64) -> String {
    match bytes {
        whole if whole % (1024 * 1024) == 0 => format!("{} MiB", whole / (1024 * 1024)),
        whole if whole % 1024 == 0 => format!("{} KiB", whole / 1024),
        other => format!("{other} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(path: &Path, most: u64) -> String {
        match read(path, most) {
            Ok(_) => String::from("it was read"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_regular_file_is_read_as_it_is_also_through_links() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        for bytes in [&b""[..], b"value\n", &[0xff; 4096]] {
            fs::write(&path, bytes).unwrap();
            let _ = symlink("file", place.path().join("link"));
            for name in ["file", "link"] {
                let contents = read(&place.path().join(name), 4096).unwrap();
                assert!(contents.value.expose() == bytes && contents.changed.is_some());
            }
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_what_it_is_and_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let (pipe, socket) = (place.path().join("pipe"), place.path().join("socket"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (place.path(), "a directory"),
            (&pipe, "a pipe"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/proc/self/environ"), "made up by the kernel (proc)"),
            (Path::new("/proc/self/pagemap"), "made up by the kernel (proc)"),
            (Path::new("/sys/devices/system/cpu/possible"), "made up by the kernel (sysfs)"),
        ] {
            for most in [0, LARGEST_VALUES] {
                let link = place.path().join("link");
                symlink(path, &link).unwrap();
                for path in [path, &link] {
                    assert!(
                        refusal(path, most).contains(what),
                        "{}: {}",
                        path.display(),
                        refusal(path, most)
                    );
                    assert!(check(path, most).is_err());
                }
                fs::remove_file(link).unwrap();
            }
        }
    }

    /// The file that a descriptor leads to counts, not the directory in which the descriptor has its name.
    #[test]
    fn a_regular_file_behind_a_name_of_the_kernel_is_read() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "value").unwrap();
        let open = File::open(place.path().join("file")).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        assert!(read(Path::new(&path), 100).unwrap().value.expose() == b"value");
        let held = rustix::fs::memfd_create("held", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&held, b"value").unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
        assert!(read(Path::new(&path), 100).unwrap().value.expose() == b"value", "a tmpfs is a real one");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_before_it_is_read() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let file = File::create(&path).unwrap();
        for (size, most, what) in [
            (5, 4, "larger than 4 bytes"),
            (2049, 2048, "larger than 2 KiB"),
            (1 << 40, LARGEST_VALUES, "larger than 4 MiB"),
        ] {
            file.set_len(size).unwrap();
            assert!(refusal(&path, most).contains(what), "{}", refusal(&path, most));
            assert_eq!(read(&path, most).err().unwrap().kind(), ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn of_a_file_of_any_size_the_beginning_is_read() {
        let place = tempfile::tempdir().unwrap();
        let (path, link) = (place.path().join("file"), place.path().join("link"));
        let text: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        fs::write(&path, &text).unwrap();
        symlink("file", &link).unwrap();
        for (most, expected) in [(0, 0), (1, 1), (150_000, 150_000), (u64::MAX, 200_000)] {
            let mut read = Vec::new();
            let size = read_beginning(&path, most, Links::Refused, |piece| read.extend_from_slice(piece));
            assert_eq!((size.unwrap(), read.len()), (200_000, expected));
            assert!(read == text[..expected]);
        }
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let mut length = 0;
        let size = read_beginning(&link, 1000, Links::Followed, |piece| length += piece.len());
        assert_eq!((size.unwrap(), length), (1 << 40, 1000));
        for (path, links, what) in [
            (link.as_path(), Links::Refused, "a link"),
            (Path::new("/proc/self/environ"), Links::Followed, "made up by the kernel"),
            (Path::new("/dev/zero"), Links::Refused, "a device"),
        ] {
            let refused = read_beginning(path, 1, links, |_| panic!("nothing of it is read"));
            assert!(refused.unwrap_err().to_string().contains(what), "{}", path.display());
        }
    }

    #[test]
    fn a_file_that_grows_is_read_no_further_than_its_size_said() {
        struct Endless(usize);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
                let some = buffer.len().min(7);
                self.0 += some;
                Ok(some)
            }
        }
        let mut endless = Endless(0);
        let error = read_whole(&mut endless, 1000).err().unwrap();
        assert!(error.to_string().contains("more bytes than its size says"));
        assert_eq!(endless.0, 1001);
    }
}
