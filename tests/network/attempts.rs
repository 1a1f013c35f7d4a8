//! When a request is made again, how often, and after which time.

use std::time::{Duration, Instant, SystemTime};

use claude_secrets::sources::net::{ATTEMPTS, FIRST_WAIT, Failure};
use futures_util::future::join_all;

use crate::peers::proxy::{Fault, Nobody, Proxy, Rule, Seen};
use crate::{get, network, outcome};

const ALL: usize = ATTEMPTS as usize;

/// The times between the requests.
fn waits(seen: &[Seen]) -> Vec<Duration> {
    seen.windows(2).map(|two| two[1].at.duration_since(two[0].at)).collect()
}

fn told(status: u16, headers: &[(&str, String)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Fault::Status { status, headers, body: Vec::new() }
}

#[tokio::test]
async fn an_answer_that_may_change_is_asked_for_again_and_any_other_is_not() {
    let network = network(&[]);
    let again = [408, 412, 429, 500, 502, 503, 504];
    let good = [200, 204, 301, 307, 400, 401, 403, 404, 409, 410, 501];
    let asked = again.into_iter().map(|status| (status, 2)).chain(good.into_iter().map(|status| (status, 1)));
    for (status, requests) in asked {
        let server = Proxy::alone();
        server.rule(Rule::times(1, Fault::status(status)));
        server.rule(Rule::always(Fault::json("{}")));
        let expected = if requests == 2 { 200 } else { status };
        assert_eq!(outcome(get(&network, &server.url()).await), Ok(expected), "{status}");
        assert_eq!(server.seen().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_stays_bad_is_asked_four_times_and_its_last_answer_counts() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::status(503)));
    let start = Instant::now();
    assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(503));
    let waits = waits(&server.seen());
    assert_eq!(waits.len(), ALL - 1);
    for (number, wait) in waits.iter().enumerate() {
        let longest = FIRST_WAIT * 2_u32.pow(u32::try_from(number).unwrap());
        assert!(*wait < longest * 3, "waited {wait:?} before attempt {}, at most {longest:?}", number + 2);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_is_waited_is_another_part_of_the_longest_wait_each_time() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::status(500)));
    let network = network(&[]);
    let urls: Vec<String> = (0..12).map(|number| format!("{}/{number}", server.url())).collect();
    join_all(urls.iter().map(|url| get(&network, url))).await;
    let seen = server.seen();
    let first_wait = |number: usize| {
        let own: Vec<Seen> =
            seen.iter().filter(|seen| seen.target == format!("/{number}")).cloned().collect();
        waits(&own)[0]
    };
    let firsts: Vec<Duration> = (0..12).map(first_wait).collect();
    let (least, most) = (firsts.iter().min().unwrap(), firsts.iter().max().unwrap());
    // That twelve random parts are all within a fifth of the whole is one case in four million.
    assert!(*most > *least + FIRST_WAIT / 5, "{firsts:?}");
}

#[tokio::test]
async fn no_answer_is_met_as_an_answer_that_may_change() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::json("0123456789")));
    let network = network(&[]);
    let met = async |fault: Fault, rule: fn(Fault) -> Rule| {
        let proxy = Proxy::before(server.address());
        proxy.rule(rule(fault));
        (outcome(get(&network, &proxy.url()).await), proxy.seen().len())
    };
    let faults = [Fault::Reset, Fault::CloseBeforeAnswer, Fault::Truncate];
    let twice = faults.clone().map(|fault| met(fault, |fault| Rule::times(2, fault)));
    for ended in join_all(twice).await {
        assert_eq!(ended, (Ok(200), 3));
    }
    for ended in join_all(faults.map(|fault| met(fault, Rule::always))).await {
        assert_eq!(ended, (Err(Failure::CutOff), ALL));
    }
}

#[tokio::test]
async fn nobody_at_an_address_is_a_failure_that_says_so() {
    let nobody = Nobody::take();
    let failure = outcome(get(&network(&[]), &format!("http://{}", nobody.address)).await).unwrap_err();
    assert_eq!(failure, Failure::Connect("Connection refused".to_owned()));
    let name = outcome(get(&network(&[]), "http://nowhere.invalid").await).unwrap_err();
    assert!(matches!(name, Failure::Connect(_)), "{name}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_asked_again() {
    let network = network(&[]);
    let start = Instant::now();
    for url in ["store.example/x", "http://", "http://:80:80/"] {
        assert_eq!(outcome(get(&network, url).await), Err(Failure::Malformed), "{url}");
    }
    let client = network.client().unwrap_or_else(|error| panic!("{error}"));
    let server = Proxy::alone();
    let header = || client.get(server.url()).header("X-Token", "two\nlines");
    assert_eq!(outcome(network.send(header, |_| false).await), Err(Failure::Malformed));
    assert!(start.elapsed() < FIRST_WAIT, "it was tried again");
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_server_is_given_the_seconds_that_it_asks_for() {
    let server = Proxy::alone();
    server.rule(Rule::times(1, told(429, &[("Retry-After", "1".to_owned())])));
    server.rule(Rule::always(Fault::json("{}")));
    assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(200));
    let waited = waits(&server.seen())[0];
    assert!((1000..3000).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test]
async fn a_server_may_name_a_date_to_come_back_at() {
    let server = Proxy::alone();
    let at = SystemTime::now() + Duration::from_secs(2);
    server.rule(Rule::times(1, told(503, &[("Retry-After", httpdate::fmt_http_date(at))])));
    server.rule(Rule::always(Fault::json("{}")));
    assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(200));
    // The date has whole seconds: it is up to one earlier.
    let waited = waits(&server.seen())[0];
    assert!((700..6000).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test]
async fn a_date_that_is_over_and_nonsense_ask_for_nothing() {
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-1", ""] {
        let server = Proxy::alone();
        server.rule(Rule::times(1, told(429, &[("Retry-After", text.to_owned())])));
        server.rule(Rule::always(Fault::json("{}")));
        assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(200), "{text:?}");
        assert!(waits(&server.seen())[0] < FIRST_WAIT * 3, "{text:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_more_time_than_there_is_is_not_waited_for() {
    for text in ["3", "3600", "99999999999999999999"] {
        let server = Proxy::alone();
        server.rule(Rule::always(told(429, &[("Retry-After", text.to_owned())])));
        let start = Instant::now();
        let network = network(&[("INPUT_TIMEOUT", "2s")]);
        assert_eq!(outcome(get(&network, &server.url()).await), Ok(429), "{text}");
        assert!(start.elapsed() < Duration::from_secs(1), "{text}: {:?}", start.elapsed());
        assert_eq!(server.seen().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn a_good_answer_ends_it() {
    let server = Proxy::alone();
    server.rule(Rule::times(3, Fault::status(503)));
    server.rule(Rule::always(Fault::json("{}")));
    assert_eq!(outcome(get(&network(&[]), &server.url()).await), Ok(200));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_run_that_is_stopped_asks_no_more() {
    let server = Proxy::alone();
    server.rule(Rule::always(Fault::status(503)));
    let network = network(&[]);
    let url = server.url();
    tokio::select! {
        _ = get(&network, &url) => panic!("four attempts were faster than a look"),
        () = async { while server.seen().is_empty() { tokio::time::sleep(Duration::from_millis(2)).await } } => {}
    }
    let asked = server.seen().len();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(server.seen().len(), asked);
}
