//! What is odd about values that were found: a placeholder, blanks around it, another thing than its name says. Warnings
//! by named rules, which `strict` makes errors. A warning tells a value's shape and never a part of it.

mod dates;
mod known;
mod text;

use std::time::SystemTime;

pub use self::known::begins_as_a_secret;

use crate::manifest::{Reference, Secret};
use crate::resolve::{Resolved, State, Warning};
use crate::secret::SecretValue;

/// From this length on (bytes) two secrets do not have one value by chance.
const NOT_BY_CHANCE: usize = 8;

/// A rule, for the documentation.
pub struct Rule {
    /// Its name, which stands behind each of its warnings.
    pub name: &'static str,
    /// What it warns of.
    pub about: &'static str,
}

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule {
        name: "placeholder",
        about: "The value is a placeholder: `changeme`, `your_key`, `xxx`, `<token>`, `${KEY}`.",
    },
    Rule {
        name: "wrong-kind",
        about: "The value does not start as values of its name do: `sk-ant-` for `ANTHROPIC_API_KEY`, `AKIA` for `AWS_ACCESS_KEY_ID`. `starts-with` or `matches` in the manifest says that it is right.",
    },
    Rule { name: "encoded", about: "The value is base64 of what its name or its rules ask for." },
    Rule {
        name: "blanks",
        about: "One line of text has a blank or a line end at an end. `trim: newline` takes a line end off.",
    },
    Rule { name: "quoted", about: "The value stands in quotes, which no shell will take off." },
    Rule {
        name: "whole-json",
        about: "The value is a whole JSON object, and nothing says that the program wants one; a reference ends in `#field` to pick a member.",
    },
    Rule {
        name: "expired",
        about: "The value is a JSON Web Token or a certificate that is out of date, or not valid yet.",
    },
    Rule {
        name: "dies-with-job",
        about: "The value is a `ghs_` token under GitHub Actions: it is invalid when the job ends.",
    },
    Rule { name: "same-value", about: "Two secrets have one value." },
];

/// One value under the rules.
struct Subject<'a> {
    secret: &'a Secret,
    bytes: &'a [u8],
    /// The value as text without what is around it, where it is text.
    text: Option<&'a str>,
    /// Whether the reference picked a member of an object.
    is_member: bool,
}

/// What a rule says of a value: the end of a sentence that begins with the secret, and the remedy.
struct Said {
    rule: &'static str,
    fact: String,
    remedy: String,
}

/// What is odd about the values of secrets at this time; `in_job` under GitHub Actions. Secrets that the manifest says
/// are none, defaults, and what templates make are left alone.
pub fn warnings(secrets: &[Resolved], now: SystemTime, in_job: bool) -> Vec<Warning> {
    let found: Vec<(&Resolved, &SecretValue)> = secrets
        .iter()
        .filter(|resolved| resolved.state == State::Found && resolved.secret.sensitive)
        .filter(|resolved| resolved.secret.template.is_none())
        .filter_map(|resolved| Some((resolved, resolved.value.as_ref()?)))
        .collect();
    let mut all = Vec::new();
    for (resolved, value) in &found {
        let subject = Subject::new(resolved, value);
        let said = [
            text::placeholder(&subject)
                .or_else(|| known::encoded(&subject))
                .or_else(|| known::wrong_kind(&subject)),
            text::blanks(&subject),
            text::quoted(&subject),
            text::whole_json(&subject),
            dates::expired(&subject, now),
            in_job.then(|| known::dies_with_job(&subject)).flatten(),
        ];
        let place =
            resolved.origin.as_ref().map(|origin| format!(" from {}", origin.place)).unwrap_or_default();
        all.extend(said.into_iter().flatten().map(|said| Warning {
            place: Some(resolved.secret.place.clone()),
            ..Warning::new(
                format!("{}{place} {} ({}) [{}]", resolved.secret.name, said.fact, value.shape(), said.rule),
                Some(said.remedy),
            )
        }));
    }
    all.extend(same_values(&found));
    all
}

/// Secrets that share a value and come from different places, each with the first that has it.
fn same_values(found: &[(&Resolved, &SecretValue)]) -> Vec<Warning> {
    let mut all = Vec::new();
    for (at, (resolved, value)) in found.iter().enumerate() {
        let is_same = |(other, theirs): &&(&Resolved, &SecretValue)| {
            theirs == value && reference(other) != reference(resolved)
        };
        let long = value.expose().len() >= NOT_BY_CHANCE;
        if let Some((other, _)) = found[..at].iter().find(is_same).filter(|_| long) {
            let (one, name) = (&other.secret.name, &resolved.secret.name);
            all.push(Warning {
                place: Some(resolved.secret.place.clone()),
                ..Warning::new(
                    format!("{one} and {name} have the same value ({}) [same-value]", value.shape()),
                    Some(format!(
                        "Was one pasted in the place of the other? When they are one secret, say so: `{name} = {}`.",
                        reference(other).map(ToString::to_string).unwrap_or_default()
                    )),
                )
            });
        }
    }
    all
}

fn reference(resolved: &Resolved) -> Option<&Reference> {
    resolved.origin.as_ref().map(|origin| &origin.reference)
}

impl<'a> Subject<'a> {
    fn new(resolved: &'a Resolved, value: &'a SecretValue) -> Self {
        let bytes = value.expose();
        Self {
            secret: &resolved.secret,
            bytes,
            text: std::str::from_utf8(bytes).ok().map(str::trim),
            is_member: resolved.origin.as_ref().is_some_and(|origin| origin.reference.field.is_some()),
        }
    }

    fn name(&self) -> &str {
        self.secret.name.as_str()
    }

    /// Whether the manifest says itself what the value is like, which it then is.
    fn is_described(&self) -> bool {
        self.secret.rules.starts_with.is_some() || self.secret.rules.matches.is_some()
    }
}

impl Said {
    fn new(rule: &'static str, fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { rule, fact: fact.into(), remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests;
