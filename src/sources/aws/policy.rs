//! IAM policies for Secrets Manager (docs.aws.amazon.com, "Actions, resources, and condition keys for AWS Secrets Manager").

use serde_json::{Value, json};

use super::item::partition;
use super::service::{SECRETS_MANAGER, Service};
use crate::sources::conventional;
use crate::sources::policy::{Needs, Policy, distinct};

/// One policy: reading, and what imports and batches need.
pub(super) fn policy(needs: &Needs<'_>) -> Policy {
    let mut statements = vec![json!({
        "Sid": "ReadSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": resources(needs),
    })];
    // Neither action has a resource: the statement above decides what a batch returns.
    if needs.batch {
        statements.push(everywhere("ReadManyAtOnce", "secretsmanager:BatchGetSecretValue"));
    }
    if needs.imports.iter().any(|import| import.field.is_none()) {
        statements.push(everywhere("ListForImports", "secretsmanager:ListSecrets"));
    }
    let title = if needs.batch {
        "IAM policy for the login (--without-batch prints a narrower one, with one request per secret). Secrets encrypted with your \
         own key also need kms:Decrypt on that key"
    } else {
        "IAM policy for the login, without batches: one request per secret. Secrets encrypted with your own key also need \
         kms:Decrypt on that key"
    };
    needs.policy(title, format!("{:#}", json!({ "Version": "2012-10-17", "Statement": statements })))
}

fn everywhere(sid: &str, action: &str) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*" })
}

/// The ARNs. A secret's ARN ends with six random characters, which `??????` matches.
fn resources(needs: &Needs<'_>) -> Vec<String> {
    let named = needs.references.iter().flat_map(|reference| match reference.item.as_str() {
        // Whether it includes that suffix is ambiguous: `my-secret` ends with six characters as well.
        arn if arn.starts_with("arn:") => vec![literal(arn), format!("{}-??????", literal(arn))],
        name => vec![format!("{}{}-??????", secrets(needs), literal(name))],
    });
    let imported = needs.imports.iter().map(|import| match import.item.strip_suffix('*') {
        Some(prefix) => format!("{}{}*", secrets(needs), literal(prefix)),
        None if import.item.starts_with("arn:") => format!("{}*", literal(&import.item)),
        None => format!("{}{}-??????", secrets(needs), literal(&import.item)),
    });
    // The whole prefix: what does not exist is then absent, not denied.
    let usual = needs.conventional().next();
    let usual =
        usual.map(|_| format!("{}{}/*", secrets(needs), literal(&conventional::path(&needs.manifest.scope))));
    distinct(named.chain(imported).chain(usual).collect())
}

/// The prefix of every secret's ARN.
fn secrets(needs: &Needs<'_>) -> String {
    start(needs, &SECRETS_MANAGER, "secret:")
}

/// The prefix of every ARN of this kind in this account and region; `*` for what is not known.
pub(super) fn start(needs: &Needs<'_>, service: &Service, kind: &str) -> String {
    let region = needs.options.text("region");
    let role = needs.options.text("role-arn").unwrap_or_default();
    let account = role.split(':').nth(4).filter(|account| !account.is_empty());
    let known = |text: Option<&str>| text.map_or_else(|| "*".to_owned(), literal);
    let partition = partition(region.unwrap_or("*"));
    format!("arn:{partition}:{}:{}:{}:{kind}", service.host, known(region), known(account))
}

/// A name in which nothing is a pattern or a variable ("IAM policy elements: variables and tags", "Special characters").
pub(super) fn literal(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut out, c| {
        match c {
            '*' | '?' | '$' => out.extend(['$', '{', c, '}']),
            c => out.push(c),
        }
        out
    })
}
