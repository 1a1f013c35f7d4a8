//! The vendor's SDK with our network policy: its own HTTP client (it would log bodies from another one), with our time
//! limits, attempts, waits, proxies, CA certificates and user agent.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader};
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::config::retry::{ClassifyRetry, RetryAction, RetryPartition, TokenBucket};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{RetryClassifierPriority, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::ErrorKind;
use tokio::time::Instant;

use super::bounded::Bounded;
use super::setup::Setup;
use crate::error::{Code, Error, Result};
use crate::sources::net::{self, Network};

/// The clients of one service, one for each region in use.
pub(super) struct Clients<C>(Mutex<BTreeMap<String, C>>);

impl<C: Clone> Clients<C> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The client for a region; each is created once.
    pub(super) fn of(&self, region: &str, create: impl FnOnce() -> C) -> C {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region.to_owned()).or_insert_with(create).clone()
    }
}

/// The SDK's configuration.
pub(super) fn loader(setup: &Setup, network: &Network) -> Result<ConfigLoader> {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .env(setup.variables.clone().into())
        .http_client(http_client(setup, network)?)
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(net::CONNECT_TIMEOUT)
                .read_timeout(net::READ_TIMEOUT)
                // The read timeout ends with the first byte of the response.
                .operation_attempt_timeout(net::CONNECT_TIMEOUT + net::READ_TIMEOUT)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(net::ATTEMPTS)
                .with_initial_backoff(net::FIRST_WAIT)
                // Our own waits are far shorter, with so few attempts; this limits what a server asks for.
                .with_max_backoff(network.timeout()),
        );
    let name = AppName::new(net::USER_AGENT.replace('/', "-"));
    Ok(name.into_iter().fold(loader, ConfigLoader::app_name))
}

/// A separate retry quota for each source: the SDK has one for the process and a region, and a store that throttles two
/// hundred reads at once exhausts it.
pub(super) fn partition(setup: &Setup) -> RetryPartition {
    RetryPartition::custom(format!("claude-secrets-{}", setup.id))
        .token_bucket(TokenBucket::unlimited())
        .build()
}

fn http_client(setup: &Setup, network: &Network) -> Result<SharedHttpClient> {
    let mut trust = TrustStore::default();
    // The SDK panics on an invalid one; these have been parsed before.
    for pem in network.certificates().into_iter().chain(setup.certificates.as_deref()) {
        trust.add_pem_certificate(pem);
    }
    let failed = |_| Error::new(Code::Usage, format!("{}: the TLS library cannot be set up", setup.id));
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(failed)?;
    let proxy = proxy(setup, network)?;
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .proxy_config(proxy.clone())
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(context.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build_with_resolver(SystemResolver)
    });
    Ok(Bounded::client(client, network.room()))
}

/// The proxy for the service. One for `http://` is only used for an endpoint with `http://`: the metadata service of an
/// instance also uses it, and must be reached without a proxy.
fn proxy(setup: &Setup, network: &Network) -> Result<ProxyConfig> {
    let proxies = network.proxies();
    let plain = setup.endpoint.as_ref().is_some_and(|endpoint| endpoint.text.starts_with("http://"));
    let config = match (plain, &proxies.http, &proxies.https) {
        (true, Some(url), _) => ProxyConfig::http(url.as_str()),
        (false, _, Some(url)) => ProxyConfig::https(url.as_str()),
        _ => return Ok(ProxyConfig::disabled()),
    };
    let config = config.map_err(|_| {
        Error::new(Code::Usage, format!("{}: the proxy address cannot be used", setup.id)).help(
            "Write it as `http://host:port`; SOCKS is not supported. Set hosts that bypass it in NO_PROXY.",
        )
    })?;
    Ok(match &proxies.except {
        Some(hosts) => config.no_proxy(hosts),
        None => config,
    })
}

/// The system's resolver, with an error that distinguishes an unknown host from a server that does not answer.
#[derive(Clone, Debug)]
struct SystemResolver;

/// A host without an address.
#[derive(Debug)]
pub(super) struct NoSuchHost(pub(super) String);

impl std::fmt::Display for NoSuchHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown host {}", self.0)
    }
}

impl std::error::Error for NoSuchHost {}

impl ResolveDns for SystemResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = name.to_owned();
        DnsFuture::new(async move {
            let host = name.clone();
            let looked_up = tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs()).await;
            match looked_up {
                Ok(Ok(addresses)) => Ok(addresses.map(|address| address.ip()).collect::<Vec<IpAddr>>()),
                _ => Err(ResolveDnsError::new(NoSuchHost(name))),
            }
        })
    }
}

/// What the SDK ignores: `Retry-After`, and status 429 without an AWS error code (from a proxy in front of it).
#[derive(Debug)]
pub(super) struct RetryAfter {
    /// The deadline for requests.
    pub(super) deadline: Instant,
}

impl ClassifyRetry for RetryAfter {
    fn name(&self) -> &'static str {
        "Retry-After"
    }

    /// After all of the SDK's own: it refines their result.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        self.classify_retry_v2(context, &RetryAction::NoActionIndicated)
    }

    fn classify_retry_v2(&self, context: &InterceptorContext, so_far: &RetryAction) -> RetryAction {
        let Some(response) = context.response() else { return RetryAction::NoActionIndicated };
        let asked = wait(response);
        let (kind, known) = match so_far {
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind, retry_after }) => {
                (*kind, *retry_after)
            }
            RetryAction::NoActionIndicated if response.status().as_u16() == 429 => {
                (ErrorKind::ThrottlingError, None)
            }
            _ => return RetryAction::NoActionIndicated,
        };
        let Some(wait) = asked.max(known) else { return RetryAction::retryable_error(kind) };
        match Instant::now().checked_add(wait) {
            Some(at) if at < self.deadline => RetryAction::retryable_error_with_explicit_delay(kind, wait),
            // Not in this run: it is better to report that now than at the deadline.
            _ => RetryAction::RetryForbidden,
        }
    }
}

fn wait(response: &HttpResponse) -> Option<Duration> {
    response.headers().get("retry-after").and_then(net::retry_after)
}
