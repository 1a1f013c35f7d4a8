//! How long is waited, how much is read, and how many requests run at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use claude_secrets::sources::net::{
    self, ATTEMPTS, CONCURRENCY, CONNECT_TIMEOUT, Failure, READ_TIMEOUT, USER_AGENT,
};

use crate::peers::proxy::{Fault, Full, Proxy, Rule, Silent};
use crate::{get, network, outcome};

/// The longest that four attempts wait between them: 250, 500 and 1000 ms.
const ALL_WAITS: Duration = Duration::from_millis(1750);

/// What a request came to, and how long it took by the clock of the runtime, which a test may have stopped: then it moves
/// on by itself whenever all wait.
async fn timed(timeout: &str, address: std::net::SocketAddr) -> (Result<u16, Failure>, Duration) {
    let network = network(&[("INPUT_TIMEOUT", timeout)]);
    let start = tokio::time::Instant::now();
    let ended = outcome(get(&network, &format!("http://{address}")).await);
    (ended, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_five_seconds_to_stand() {
    let full = Full::start();
    let (ended, took) = timed("10m", full.address).await;
    assert_eq!(ended, Err(Failure::Connect("no answer".to_owned())));
    let least = CONNECT_TIMEOUT * ATTEMPTS;
    assert!(took >= least && took <= least + ALL_WAITS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_may_be_silent_for_ten_seconds() {
    let silent = Silent::start();
    let (ended, took) = timed("10m", silent.address).await;
    assert_eq!(ended, Err(Failure::Silent));
    let least = READ_TIMEOUT * ATTEMPTS;
    assert!(took >= least && took <= least + ALL_WAITS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_run_ends_every_wait() {
    let (silent, full) = (Silent::start(), Full::start());
    for address in [silent.address, full.address] {
        let (ended, took) = timed("3s", address).await;
        assert_eq!(ended, Err(Failure::Deadline(Duration::from_secs(3))));
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_talks_on_and_on_has_no_more_time_than_others() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::Hang));
    let network = network(&[("INPUT_TIMEOUT", "300ms")]);
    let start = Instant::now();
    let failure = outcome(get(&network, &server.url()).await).unwrap_err();
    assert_eq!(failure, Failure::Deadline(Duration::from_millis(300)));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    assert!(failure.to_string().contains("300ms"), "{failure}");
    assert_eq!(server.seen().len(), 1);
    // What is asked after the end is not sent.
    assert_eq!(outcome(get(&network, &server.url()).await), Err(failure));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_run_may_have_any_time() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("{}")));
    for timeout in ["18446744073709551615", "500000000000y"] {
        assert_eq!(outcome(get(&network(&[("INPUT_TIMEOUT", timeout)]), &server.url()).await), Ok(200));
    }
}

#[tokio::test]
async fn an_answer_may_have_sixteen_megabytes_and_not_one_byte_more() {
    let most = 16 * 1024 * 1024;
    for (length, expected) in [(most, Ok(200)), (most + 1, Err(Failure::TooLong))] {
        let server = Proxy::alone();
        server.rule(Rule::always(Fault::json(vec![b' '; length])));
        assert_eq!(outcome(get(&network(&[]), &server.url()).await), expected);
        assert_eq!(server.seen().len(), 1, "asked again");
    }
}

#[tokio::test]
async fn no_server_can_send_us_to_another_one() {
    let (server, other) = (Proxy::alone(), Proxy::alone());
    let to = vec![("Location".to_owned(), format!("{}/there", other.url()))];
    for status in [301, 302, 303, 307, 308] {
        server.rule(Rule::times(1, Fault::Status { status, headers: to.clone(), body: Vec::new() }));
        assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(status));
    }
    assert_eq!((server.seen().len(), other.seen().len()), (5, 0));
}

#[tokio::test]
async fn servers_are_told_who_we_are() {
    let server = Proxy::alone();
    let _ = get(&network(&[]), &server.url()).await;
    assert_eq!(server.seen()[0].header("user-agent"), Some(USER_AGENT));
    assert!(USER_AGENT.starts_with("claude-secrets/") && USER_AGENT.ends_with(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn only_so_many_requests_run_at_once_and_their_order_is_kept() {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let numbers: Vec<usize> = (0..200).collect();
    let one = async |number: &usize| {
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1 + *number as u64 % 7)).await;
        running.fetch_sub(1, Ordering::SeqCst);
        *number
    };
    assert_eq!(net::each(numbers.iter().map(one)).await, numbers);
    assert_eq!(most.load(Ordering::SeqCst), CONCURRENCY);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("{}")));
    let network = network(&[]);
    for _ in 0..20 {
        assert_eq!(outcome(get(&network, &server.url()).await), Ok(200));
    }
    assert_eq!((server.seen().len(), server.connections()), (20, 1));
}

/// A name server that never answers, seen by the program alone: that takes a namespace of mounts, and so root.
#[test]
fn a_name_server_that_does_not_answer_keeps_the_program_no_longer_than_its_time() {
    let Ok(silent) = std::net::UdpSocket::bind("127.0.0.53:53") else { return };
    let directory = tempfile::tempdir().unwrap();
    let servers = directory.path().join("resolv.conf");
    std::fs::write(&servers, "nameserver 127.0.0.53\noptions timeout:10 attempts:2\n").unwrap();
    std::fs::write(directory.path().join("compose.yml"), "services: { web: { image: scratch } }\n").unwrap();
    let script = r#"mount --bind "$1" /etc/resolv.conf || exit 99; shift; exec "$@""#;
    let start = Instant::now();
    let ended = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&servers)
        .arg(env!("CARGO_BIN_EXE_claude-secrets"))
        .args(["create-files", "--timeout", "1s", "--secrets", "KEY = vault:secret/bot/item"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("VAULT_ADDR", "https://vault.example.com"), ("VAULT_TOKEN", "canary")])
        .current_dir(directory.path())
        .output();
    let took = start.elapsed();
    drop(silent);
    let Some(ended) = ended.ok().filter(|ended| ended.status.code() != Some(99)) else { return };
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("no answer within the timeout of 1s"), "{said}");
    assert!(took < Duration::from_secs(6), "{took:?}: {said}");
}
