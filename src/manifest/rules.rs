//! The rules for a secret's value, and the settings of its file.

use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Secret;
use super::pattern::Pattern;
use crate::secret::SecretValue;

/// The largest value that is delivered, in bytes, after decoding.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// What is removed from a value before it is checked and delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trim {
    /// Nothing: bytes in, bytes out.
    #[default]
    None,
    /// One newline (LF or CRLF) at the end.
    Newline,
}

/// How a service gets a secret that its Compose file puts into a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deliver {
    /// The variable is set when the program starts; it is not in the container's configuration.
    #[default]
    Variable,
    /// The variable is removed, and `NAME_FILE` names the file.
    File,
    /// The variable is in the container's configuration, in clear: `docker inspect` shows it. The last resort.
    Env,
}

/// How a value is encoded in its source. It is delivered decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// RFC 4648 section 4, padded or not; whitespace is ignored.
    Base64,
    /// Hexadecimal digits of either case; whitespace is ignored.
    Hex,
}

/// The rules for a value. Without any, it must not be empty and not be larger than [`MAX_VALUE_BYTES`].
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The text that it starts with.
    pub starts_with: Option<String>,
    /// The pattern that the whole value matches.
    pub matches: Option<Pattern>,
    /// The minimum length in bytes.
    pub min_length: Option<usize>,
    /// How it is encoded in its source.
    pub encoding: Option<Encoding>,
    /// What is removed from it.
    pub trim: Trim,
    /// Whether it may be empty.
    pub allow_empty: bool,
}

/// How fresh a value must be, as far as its source knows. A run warns about a value that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// How old it may be.
    pub max_age: Option<Duration>,
    /// How long it must be valid for.
    pub expires_within: Option<Duration>,
}

/// The settings of a secret's file; the delivery decides what is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSpec {
    /// Its name, a plain file name.
    pub name: Option<String>,
    /// Its permission bits: no execute bit, not writable by others.
    pub mode: Option<u32>,
    /// The user that owns it.
    pub uid: Option<u32>,
    /// The group that owns it.
    pub gid: Option<u32>,
}

impl Secret {
    /// The name of the secret's file in `/run/secrets`: what the manifest says, else the lower-cased name.
    pub fn file_name(&self) -> String {
        self.file.name.clone().unwrap_or_else(|| self.name.file_name())
    }

    /// Takes a value as a source returned it and returns it as it is delivered: decoded, then trimmed, then checked.
    /// A value with NUL bytes is accepted: files can contain them.
    ///
    /// # Errors
    /// The rule that the value violates, with the value's shape, never the value.
    pub fn accept(&self, raw: SecretValue) -> Result<SecretValue, String> {
        self.rules.accept(raw)
    }
}

impl Rules {
    /// See [`Secret::accept`].
    pub(super) fn accept(&self, raw: SecretValue) -> Result<SecretValue, String> {
        let value = match self.encoding {
            None => raw,
            Some(encoding) => decode(encoding, &raw)?,
        };
        let value = match self.trim {
            Trim::None => value,
            Trim::Newline => without_line_end(value),
        };
        self.check(&value)?;
        Ok(value)
    }

    fn check(&self, value: &SecretValue) -> Result<(), String> {
        let bytes = value.expose();
        if bytes.is_empty() {
            return if self.allow_empty { Ok(()) } else { Err("is empty".to_owned()) };
        }
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(format!("is larger than 1 MiB ({})", value.shape()));
        }
        if let Some(start) = &self.starts_with
            && !bytes.starts_with(start.as_bytes())
        {
            return Err(format!("does not start with the text of `starts-with` ({})", value.shape()));
        }
        if let Some(pattern) = &self.matches {
            if std::str::from_utf8(bytes).is_err() {
                return Err(format!(
                    "cannot be compared with `matches`, because it is not text ({})",
                    value.shape()
                ));
            }
            if !pattern.matches(bytes) {
                return Err(format!("does not match the pattern of `matches` ({})", value.shape()));
            }
        }
        if let Some(least) = self.min_length
            && bytes.len() < least
        {
            return Err(format!(
                "is shorter than `min-length`, {} ({})",
                crate::count::count(least, "byte"),
                value.shape()
            ));
        }
        Ok(())
    }
}

fn decode(encoding: Encoding, raw: &SecretValue) -> Result<SecretValue, String> {
    // Room for all of it at once: growing would leave unwiped copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(raw.expose().len()));
    packed.extend(raw.expose().iter().filter(|b| !b.is_ascii_whitespace()));
    let (decoder, name) = match encoding {
        Encoding::Base64 if packed.len().is_multiple_of(4) => (&BASE64, "base64"),
        Encoding::Base64 => (&BASE64_NOPAD, "base64"),
        Encoding::Hex => (&HEXLOWER_PERMISSIVE, "hex"),
    };
    // The decoder's error is not passed on: it contains a position, and a byte of the value.
    let bytes = decoder.decode(&packed).map_err(|_| format!("is not valid {name} ({})", raw.shape()))?;
    Ok(SecretValue::new(bytes))
}

fn without_line_end(value: SecretValue) -> SecretValue {
    let bytes = value.expose();
    let kept = match bytes {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
        _ => return value,
    };
    SecretValue::new(bytes[..kept].to_vec())
}
