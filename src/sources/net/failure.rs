//! Why there is no response, with a remedy. Determined by the types of errors, never by their texts.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::body::{MAX_BODIES, MAX_BODY};
use crate::diagnostic::Diagnostic;

/// Why there is no response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The server did not accept a connection; with the system's reason.
    Connect(String),
    /// The TLS handshake failed, or the server is not trusted; with the TLS library's reason.
    Tls(String),
    /// The server accepted a connection and was silent for too long.
    Silent,
    /// The connection ended before the response was complete.
    CutOff,
    /// The deadline of all sources was reached.
    Deadline(Duration),
    /// The response is larger than that of any store.
    TooLong,
    /// All responses of this run together are larger than those of any number of secrets.
    TooMuch,
    /// The request cannot be made: the address or a header is malformed.
    Malformed,
}

impl Failure {
    /// The failure behind a client's error.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(reason) = cause::<rustls::Error>(error) {
            return Self::Tls(reason.to_string());
        }
        if error.is_builder() {
            return Self::Malformed;
        }
        if error.is_timeout() {
            return if error.is_connect() { Self::Connect("no answer".to_owned()) } else { Self::Silent };
        }
        if error.is_connect() {
            let reason = cause::<std::io::Error>(error).map(crate::error::plain_reason);
            return Self::Connect(reason.unwrap_or_else(|| "the name or the proxy was refused".to_owned()));
        }
        Self::CutOff
    }

    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Silent | Self::CutOff)
    }

    /// The failure of the request `what`, with a remedy. `server` is a host, as the user wrote it.
    pub fn refusal(&self, what: &str, server: &str) -> Diagnostic {
        let help = match self {
            Self::Connect(_) => format!(
                "Check that {server} is correct and running, and that this machine can reach it. Set a proxy in HTTPS_PROXY, and hosts that bypass it in NO_PROXY."
            ),
            Self::Tls(_) => format!(
                "Add the CA that signed the certificate of {server} to `ca-certificates`, and use the host name in the certificate."
            ),
            Self::Silent | Self::CutOff => {
                format!("Check {server} and any proxy in front of it, and run this again.")
            }
            Self::Deadline(_) => "Check the store, or increase `timeout`.".to_owned(),
            Self::TooLong | Self::TooMuch | Self::Malformed => {
                format!("Check that {server} is the right store.")
            }
        };
        Diagnostic::with_help(format!("{what}: {self}"), help)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reason) => write!(f, "no connection: {reason}"),
            Self::Tls(reason) => write!(f, "no secure connection: {reason}"),
            Self::Silent => f.write_str("the server accepted the connection and did not answer"),
            Self::CutOff => f.write_str("the connection ended in the middle of the answer"),
            Self::Deadline(time) => {
                write!(
                    f,
                    "no answer within the timeout of {} for all sources",
                    humantime::format_duration(*time)
                )
            }
            Self::TooLong => write!(f, "the answer is longer than {} MiB", MAX_BODY >> 20),
            Self::TooMuch => write!(f, "all answers together are longer than {} MiB", MAX_BODIES >> 20),
            Self::Malformed => {
                f.write_str("the request cannot be made: the address or a header is malformed")
            }
        }
    }
}

impl StdError for Failure {}

/// The error of this type among an error and its causes.
pub(crate) fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// An error and its causes, the nearest first. Errors of the TLS library come wrapped in those of the system, once or
/// twice.
pub(in crate::sources) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| inner(*error))
}

/// The error inside an error. An error that a system error wraps is not its source: it returns that error's own source.
fn inner<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn an_error_is_found_below_those_of_the_system() {
        let reason = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let twice = Error::other(Error::new(ErrorKind::InvalidData, reason.clone()));
        assert_eq!(cause::<rustls::Error>(&twice), Some(&reason));
        let refused = Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(cause::<Error>(&refused).map(Error::kind), Some(ErrorKind::ConnectionRefused));
        assert!(cause::<rustls::Error>(&refused).is_none());
    }
}
