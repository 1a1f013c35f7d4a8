//! The one network policy, as the vendor's SDK keeps it: proxies, trust, time limits, waits, and what servers are told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::peers::aws::{Aws, Keys};
use crate::peers::proxy::{Fault, Nobody, Proxy, Rule, Silent};
use crate::run::{Run, reader, shared};

fn keys(aws: &Aws, user: &str) -> Keys {
    aws.put(&format!("{user}/key"), b"value");
    aws.user(user, &reader(&format!("{user}/")))
}

fn anybody(url: &str) -> Run {
    Run::at(url)
        .variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
        .variable("AWS_SECRET_ACCESS_KEY", "secret")
}

/// Whether it is said that a host has no address, or, on a machine whose name server is out of reach, none in time.
fn no_way_to(host: &str, said: &str) -> bool {
    said.contains(&format!(": unknown host {host}")) || said.contains("no connection: no answer")
}

#[tokio::test]
async fn servers_are_told_who_asks() {
    let aws = shared();
    let keys = keys(&aws, "agent");
    let proxy = Proxy::before(aws.address());
    assert_eq!(Run::at(&proxy.url()).keys(&keys).one("aws:agent/key").await.value(), b"value");
    let seen = proxy.seen();
    let agent = seen[0].header("user-agent").unwrap();
    assert!(agent.contains(&format!("app/claude-secrets-{}", env!("CARGO_PKG_VERSION"))), "{agent}");
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let aws = shared();
    let keys = keys(&aws, "authority");
    let proxy = Proxy::tls(aws.address(), &["localhost"]);
    let run = || Run::at(&proxy.url()).keys(&keys);
    assert_eq!(
        run().input("ca-certificates", proxy.authority_pem()).one("aws:authority/key").await.value(),
        b"value"
    );
    let file = run().variable("AWS_CA_BUNDLE", proxy.authority_pem());
    assert_eq!(file.one("aws:authority/key").await.value(), b"value");
    let said = run().one("aws:authority/key").await.failed();
    assert!(said.contains("no secure connection: ") && said.contains("`ca-certificates`"), "{said}");
    let other = Proxy::alone_tls(&["localhost"]);
    run().input("ca-certificates", other.authority_pem()).one("aws:authority/key").await.failed();
}

#[tokio::test]
async fn proxies_stand_between_and_no_proxy_goes_past_them() {
    let aws = shared();
    let keys = keys(&aws, "proxied");
    let between = Proxy::before(aws.address());
    let run =
        || Run::at("http://secretsmanager.example.com").keys(&keys).variable("HTTP_PROXY", &between.url());
    let told = run().one("aws:proxied/key").await;
    let seen = between.seen();
    assert_eq!(seen[0].target, "http://secretsmanager.example.com/", "{}", told.said());
    let past = run().variable("NO_PROXY", "example.com").one("aws:proxied/key").await;
    assert!(no_way_to("secretsmanager.example.com", &past.failed()), "{}", past.said());
    assert_eq!(between.seen().len(), seen.len());
}

#[tokio::test]
async fn aws_itself_is_reached_through_the_proxy_for_https() {
    let between = Proxy::alone();
    between.rule(Rule::always(Fault::status(403)));
    let run = anybody("http://unused").without("AWS_ENDPOINT_URL").variable("HTTPS_PROXY", &between.url());
    let said = run.again().one("aws:any").await.failed();
    assert!(said.contains("no connection: the proxy refused"), "{said}");
    let seen = between.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("CONNECT", "secretsmanager.eu-central-1.amazonaws.com:443")
    );
    assert!(seen[0].header("authorization").is_none());
    run.variable("AWS_REGION", "cn-north-1").one("aws:any").await.failed();
    assert_eq!(between.seen().last().unwrap().target, "secretsmanager.cn-north-1.amazonaws.com.cn:443");
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_refused_with_what_is_supported_and_without_its_login() {
    let run = anybody("http://unused").without("AWS_ENDPOINT_URL");
    let said = run.variable("HTTPS_PROXY", "socks5://user:canary@127.0.0.1:1").one("aws:any").await.failed();
    assert!(said.contains("the proxy address cannot be used\nWrite it as `http://host:port`"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_told_by_the_host_that_does_not() {
    let run = anybody("http://unused").without("AWS_ENDPOINT_URL").variable("AWS_REGION", "eu-nowhere-9");
    let said = run.one("aws:any").await.failed();
    assert!(no_way_to("secretsmanager.eu-nowhere-9.amazonaws.com", &said), "{said}");
    assert!(said.contains("Check the region eu-nowhere-9 (`AWS_REGION`)"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_there_and_one_that_says_nothing_are_told_apart() {
    let nobody = Nobody::take();
    let said = anybody(&format!("http://{}", nobody.address)).one("aws:any").await.failed();
    assert!(said.contains("no connection: "), "{said}");
    let silent = Silent::start();
    let started = Instant::now();
    let said =
        anybody(&format!("http://{}", silent.address)).input("timeout", "1s").one("aws:any").await.failed();
    assert!(said.contains("no answer within the timeout of 1s"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let aws = shared();
    let keys = keys(&aws, "patience");
    for header in [("Retry-After", "1"), ("x-amz-retry-after", "1000")] {
        let proxy = Proxy::before(aws.address());
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        let body = br#"{"__type":"ThrottlingException"}"#.to_vec();
        proxy.rule(Rule::times(1, Fault::Status { status: 400, headers, body }));
        assert_eq!(Run::at(&proxy.url()).keys(&keys).one("aws:patience/key").await.value(), b"value");
        let seen = proxy.seen();
        let waited = seen[1].at - seen[0].at;
        assert!(waited >= Duration::from_millis(950), "{header:?}: {waited:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_more_time_than_there_is_is_not_waited_for() {
    let server = Proxy::alone();
    let headers = vec![("Retry-After".to_owned(), "600".to_owned())];
    let body = br#"{"__type":"ThrottlingException"}"#.to_vec();
    server.rule(Rule::always(Fault::Status { status: 400, headers, body }));
    let started = Instant::now();
    let said = anybody(&server.url()).one("aws:any").await.failed();
    assert!(said.contains("is throttling requests"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5) && server.seen().len() == 1);
}

#[tokio::test]
async fn two_hundred_reads_that_are_throttled_twice_each_all_arrive() {
    let aws = shared();
    let only_get = crate::peers::aws::allow(
        &["secretsmanager:GetSecretValue"],
        &crate::peers::aws::secrets_below("storm/"),
    );
    let keys = aws.user("storm", &serde_json::json!([only_get]));
    let names: Vec<String> = (0..200).map(|number| format!("storm/{number}")).collect();
    for name in &names {
        aws.put(name, b"value");
    }
    let proxy = Proxy::before(aws.address());
    let body = br#"{"__type":"ThrottlingException"}"#.to_vec();
    let throttled = Fault::Status { status: 400, headers: Vec::new(), body };
    let counts: Mutex<BTreeMap<Vec<u8>, usize>> = Mutex::default();
    proxy.rule(Rule::always(throttled).when(move |seen| {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(seen.body.clone()).or_default();
        *count += 1;
        seen.header("x-amz-target") == Some("secretsmanager.GetSecretValue") && *count <= 2
    }));
    let references: Vec<String> = names.iter().map(|name| format!("aws:{name}")).collect();
    let run = Run::at(&proxy.url()).keys(&keys);
    for told in run.all(&references.iter().map(String::as_str).collect::<Vec<_>>()).await {
        assert_eq!(told.value(), b"value");
    }
}

#[tokio::test]
async fn an_address_without_tls_is_warned_of_unless_it_is_this_machine() {
    let aws = shared();
    let keys = keys(&aws, "plain");
    let run = Run::at(&aws.url()).keys(&keys);
    assert!(run.resolve("KEY = aws:plain/key").await.warnings.is_empty());
    let between = Proxy::before(aws.address());
    let far =
        run.variable("AWS_ENDPOINT_URL", "http://store.example.com").variable("HTTP_PROXY", &between.url());
    let warnings = far.resolve("KEY? = aws:plain/key").await.warnings;
    assert!(warnings.iter().any(|warning| warning.fact.contains("does not use TLS")), "{warnings:?}");
}
