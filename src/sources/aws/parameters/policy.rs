//! IAM policies for Parameter Store (docs.aws.amazon.com, "Actions, resources, and condition keys for AWS Systems Manager").

use serde_json::{Value, json};

use super::super::policy::{literal, start};
use super::super::service::PARAMETER_STORE;
use super::below;
use super::name::rooted;
use crate::sources::policy::{Needs, Policy, distinct};

/// One policy: reading, and what imports need.
pub(super) fn policy(needs: &Needs<'_>) -> Policy {
    let read: &[&str] =
        if needs.batch { &["ssm:GetParameter", "ssm:GetParameters"] } else { &["ssm:GetParameter"] };
    let mut statements = vec![allow("ReadParameters", &json!(read), &resources(needs))];
    // This action has no resource, and returns no values.
    if needs.imports.iter().any(|import| import.field.is_none()) {
        statements.push(allow("ListForImports", &json!("ssm:DescribeParameters"), &["*".to_owned()]));
    }
    let title = if needs.batch {
        "IAM policy for the login (--without-batch prints one with one request per parameter). Parameters encrypted with your own \
         key also need kms:Decrypt on that key"
    } else {
        "IAM policy for the login, without batches: one request per parameter. Parameters encrypted with your own key also need \
         kms:Decrypt on that key"
    };
    needs.policy(title, format!("{:#}", json!({ "Version": "2012-10-17", "Statement": statements })))
}

fn allow(sid: &str, action: &Value, resources: &[String]) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": resources })
}

fn resources(needs: &Needs<'_>) -> Vec<String> {
    let named = needs.references.iter().map(|reference| match reference.item.as_str() {
        arn if arn.starts_with("arn:") => literal(arn),
        name => format!("{}{}", parameters(needs), literal(&rooted(name))),
    });
    let imported = needs.imports.iter().map(|import| match import.item.strip_suffix('*') {
        Some(prefix) => format!("{}{}*", parameters(needs), literal(&rooted(prefix))),
        None if import.item.starts_with("arn:") => literal(&import.item),
        None => format!("{}{}", parameters(needs), literal(&rooted(&import.item))),
    });
    // The whole prefix: what does not exist is then absent, not denied.
    let usual = needs.conventional().next();
    let usual = usual.map(|_| format!("{}{}*", parameters(needs), literal(&below(&needs.manifest.scope))));
    distinct(named.chain(imported).chain(usual).collect())
}

/// The prefix of every parameter's ARN.
fn parameters(needs: &Needs<'_>) -> String {
    start(needs, &PARAMETER_STORE, "parameter")
}
