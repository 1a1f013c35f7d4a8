//! The fixture of `azure`: the stand-in that Microsoft's own client judges (tests/azure.rs). Its sessions do what the proxy
//! before other stores does, since what stands before a vault with its real name ends TLS itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::fixture::{Asked, Case, Fixture, Reach, State};
use crate::peers::azure::{Azure, CLIENT, SECRET, TENANT};
use crate::peers::proxy::Nobody;

/// Starts the stand-in, with one vault.
pub(crate) fn start() -> Box<dyn Fixture> {
    Box::new(KeyVault { azure: Arc::new(Azure::with_vault()), sessions: AtomicU32::new(0) })
}

struct KeyVault {
    azure: Arc<Azure>,
    sessions: AtomicU32,
}

impl Fixture for KeyVault {
    fn kind(&self) -> &'static str {
        "azure"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Binary => Some("it stores text: other bytes are stored in Base64 (`encoding: base64`)"),
            Case::Large => Some("a value has 25 KB at most"),
            _ => None,
        }
    }

    fn reach(&self, state: State) -> Reach {
        let session = format!("case-{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        let mut variables = self.azure.route(&session);
        let mut nobody = None;
        match state {
            State::Down => {
                let taken = Nobody::take();
                variables[0].1 = format!("http://{}", taken.address);
                nobody = Some(taken);
            }
            State::BadTls => variables.truncate(1),
            state => {
                self.azure.tell("session", &faults(state, &session));
            }
        }
        variables.push(("AZURE_CLIENT_SECRET".to_owned(), SECRET.to_owned()));
        let azure = self.azure.clone();
        Reach {
            variables,
            sources: format!("azure: {{ vault-name: kv-tests, tenant-id: {TENANT}, client-id: {CLIENT} }}"),
            server: Some("login.microsoftonline.com".to_owned()),
            asked: Some(Box::new(move || {
                let _kept = &nobody;
                let requests = azure.requests(&session);
                let values = requests.iter().filter(|(kind, _)| kind == "vault").count();
                Asked { all: requests.len(), values }
            })),
            ..Reach::default()
        }
    }

    fn reference(&self, name: &str) -> String {
        format!("azure:{name}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.azure.put(name, std::str::from_utf8(value).unwrap());
    }

    fn previous(&self, name: &str) -> String {
        let versions = self.azure.versions(name);
        format!("azure:{name}@{}", versions[versions.len() - 2])
    }
}

/// What a session is told in a state.
fn faults(state: State, session: &str) -> Value {
    let (fault, at, times, after) = match state {
        State::Well | State::Down | State::BadTls => return json!({ "name": session }),
        State::Hanging => ("hang", "all", 999, 0),
        State::Failing => ("error", "all", 999, 0),
        State::Truncating => ("truncate", "all", 999, 0),
        State::Resetting => ("reset", "all", 2, 0),
        State::Throttling => ("throttle", "all", 2, 0),
        State::Stalling => ("hang", "vault", 999, 1),
    };
    json!({ "name": session, "fault": fault, "at": at, "times": times, "after": after })
}
