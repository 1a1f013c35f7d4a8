//! Whether a server is the one that was meant: its key, against `ssh-known-hosts` or `ssh-fingerprint`.

use data_encoding::BASE64;
use ring::hmac;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::ssh_key::{Algorithm, Fingerprint, HashAlg};
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};

use crate::error::{Code, Error, Result};
use crate::settings::Server;

/// What is known of servers.
#[derive(Clone, Default)]
pub(in crate::remote) struct Known {
    lines: Vec<Entry>,
    fingerprints: Vec<Fingerprint>,
}

/// Why a server's key is not taken. Each has the key's type and fingerprint, and the first the line to paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing is known of this server.
    Unknown { fingerprint: String, line: String },
    /// Another key is known.
    Changed { fingerprint: String },
    /// This key is marked as revoked.
    Revoked { fingerprint: String },
    /// The certificate is not good for this server.
    Certificate(&'static str),
}

impl Known {
    /// Reads lines of `known_hosts`, which `name` gave.
    ///
    /// # Errors
    /// [`Code::Usage`] with the number of the first line that is none.
    pub(in crate::remote) fn add_lines(&mut self, name: &str, text: &str) -> Result<()> {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry: Entry = line.parse().map_err(|_| {
                let fact = format!("{name}: line {} is not one of known_hosts", number + 1);
                Error::new(Code::Usage, fact)
                    .help("Write `host type key` in each line, as `ssh-keyscan -p PORT HOST` prints them.")
            })?;
            self.lines.push(entry);
        }
        Ok(())
    }

    /// Reads fingerprints (`SHA256:…`), one a line or with commas between them.
    ///
    /// # Errors
    /// [`Code::Usage`].
    pub(in crate::remote) fn add_fingerprints(&mut self, name: &str, text: &str) -> Result<()> {
        for word in text.split(['\n', ',', ' ']).map(str::trim).filter(|word| !word.is_empty()) {
            let fingerprint: Fingerprint = word.parse().map_err(|_| {
                Error::new(
                    Code::Usage,
                    format!("{name}: expected `SHA256:` and 43 characters, got something else"),
                )
                .help("On the server: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`.")
            })?;
            self.fingerprints.push(fingerprint);
        }
        Ok(())
    }

    /// Whether anything was said at all.
    pub(in crate::remote) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.fingerprints.is_empty()
    }

    /// The kinds of keys that are known of a server, to be asked for first.
    pub(super) fn algorithms(&self, server: &Server) -> Vec<Algorithm> {
        let of_server = self.of(server).filter(|entry| entry.marker().is_none());
        of_server.map(|entry| entry.public_key().algorithm()).collect()
    }

    /// Whether an authority is known that signs the keys of this server.
    pub(super) fn has_authority(&self, server: &Server) -> bool {
        self.of(server).any(|entry| entry.marker() == Some(&Marker::CertAuthority))
    }

    /// Whether the server may be spoken to.
    pub(super) fn check(&self, server: &Server, shown: &PublicKeyOrCertificate) -> Result<(), Doubt> {
        let key = shown.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let same = |entry: &&Entry| entry.public_key().key_data() == key.key_data();
        let revoked = |entry: &&Entry| entry.marker() == Some(&Marker::Revoked);
        if self.of(server).filter(revoked).any(|entry| same(&entry)) {
            return Err(Doubt::Revoked { fingerprint: fingerprint.to_string() });
        }
        if let Some(certificate) = shown.certificate() {
            return self.check_certificate(server, certificate);
        }
        if self.fingerprints.contains(&fingerprint) {
            return Ok(());
        }
        let mut plain = self.of(server).filter(|entry| entry.marker().is_none()).peekable();
        let is_known = plain.peek().is_some() || !self.fingerprints.is_empty();
        if plain.any(|entry| same(&entry)) {
            return Ok(());
        }
        let fingerprint = format!("{fingerprint} ({})", key.algorithm());
        Err(if is_known {
            Doubt::Changed { fingerprint }
        } else {
            Doubt::Unknown { fingerprint, line: line(server, &key) }
        })
    }

    fn check_certificate(&self, server: &Server, certificate: &Certificate) -> Result<(), Doubt> {
        if certificate.cert_type() != CertType::Host {
            return Err(Doubt::Certificate("is one of a user"));
        }
        let name = server.host.to_lowercase();
        if !certificate.valid_principals().iter().any(|principal| principal.to_lowercase() == name) {
            return Err(Doubt::Certificate("is not for this name"));
        }
        let authorities: Vec<Fingerprint> = self
            .of(server)
            .filter(|entry| entry.marker() == Some(&Marker::CertAuthority))
            .map(|entry| entry.public_key().fingerprint(HashAlg::Sha256))
            .collect();
        certificate
            .validate(&authorities)
            .map_err(|_| Doubt::Certificate("has expired, or none of the known authorities signed it"))
    }

    fn of<'a>(&'a self, server: &Server) -> impl Iterator<Item = &'a Entry> {
        let name = server.known_as();
        self.lines.iter().filter(move |entry| is_of(entry.host_patterns(), &name))
    }
}

/// The line of `known_hosts` for a server.
fn line(server: &Server, key: &PublicKey) -> String {
    let bytes = key.to_bytes().unwrap_or_default();
    format!("{} {} {}", server.known_as(), key.algorithm(), BASE64.encode(&bytes))
}

/// Whether a line is of the server of this name (the section on the format of that file in sshd(8)).
fn is_of(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let matches = |pattern: &str| like(pattern.to_lowercase().as_bytes(), name.as_bytes());
            let excluded = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(matches);
            !excluded && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| matches(p))
        }
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

/// Whether a text is like a pattern with `*` and `?`.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| like(rest, &text[at..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, text)| like(rest, text)),
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == byte && like(rest, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;

    use super::*;

    fn server(text: &str) -> Server {
        Server::parse("docker-host", text).unwrap()
    }

    fn key() -> PublicKey {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        key.public_key().clone()
    }

    fn known(text: &str) -> Known {
        let mut known = Known::default();
        known.add_lines("ssh-known-hosts", text).unwrap();
        known
    }

    fn base64(key: &PublicKey) -> String {
        BASE64.encode(&key.to_bytes().unwrap())
    }

    #[test]
    fn a_key_is_known_unknown_changed_or_revoked() {
        let (ours, other) = (key(), key());
        let shown = PublicKeyOrCertificate::from(ours.clone());
        let line = |name: &str, key: &PublicKey| format!("{name} ssh-ed25519 {}\n", base64(key));
        let host = server("u@h.example");
        for good in [
            line("h.example", &ours),
            line("a,h.example", &ours),
            line("*.example", &ours),
            format!("# one\n\n{}{}", line("h.example", &other), line("H.example", &ours)),
        ] {
            assert_eq!(known(&good).check(&host, &shown), Ok(()), "{good}");
        }
        let unknown = known(&line("[h.example]:22,!h.example,*.example", &ours)).check(&host, &shown);
        let Err(Doubt::Unknown { fingerprint, line: pasted }) = unknown else { panic!() };
        assert!(
            fingerprint.starts_with("SHA256:") && fingerprint.ends_with("(ssh-ed25519)"),
            "{fingerprint}"
        );
        assert_eq!(known(&pasted).check(&host, &shown), Ok(()));
        let changed = known(&line("h.example", &other)).check(&host, &shown);
        assert!(matches!(changed, Err(Doubt::Changed { .. })));
        let revoked = format!("{}@revoked * ssh-ed25519 {}", line("h.example", &ours), base64(&ours));
        assert!(matches!(known(&revoked).check(&host, &shown), Err(Doubt::Revoked { .. })));
    }

    #[test]
    fn hashed_names_and_ports_are_understood() {
        let ours = key();
        let salt = [7; 20];
        let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt), b"[h]:2222");
        let line = format!(
            "|1|{}|{} ssh-ed25519 {}",
            BASE64.encode(&salt),
            BASE64.encode(hash.as_ref()),
            base64(&ours)
        );
        let shown = PublicKeyOrCertificate::from(ours);
        assert_eq!(known(&line).check(&server("u@h:2222"), &shown), Ok(()));
        assert!(known(&line).check(&server("u@h"), &shown).is_err());
    }

    #[test]
    fn a_fingerprint_is_enough() {
        let ours = key();
        let mut known = Known::default();
        let fingerprint = ours.fingerprint(HashAlg::Sha256).to_string();
        known.add_fingerprints("ssh-fingerprint", &fingerprint).unwrap();
        assert_eq!(known.check(&server("u@h"), &ours.into()), Ok(()));
        assert!(matches!(known.check(&server("u@h"), &key().into()), Err(Doubt::Changed { .. })));
        assert!(known.add_fingerprints("ssh-fingerprint", "hunter2").is_err());
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number() {
        let error =
            Known::default().add_lines("ssh-known-hosts", "# x\nh ssh-ed25519 hunter2").err().unwrap();
        assert!(error.fact.contains("line 2") && !error.to_string().contains("hunter2"), "{error}");
    }
}
