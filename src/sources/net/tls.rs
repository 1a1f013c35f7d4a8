//! Whom we trust and who we are: certificates in PEM, given as text or as a file.

use std::path::Path;

use reqwest::{Certificate, Identity};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::failure::cause;
use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::secret::SecretValue;

/// What a client trusts besides the platform's authorities, and whom it says it is.
#[derive(Default)]
pub struct Tls {
    /// Certificates of authorities, as PEM.
    pub certificates: Option<Vec<u8>>,
    /// A certificate and its key, as PEM, one after the other.
    pub identity: Option<SecretValue>,
}

/// What the input `ca-certificates` is called in errors.
pub(super) const INPUT: &str = "the input `ca-certificates`";

/// Certificates of authorities, as PEM: from a text that is that itself, or names the file that holds it.
///
/// # Errors
/// `usage` when it cannot be read, or holds none that a client can trust.
pub fn authorities(text: &str, from: &Path, said_by: &str) -> Result<Vec<u8>> {
    let pem = pem(text, from, said_by)?;
    if parsed(&pem, said_by)?.is_empty() {
        return Err(no_certificate(said_by));
    }
    Ok(pem)
}

/// PEM: a text that is that itself, or the file that a text names.
pub fn pem(text: &str, from: &Path, said_by: &str) -> Result<Vec<u8>> {
    if text.contains("-----BEGIN ") {
        return Ok(text.as_bytes().to_vec());
    }
    let path = from.join(text);
    let contents = files::read(&path, LARGEST_VALUES).map_err(|error| {
        Error::io(Code::Usage, &format!("read the file that {said_by} names,"), &path, &error)
            .hint("Name a file of the workspace that this user may read, or give the PEM itself.")
    })?;
    let pem = contents.value.expose();
    if pem.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(pem.to_vec());
    }
    Err(no_certificate(said_by))
}

fn no_certificate(said_by: &str) -> Error {
    Error::new(Code::Usage, format!("{said_by} holds no PEM (a text with `-----BEGIN CERTIFICATE-----`)"))
        .hint("Give the text itself, or a file that holds it, of the workspace.")
}

/// The certificates in a PEM text. Each must be one that a client can trust: the library itself would find out only when
/// the client is made, and not say why.
pub(super) fn parsed(pem: &[u8], said_by: &str) -> Result<Vec<Certificate>> {
    let broken = || {
        let fact =
            format!("{said_by} holds a certificate that cannot be read ({})", count(pem.len(), "byte"));
        Error::new(Code::Usage, fact).hint("It must be PEM, e.g. what `openssl x509` prints.")
    };
    let mut trusted = RootCertStore::empty();
    CertificateDer::pem_slice_iter(pem)
        .map(|der| {
            let der = der.map_err(|_| broken())?;
            trusted.add(der.clone()).map_err(|_| broken())?;
            Certificate::from_der(&der).map_err(|_| broken())
        })
        .collect()
}

pub(super) fn identity(pem: &[u8]) -> Result<Identity> {
    Identity::from_pem(pem).map_err(|_| no_pair())
}

/// Why a client cannot be made: its certificate is not that of its key, or there is nobody to trust.
pub(super) fn unusable(error: &reqwest::Error) -> Error {
    match cause::<rustls::Error>(error) {
        Some(rustls::Error::InconsistentKeys(_)) => no_pair(),
        _ => Error::new(
            Code::SourceFailed,
            "the TLS library cannot be set up: no certificates of authorities were found",
        )
        .hint("Install the system's CA certificates (Debian: `ca-certificates`), or name a file by `ca-certificates`."),
    }
}

fn no_pair() -> Error {
    Error::new(Code::Usage, "the client certificate and its key cannot be used together")
        .hint("Both must be PEM, the key without a passphrase, and belong to each other.")
}
