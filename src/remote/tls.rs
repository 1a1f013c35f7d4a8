//! An engine that is reached by TCP with TLS: both sides show certificates. The key stays in this process.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::is_unknown_name;
use super::relay::Line;
use crate::error::{Code, Error, Result, plain_reason};
use crate::secret::SecretValue;

/// Certificates and the key, as PEM.
pub(super) struct Papers {
    /// The authorities that sign the engine's certificate.
    pub(super) authorities: Vec<u8>,
    /// Our certificate, with those that lead to its authority.
    pub(super) certificate: Vec<u8>,
    /// Its key.
    pub(super) key: SecretValue,
}

/// The way to the engine.
pub(super) struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    limit: Duration,
    trouble: Mutex<Option<Error>>,
}

impl Tls {
    /// Checks the papers, and that the engine answers by them within `limit`.
    ///
    /// # Errors
    /// [`Code::Usage`] for papers that cannot be used, [`Code::EngineUnreachable`] for the rest.
    pub(super) async fn open(host: &str, port: u16, papers: &Papers, limit: Duration) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::new(Code::Usage, "docker-host: the machine's name is not one that a certificate can have")
        })?;
        let connector = TlsConnector::from(Arc::new(config(papers)?));
        let trouble = Mutex::new(None);
        let this = Self { host: host.to_owned(), port, name, connector, limit, trouble };
        let asked = tokio::time::timeout(limit, this.ping()).await;
        asked
            .unwrap_or_else(|_| Err(std::io::Error::from(ErrorKind::TimedOut)))
            .map_err(|error| this.error(&error))?;
        Ok(this)
    }

    /// What went wrong since the last time that this was asked.
    pub(super) async fn trouble(&self) -> Option<Error> {
        self.trouble.lock().await.take()
    }

    async fn connection(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), stream).await
    }

    /// With TLS 1.3 a server refuses a certificate only when it is asked for something.
    async fn ping(&self) -> std::io::Result<()> {
        let mut stream = self.connection().await?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if &answer == b"HTTP/" { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }

    fn error(&self, error: &std::io::Error) -> Error {
        let at = format!("{}:{}", self.host, self.port);
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let (fact, help) = match (tls, error.kind()) {
            (Some(rustls::Error::InvalidCertificate(why)), _) => (
                match why {
                    CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                        format!("the certificate of {at} is not signed by an authority of `docker-tls-ca`")
                    }
                    CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                        format!("the certificate of {at} has expired")
                    }
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                        format!("the certificate of {at} is not for that name")
                    }
                    _ => format!("the certificate of {at} is not good"),
                },
                "Give the authority that signed it by `docker-tls-ca`, and name the machine as its certificate does.",
            ),
            (
                Some(rustls::Error::AlertReceived(
                    AlertDescription::BadCertificate
                    | AlertDescription::CertificateRequired
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::UnknownCA
                    | AlertDescription::CertificateExpired
                    | AlertDescription::AccessDenied
                    | AlertDescription::DecryptError,
                )),
                _,
            ) => (
                format!("the engine at {at} refuses the certificate of DOCKER_TLS_CERT"),
                "It must be signed by the authority of the engine's `--tlscacert`, be for clients, and not have expired.",
            ),
            (Some(_), _) | (None, ErrorKind::InvalidData) => (
                format!("what answers at {at} does not speak TLS as an engine does"),
                "Start the engine with `--tlsverify`; its port is then 2376 by custom, and 2375 is the one without TLS.",
            ),
            (None, ErrorKind::ConnectionRefused) => (
                format!("{} refuses connections on port {}", self.host, self.port),
                "Does the engine listen there (`--host tcp://0.0.0.0:2376 --tlsverify`)? Does a firewall let this machine in?",
            ),
            (None, ErrorKind::TimedOut) => (
                format!("{at} does not answer within {} s", self.limit.as_secs()),
                "Is the machine up, and does its firewall let this machine in?",
            ),
            _ if is_unknown_name(error) => (
                format!("there is no machine with the name {}", self.host),
                "Correct the name in `docker-host`.",
            ),
            _ => (
                format!("cannot reach the engine at {at}: {}", plain_reason(error)),
                "Check name and port in `docker-host`.",
            ),
        };
        Error::new(Code::EngineUnreachable, fact).help(help)
    }
}

impl Line for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn open(&self) -> Option<Self::Stream> {
        let made = tokio::time::timeout(self.limit, self.connection()).await;
        match made.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(stream) => Some(stream),
            Err(error) => {
                *self.trouble.lock().await = Some(self.error(&error));
                None
            }
        }
    }
}

fn config(papers: &Papers) -> Result<ClientConfig> {
    let unusable = |what: &str| {
        Error::new(Code::Usage, format!("{what} cannot be used")).help(
        "Give PEM: the authority by `docker-tls-ca`, the certificate as DOCKER_TLS_CERT, its key without a passphrase as DOCKER_TLS_KEY.",
    )
    };
    let list = |pem: &[u8], what: &str| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        all.ok().filter(|all| !all.is_empty()).ok_or_else(|| unusable(what))
    };
    let mut trusted = RootCertStore::empty();
    for authority in list(&papers.authorities, "docker-tls-ca")? {
        trusted.add(authority).map_err(|_| unusable("docker-tls-ca"))?;
    }
    let own = list(&papers.certificate, "DOCKER_TLS_CERT")?;
    let key = PrivateKeyDer::from_pem_slice(papers.key.expose()).map_err(|_| unusable("DOCKER_TLS_KEY"))?;
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| unusable("the TLS library"))?
        .with_root_certificates(trusted)
        .with_client_auth_cert(own, key)
        .map_err(|_| unusable("DOCKER_TLS_CERT with DOCKER_TLS_KEY"))
}
