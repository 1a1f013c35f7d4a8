//! One policy for everything that goes over the network: time limits, retries, proxies, trust, user agent, and how many
//! requests run at once. Sources make requests; this module decides how they are sent.

mod body;
mod failure;
mod header;
mod retry;
mod tls;

use std::future::Future;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use backon::Retryable;
use futures_util::stream::{self, Buffered, Collect, StreamExt};
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, StatusCode, Url, redirect};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

pub use self::body::{Body, MAX_BODY, Room};
pub use self::failure::Failure;
pub(crate) use self::failure::cause;
pub(super) use self::failure::causes;
pub use self::header::{bearer, credential};
pub(crate) use self::retry::retry_after;
pub use self::tls::{Tls, authorities, pem};
use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::settings::{Environment, Settings};

/// How long connecting may take, including TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a service of this machine.
pub const NEAR_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a server may be silent before an attempt is given up.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of attempts of a request.
pub const ATTEMPTS: u32 = 4;
/// The longest wait before the second attempt; it doubles with each further one. The actual wait is a random part of it.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait before any attempt, unless the server asks for more.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How many requests of one source run at the same time.
pub const CONCURRENCY: usize = 64;
/// The user agent.
pub const USER_AGENT: &str = concat!("claude-secrets/", env!("CARGO_PKG_VERSION"));

/// The policy of one run, with its deadline.
pub struct Network {
    deadline: Instant,
    timeout: Duration,
    /// PEM certificates that are trusted in addition to the platform's.
    certificates: Option<Vec<u8>>,
    proxies: Proxies,
    plain: OnceLock<Client>,
    room: Room,
}

/// The proxies of the process: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` in upper or lower case.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `https://` addresses.
    pub https: Option<String>,
    /// For `http://` addresses.
    pub http: Option<String>,
    /// Hosts and domains that are reached without a proxy.
    pub except: Option<String>,
}

/// A server's complete response. It has no `Debug`, because the body may contain a value.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; wiped when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl Network {
    /// The policy of a run. `timeout` begins now.
    ///
    /// # Errors
    /// `usage` if `ca-certificates` cannot be read or contains no certificate, or a proxy address is not valid.
    pub fn new(settings: &Settings) -> Result<Self> {
        // The TLS library has one set of algorithms for the process; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = settings.ca_certificates.as_deref();
        let certificates =
            certificates.map(|text| authorities(text, &settings.workspace, tls::INPUT)).transpose()?;
        Ok(Self {
            deadline: Instant::now() + settings.timeout,
            timeout: settings.timeout,
            certificates,
            proxies: Proxies::read(&settings.variables)?,
            plain: OnceLock::new(),
            room: Room::new(),
        })
    }

    /// The deadline of all sources together.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time limit of all sources together.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How much servers may still send, for clients that are created elsewhere.
    pub fn room(&self) -> Room {
        self.room.clone()
    }

    /// The certificates that `ca-certificates` adds to the platform's, as PEM.
    pub fn certificates(&self) -> Option<&[u8]> {
        self.certificates.as_deref()
    }

    /// The proxies, for clients that are created elsewhere.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The client for most requests; created when it is first needed.
    pub fn client(&self) -> Result<Client> {
        if let Some(client) = self.plain.get() {
            return Ok(client.clone());
        }
        let client = self.client_with(&Tls::default())?;
        Ok(self.plain.get_or_init(|| client).clone())
    }

    /// A client for services of this machine only, such as a metadata service: without proxies, and with short timeouts,
    /// because a local service answers at once or does not exist.
    pub fn direct(&self) -> Result<Client> {
        self.made(Client::builder().no_proxy(), &Tls::default(), NEAR_CONNECT_TIMEOUT)
    }

    /// A client with its own CA certificates or client certificate.
    ///
    /// # Errors
    /// `usage` if the certificates or the key cannot be used.
    pub fn client_with(&self, own: &Tls) -> Result<Client> {
        self.made(self.proxies.on(Client::builder())?, own, CONNECT_TIMEOUT)
    }

    fn made(&self, mut builder: ClientBuilder, own: &Tls, connect_timeout: Duration) -> Result<Client> {
        if let Some(pem) = &self.certificates {
            builder = builder.tls_certs_merge(tls::parsed(pem, tls::INPUT)?);
        }
        if let Some(pem) = &own.certificates {
            builder = builder.tls_certs_merge(tls::parsed(pem, "`ca-certificates`")?);
        }
        if let Some(identity) = &own.identity {
            builder = builder.identity(tls::identity(identity.expose())?);
        }
        builder
            // A redirect would send a header with a token to another server.
            .redirect(redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .read_timeout(READ_TIMEOUT)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| tls::unusable(&error))
    }

    /// Sends a request, and retries if that may help: without a response, or if `again` says so for one ([`is_transient`],
    /// usually). `Retry-After` is honoured as far as the deadline allows.
    ///
    /// # Errors
    /// Why there is no response. A response with an error status is a response.
    pub async fn send(
        &self,
        make: impl Fn() -> RequestBuilder,
        again: impl Fn(&Answer) -> bool,
    ) -> std::result::Result<Answer, Failure> {
        self.send_by(self.deadline, make, again).await
    }

    /// As [`Network::send`], with its own time limit: for clean-up after the sources' deadline.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn send_by(
        &self,
        deadline: Instant,
        make: impl Fn() -> RequestBuilder,
        again: impl Fn(&Answer) -> bool,
    ) -> std::result::Result<Answer, Failure> {
        self.attempts(deadline, make, again, Failure::is_transient).await
    }

    /// As [`Network::send`], for a request that must not be carried out twice: when no answer came, it is sent again only if
    /// no connection came about, and so nobody has seen it.
    ///
    /// # Errors
    /// Why no answer came.
    pub async fn send_unrepeatable(
        &self,
        make: impl Fn() -> RequestBuilder,
        again: impl Fn(&Answer) -> bool,
    ) -> std::result::Result<Answer, Failure> {
        self.attempts(self.deadline, make, again, |failure| matches!(failure, Failure::Connect(_))).await
    }

    async fn attempts(
        &self,
        deadline: Instant,
        make: impl Fn() -> RequestBuilder,
        again: impl Fn(&Answer) -> bool,
        again_after: impl Fn(&Failure) -> bool,
    ) -> std::result::Result<Answer, Failure> {
        let attempt = || async {
            match self.once(make(), deadline).await {
                Ok(answer) if again(&answer) => Err(retry::Try::Answer(answer)),
                Ok(answer) => Ok(answer),
                Err(failure) => Err(retry::Try::Failure(failure)),
            }
        };
        let ended = attempt
            .retry(retry::waits())
            .when(|ended| match ended {
                retry::Try::Answer(_) => true,
                retry::Try::Failure(failure) => again_after(failure),
            })
            .adjust(move |what, wait| wait.and_then(|wait| what.wait(wait, deadline)))
            .await;
        match ended {
            Ok(answer) | Err(retry::Try::Answer(answer)) => Ok(answer),
            Err(retry::Try::Failure(failure)) => Err(failure),
        }
    }

    async fn once(&self, request: RequestBuilder, deadline: Instant) -> std::result::Result<Answer, Failure> {
        super::calls::one();
        let whole = async {
            let mut response = request.send().await.map_err(|error| Failure::of(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = Body::new(&self.room);
            while let Some(piece) = response.chunk().await.map_err(|error| Failure::of(&error))? {
                body.add(&piece)?;
            }
            Ok(Answer { status, headers, body: body.whole() })
        };
        timeout_at(deadline, whole).await.unwrap_or(Err(Failure::Deadline(self.timeout)))
    }
}

/// Many requests of one source in progress.
pub type Each<F> = Collect<Buffered<stream::Iter<std::vec::IntoIter<F>>>, Vec<<F as Future>::Output>>;

/// Runs many requests of one source, at most [`CONCURRENCY`] at a time, and returns their results in the same order.
/// (Its type does not hold the iterator: the compiler cannot tell that one over borrowed items may cross threads.)
pub fn each<F: Future>(requests: impl IntoIterator<Item = F>) -> Each<F> {
    stream::iter(requests.into_iter().collect::<Vec<_>>()).buffered(CONCURRENCY).collect()
}

/// Whether a response may be different a moment later: throttled, not consistent yet (412, Vault), or an error of the
/// server (RFC 9110 sections 15.5 and 15.6, RFC 6585 section 4).
pub fn is_transient(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 408 | 412 | 429 | 500 | 502 | 503 | 504)
}

/// Whether an address is of this machine: what is sent there does not cross a network.
pub fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Proxies {
    fn read(variables: &Environment) -> Result<Self> {
        let either = |name: &str| variables.text(&name.to_lowercase()).or_else(|| variables.text(name));
        let all = either("ALL_PROXY");
        let read = |name: &str| -> Result<Option<String>> {
            let Some(text) = either(name).or(all) else { return Ok(None) };
            let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            Url::parse(&with_scheme).map(|_| Some(with_scheme)).map_err(|_| {
                Error::new(
                    Code::Usage,
                    format!("{name} is not a valid proxy address ({})", count(text.len(), "character")),
                )
                .help(format!("Write it as `http://host:port`, or unset {name}."))
            })
        };
        Ok(Self {
            https: read("HTTPS_PROXY")?,
            http: read("HTTP_PROXY")?,
            except: either("NO_PROXY").map(str::to_owned),
        })
    }

    fn on(&self, builder: ClientBuilder) -> Result<ClientBuilder> {
        let unusable = |_| {
            Error::new(Code::Usage, "a proxy address cannot be used")
                .help("Write it as `http://host:port`; SOCKS is not supported.")
        };
        let except = || self.except.as_deref().and_then(NoProxy::from_string);
        // The same variables that the library would read from the process itself.
        let mut builder = builder.no_proxy();
        if let Some(url) = &self.https {
            builder = builder.proxy(Proxy::https(url).map_err(unusable)?.no_proxy(except()));
        }
        if let Some(url) = &self.http {
            builder = builder.proxy(Proxy::http(url).map_err(unusable)?.no_proxy(except()));
        }
        Ok(builder)
    }
}
