//! What a source's peer can be told to do, so that the same cases run against every source. Adding a source means adding
//! one fixture.

/// A case that every source is held to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Case {
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
pub enum State {
    /// It works.
    Well,
    /// Nobody listens there.
    Down,
    /// It accepts connections and never answers.
    Hanging,
    /// TLS with it fails.
    BadTls,
    /// It answers everything with a fault of its own (status 500).
    Failing,
    /// It ends every answer in the middle.
    Truncating,
    /// It cuts the first two connections off, and then works.
    Resetting,
    /// It refuses the first two requests as too many, and then works.
    Throttling,
}

/// How a source gets to its peer.
#[derive(Clone, Default)]
pub struct Reach {
    /// The variables of the process.
    pub variables: Vec<(String, String)>,
    /// What stands below `sources:` in the manifest, as YAML flow maps: `vault: { addr: … }`, one a line.
    pub sources: String,
    /// Files of the project directory, with their bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

/// One source with its peer, which holds what the cases put there.
pub trait Fixture: Send + Sync {
    /// The kind's name, as in `SOURCES`.
    fn kind(&self) -> &'static str;

    /// Why there is no such case for this source: what its API, or what it is, does not have. `None`: the case runs.
    fn gap(&self, case: Case) -> Option<&'static str>;

    /// How to get to the peer in this state. Called anew for each case.
    fn reach(&self, state: State) -> Reach;

    /// A reference to the item of this name, without a field.
    fn reference(&self, name: &str) -> String;

    /// Stores an item of one value; a second call makes a second version. What starts with `denied-` may not be read by
    /// who `reach` logs in as.
    fn put(&self, name: &str, value: &[u8]);

    /// Stores an item with fields: a flat JSON object.
    fn put_fields(&self, name: &str, json: &str);

    /// A reference to the version before the newest of an item that was put twice.
    fn previous(&self, name: &str) -> String;

    /// How many requests for values (not for logins or probes) were made since `reach` was called last; `None` where
    /// nothing is requested.
    fn requests(&self) -> Option<usize>;

    /// The most requests for values that a batch of this many items may take.
    fn most_requests(&self, items: usize) -> usize {
        items
    }
}
