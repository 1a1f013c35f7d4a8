//! An engine that is reached by TCP with TLS. What speaks TLS here takes the place of the engine's own listener; behind it is the
//! machine's engine.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "the file serves several test programs")]
#[path = "support/scene.rs"]
mod scene;

use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use scene::{Scene, done};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

const PROJECT: &str = "
services:
  web: { image: IMAGE, command: [sleep, '3000'], stop_signal: SIGKILL, environment: { KEY: '${KEY}' } }
";
const KEY: &str = "canary-Zq7-key";

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a name, and its key, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// Listens with a certificate for `name`, and hands connections of clients that this authority knows to the engine.
fn listen(authority: &Authority, name: &str) -> u16 {
    let (certificate, key) = authority.issue(name);
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(stream).await else { return };
                    let mut far = UnixStream::connect("/var/run/docker.sock").await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    });
    port.recv().unwrap()
}

fn call(scene: &Scene, mode: &str, port: u16, authority: &str, own: &(String, String)) -> Command {
    let host = format!("tcp://127.0.0.1:{port}");
    let mut command =
        scene.cli([mode, "--secrets", "KEY", "--docker-host", &host, "--report-file", "report.json"]);
    command.args([&format!("--docker-tls-ca={authority}"), "--timeout", "5s"]);
    command.env("KEY", KEY).env("DOCKER_TLS_CERT", &own.0).env("DOCKER_TLS_KEY", &own.1);
    command
}

#[track_caller]
fn fails(scene: &Scene, command: Command, code: &str, said: &str) {
    let done = done(command);
    let text = std::fs::read_to_string(scene.project().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["error"]["code"], code, "{}", done.stderr);
    assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
    assert!(!done.stderr.contains("PRIVATE KEY"), "{}", done.stderr);
}

#[test]
fn a_project_is_deployed_and_taken_down_and_files_hold_the_papers_as_well() {
    let scene = Scene::new("remote-tls");
    scene.compose(PROJECT);
    let authority = Authority::new();
    let (port, own) = (listen(&authority, "127.0.0.1"), authority.issue("client"));
    done(call(&scene, "deploy", port, &authority.pem(), &own)).expect(0);
    let id = &scene.containers()["web"].0;
    assert_eq!(scene::docker(["exec", id, "cat", "/run/secrets/key"]), KEY);

    let papers = scene.beside("papers");
    for (name, text) in [("ca.pem", &authority.pem()), ("cert.pem", &own.0), ("key.pem", &own.1)] {
        scene::write_private(&papers.join(name), text);
    }
    let mut down = scene.cli(["down", "--docker-host", &format!("tcp://127.0.0.1:{port}")]);
    down.env("DOCKER_CERT_PATH", &papers);
    done(down).expect(0);
    assert!(scene.containers().is_empty());
}

#[test]
fn whatever_is_wrong_with_the_papers_is_said() {
    let scene = Scene::new("remote-tls");
    scene.compose(PROJECT);
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = listen(&authority, "127.0.0.1");
    let (ca, own) = (authority.pem(), authority.issue("client"));
    let unreachable = "engine-unreachable";
    fails(
        &scene,
        call(&scene, "deploy", port, &stranger.pem(), &own),
        unreachable,
        "not signed by an authority of `docker-tls-ca`",
    );
    fails(
        &scene,
        call(&scene, "deploy", port, &ca, &stranger.issue("client")),
        unreachable,
        "refuses the certificate of DOCKER_TLS_CERT",
    );
    let other = listen(&authority, "other.example");
    fails(&scene, call(&scene, "deploy", other, &ca, &own), unreachable, "is not for that name");
    let mixed = (own.0.clone(), authority.issue("client").1);
    fails(
        &scene,
        call(&scene, "deploy", port, &ca, &mixed),
        "usage",
        "DOCKER_TLS_CERT with DOCKER_TLS_KEY cannot be used",
    );
    let mut none = call(&scene, "deploy", port, &ca, &own);
    none.env_remove("DOCKER_TLS_KEY");
    fails(&scene, none, "usage", "TLS needs DOCKER_TLS_KEY");
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = plain.local_addr().unwrap().port();
    fails(&scene, call(&scene, "deploy", closed, &ca, &own), unreachable, "does not answer within 5 s");
    drop(plain);
    fails(&scene, call(&scene, "deploy", closed, &ca, &own), unreachable, "refuses connections on port");
}
