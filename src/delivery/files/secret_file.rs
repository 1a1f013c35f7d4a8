//! One secret file: as it is to be, and as it is there.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::delivery::revision::Content;
use crate::secret::SecretValue;

/// One secret file to write.
pub struct SecretFile {
    /// Relative to the secrets directory: `name` or `service/name`.
    pub path: PathBuf,
    /// The file's bytes.
    pub value: SecretValue,
    /// Its permission bits, e.g. `0o400`.
    pub mode: u32,
    /// The user and group id of its owner; `None` leaves it to whoever runs us.
    pub owner: Option<(u32, u32)>,
}

/// One secret file as it is there.
pub struct Held {
    /// Relative to the secrets directory.
    pub path: PathBuf,
    /// The file's bytes.
    pub value: SecretValue,
    /// Its permission bits.
    pub mode: u32,
    /// When it was written last, to the second.
    pub modified: SystemTime,
}

impl Held {
    /// What a digest of these files covers.
    pub fn content(all: &[Self]) -> Content {
        let mut content = Content::default();
        for file in all {
            content.add(file.path.as_os_str().as_encoded_bytes());
            content.add(&file.mode.to_le_bytes());
            content.add(file.value.expose());
        }
        content
    }
}
