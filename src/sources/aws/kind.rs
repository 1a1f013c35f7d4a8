//! What the rest of the program knows about this store.

use super::open;
use super::policy::policy;
use crate::sources::kind::{SourceKind, boxed, setting};

/// This kind of source.
pub(in crate::sources) const KIND: SourceKind = SourceKind {
    name: "aws",
    versioned: true,
    local: false,
    prefixes: &["AWS_"],
    settings: &[
        setting("region", Some("aws-region"), &["REGION", "DEFAULT_REGION"]),
        setting("role-arn", Some("aws-role-arn"), &["ROLE_ARN"]),
        setting("role-session-name", None, &["ROLE_SESSION_NAME"]),
        setting("audience", None, &[]),
        setting("profile", None, &["PROFILE"]),
        setting("endpoint-url", None, &["ENDPOINT_URL_SECRETS_MANAGER", "ENDPOINT_URL"]),
        setting("ca-certificates", None, &["CA_BUNDLE"]),
    ],
    credentials: &["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CONTAINER_AUTHORIZATION_TOKEN"],
    about: "AWS Secrets Manager.",
    open: |options, opening| Ok(open(&options, opening)?.map(boxed)),
    to_configure: |id, prefix| {
        format!("Set its region: `{prefix}REGION`, or `sources: {{ {id}: {{ region: … }} }}`.")
    },
    policy: Some(|needs| Ok(policy(needs))),
};
