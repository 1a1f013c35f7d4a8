//! The certificate of an application, and the assertions that it signs instead of using a secret (learn.microsoft.com,
//! "Microsoft identity platform application authentication certificate credentials").

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::login::Application;
use crate::secret::SecretValue;

/// How long an assertion is valid, in seconds.
const LIFETIME: u64 = 300;

/// A certificate with its key. It has no `Debug`.
pub(super) struct Certificate {
    /// The SHA-256 of the certificate, by which Entra finds it.
    thumbprint: String,
    key: Arc<dyn SigningKey>,
}

impl Certificate {
    /// Takes PEM with a certificate and its key.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn read(pem: &SecretValue) -> Result<Self, &'static str> {
        let certificate =
            CertificateDer::from_pem_slice(pem.expose()).map_err(|_| "contains no readable certificate")?;
        let key = PrivateKeyDer::from_pem_slice(pem.expose())
            .map_err(|_| "contains no key without a passphrase")?;
        let key = any_supported_type(&key).map_err(|_| "contains a key that cannot be used")?;
        if key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none() {
            return Err("contains a key that is not an RSA key, which Entra does not accept");
        }
        Ok(Self { thumbprint: BASE64URL_NOPAD.encode(&Sha256::digest(&certificate)), key })
    }

    /// An assertion, signed now, that its bearer is the application. `endpoint` is its audience.
    pub(super) fn assertion(&self, application: &Application, endpoint: &str) -> Option<SecretValue> {
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut number = [0; 16];
        getrandom::fill(&mut number).ok()?;
        let claims = json!({
            "aud": endpoint,
            "iss": application.client,
            "sub": application.client,
            "jti": HEXLOWER.encode(&number),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
        });
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let text =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])?;
        let signature = signer.sign(text.as_bytes()).ok()?;
        Some(SecretValue::new(format!("{text}.{}", encode(&signature)).into_bytes()))
    }
}
