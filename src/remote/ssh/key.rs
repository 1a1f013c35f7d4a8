//! Who logs in: a private key from a variable or a file, or the keys of an agent.

use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::{Error as KeyError, PrivateKey, decode_secret_key, ssh_key};
use zeroize::Zeroizing;

use super::certificate::Certified;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};
use crate::secret::SecretValue;

/// What a login is made with. It has no `Debug`: it holds keys.
#[derive(Clone)]
pub(in crate::remote) enum Identity {
    /// This key, and where it is from.
    Key(Arc<PrivateKey>, String),
    /// A key of this run alone, with its certificate.
    Certified(Arc<Certified>),
    /// The keys of the agent at this socket.
    Agent(PathBuf),
}

/// Reads a key in OpenSSH's format or in PEM. `from` says where it was, `passphrase` opens it.
///
/// # Errors
/// [`Code::SshKeyInvalid`]; no error holds anything of the key.
pub(in crate::remote) fn read(
    key: &SecretValue,
    from: &str,
    passphrase: Option<&SecretValue>,
) -> Result<Identity> {
    let refused = |what: String| Error::new(Code::SshKeyInvalid, format!("{from} {what}"));
    let text = std::str::from_utf8(key.expose())
        .map_err(|_| refused(format!("is not a private key but {} of binary data", key.shape())))?;
    if !text.contains("-----BEGIN ") {
        let what = if text.trim_start().starts_with("ssh-") || text.trim_start().starts_with("ecdsa-") {
            "is a public key".to_owned()
        } else {
            format!("is not a private key ({}): there is no line `-----BEGIN …`", key.shape())
        };
        return Err(refused(what).help(
            "Give the whole file that `ssh-keygen -t ed25519` made, without `.pub`, with its first and last line.",
        ));
    }
    // A key that was pasted has Windows' line ends or blanks around it now and then.
    // Room for all of it at once: what grows leaves copies behind that nobody wipes.
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines.push_str(line);
        lines.push('\n');
    }
    let word = passphrase.and_then(|word| std::str::from_utf8(word.expose()).ok());
    match decode_secret_key(&lines, word) {
        Ok(key) => Ok(Identity::Key(Arc::new(key), from.to_owned())),
        Err(KeyError::KeyIsEncrypted | KeyError::SshKey(ssh_key::Error::Encrypted)) if word.is_none() => {
            Err(refused("is encrypted, and there is no passphrase".to_owned())
                .help("Give its passphrase as SSH_KEY_PASSPHRASE, as a secret under the step's `env:`."))
        }
        Err(_) if word.is_some() => Err(refused("cannot be opened with SSH_KEY_PASSPHRASE".to_owned())
            .help("Check both: `ssh-keygen -yf KEY` asks for the passphrase and prints the public key.")),
        Err(_) => Err(refused("is damaged, or is of a kind that is not used".to_owned()).help(
            "Give the whole file, with its line ends, of a key of the type ed25519, ecdsa or rsa: `ssh-keygen -yf KEY` prints \
             its public key if it is sound.",
        )),
    }
}

/// Reads a key from the file that `from` names; fails as [`read`] does.
pub(in crate::remote) fn read_file(
    path: &std::path::Path,
    from: &str,
    passphrase: Option<&SecretValue>,
) -> Result<Identity> {
    let contents = files::read(path, LARGEST_SETTINGS).map_err(|error| {
        Error::io(Code::SshKeyInvalid, &format!("read the key that {from} names,"), path, &error)
            .help("Name a file that this user may read.")
    })?;
    read(&contents.value, &format!("the file of {from}"), passphrase)
}

#[cfg(test)]
mod tests {
    use russh::keys::Algorithm;
    use russh::keys::ssh_key::LineEnding;

    use super::*;

    fn value(text: &str) -> SecretValue {
        SecretValue::new(text.as_bytes().to_vec())
    }

    fn made() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    #[test]
    fn keys_are_read_as_they_are_pasted() {
        let key = made().to_openssh(LineEnding::CRLF).unwrap();
        for text in [key.to_string(), format!("\n  {}\n\n", key.replace("\r\n", "\n")), key.trim().to_owned()]
        {
            assert!(read(&value(&text), "SSH_PRIVATE_KEY", None).is_ok());
        }
    }

    #[test]
    fn an_encrypted_key_needs_its_passphrase() {
        let key = made().encrypt(&mut russh::keys::key::safe_rng(), "hunter2").unwrap();
        let key = value(&key.to_openssh(LineEnding::LF).unwrap());
        let told = |word: Option<&str>| {
            read(&key, "SSH_PRIVATE_KEY", word.map(value).as_ref()).err().map(|error| error.to_string())
        };
        assert_eq!(told(Some("hunter2")), None);
        assert!(told(None).unwrap().contains("is encrypted, and there is no passphrase"));
        assert!(told(Some("hunter3")).unwrap().contains("cannot be opened with SSH_KEY_PASSPHRASE"));
    }

    #[test]
    fn what_is_no_key_is_described_and_not_repeated() {
        let text = made().to_openssh(LineEnding::LF).unwrap();
        let half: String = text.chars().take(200).collect();
        for (text, said) in [
            ("hunter2".to_owned(), "is not a private key"),
            (made().public_key().to_openssh().unwrap(), "is a public key"),
            (half.clone(), "is damaged"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n"
                    .to_owned(),
                "is damaged",
            ),
        ] {
            let error = read(&value(&text), "SSH_PRIVATE_KEY", None).err().unwrap();
            assert_eq!(error.code, Code::SshKeyInvalid);
            let told = error.to_string();
            assert!(
                told.contains(said) && !told.contains("hunter2") && !told.contains(&half[40..100]),
                "{told}"
            );
        }
    }
}
