//! The `aws` source against ministack, which checks signatures and policies, through a proxy for its bad states.

use crate::fixture::{Case, Fixture, Reach, State};
use crate::peers::aws::{Aws, Keys, REGION, allow, secrets_below};
use crate::peers::proxy::{Fault, Seen};

struct Store {
    aws: Aws,
    keys: Keys,
}

/// Starts it, with a user who may read everything but what is denied.
pub(crate) fn start() -> Box<dyn Fixture> {
    let aws = Aws::ministack();
    let mut denied = allow(&["secretsmanager:GetSecretValue"], &secrets_below("denied-"));
    denied["Effect"] = "Deny".into();
    let statements = serde_json::json!([
        allow(&["secretsmanager:GetSecretValue"], &secrets_below("")),
        allow(&["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"], "*"),
        denied,
    ]);
    let keys = aws.user("conformance", &statements);
    Box::new(Store { aws, keys })
}

impl Fixture for Store {
    fn kind(&self) -> &'static str {
        "aws"
    }

    fn gap(&self, _: Case) -> Option<&'static str> {
        None
    }

    fn reach(&self, state: State) -> Reach {
        reach(&self.aws, &self.keys, state, is_for_values)
    }

    fn reference(&self, name: &str) -> String {
        format!("aws:{name}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.aws.put(name, value);
    }

    fn previous(&self, name: &str) -> String {
        format!("aws:{name}@AWSPREVIOUS")
    }

    fn most_requests(&self, items: usize) -> usize {
        items.div_ceil(20)
    }
}

/// A way to AWS in this state, as who has these keys.
pub(crate) fn reach(aws: &Aws, keys: &Keys, state: State, is_for_values: fn(&Seen) -> bool) -> Reach {
    let (mut reach, url) = Reach::over_network(aws.address(), state, throttled(), is_for_values);
    reach.variables = keys.variables("AWS_");
    reach.variables.push(("AWS_REGION".to_owned(), REGION.to_owned()));
    reach.variables.push(("AWS_ENDPOINT_URL".to_owned(), url));
    reach
}

/// How AWS says that it was asked too often: with status 400 and a code.
fn throttled() -> Fault {
    Fault::Status {
        status: 400,
        headers: vec![("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned())],
        body: br#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.to_vec(),
    }
}

fn is_for_values(seen: &Seen) -> bool {
    seen.header("x-amz-target").is_some_and(|target| target.ends_with("GetSecretValue"))
}
