//! Suspicious values: placeholders, values with spaces around them, values that do not match their names. Each is a warning
//! with a named rule, which `strict` makes an error. A warning shows a value's shape and never a part of it.

mod dates;
mod known;
mod text;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::SystemTime;

pub use self::known::begins_as_a_secret;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Reference, Secret};
use crate::resolve::{Resolved, State};
use crate::secret::SecretValue;

/// From this length on (bytes), two secrets do not have the same value by chance.
const NOT_BY_CHANCE: usize = 8;

/// A rule, for the documentation.
pub struct Rule {
    /// Its name, at the end of each of its warnings.
    pub name: &'static str,
    /// What it warns about.
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
        about: "The value does not start like other values of its name: `sk-ant-` for `ANTHROPIC_API_KEY`, `AKIA` for `AWS_ACCESS_KEY_ID`. To accept it, set `starts-with` or `matches` in the manifest.",
    },
    Rule {
        name: "encoded",
        about: "The value is the base64 encoding of what its name or its rules ask for.",
    },
    Rule {
        name: "blanks",
        about: "A value of one line starts or ends with a space or a newline. `trim: newline` removes a newline.",
    },
    Rule { name: "quoted", about: "The value has quotes around it, which no shell will remove." },
    Rule {
        name: "whole-json",
        about: "The value is a whole JSON object, and nothing indicates that the program needs one. Add `#field` to the reference to select a field.",
    },
    Rule {
        name: "expired",
        about: "The value is a JSON Web Token or a certificate that has expired, or is not valid yet.",
    },
    Rule {
        name: "dies-with-job",
        about: "The value is a `ghs_` token under GitHub Actions: it is invalid when the job ends.",
    },
    Rule { name: "same-value", about: "Two secrets have the same value." },
];

/// One value under the rules.
struct Subject<'a> {
    secret: &'a Secret,
    bytes: &'a [u8],
    /// The value as text without the spaces around it, if it is text.
    text: Option<&'a str>,
    /// Whether the reference selected a field of an object.
    is_member: bool,
}

/// A rule's result: the end of a sentence that begins with the secret, and the remedy.
struct Said {
    rule: &'static str,
    fact: String,
    help: String,
}

/// The warnings about the values of secrets at this time; `in_job` in GitHub Actions. Defaults, composed values and values
/// that are not sensitive are not checked.
pub fn warnings(secrets: &[Resolved], now: SystemTime, in_job: bool) -> Vec<Diagnostic> {
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
        all.extend(said.into_iter().flatten().map(|said| Diagnostic {
            place: Some(resolved.secret.place.clone()),
            ..Diagnostic::with_help(
                format!("{}{place} {} ({}) [{}]", resolved.secret.name, said.fact, value.shape(), said.rule),
                said.help,
            )
        }));
    }
    all.extend(same_values(&found));
    all
}

/// Secrets with the same value from different places, each with the first that has it from another place.
fn same_values(found: &[(&Resolved, &SecretValue)]) -> Vec<Diagnostic> {
    // Of each value the first secret, and the first from another place than that.
    let mut known: HashMap<&[u8], (&Resolved, Option<&Resolved>)> = HashMap::new();
    let mut all = Vec::new();
    for (resolved, value) in found.iter().filter(|(_, value)| value.expose().len() >= NOT_BY_CHANCE) {
        let other = match known.entry(value.expose()) {
            Entry::Vacant(entry) => {
                entry.insert((resolved, None));
                continue;
            }
            Entry::Occupied(mut entry) => {
                let (first, second) = entry.get_mut();
                if reference(first) == reference(resolved) {
                    *second
                } else {
                    second.get_or_insert(resolved);
                    Some(*first)
                }
            }
        };
        let Some(other) = other else { continue };
        let (one, name) = (&other.secret.name, &resolved.secret.name);
        all.push(Diagnostic {
            place: Some(resolved.secret.place.clone()),
            ..Diagnostic::with_help(
                format!("{one} and {name} have the same value ({}) [same-value]", value.shape()),
                format!(
                    "Check whether one was pasted in place of the other. If they are the same secret, write `{name} = {}`.",
                    reference(other).map(ToString::to_string).unwrap_or_default()
                ),
            )
        });
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

    /// Whether the manifest has rules for the value, which it then complies with.
    fn is_described(&self) -> bool {
        self.secret.rules.starts_with.is_some() || self.secret.rules.matches.is_some()
    }
}

impl Said {
    fn new(rule: &'static str, fact: impl Into<String>, help: impl Into<String>) -> Self {
        Self { rule, fact: fact.into(), help: help.into() }
    }
}

#[cfg(test)]
mod tests;
