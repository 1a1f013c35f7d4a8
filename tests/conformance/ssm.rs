//! The `ssm` source against ministack, which checks signatures and policies, through a proxy for its bad states.

use crate::aws::reach;
use crate::fixture::{Case, Fixture, Reach, State};
use crate::peers::aws::{Aws, Keys, allow, parameters_below};
use crate::peers::proxy::Seen;

struct Store {
    aws: Aws,
    keys: Keys,
}

/// Starts it, with a user who may read everything but what is denied.
pub(crate) fn start() -> Box<dyn Fixture> {
    let aws = Aws::ministack();
    let mut denied = allow(&["ssm:GetParameter", "ssm:GetParameters"], &parameters_below("/denied-"));
    denied["Effect"] = "Deny".into();
    let statements = serde_json::json!([
        allow(&["ssm:GetParameter", "ssm:GetParameters"], &parameters_below("/")),
        allow(&["ssm:DescribeParameters"], "*"),
        denied,
    ]);
    let keys = aws.user("conformance", &statements);
    Box::new(Store { aws, keys })
}

impl Fixture for Store {
    fn kind(&self) -> &'static str {
        "ssm"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Empty => Some("a parameter has at least one character"),
            Case::Binary => Some("a parameter is text"),
            Case::Large => Some("a parameter has at most 8 KB"),
            _ => None,
        }
    }

    fn reach(&self, state: State) -> Reach {
        reach(&self.aws, &self.keys, state, is_for_values)
    }

    fn reference(&self, name: &str) -> String {
        format!("ssm:/{name}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.aws.put_parameter(&format!("/{name}"), std::str::from_utf8(value).unwrap());
    }

    fn previous(&self, name: &str) -> String {
        format!("ssm:/{name}@1")
    }

    fn most_requests(&self, items: usize) -> usize {
        // Parameter Store refuses a whole batch for one item that is denied: then those of the batch are read one by one.
        items.div_ceil(10) + items
    }
}

fn is_for_values(seen: &Seen) -> bool {
    seen.header("x-amz-target")
        .is_some_and(|target| target.ends_with("GetParameter") || target.ends_with("GetParameters"))
}
