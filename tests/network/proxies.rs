//! Proxies: which requests go by which one, and which go past them.

use claude_secrets::sources::net::Failure;

use crate::peers::proxy::{Fault, Nobody, Proxy, Rule};
use crate::peers::tunnel::Tunnel;
use crate::{get, network, network_in, outcome};

/// A server with TLS under these names, and what a client needs to trust it.
fn server() -> (Proxy, String) {
    let server = Proxy::alone_tls(&["localhost", "store.example"]);
    server.rule(Rule::always(Fault::json("{}")));
    let pem = server.authority_pem().to_owned();
    (server, pem)
}

#[tokio::test]
async fn https_goes_by_a_proxy_that_sees_only_the_servers_name() {
    let (server, pem) = server();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let tunnel = Tunnel::to(server.address());
        for proxy in [tunnel.url(), tunnel.address.to_string()] {
            let network = network(&[(variable, &proxy), ("INPUT_CA-CERTIFICATES", &pem)]);
            // The name leads nowhere here: it is for the proxy to look it up.
            assert_eq!(
                outcome(get(&network, "https://store.example/a/b").await),
                Ok(200),
                "{variable} {proxy}"
            );
        }
        assert_eq!(tunnel.asked(), ["store.example:443", "store.example:443"], "{variable}");
    }
    assert_eq!(server.seen()[0].target, "/a/b");
}

#[tokio::test]
async fn what_no_proxy_names_goes_past_the_proxy() {
    let (server, pem) = server();
    let url = server.url();
    for (except, by_proxy) in [
        ("localhost", false),
        ("a.example, localhost", false),
        ("*", false),
        ("store.example", true),
        ("", true),
    ] {
        let tunnel = Tunnel::to(server.address());
        let proxy = tunnel.url();
        let variables = [("HTTPS_PROXY", &*proxy), ("NO_PROXY", except), ("INPUT_CA-CERTIFICATES", &*pem)];
        assert_eq!(outcome(get(&network(&variables), &url).await), Ok(200), "{except}");
        assert_eq!(!tunnel.asked().is_empty(), by_proxy, "NO_PROXY={except}");
    }
}

#[tokio::test]
async fn http_goes_by_its_own_proxy_with_the_whole_url() {
    let proxy = Proxy::alone();
    proxy.rule(Rule::always(Fault::json("{}")));
    let url = proxy.url();
    let by = network(&[("HTTP_PROXY", &url), ("HTTPS_PROXY", "http://127.0.0.1:1")]);
    assert_eq!(outcome(get(&by, "http://store.example:8200/v1/x").await), Ok(200));
    assert_eq!(proxy.seen()[0].target, "http://store.example:8200/v1/x");
    assert_eq!(proxy.seen()[0].header("host"), Some("store.example:8200"));
}

#[tokio::test]
async fn a_service_of_this_machine_is_reached_past_every_proxy() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("{}")));
    let nobody = Nobody::take();
    let by = network(&[("ALL_PROXY", &format!("http://{}", nobody.address))]);
    let client = by.direct().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome(by.send(|| client.get(server.url()), |_| false).await), Ok(200));
    assert!(outcome(get(&by, &server.url()).await).is_err(), "the others go by the proxy");
}

#[tokio::test]
async fn a_proxy_gets_the_login_that_its_address_has_and_nobody_else_does() {
    let (server, pem) = server();
    let tunnel = Tunnel::to(server.address());
    let proxy = format!("http://user:pa%20ss@{}", tunnel.address);
    let network = network(&[("HTTPS_PROXY", &proxy), ("INPUT_CA-CERTIFICATES", &pem)]);
    assert_eq!(outcome(get(&network, "https://store.example/").await), Ok(200));
    // user:pa ss
    assert_eq!(tunnel.header("proxy-authorization").as_deref(), Some("Basic dXNlcjpwYSBzcw=="));
    assert_eq!(server.seen()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failure_to_connect_without_its_login_in_the_text() {
    let tunnel = Tunnel::shut();
    let proxy = format!("http://user:canary@{}", tunnel.address);
    let network = network(&[("HTTPS_PROXY", &proxy)]);
    let failure = outcome(get(&network, "https://store.example/").await).unwrap_err();
    assert!(matches!(failure, Failure::Connect(_)), "{failure}");
    let refusal = failure.refusal("aws:x", "store.example");
    let said = format!("{} {}", refusal.fact, refusal.help_text());
    assert!(said.contains("HTTPS_PROXY") && !said.contains("canary"), "{said}");
}

#[test]
fn an_address_of_a_proxy_that_is_none_is_refused_by_its_variable_and_without_an_echo() {
    for text in ["http://user:canary@", "http://canary:port", "http:// canary"] {
        let error = network_in("/".as_ref(), &[("HTTPS_PROXY", text)]).err().unwrap().to_string();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("canary"), "{error}");
    }
}
