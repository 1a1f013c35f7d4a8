//! The proxy that the tests put before stores does what it is told, as a real client sees it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/peers/mod.rs"]
mod peers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use peers::proxy::{Fault, Full, Nobody, Proxy, Rule, Silent};

/// What curl's manual calls these ends ("EXIT CODES").
const COULD_NOT_CONNECT: i32 = 7;
const PARTIAL_FILE: i32 = 18;
const TIMED_OUT: i32 = 28;
const EMPTY_REPLY: i32 = 52;
const RECEIVE_ERROR: i32 = 56;
const UNKNOWN_AUTHORITY: i32 = 60;

/// Runs curl and returns how it ended and what it printed: the body and, in the last line, the status.
fn curl(words: &[&str]) -> (i32, String) {
    let done = Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "10", "--write-out", "\n%{http_code}"])
        .args(words)
        .output()
        .unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
}

/// A server that answers every request with what it was sent, byte for byte, in chunks of five bytes.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut request = Vec::new();
            // It ends when the client has sent nothing for a while: the tests send at once.
            let _ = stream.read_to_end(&mut request);
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in request.chunks(5) {
                answer.extend(format!("{:x}\r\n", part.len()).bytes());
                answer.extend(part);
                answer.extend(b"\r\n");
            }
            answer.extend(b"0\r\n\r\n");
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[test]
fn requests_and_answers_are_forwarded_byte_for_byte() {
    let proxy = Proxy::before(echo());
    let url = format!("{}/a%20b?c=d", proxy.url());
    let words =
        ["-H", "Host: store.example", "-H", "X-oDd:  two  blanks", "-H", "Transfer-Encoding: chunked"];
    let (end, text) = curl(&[&words[..], &["--data-binary", "some data", &url]].concat());
    assert_eq!(end, 0);
    assert!(text.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("Host: store.example\r\n") && text.contains("X-oDd:  two  blanks\r\n"), "{text}");
    assert!(text.contains("\r\n\r\n9\r\nsome data\r\n0\r\n\r\n"), "{text}");
    let seen = &proxy.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.path()), ("POST", "/a%20b?c=d", "/a%20b"));
    assert_eq!((seen.header("x-odd"), seen.body.as_slice()), (Some("two  blanks"), &b"some data"[..]));
}

#[test]
fn one_connection_carries_many_requests_and_rules_count() {
    let proxy = Proxy::alone();
    proxy.rule(Rule::times(2, Fault::status(503)).under("/one"));
    proxy.rule(Rule::always(Fault::json("{}")));
    let (one, two) = (format!("{}/one", proxy.url()), format!("{}/two", proxy.url()));
    let (end, text) = curl(&[&one, &two, &one, &one]);
    assert_eq!((end, text.as_str()), (0, "\n503{}\n200\n503{}\n200"));
    assert_eq!((proxy.connections(), proxy.seen().len()), (1, 4));
    proxy.clear();
    assert_eq!(curl(&[&one]).1, "\n404", "without a rule or a server there is nothing");
    assert_eq!(proxy.seen().len(), 1);
}

#[test]
fn a_client_sees_each_fault_as_what_it_is() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("0123456789")));
    let proxy = Proxy::before(server.address());
    for (fault, expected) in [
        (Fault::Reset, RECEIVE_ERROR),
        (Fault::CloseBeforeAnswer, EMPTY_REPLY),
        (Fault::Truncate, PARTIAL_FILE),
    ] {
        proxy.rule(Rule::times(1, fault));
        let (end, text) = curl(&[&proxy.url()]);
        assert_eq!(end, expected, "{text}");
        assert_eq!(text.starts_with("01234\n"), expected == PARTIAL_FILE, "{text}");
    }
    proxy.rule(Rule::times(1, Fault::Hang));
    assert_eq!(curl(&["--max-time", "0.2", &proxy.url()]).0, TIMED_OUT);
    proxy.rule(Rule::times(1, Fault::Delay(Duration::from_millis(300))));
    let start = Instant::now();
    assert_eq!(curl(&[&proxy.url()]), (0, "0123456789\n200".to_owned()));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn its_certificate_is_good_for_its_names_to_those_who_trust_its_authority() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("{}")));
    let proxy = Proxy::tls(server.address(), &["localhost", "store.example"]);
    let url = format!("{}/x", proxy.url());
    assert_eq!(curl(&[&url]).0, UNKNOWN_AUTHORITY);
    let pem = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pem.path(), proxy.authority_pem()).unwrap();
    let trust = ["--cacert", pem.path().to_str().unwrap()];
    assert_eq!(curl(&[&trust[..], &[&url]].concat()), (0, "{}\n200".to_owned()));
    let by_address = format!("https://{}/x", proxy.address());
    assert_eq!(curl(&[&trust[..], &[&by_address]].concat()).0, UNKNOWN_AUTHORITY, "that is no name of it");
    proxy.rule(Rule::times(1, Fault::Truncate));
    assert_ne!(curl(&[&trust[..], &[&url]].concat()).0, 0);
}

#[test]
fn many_connections_are_served_at_the_same_time() {
    let proxy = Proxy::alone();
    proxy.rule(Rule::always(Fault::Delay(Duration::from_millis(300))));
    let url = proxy.url();
    let start = Instant::now();
    let many: Vec<_> =
        (0..8).map(|_| Command::new("curl").args(["-s", "--noproxy", "*", &url]).spawn()).collect();
    for client in many {
        assert!(client.unwrap().wait().unwrap().success());
    }
    assert!(start.elapsed() < Duration::from_millis(8 * 300), "one after the other");
    assert_eq!((proxy.connections(), proxy.seen().len()), (8, 8));
}

#[test]
fn an_address_may_have_nobody_or_somebody_silent_or_be_full() {
    let nobody = Nobody::take();
    assert_eq!(curl(&[&format!("http://{}", nobody.address)]).0, COULD_NOT_CONNECT);
    let (silent, full) = (Silent::start(), Full::start());
    for address in [silent.address, full.address] {
        // The second time tells how long the connection took to stand.
        let (end, text) = curl(&["--max-time", "0.2", "-w", "%{time_connect}", &format!("http://{address}")]);
        assert_eq!((end, text == "0.000000"), (TIMED_OUT, address == full.address), "{text}");
    }
}

#[test]
fn it_stops_when_it_is_dropped_also_while_a_request_hangs() {
    let proxy = Proxy::alone();
    proxy.rule(Rule::always(Fault::Hang));
    let address = proxy.address();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while proxy.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(proxy);
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.is_empty() && TcpStream::connect(address).is_err());
}
