//! Reads AWS's responses before the SDK does, up to the limit for responses of stores. The SDK itself reads responses of
//! any size, and no time limit ends that.

use aws_sdk_secretsmanager::config::http::HttpResponse;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::sources::net::{Body, Failure, Room};

/// A client whose responses are complete when the SDK gets them, and not too large.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: SharedHttpClient,
    room: Room,
}

impl Bounded {
    /// Puts the limit before a client.
    pub(super) fn client(inner: SharedHttpClient, room: Room) -> SharedHttpClient {
        SharedHttpClient::new(Self { inner, room })
    }
}

impl HttpClient for Bounded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner, room: self.room.clone() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    room: Room,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        crate::sources::calls::one();
        let (answer, room) = (self.inner.call(request), self.room.clone());
        HttpConnectorFuture::new(async move { whole(answer.await?, &room).await })
    }
}

/// A response that was not complete: the network's failure in the SDK's errors.
#[derive(Debug)]
pub(super) struct Unread(pub(super) Failure);

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unread {}

async fn whole(mut answer: HttpResponse, room: &Room) -> Result<HttpResponse, ConnectorError> {
    let mut stream = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken()));
    let mut body = Body::new(room);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| ConnectorError::io(Unread(Failure::CutOff).into()))?;
        // The SDK does not retry after an error of this kind.
        body.add(&piece).map_err(|failure| ConnectorError::other(Unread(failure).into(), None))?;
    }
    *answer.body_mut() = SdkBody::from(body.whole().as_slice());
    Ok(answer)
}
