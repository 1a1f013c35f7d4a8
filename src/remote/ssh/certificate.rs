//! A login without a lasting key: one that is made for this run, and a certificate for it that a store signs.

use std::sync::Arc;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, key::safe_rng};

use super::Identity;
use crate::error::{Code, Error, Result};
use crate::sources::SshKey;

/// A key that is made for this run. It has no `Debug`, and is never written anywhere.
pub struct OwnKey {
    key: PrivateKey,
    request: SshKey,
}

/// Such a key with its certificate.
pub(in crate::remote) struct Certified {
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Certificate,
    /// The reference of who signed it.
    by: String,
}

impl OwnKey {
    /// Makes a key for these users of servers.
    ///
    /// # Errors
    /// [`Code::SshKeyInvalid`] when none can be made.
    pub(in crate::remote) fn new(mut users: Vec<String>) -> Result<Self> {
        users.sort();
        users.dedup();
        let failed = |_| Error::new(Code::SshKeyInvalid, "ssh-sign: no key can be made here");
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(failed)?;
        let public = key.public_key().to_openssh().map_err(failed)?;
        Ok(Self { key, request: SshKey { public, kind: Algorithm::Ed25519.to_string(), users } })
    }

    /// What is to be signed.
    pub fn request(&self) -> &SshKey {
        &self.request
    }

    /// Takes the certificate that `by`, a reference, has signed.
    ///
    /// # Errors
    /// [`Code::SourceFailed`] for a text that is no certificate of this key for users.
    pub(in crate::remote) fn certified(self, certificate: &str, by: &str) -> Result<Identity> {
        let other = |what: &str| {
            Error::new(Code::SourceFailed, format!("{by}: the answer {what}"))
                .help("Is it the SSH engine of a Vault or OpenBao, and the role's `key_type` `ca`?")
        };
        let certificate = Certificate::from_openssh(certificate.trim())
            .map_err(|_| other("is no certificate as OpenSSH writes it"))?;
        if certificate.public_key() != self.key.public_key().key_data() {
            return Err(other("is a certificate of another key"));
        }
        if certificate.cert_type() != CertType::User {
            return Err(other("is a certificate of a host"));
        }
        let by = by.to_owned();
        Ok(Identity::Certified(Arc::new(Certified { key: Arc::new(self.key), certificate, by })))
    }
}

impl Certified {
    /// Why a server may have refused the login of this user, and what to do about it.
    pub(super) fn refused(&self, user: &str) -> (String, Vec<String>) {
        let Self { certificate, by, .. } = self;
        let now = SystemTime::now();
        let time = |time: Option<SystemTime>| match time {
            Some(time) if time > SystemTime::UNIX_EPOCH + crate::sources::DATES => "forever".to_owned(),
            Some(time) => format_rfc3339_seconds(time).to_string(),
            None => "forever".to_owned(),
        };
        let (from, until) = (time(certificate.valid_after_time()), time(certificate.valid_before_time()));
        let here = format_rfc3339_seconds(now);
        let clocks = "Compare the clocks of this machine, of the store and of the server (`date -u`).";
        if certificate.valid_before_time().is_some_and(|end| end <= now) {
            let fact = format!("the certificate of {by} was valid until {until}, and here it is {here}");
            return (fact, vec![format!("{clocks} If they agree, raise the role's `ttl`: `ttl=5m`.")]);
        }
        if certificate.valid_after_time().is_some_and(|start| start > now) {
            let fact = format!("the certificate of {by} is valid from {from} on, and here it is {here}");
            return (fact, vec![clocks.to_owned()]);
        }
        let mount =
            by.split_once(':').and_then(|(_, path)| path.split_once("/sign/")).map_or("MOUNT", |(m, _)| m);
        let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
        let users = certificate.valid_principals().join(", ");
        (
            format!(
                "it does not take the certificate of {by} for the user {user} (for {users}; from {from} until {until}; signed by {authority})"
            ),
            vec![
                format!(
                    "Does the server trust that authority? `TrustedUserCAKeys FILE` in its sshd_config, and in the file the line that `vault read -field=public_key {mount}/config/ca` prints."
                ),
                format!(
                    "Is the user there, and, with `AuthorizedPrincipalsFile`, allowed for {users}? {clocks} `journalctl -u ssh` says why."
                ),
            ],
        )
    }
}

#[cfg(test)]
mod tests {

    use russh::keys::ssh_key::certificate::Builder;

    use super::*;

    fn signed(own: &OwnKey, kind: CertType, from: i64, until: i64) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let authority = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let mut builder = Builder::new_with_random_nonce(
            &mut safe_rng(),
            own.key.public_key(),
            now.saturating_add_signed(from),
            now.saturating_add_signed(until),
        )
        .unwrap();
        builder.cert_type(kind).unwrap().valid_principal("deploy").unwrap();
        builder.sign(&authority).unwrap().to_openssh().unwrap()
    }

    fn refused(from: i64, until: i64) -> String {
        let own = OwnKey::new(vec!["deploy".to_owned()]).unwrap();
        let text = signed(&own, CertType::User, from, until);
        let Ok(Identity::Certified(certified)) = own.certified(&text, "vault:ssh/team/sign/deploy") else {
            panic!()
        };
        let (fact, help) = certified.refused("deploy");
        format!("{fact}: {}", help.join(" "))
    }

    #[test]
    fn a_refused_certificate_is_told_with_its_times_and_its_authority() {
        let late = refused(-60, -1);
        assert!(late.contains("was valid until") && late.contains("ttl=5m"), "{late}");
        let early = refused(3600, 7200);
        assert!(early.contains("is valid from") && early.contains("Compare the clocks"), "{early}");
        let now = refused(-60, 60);
        assert!(
            now.contains("signed by SHA256:")
                && now.contains("vault read -field=public_key ssh/team/config/ca"),
            "{now}"
        );
    }

    #[test]
    fn only_a_certificate_of_this_key_for_users_is_taken() {
        let own = || OwnKey::new(vec!["deploy".to_owned()]).unwrap();
        let (one, two) = (own(), own());
        let of_two = signed(&two, CertType::User, -60, 60);
        assert!(one.certified(&of_two, "vault:s/sign/d").err().unwrap().fact.contains("of another key"));
        let of_host = signed(&two, CertType::Host, -60, 60);
        assert!(two.certified(&of_host, "vault:s/sign/d").err().unwrap().fact.contains("of a host"));
        assert!(own().certified("hunter2", "vault:s/sign/d").err().unwrap().fact.contains("no certificate"));
    }
}
