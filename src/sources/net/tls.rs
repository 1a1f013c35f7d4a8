//! CA and client certificates in PEM, given as text or as a file.

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

/// A client's additional CA certificates, and its own certificate.
#[derive(Default)]
pub struct Tls {
    /// CA certificates as PEM.
    pub certificates: Option<Vec<u8>>,
    /// A certificate and its key, as PEM, one after the other.
    pub identity: Option<SecretValue>,
}

/// The name of the input `ca-certificates` in errors.
pub(super) const INPUT: &str = "the input `ca-certificates`";

/// CA certificates as PEM: from a text that is PEM itself, or the path of a file with it.
///
/// # Errors
/// `usage` if it cannot be read, or contains no usable certificate.
pub fn authorities(text: &str, from: &Path, said_by: &str) -> Result<Vec<u8>> {
    let pem = pem(text, from, said_by)?;
    if parsed(&pem, said_by)?.is_empty() {
        return Err(no_certificate(said_by));
    }
    Ok(pem)
}

/// PEM: a text that is PEM itself, or the file that it names.
pub fn pem(text: &str, from: &Path, said_by: &str) -> Result<Vec<u8>> {
    if text.contains("-----BEGIN ") {
        return Ok(text.as_bytes().to_vec());
    }
    let path = from.join(text);
    let contents = files::read(&path, LARGEST_VALUES).map_err(|error| {
        Error::io(Code::Usage, &format!("read the file that {said_by} names,"), &path, &error)
            .help("Use a file of the workspace that this user can read, or the PEM text itself.")
    })?;
    let pem = contents.value.expose();
    if pem.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(pem.to_vec());
    }
    Err(no_certificate(said_by))
}

fn no_certificate(said_by: &str) -> Error {
    Error::new(Code::Usage, format!("{said_by} contains no PEM (a text with `-----BEGIN CERTIFICATE-----`)"))
        .help("Use the text itself, or a file of the workspace that contains it.")
}

/// The certificates in a PEM text. Each must be usable: the library itself would find out only when the client is
/// created, and not say why.
pub(super) fn parsed(pem: &[u8], said_by: &str) -> Result<Vec<Certificate>> {
    let broken = || {
        let fact =
            format!("{said_by} contains a certificate that cannot be read ({})", count(pem.len(), "byte"));
        Error::new(Code::Usage, fact).help("It must be PEM, e.g. what `openssl x509` prints.")
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

/// Why a client cannot be created: its certificate does not belong to its key, or there are no CA certificates.
pub(super) fn unusable(error: &reqwest::Error) -> Error {
    match cause::<rustls::Error>(error) {
        Some(rustls::Error::InconsistentKeys(_)) => no_pair(),
        _ => Error::new(
            Code::SourceFailed,
            "the TLS library cannot be set up: no certificates of authorities were found",
        )
        .help("Install the system's CA certificates (Debian: `ca-certificates`), or set the input `ca-certificates` to a file."),
    }
}

fn no_pair() -> Error {
    Error::new(Code::Usage, "the client certificate and its key cannot be used together")
        .help("Both must be PEM, the key without a passphrase, and belong together.")
}
