//! The `onepassword` source, both ways: a Connect server through a proxy for its bad states, and the `op` program. Both are
//! stand-ins of ours, which 1Password's own clients judge (tests/onepassword/judges.rs).

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;

use crate::fixture::{Asked, Case, Fixture, Reach, State};
use crate::peers::onepassword::{Account, CONNECT_TOKEN, Call, Connect, Item, SERVICE_ACCOUNT_TOKEN};
use crate::peers::proxy::{Fault, Seen};

/// The vault with all items but those that may not be read.
const VAULT: &str = "Conformance";
/// A vault that is not shared.
const LOCKED: &str = "Locked";
const NO_VERSIONS: &str = "Its references have no version: the newest is read.";

/// An account and the ids of its items.
struct Store {
    account: Account,
    ids: Mutex<BTreeMap<String, String>>,
}

struct ByConnect {
    store: Store,
    connect: Connect,
}

struct ByOp {
    store: Store,
}

/// Starts a Connect server.
pub(crate) fn connect() -> Box<dyn Fixture> {
    let store = Store::new();
    let connect = store.account.connect();
    Box::new(ByConnect { store, connect })
}

/// Takes the `op` program.
pub(crate) fn op() -> Box<dyn Fixture> {
    Box::new(ByOp { store: Store::new() })
}

impl Store {
    fn new() -> Self {
        let account = Account::new();
        account.vault(VAULT);
        account.vault_of_others(LOCKED);
        Self { account, ids: Mutex::default() }
    }

    fn put(&self, name: &str, value: &[u8]) {
        // What is no text is kept as an attached file, as people do.
        let item = match std::str::from_utf8(value) {
            Ok(text) => Item::credential(name, text),
            Err(_) => Item::new(name).file("credential", value),
        };
        let mut ids = self.ids.lock().unwrap();
        let id = ids.entry(name.to_owned()).or_insert_with(|| item.id()).clone();
        self.account.put(vault_of(name), item.with_id(&id));
    }
}

fn vault_of(name: &str) -> &'static str {
    if name.starts_with("denied-") { LOCKED } else { VAULT }
}

fn reference(name: &str) -> String {
    format!("onepassword:op://{}/{name}/credential", vault_of(name))
}

impl Fixture for ByConnect {
    fn kind(&self) -> &'static str {
        "onepassword"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        (case == Case::Version).then_some(NO_VERSIONS)
    }

    fn reach(&self, state: State) -> Reach {
        let (mut reach, url) = Reach::over_network(self.connect.address(), state, throttled(), is_for_values);
        reach.variables = vec![
            ("OP_CONNECT_HOST".to_owned(), url),
            ("OP_CONNECT_TOKEN".to_owned(), CONNECT_TOKEN.to_owned()),
        ];
        reach
    }

    fn reference(&self, name: &str) -> String {
        reference(name)
    }

    fn prefix(&self, start: &str) -> String {
        format!("op://{VAULT}/{start}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.store.put(name, value);
    }
}

/// How what stands before a Connect server says that it was asked too often.
fn throttled() -> Fault {
    Fault::Status {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: br#"{"status":429,"message":"Too many requests"}"#.to_vec(),
    }
}

/// `/v1/vaults/VAULT/items/ITEM` and what is below it.
fn is_for_values(seen: &Seen) -> bool {
    seen.path().contains("/items/")
}

impl Fixture for ByOp {
    fn kind(&self) -> &'static str {
        "onepassword"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Version => Some(NO_VERSIONS),
            Case::Down | Case::BadTls | Case::Truncated | Case::ResetThenFound | Case::ThrottledThenFound => {
                Some("`op` manages the connection itself: it reports a failure, or has recovered from it.")
            }
            Case::ServerError => {
                Some("After a failure, `op` is not run again, because 1Password limits the number of reads.")
            }
            Case::Deadline => Some("One process reads everything, so all of it is in time, or nothing."),
            _ => None,
        }
    }

    fn reach(&self, state: State) -> Reach {
        let op = self.store.account.op();
        match state {
            State::Hanging => op.behave(&json!({ "hangs": 60 })),
            // After a while, so that it can be stopped before.
            State::Failing => op.behave(&json!({ "hangs": 1, "fails with": "(500) Internal Server Error" })),
            _ => {}
        }
        let is_for_values = |call: &Call| matches!(call.arguments[0].as_str(), "inject" | "read");
        Reach {
            variables: vec![
                ("PATH".to_owned(), op.directory().to_str().unwrap().to_owned()),
                ("OP_SERVICE_ACCOUNT_TOKEN".to_owned(), SERVICE_ACCOUNT_TOKEN.to_owned()),
            ],
            asked: Some(Box::new(move || {
                let calls = op.calls();
                let values = calls.iter().filter(|call| is_for_values(call)).count();
                Asked { all: calls.len(), values }
            })),
            ..Reach::default()
        }
    }

    fn reference(&self, name: &str) -> String {
        reference(name)
    }

    fn prefix(&self, start: &str) -> String {
        format!("op://{VAULT}/{start}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.store.put(name, value);
    }

    /// One process for all, and one more when some are missing.
    fn most_requests(&self, _: usize) -> usize {
        2
    }
}
