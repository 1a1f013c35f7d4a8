//! Credentials as headers that are never logged.

use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// The header `Authorization` with a bearer token (RFC 6750 section 2.1); `None` if the token cannot be in a header.
pub fn bearer(token: &SecretValue) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new([b"Bearer ", token.expose()].concat()))
}

/// A credential that is a header by itself; `None` if it cannot be in a header.
pub fn credential(credential: &SecretValue) -> Option<HeaderValue> {
    sensitive(credential.expose())
}

fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_bytes(bytes).ok()?;
    header.set_sensitive(true);
    Some(header)
}
