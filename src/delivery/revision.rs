//! The revision of a service's secrets: it changes when they do.
//!
//! A label can be read by everyone who may inspect a container, and a plain hash would let them guess weak values at any
//! speed. So it is Argon2id with a salt of its own (RFC 9106; 7 MiB and 5 passes: 19 ms and 9 MB a guess), and a service's
//! revision covers all its values together: who guesses must have all of them right at once. That makes guessing dear and
//! not impossible. Where all values of a service are weak, as a PIN of four digits alone (3 minutes on one core), the label
//! gives them away. A key that the label's reader has not got would have to be kept by the engine, whose every administrator
//! reads the secrets themselves, and be read from it in every run, for three more calls of the engine.

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Code, Error, Result};

const SALT: usize = 16;
/// What is shown of the digest. The rest stays here and is the key of [`Revision::seal`].
const SHOWN: usize = 16;
const KEY: usize = 32;

/// Everything that a revision covers, as unambiguous bytes: each part is written with its length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(Zeroizing<Vec<u8>>);

/// What makes two digests of one content differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salt([u8; SALT]);

/// A service's revision. It has no `Debug`: it holds a key made from the values.
#[derive(Clone)]
pub struct Revision {
    salt: Salt,
    label: String,
    key: Zeroizing<[u8; KEY]>,
}

impl Salt {
    /// A salt that nothing was digested with before.
    pub fn fresh() -> Result<Self> {
        let mut salt = [0u8; SALT];
        getrandom::fill(&mut salt)
            .map_err(|_| Error::new(Code::Internal, "the system gives no random numbers"))?;
        Ok(Self(salt))
    }

    /// The salt of the revision with this label; `None` when it is none.
    pub fn of_label(label: &str) -> Option<Self> {
        let (salt, _) = label.split_once('.')?;
        let salt = BASE64URL_NOPAD.decode(salt.as_bytes()).ok()?;
        Some(Self(salt.try_into().ok()?))
    }
}

impl Content {
    /// Adds a part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }
}

impl Revision {
    /// The text of the label: salt and digest.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The digest of the label, without the salt.
    pub fn digest(&self) -> &str {
        self.label.split_once('.').map(|(_, digest)| digest).unwrap_or_default()
    }

    /// A short name that differs from revision to revision, for names of volumes: 16 hexadecimal digits of the salt.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.salt.0[..8])
    }

    /// A keyed digest of a text that is no secret by itself but may hold other sensitive things: only who knows the
    /// values can tell whether a guess is right.
    pub fn seal(&self, text: &str) -> String {
        // HMAC takes keys of any length (RFC 2104), so that this cannot fail.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.key[..]) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()[..SHOWN])
    }

    /// A slow digest of something else that the engine must not tell, under the same salt. Errors are faults of ours.
    pub fn beside(&self, content: &Content) -> Result<String> {
        Ok(Self::of(content, self.salt)?.digest().to_owned())
    }

    /// The revision of a content under a salt.
    pub fn of(content: &Content, salt: Salt) -> Result<Self> {
        let mut key = Zeroizing::new([0u8; KEY]);
        if content.0.is_empty() {
            // Nothing to guess: a service without secrets needs no slow digest.
            let digest = Sha512::digest(salt.0);
            key.copy_from_slice(&digest[SHOWN..SHOWN + KEY]);
            return Ok(Self { salt, label: label(&salt.0, &digest[..SHOWN]), key });
        }
        let fault = |_| Error::new(Code::Internal, "the revision could not be computed");
        let parameters = Params::new(7 * 1024, 5, 1, Some(SHOWN + KEY)).map_err(fault)?;
        let mut digest = Zeroizing::new([0u8; SHOWN + KEY]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(&content.0, &salt.0, &mut digest[..])
            .map_err(fault)?;
        key.copy_from_slice(&digest[SHOWN..]);
        let label = label(&salt.0, &digest[..SHOWN]);
        digest.zeroize();
        Ok(Self { salt, label, key })
    }
}

fn label(salt: &[u8], shown: &[u8]) -> String {
    format!("{}.{}", BASE64URL_NOPAD.encode(salt), BASE64URL_NOPAD.encode(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(parts: &[&str]) -> Content {
        let mut content = Content::default();
        for part in parts {
            content.add(part.as_bytes());
        }
        content
    }

    fn revision(parts: &[&str], label: &str) -> String {
        Revision::of(&content(parts), Salt::of_label(label).unwrap()).unwrap().label().to_owned()
    }

    #[test]
    fn a_label_is_that_of_its_content_alone() {
        for parts in [&["a", "b"][..], &[]] {
            let label = Revision::of(&content(parts), Salt::fresh().unwrap()).unwrap().label().to_owned();
            assert_eq!(revision(parts, &label), label);
            for other in [&["a", "c"][..], &["ab"], &["a", "b", ""]] {
                assert_ne!(revision(other, &label), label);
            }
        }
        for nonsense in ["", "x", "x.y", "AAAA.BBBB"] {
            assert!(Salt::of_label(nonsense).is_none());
        }
    }

    #[test]
    fn two_revisions_of_one_content_differ_and_seal_differently() {
        let [a, b] = [(); 2].map(|()| Revision::of(&content(&["a"]), Salt::fresh().unwrap()).unwrap());
        assert_ne!(a.label(), b.label());
        assert_ne!(a.short(), b.short());
        assert_ne!(a.seal("text"), b.seal("text"));
        assert_ne!(a.seal("text"), a.seal("other"));
        let again = Revision::of(&content(&["a"]), Salt::of_label(a.label()).unwrap()).unwrap();
        assert_eq!(a.seal("text"), again.seal("text"));
        let [c, d] = ["c", "d"].map(|part| content(&[part]));
        assert_eq!(a.beside(&c).unwrap(), again.beside(&c).unwrap());
        assert_ne!(a.beside(&c).unwrap(), a.beside(&d).unwrap());
        assert_ne!(a.beside(&c).unwrap(), b.beside(&c).unwrap());
    }
}
