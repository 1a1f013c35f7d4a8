//! Rules about the text itself.

use super::{Said, Subject};

/// Common placeholders, in lower case and without separators.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "changeit",
    "changethis",
    "replaceme",
    "replacethis",
    "placeholder",
    "fixme",
    "todo",
    "tbd",
    "dummy",
    "example",
    "insertkeyhere",
    "putkeyhere",
    "null",
    "none",
    "nil",
    "undefined",
    "notset",
    "unset",
    "secret",
    "password",
    "token",
    "apikey",
    "redacted",
];

/// The beginnings of placeholders.
const BEGINNINGS: &[&str] =
    &["your", "my_api", "my-api", "insert_", "insert-", "replace_", "replace-", "change_", "change-"];

/// Parts of the names of secrets that are whole JSON objects.
const WANTS_JSON: &[&str] =
    &["JSON", "CREDENTIALS", "SERVICE_ACCOUNT", "CONFIG", "KUBECONFIG", "AUTHS", "JWK", "KEYSET"];

pub(super) fn placeholder(subject: &Subject<'_>) -> Option<Said> {
    let text = subject.text.filter(|text| text.len() <= 64 && !text.contains('\n'))?;
    let lower = text.to_ascii_lowercase();
    let letters: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let framed = [("<", ">"), ("${", "}"), ("{{", "}}"), ("[", "]"), ("***", "***")];
    let is_one = PLACEHOLDERS.contains(&letters.as_str())
        || letters.len() >= 3 && letters.bytes().all(|byte| byte == b'x')
        || !lower.is_empty() && lower.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'-' | b'_'))
        || BEGINNINGS.iter().any(|start| lower.starts_with(start)) && lower.contains(['_', '-', ' '])
        || framed.iter().any(|(start, end)| {
            lower.len() > start.len() + end.len()
                && lower.starts_with(start)
                && lower.ends_with(end)
                && !lower.contains(['"', ','])
        });
    is_one.then(|| {
        Said::new(
            "placeholder",
            "is a placeholder, not a secret",
            format!(
                "Store the real value. If this is the value, set `sensitive: false` for {} in the manifest.",
                subject.name()
            ),
        )
    })
}

pub(super) fn blanks(subject: &Subject<'_>) -> Option<Said> {
    let text = subject.text?;
    let around = subject.bytes.len() - text.len();
    // Keys and certificates end with a newline, like other text files.
    if around == 0 || text.is_empty() || text.contains('\n') {
        return None;
    }
    let line_end = subject.bytes.ends_with(b"\n");
    let fact = if line_end { "ends with a newline" } else { "has spaces around it" };
    let help = if line_end {
        format!(
            "`echo` and editors add one. Store the value without it (`printf %s`), or set `trim: newline` for {} in the manifest.",
            subject.name()
        )
    } else {
        "Store the value without them: the program would get them, too.".to_owned()
    };
    Some(Said::new("blanks", fact, help))
}

pub(super) fn quoted(subject: &Subject<'_>) -> Option<Said> {
    let text = subject.text?;
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.is_empty()).then(|| {
        Said::new(
            "quoted",
            "has quotes around it, which the program would get, too",
            "Store the value without the quotes.",
        )
    })
}

pub(super) fn whole_json(subject: &Subject<'_>) -> Option<Said> {
    let text = subject.text.filter(|text| text.starts_with('{'))?;
    let wanted = WANTS_JSON.iter().any(|word| subject.name().to_ascii_uppercase().contains(word));
    if wanted || subject.is_described() || subject.is_member {
        return None;
    }
    let is_object = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    is_object.then(|| {
        let name = subject.name();
        Said::new(
            "whole-json",
            "is a whole JSON object",
            format!(
                "Select a field with `#field` at the end of the reference, as in `{name} = aws:item#password`. If the program needs the whole object, set `starts-with: \"{{\"` for {name} in the manifest."
            ),
        )
    })
}
