//! Sends octocrab's requests by the one network policy: its deadline, retries, proxies, trust and limits.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use octocrab::OctoBody;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Url};

use crate::sources::net::{self, Answer, Failure, Network};

/// The version of the API that is asked for (docs.github.com, "API Versions").
const VERSION: &str = "2022-11-28";
/// How often a repository that was renamed or moved is followed.
const REDIRECTS: usize = 3;

/// What carries requests to the API of one server.
#[derive(Clone)]
pub(super) struct Service {
    network: Arc<Network>,
    client: Client,
    base: Url,
    bearer: HeaderValue,
}

impl Service {
    /// Requests go to paths below `base`, with the header `bearer`.
    pub(super) fn new(network: Arc<Network>, client: Client, base: Url, bearer: HeaderValue) -> Self {
        Self { network, client, base, bearer }
    }

    /// Sends a request and returns the whole answer.
    ///
    /// # Errors
    /// Why no answer came.
    pub(super) async fn call(
        &self,
        request: Request<OctoBody>,
    ) -> Result<Response<Full<bytes::Bytes>>, Failure> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Failure::Malformed)?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let base = self.base.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}{path}")).map_err(|_| Failure::Malformed)?;
        let mut answer = self.send(&parts.method, &url, &body).await?;
        for _ in 0..REDIRECTS {
            let Some(next) = self.moved(&answer, &url).filter(|_| parts.method == Method::GET) else { break };
            url = next;
            answer = self.send(&parts.method, &url, &body).await?;
        }
        let mut response = Response::new(Full::from(answer.body.to_vec()));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    async fn send(&self, method: &Method, url: &Url, body: &bytes::Bytes) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.bearer.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static(VERSION));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let make = || {
            let request = self.client.request(method.clone(), url.clone()).headers(headers.clone());
            if body.is_empty() { request } else { request.body(body.clone()) }
        };
        if *method == Method::POST {
            return self.network.send_unrepeatable(make, is_put_off).await;
        }
        let again = |answer: &Answer| is_put_off(answer) || net::is_transient(answer) && answer.status != 429;
        self.network.send(make, again).await
    }

    /// Where a thing is now that was asked for under an old name: only on the same server, since the token goes along.
    fn moved(&self, answer: &Answer, url: &Url) -> Option<Url> {
        if !matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) {
            return None;
        }
        let next = url.join(answer.headers.get(LOCATION)?.to_str().ok()?).ok()?;
        (next.origin() == self.base.origin()).then_some(next)
    }
}

/// Whether a request was turned away, and may be made again after a time that is said: GitHub does that by 403, too
/// (docs.github.com, "Rate limits for the REST API"). What waits for the next hour says no such time.
fn is_put_off(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 403 | 429) && answer.headers.contains_key(RETRY_AFTER)
}
