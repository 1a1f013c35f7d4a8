//! The `vault` source against a real `OpenBao` server, through a proxy for its bad states. It logs in as an `AppRole`.

use serde_json::{Value, json};

use crate::fixture::{Case, Fixture, Reach, State};
use crate::peers::bao::Bao;
use crate::peers::proxy::{Fault, Seen};

struct Store {
    bao: Bao,
    role_id: String,
    secret_id: String,
}

/// Starts it, with a role that may read everything but what is denied, and list all.
pub(crate) fn start() -> Box<dyn Fixture> {
    let bao = Bao::start();
    bao.policy(
        "conformance",
        &[("secret/data/*", "read"), ("secret/metadata/*", "list"), ("secret/data/denied-*", "deny")],
    );
    bao.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    let (role_id, secret_id) = bao.approle("conformance", &json!({ "token_policies": ["conformance"] }));
    Box::new(Store { bao, role_id, secret_id })
}

impl Fixture for Store {
    fn kind(&self) -> &'static str {
        "vault"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        (case == Case::Binary).then_some(
            "Its values are JSON, and so text: other bytes are stored in Base64 (`encoding: base64`).",
        )
    }

    fn reach(&self, state: State) -> Reach {
        let (mut reach, url) = Reach::over_network(self.bao.address(), state, throttled(), is_for_values);
        reach.variables = vec![
            ("VAULT_ADDR".to_owned(), url),
            ("VAULT_ROLE_ID".to_owned(), self.role_id.clone()),
            ("VAULT_SECRET_ID".to_owned(), self.secret_id.clone()),
        ];
        reach
    }

    fn reference(&self, name: &str) -> String {
        format!("vault:secret/{name}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.bao.put(name, &json!({ "value": std::str::from_utf8(value).unwrap() }));
    }

    fn put_fields(&self, name: &str, json: &str) {
        self.bao.put(name, &serde_json::from_str::<Value>(json).unwrap());
    }

    fn previous(&self, name: &str) -> String {
        format!("vault:secret/{name}@1")
    }
}

/// How Vault says that it was asked too often (rate limit quotas).
fn throttled() -> Fault {
    Fault::Status {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: br#"{"errors":["request path \"secret/data/x\": rate limit quota exceeded"]}"#.to_vec(),
    }
}

fn is_for_values(seen: &Seen) -> bool {
    seen.path().starts_with("/v1/secret/data/")
}
