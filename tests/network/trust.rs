//! Whom we trust: `ca-certificates` as text and as a file, and nobody besides.

use std::io::{Read, Write};
use std::net::TcpListener;

use claude_secrets::error::Code;
use claude_secrets::sources::net::Failure;

use crate::peers::authority::Authority;
use crate::peers::proxy::{Fault, Proxy, Rule};
use crate::{get, network, network_in, outcome};

fn server(names: &[&str]) -> Proxy {
    let server = Proxy::alone_tls(names);
    server.rule(Rule::always(Fault::json("{}")));
    server
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_ca_certificates_names() {
    let server = server(&["localhost"]);
    let other = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let both = format!("# two authorities\n{}\n{}", other.pem(), server.authority_pem());
    std::fs::write(directory.path().join("ca.pem"), &both).unwrap();
    let absolute = directory.path().join("ca.pem");
    for given in [server.authority_pem(), &both, "ca.pem", absolute.to_str().unwrap()] {
        let network = network_in(directory.path(), &[("INPUT_CA-CERTIFICATES", given)])
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(outcome(get(&network, &server.url()).await), Ok(200));
    }
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_at_once_with_the_way_to_trust_it() {
    let server = server(&["localhost"]);
    let other = Authority::new();
    for variables in [&[][..], &[("INPUT_CA-CERTIFICATES", other.pem())]] {
        let failure = outcome(get(&network(variables), &server.url()).await).unwrap_err();
        assert!(matches!(failure, Failure::Tls(_)), "{failure}");
        let refusal = failure.refusal("vault:secret/x", "localhost");
        assert!(refusal.help_text().contains("`ca-certificates`"), "{}", refusal.help_text());
        assert!(refusal.fact.contains("UnknownIssuer"), "{}", refusal.fact);
    }
    assert_eq!((server.seen().len(), server.connections()), (0, 2), "tried again, or something was sent");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let server = server(&["store.example"]);
    let network = network(&[("INPUT_CA-CERTIFICATES", server.authority_pem())]);
    let failure = outcome(get(&network, &server.url()).await).unwrap_err();
    assert!(matches!(&failure, Failure::Tls(reason) if reason.contains("store.example")), "{failure}");
}

#[tokio::test]
async fn a_plain_server_behind_https_is_a_failure_of_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let failure = outcome(get(&network(&[]), &url).await).unwrap_err();
    assert!(matches!(failure, Failure::Tls(_)), "{failure}");
}

#[test]
fn ca_certificates_that_are_none_are_refused_without_an_echo() {
    let directory = tempfile::tempdir().unwrap();
    let key = Authority::new().issue(&["x"]).key;
    std::fs::write(directory.path().join("key.pem"), &key).unwrap();
    std::fs::write(directory.path().join("canary"), "canary").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n";
    for given in ["nowhere.pem", ".", "key.pem", "canary", &key, broken] {
        let error = network_in(directory.path(), &[("INPUT_CA-CERTIFICATES", given)]).err();
        let error = error.unwrap_or_else(|| panic!("{given} was taken"));
        assert_eq!(error.code, Code::Usage, "{error}");
        let text = error.to_string();
        assert!(text.contains("`ca-certificates`") && text.contains("fix: "), "{given}: {text}");
        assert!(!text.contains("canary\n") && !text.contains(&key[40..60]), "{text}");
    }
}
