//! Why a call of the SDK failed, determined by codes and types. Neither the SDK's errors nor the server's messages are
//! passed on: their texts contain whole responses, and with them values.

use std::error::Error as StdError;
use std::future::Future;

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::bounded::Unread;
use super::client::NoSuchHost;
use crate::sources::net::{Failure, Network, cause, causes};

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The server returned one of its codes.
    Code(Coded),
    /// The server returned an error status without a code.
    Status(u16),
    /// The host is unknown.
    NoHost(String),
    /// There was no complete response.
    Net(Failure),
    /// The response was not an AWS response.
    Garbled,
}

/// An error code of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Coded {
    /// Its `__type` without the namespace, e.g. `AccessDeniedException`.
    pub(super) code: String,
    /// The request ID, which AWS Support asks for.
    pub(super) request: Option<String>,
}

impl Fault {
    /// The fault behind an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let (meta, response) = (service.err().meta(), service.raw());
                match meta.code() {
                    Some(code) => Self::Code(Coded { code: shown(code), request: request(response) }),
                    None if response.status().is_success() => Self::Garbled,
                    None => Self::Status(response.status().as_u16()),
                }
            }
            SdkError::TimeoutError(_) => Self::Net(Failure::Silent),
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(error) => of_connection(error),
                None => Self::Net(Failure::CutOff),
            },
            SdkError::ResponseError(_) => match cause::<std::io::Error>(error) {
                Some(_) => Self::Net(Failure::CutOff),
                None => of_chain(error).unwrap_or(Self::Garbled),
            },
            _ => Self::Net(Failure::Malformed),
        }
    }

    /// The code for one of several items in a response.
    pub(super) fn of_part(code: &str) -> Self {
        Self::Code(Coded { code: shown(code), request: None })
    }

    /// The code, if the server returned one.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Code(coded) => Some(&coded.code),
            _ => None,
        }
    }
}

/// The network failure behind an error of another type.
pub(super) fn of_chain(error: &(dyn StdError + 'static)) -> Option<Fault> {
    cause::<ConnectorError>(error).map(of_connection)
}

/// Waits for a call until the deadline of the sources.
pub(super) async fn within<T, E>(
    network: &Network,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match tokio::time::timeout_at(network.deadline(), call).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(Fault::of(&error)),
        Err(_) => Err(Fault::Net(Failure::Deadline(network.timeout()))),
    }
}

fn of_connection(error: &ConnectorError) -> Fault {
    if let Some(unread) = cause::<Unread>(error) {
        return Fault::Net(unread.0.clone());
    }
    if let Some(host) = cause::<NoSuchHost>(error) {
        return Fault::NoHost(host.0.clone());
    }
    if let Some(reason) = cause::<rustls::Error>(error) {
        return Fault::Net(Failure::Tls(reason.to_string()));
    }
    if error.is_timeout() {
        // The limit for a response wraps the client, the one for a connection is inside: there is one more error.
        let connecting = error.source().map_or(0, |source| causes(source).count()) > 2;
        return Fault::Net(if connecting {
            Failure::Connect("no answer".to_owned())
        } else {
            Failure::Silent
        });
    }
    if error.is_user() {
        return Fault::Net(Failure::Malformed);
    }
    match cause::<std::io::Error>(error) {
        Some(cause) if ended(cause) => Fault::Net(Failure::CutOff),
        Some(cause) => Fault::Net(Failure::Connect(crate::error::plain_reason(cause))),
        // The error of a refusing proxy has a private type.
        None if error.is_io() => {
            Fault::Net(Failure::Connect("the proxy refused or closed the connection".to_owned()))
        }
        None => Fault::Net(Failure::CutOff),
    }
}

/// Whether an established connection ended.
fn ended(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof)
}

/// A code if it looks like one: the server's text must not be printed.
fn shown(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    let is_one =
        !code.is_empty() && code.len() <= 80 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if is_one { code.to_owned() } else { "unreadable".to_owned() }
}

fn request(response: &HttpResponse) -> Option<String> {
    let id =
        ["x-amzn-requestid", "x-amzn-request-id"].iter().find_map(|name| response.headers().get(*name))?;
    let is_one = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_one.then(|| id.to_owned())
}
