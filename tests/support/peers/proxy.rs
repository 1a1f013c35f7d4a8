//! A proxy before a server, which does to requests what a test tells it to: delays, resets, answers of its own, halves.
//! It speaks HTTP/1.1, changes no byte of what it forwards, and remembers every request.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::authority::Authority;
pub use super::listeners::{Full, Nobody, Silent};
use super::wire::{Head, Wire, data};

/// A proxy on a free port of this machine. It stops when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    authority: Option<Authority>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its last byte was there.
    pub at: Instant,
    /// The connection that it came by, counted from 0.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// Path and query, as they were sent.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's data.
    pub body: Vec<u8>,
}

/// What happens to a request.
#[derive(Clone)]
pub enum Fault {
    /// None: it is forwarded, whatever later rules say.
    Forward,
    /// It is answered so, and the server does not get it.
    Status {
        /// The status.
        status: u16,
        /// Headers besides `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// It waits so long, and then the next rule counts, or it is forwarded.
    Delay(Duration),
    /// An answer (200) that begins so and does not end: until the client has enough.
    Endless(Vec<u8>),
    /// The connection is reset (RST).
    Reset,
    /// It is never answered.
    Hang,
    /// The server's answer has its whole head and half its body, then the connection ends.
    Truncate,
    /// The connection ends without an answer.
    CloseBeforeAnswer,
}

/// Which requests a fault is for. What tells them must not ask the proxy anything: it waits meanwhile.
pub struct Rule {
    which: Box<dyn Fn(&Seen) -> bool + Send>,
    left: Option<usize>,
    fault: Fault,
}

struct Shared {
    upstream: Option<SocketAddr>,
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    connections: usize,
    /// Both sides of every open connection, to end them with.
    open: BTreeMap<usize, Vec<TcpStream>>,
    stop: bool,
}

impl Proxy {
    /// A plain proxy before a plain server.
    pub fn before(upstream: SocketAddr) -> Self {
        Self::start(Some(upstream), None, &[])
    }

    /// A proxy before a plain server that speaks TLS with its clients: under these names, by an authority of its own.
    pub fn tls(upstream: SocketAddr, names: &[&str]) -> Self {
        Self::start(Some(upstream), Some(Authority::new()), names)
    }

    /// A server of rules alone: what no rule is for is not found (404).
    pub fn alone() -> Self {
        Self::start(None, None, &[])
    }

    /// A server of rules alone that speaks TLS, as [`Proxy::tls`].
    pub fn alone_tls(names: &[&str]) -> Self {
        Self::start(None, Some(Authority::new()), names)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL, without a slash at the end. With TLS the host is `localhost`.
    pub fn url(&self) -> String {
        match self.authority {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// The certificate of the authority that its own one is from, as PEM.
    pub fn authority_pem(&self) -> &str {
        self.authority.as_ref().expect("a proxy with TLS").pem()
    }

    /// Adds a rule. The first one that is for a request counts.
    pub fn rule(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Forgets all rules, and the requests that were seen.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        state.seen.clear();
    }

    /// The requests that came since it began or was cleared, in the order in which they ended.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    fn start(upstream: Option<SocketAddr>, authority: Option<Authority>, names: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = authority.as_ref().map(|authority| authority.server(names));
        let shared = Arc::new(Shared { upstream, tls, state: Mutex::default(), stopped: Condvar::new() });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Self { address, authority, shared, accepting: Some(accepting) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.stop = true;
        state.open.values().flatten().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        drop(state);
        self.shared.stopped.notify_all();
        // The listener waits for a connection; this is its last.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Seen {
    /// A header's value; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl Fault {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self::Status { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer (200) of JSON.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Status { status: 200, headers, body: body.into() }
    }
}

impl Rule {
    /// For every request.
    pub fn always(fault: Fault) -> Self {
        Self { which: Box::new(|_| true), left: None, fault }
    }

    /// For the next so many requests.
    pub fn times(count: usize, fault: Fault) -> Self {
        Self { left: Some(count), ..Self::always(fault) }
    }

    /// Only for requests of which `which` is true.
    #[must_use]
    pub fn when(self, which: impl Fn(&Seen) -> bool + Send + 'static) -> Self {
        Self { which: Box::new(which), ..self }
    }

    /// Only for requests whose path starts so.
    #[must_use]
    pub fn under(self, path: &str) -> Self {
        let path = path.to_owned();
        self.when(move |seen| seen.target.starts_with(&path))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits, or until the proxy stops.
    fn wait(&self, time: Duration) {
        let stopped = self.stopped.wait_timeout_while(self.state(), time, |state| !state.stop);
        drop(stopped.unwrap());
    }

    /// Remembers a request, and takes the rule for it from the list: all delays before it together, and what comes then.
    fn rule_for(&self, seen: Seen) -> (Duration, Option<Fault>) {
        let mut state = self.state();
        let mut delay = Duration::ZERO;
        let mut found = None;
        for rule in &mut state.rules {
            if rule.left == Some(0) || !(rule.which)(&seen) {
                continue;
            }
            rule.left = rule.left.map(|left| left - 1);
            match &rule.fault {
                Fault::Delay(time) => delay += *time,
                other => {
                    found = Some(other.clone());
                    break;
                }
            }
        }
        state.seen.push(seen);
        (delay, found)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.state();
        if state.stop {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let number = state.connections;
        state.connections += 1;
        state.open.insert(number, vec![stream.try_clone().unwrap()]);
        drop(state);
        let shared = shared.clone();
        thread::spawn(move || {
            // What goes wrong with a connection ends it, and its client sees that.
            let _ = serve(stream, number, &shared);
            shared.state().open.remove(&number);
        });
    }
}

/// One client's connection, request after request.
fn serve(stream: TcpStream, number: usize, shared: &Shared) -> io::Result<()> {
    let raw = stream.try_clone()?;
    let mut client = match &shared.tls {
        Some(config) => {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Wire::new(Box::new(StreamOwned::new(connection, stream)))
        }
        None => Wire::new(Box::new(stream)),
    };
    while let Some(head) = client.head()? {
        if head.says("expect", "100-continue") {
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = client.body(&head, false)?;
        let (delay, fault) = shared.rule_for(seen(&head, &body, number));
        shared.wait(delay);
        let more = match fault {
            None | Some(Fault::Forward) => forward(&mut client, &head, &body, number, shared)?,
            Some(Fault::Status { status, headers, body }) => {
                client.send(&answer(status, &headers, &body, head.first[0] == "HEAD"))?;
                true
            }
            Some(Fault::Truncate) => {
                let whole = upstream(&head, &body, number, shared)?;
                let kept = whole.head.bytes.len() + whole.body.len() / 2;
                client.send(&[whole.head.bytes, whole.body].concat()[..kept])?;
                false
            }
            Some(Fault::Endless(start)) => endless(&mut client, &start)?,
            Some(Fault::Reset) => {
                set_socket_linger(&raw, Some(Duration::ZERO))?;
                return Ok(());
            }
            Some(Fault::Hang) => {
                shared.wait(Duration::from_hours(1));
                false
            }
            Some(Fault::CloseBeforeAnswer) => false,
            Some(Fault::Delay(_)) => unreachable!("a delay is waited for before"),
        };
        if !more || head.says("connection", "close") {
            break;
        }
    }
    raw.shutdown(Shutdown::Write)
}

/// Sends an answer without an end. The error is that the client has gone.
fn endless(client: &mut Wire, start: &[u8]) -> io::Result<bool> {
    let head = b"HTTP/1.1 200 Told\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head)?;
    let mut piece = start.to_vec();
    loop {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
        client.send(&piece)?;
        client.send(b"\r\n")?;
        piece.resize(64 * 1024, b'x');
        piece.fill(b'x');
    }
}

/// Hands a request on, and its answer back. Whether the connection goes on.
fn forward(client: &mut Wire, head: &Head, body: &[u8], number: usize, shared: &Shared) -> io::Result<bool> {
    let whole = upstream(head, body, number, shared)?;
    client.send(&whole.head.bytes)?;
    client.send(&whole.body)?;
    Ok(whole.has_length && !whole.head.says("connection", "close"))
}

struct Whole {
    head: Head,
    body: Vec<u8>,
    /// Whether the client can tell where it ends.
    has_length: bool,
}

/// The server's answer to a request, by a connection of its own: one that is kept may have ended meanwhile.
fn upstream(head: &Head, body: &[u8], number: usize, shared: &Shared) -> io::Result<Whole> {
    let Some(address) = shared.upstream else {
        return Ok(whole_of(&answer(404, &[], b"", false)));
    };
    let Ok(stream) = TcpStream::connect(address) else {
        return Ok(whole_of(&answer(502, &[], b"nobody listens behind the proxy of the tests", false)));
    };
    if let Some(both) = shared.state().open.get_mut(&number) {
        both.push(stream.try_clone()?);
    }
    let mut server = Wire::new(Box::new(stream));
    server.send(&head.bytes)?;
    server.send(body)?;
    let answered = loop {
        let next = server.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        // The client has had its `100 Continue`.
        if !next.first[1].starts_with('1') {
            break next;
        }
    };
    let empty = head.first[0] == "HEAD" || matches!(answered.first[1].as_str(), "204" | "304");
    let body = if empty { Vec::new() } else { server.body(&answered, true)? };
    if let Some(both) = shared.state().open.get_mut(&number) {
        both.truncate(1);
    }
    let has_length =
        empty || answered.header("content-length").is_some() || answered.says("transfer-encoding", "chunked");
    Ok(Whole { head: answered, body, has_length })
}

fn whole_of(bytes: &[u8]) -> Whole {
    let mut wire = Wire::new(Box::new(io::Cursor::new(bytes.to_vec())));
    let head = wire.head().unwrap().unwrap();
    let body = wire.body(&head, true).unwrap();
    Whole { head, body, has_length: true }
}

fn seen(head: &Head, body: &[u8], connection: usize) -> Seen {
    let [method, target, _] = head.first.clone();
    let headers = head.headers.clone();
    Seen { at: Instant::now(), connection, method, target, headers, body: data(head, body) }
}

fn answer(status: u16, headers: &[(String, String)], body: &[u8], without_body: bool) -> Vec<u8> {
    let mut lines = vec![format!("HTTP/1.1 {status} Told"), format!("Content-Length: {}", body.len())];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let head = lines.join("\r\n") + "\r\n\r\n";
    let body = if without_body { b"" } else { body };
    [head.as_bytes(), body].concat()
}
