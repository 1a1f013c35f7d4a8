//! GitHub's side of OIDC, as a server of the test's own: the runner's endpoint that hands out identity tokens
//! (docs.github.com, "OIDC reference"), and the issuer's discovery and keys (OIDC Discovery 1.0 section 4, RFC 7517), so
//! that who trusts it can check the signatures.
//!
//! Tokens are signed with ES256 where GitHub's are with RS256: the library that makes keys here makes no RSA ones.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Map, Value, json};

use super::listening::{Listening, Port};
use super::wire::Wire;

/// GitHub's own name as an issuer.
pub const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// The audience of a token that was asked for without one.
const DEFAULT_AUDIENCE: &str = "https://github.com/octo-org";
/// The subject of a job in the two forms that GitHub writes: names alone, and with the numbers of owner and repository, for
/// repositories that were made, renamed or moved since 2026-07-15 (docs.github.com, "OpenID Connect reference", "Immutable
/// subject claims"). Tokens have the first, unless [`Issuer::claim`] says otherwise.
pub const SUBJECTS: [&str; 2] = [
    "repo:octo-org/octo-repo:environment:production",
    "repo:octo-org@65/octo-repo@74:environment:production",
];
const KEY_ID: &str = "of-this-test";

/// A running issuer. It stops when it is dropped.
pub struct Issuer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _server: Listening,
}

struct Shared {
    issuer: String,
    bearer: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
    claims: Mutex<Map<String, Value>>,
    asked: Mutex<Vec<String>>,
    refusals: Mutex<VecDeque<u16>>,
}

impl Issuer {
    /// Starts one whose name is its own address, `http://127.0.0.1:PORT`: for who looks for its keys there.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// Starts one whose tokens say that GitHub made them: for who knows it by name and checks no signature.
    pub fn start_as_github() -> Self {
        Self::start_as(Some(GITHUB))
    }

    fn start_as(name: Option<&str>) -> Self {
        let port = Port::take();
        let address = port.address;
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let shared = Arc::new(Shared {
            issuer: name.map_or_else(|| format!("http://{address}"), str::to_owned),
            bearer: format!("runner-request-token-{}", address.port()),
            key: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
            random,
            claims: Mutex::new(claims_of_a_job()),
            asked: Mutex::default(),
            refusals: Mutex::default(),
        });
        let serving = shared.clone();
        let server = port.serve(move |stream| serving.answer(stream));
        Self { address, shared, _server: server }
    }

    /// Its name: the `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.shared.issuer
    }

    /// The variables that the runner sets for a job with `id-token: write`.
    pub fn variables(&self) -> Vec<(String, String)> {
        let url = format!("http://{}/pipelines/1/jobs/2/idtoken?api-version=2.0", self.address);
        vec![
            ("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), self.shared.bearer.clone()),
        ]
    }

    /// Says another thing in all further tokens: a claim as GitHub names it (`sub`, `repository`, `ref`); `null` takes
    /// it away. What is said of `iat`, `nbf`, `exp`, `aud` and `iss` wins over what would stand there.
    pub fn claim(&self, name: &str, value: impl Into<Value>) {
        self.shared.claims.lock().unwrap().insert(name.to_owned(), value.into());
    }

    /// A signed token for an audience, as a job would get it.
    pub fn token(&self, audience: &str) -> String {
        self.shared.token(audience)
    }

    /// The audiences of the tokens that were handed out by the runner's endpoint, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Answers the next `times` requests for a token with this status.
    pub fn refuse(&self, times: usize, status: u16) {
        self.shared.refusals.lock().unwrap().extend(std::iter::repeat_n(status, times));
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut wire = Wire::new(Box::new(stream));
        let Some(head) = wire.head()? else { return Ok(()) };
        let bearer = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let (status, body) = self.reply(&head.first[1], bearer);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        wire.send(&[head.as_bytes(), body.as_bytes()].concat())
    }

    fn reply(&self, path: &str, bearer: Option<&str>) -> (u16, Value) {
        let url = reqwest::Url::parse(&format!("http://issuer{path}")).unwrap();
        match url.path() {
            "/.well-known/openid-configuration" => (200, self.discovery()),
            "/.well-known/jwks" => (200, json!({ "keys": [self.public_key()] })),
            path if path.ends_with("/idtoken") => {
                if let Some(status) = self.refusals.lock().unwrap().pop_front() {
                    return (status, json!({ "message": "refused by the test" }));
                }
                if bearer != Some(self.bearer.as_str()) {
                    return (401, json!({ "message": "Unauthorized" }));
                }
                let audience = url.query_pairs().find(|(name, _)| name == "audience").map(|(_, value)| value);
                let audience = audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
                self.asked.lock().unwrap().push(audience.to_owned());
                let token = self.token(audience);
                (200, json!({ "count": token.len(), "value": token }))
            }
            _ => (404, json!({})),
        }
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks", self.issuer),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid"],
        })
    }

    /// The public key, from the point's uncompressed form: 4, then x and y of 32 bytes (SEC 1 section 2.3.3).
    fn public_key(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": part(&point[1..33]), "y": part(&point[33..]),
        })
    }

    fn token(&self, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(self.issuer)),
            ("aud".to_owned(), json!(audience)),
            ("iat".to_owned(), json!(now)),
            ("nbf".to_owned(), json!(now - 600)),
            ("exp".to_owned(), json!(now + 300)),
        ]);
        claims.extend(self.claims.lock().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": KEY_ID });
        let signed = format!("{}.{}", part(&header), part(&Value::Object(claims)));
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// What GitHub says of a job that deploys `octo-org/octo-repo` to the environment `production`.
fn claims_of_a_job() -> Map<String, Value> {
    let claims = json!({
        "jti": "6f1b5a20-1f0e-4f7a-9a2b-000000000001",
        "sub": SUBJECTS[0],
        "environment": "production",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "sha": "a".repeat(40),
        "repository": "octo-org/octo-repo",
        "repository_id": "74",
        "repository_owner": "octo-org",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "run_id": "1234567890",
        "run_number": "10",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
        "actor": "octocat",
        "actor_id": "12",
        "workflow": "deploy",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
        "event_name": "push",
        "head_ref": "",
        "base_ref": "",
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}
