//! What a source's peer can be told to do, so that the same cases run against every source. Adding a source means adding
//! one fixture.

use std::net::SocketAddr;

use crate::peers::proxy::{Fault, Nobody, Proxy, Rule, Seen};

/// A case that every source is held to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Case {
    Found,
    Absent,
    Denied,
    Down,
    Hanging,
    BadTls,
    ServerError,
    Truncated,
    ResetThenFound,
    ThrottledThenFound,
    Empty,
    Binary,
    MultiLine,
    Large,
    JsonField,
    JsonNull,
    MissingField,
    Version,
    Batch,
    AskedOnce,
    Cancelled,
    Deadline,
    Wildcard,
}

/// The state in which a peer is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It works.
    Well,
    /// Nobody listens there.
    Down,
    /// It accepts connections and never answers.
    Hanging,
    /// TLS with it fails: its certificate is from an authority that nobody trusts.
    BadTls,
    /// It answers everything with a fault of its own (status 500).
    Failing,
    /// It ends every answer in the middle.
    Truncating,
    /// It cuts the first two requests off, and then works.
    Resetting,
    /// It refuses the first two requests as too many, and then works.
    Throttling,
    /// It answers logins, probes and the first request for values, and no other request for values.
    Stalling,
}

/// A way to the peer, for one case.
#[derive(Default)]
pub(crate) struct Reach {
    /// The variables of the process; action inputs are `INPUT_…`.
    pub(crate) variables: Vec<(String, String)>,
    /// What stands below `sources:` in the manifest, as YAML flow maps: `vault: { addr: … }`, one a line.
    pub(crate) sources: String,
    /// Files of the project directory.
    pub(crate) files: Vec<File>,
    /// The host, or host and port, that an error may name in place of the item.
    pub(crate) server: Option<String>,
    /// What was asked of the peer so far by this way; `None` where nothing is requested. It holds what stands between us
    /// and the peer, which goes with it.
    pub(crate) asked: Option<Box<dyn Fn() -> Asked + Send + Sync>>,
    /// Whether the case runs as a user to whom modes of files mean something, also when the tests run as root.
    pub(crate) unprivileged: bool,
}

/// How many requests were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// All of them.
    pub(crate) all: usize,
    /// Those for values: not those for logins and probes.
    pub(crate) values: usize,
}

/// A file of the project directory.
#[derive(Clone)]
pub(crate) struct File {
    /// Its path.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its mode.
    pub(crate) mode: u32,
}

/// One source with its peer, which holds what the cases put there. Cases run at the same time, each with items and a way
/// of its own.
pub(crate) trait Fixture: Send + Sync {
    /// The kind's name, as in `SOURCES`.
    fn kind(&self) -> &'static str;

    /// Why there is no such case for this source, in one sentence: what its API, or what it is, does not have. `None`: the
    /// case runs.
    fn gap(&self, case: Case) -> Option<&'static str>;

    /// A way of its own to the peer in this state. Called for each case, when all that the case needs has been put.
    fn reach(&self, state: State) -> Reach;

    /// A reference to the item of this name, without a field. Names are lower-case letters, digits and hyphens.
    fn reference(&self, name: &str) -> String;

    /// What `Source::list` takes to find the items whose names start so.
    fn prefix(&self, start: &str) -> String {
        crate::harness::item_of(&self.reference(start))
    }

    /// Stores an item of one value; a second call makes a second version. What starts with `denied-` may not be read by
    /// who `reach` logs in as.
    fn put(&self, name: &str, value: &[u8]);

    /// Stores an item with fields: a flat JSON object, of which a value may be null.
    fn put_fields(&self, name: &str, json: &str) {
        self.put(name, json.as_bytes());
    }

    /// A reference to the version before the newest of an item that was put twice. A source without versions has no such
    /// case ([`Fixture::gap`]).
    fn previous(&self, name: &str) -> String {
        unreachable!("{name} has one version")
    }

    /// Whether an empty value counts as none.
    fn empty_is_absent(&self) -> bool {
        false
    }

    /// The most requests for values that a batch of this many items may take.
    fn most_requests(&self, items: usize) -> usize {
        items
    }
}

impl Reach {
    /// A way to a server over the network, in a state, and the URL at which it begins: through a proxy, or to where nobody
    /// listens. `values` tells which requests are for values; `throttled` is how the store says that it was asked too
    /// often.
    pub(crate) fn over_network(
        server: SocketAddr,
        state: State,
        throttled: Fault,
        values: fn(&Seen) -> bool,
    ) -> (Self, String) {
        if state == State::Down {
            let nobody = Nobody::take();
            let address = nobody.address.to_string();
            let asked = move || {
                // The address stays taken as long as this does.
                let _kept = &nobody;
                Asked { all: 0, values: 0 }
            };
            let url = format!("http://{address}");
            return (Self { server: Some(address), asked: Some(Box::new(asked)), ..Self::default() }, url);
        }
        let proxy = match state {
            State::BadTls => Proxy::tls(server, &["localhost"]),
            _ => Proxy::before(server),
        };
        give_rules(&proxy, state, throttled, values);
        let url = proxy.url();
        let asked = move || {
            let seen = proxy.seen();
            Asked { all: seen.len(), values: seen.iter().filter(|seen| values(seen)).count() }
        };
        let server = url.split("://").nth(1).map(str::to_owned);
        (Self { server, asked: Some(Box::new(asked)), ..Self::default() }, url)
    }
}

/// Gives the proxy before a server the rules of a state.
fn give_rules(proxy: &Proxy, state: State, throttled: Fault, values: fn(&Seen) -> bool) {
    match state {
        State::Well | State::Down | State::BadTls => {}
        State::Hanging => proxy.rule(Rule::always(Fault::Hang)),
        State::Failing => proxy.rule(Rule::always(Fault::status(500))),
        State::Truncating => proxy.rule(Rule::always(Fault::Truncate)),
        State::Resetting => proxy.rule(Rule::times(2, Fault::Reset)),
        State::Throttling => proxy.rule(Rule::times(2, throttled)),
        State::Stalling => {
            proxy.rule(Rule::times(1, Fault::Forward).when(values));
            proxy.rule(Rule::always(Fault::Hang).when(values));
        }
    }
}
