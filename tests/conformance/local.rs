//! What the sources on this machine have in common: no server, and so nothing that a server can do.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::fixture::Case;

/// Why there is no such case for a source that is read from this machine.
pub(crate) fn gap(case: Case) -> Option<&'static str> {
    match case {
        Case::Down
        | Case::Hanging
        | Case::BadTls
        | Case::ServerError
        | Case::Truncated
        | Case::ResetThenFound
        | Case::ThrottledThenFound
        | Case::AskedOnce
        | Case::Cancelled
        | Case::Deadline => Some("it is read from this machine, at once: there is no server and no request"),
        Case::Version => Some("it keeps one version"),
        Case::Wildcard => Some("it cannot list: each secret is declared"),
        _ => None,
    }
}

/// The items, by name.
#[derive(Default)]
pub(crate) struct Items(Mutex<BTreeMap<String, Vec<u8>>>);

impl Items {
    /// Stores one.
    pub(crate) fn put(&self, name: &str, value: &[u8]) {
        self.0.lock().unwrap().insert(name.to_owned(), value.to_vec());
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

/// The mode of the file that holds an item: what is denied may be read by nobody.
pub(crate) fn mode(name: &str) -> u32 {
    if name.starts_with("denied-") { 0 } else { 0o600 }
}

/// An item's name as a variable.
pub(crate) fn variable(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}
