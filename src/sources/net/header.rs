//! Credentials as headers, which no log shows.

use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// The header `Authorization` of who bears a token (RFC 6750 section 2.1); `None` when the token can stand in no header.
pub fn bearer(token: &SecretValue) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new([b"Bearer ", token.expose()].concat()))
}

/// A credential that is a header by itself; `None` when it can stand in none.
pub fn credential(credential: &SecretValue) -> Option<HeaderValue> {
    sensitive(credential.expose())
}

fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_bytes(bytes).ok()?;
    header.set_sensitive(true);
    Some(header)
}
