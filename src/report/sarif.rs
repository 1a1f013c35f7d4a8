//! The findings of a run as SARIF 2.1.0 (OASIS), as GitHub's code scanning and editors read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::log::error_messages;
use super::model::Report;
use crate::diagnostic::Diagnostic;
use crate::error::Code;

/// What a warning is a result of; an error's rule is its code.
const WARNING: &str = "warning";

/// The run's errors and warnings as one SARIF log. GitHub shows only results that have a place: those without one stand
/// at the beginning of `file`, the manifest or else the Compose file.
pub fn to_string(report: &Report, file: &str) -> String {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    let mut results = Vec::new();
    for error in report.errors() {
        let meaning = Code::ALL.iter().find(|code| code.token() == error.code).map(|code| code.meaning());
        rules.insert(error.code.clone(), rule(&error.code, meaning.unwrap_or_default()));
        let messages = error_messages(error);
        // The fact of several problems says only that there are several.
        let own = if messages.len() > 1 { &messages[1..] } else { &messages[..] };
        results.extend(own.iter().map(|message| {
            // Remedies of the error itself belong to each problem that has none of its own.
            let help = message.help.clone().or_else(|| messages.first()?.help.clone());
            result(&error.code, "error", &Diagnostic { help, ..message.clone() }, file)
        }));
    }
    for warning in &report.warnings {
        rules.insert(WARNING.to_owned(), rule(WARNING, "Something to look at."));
        results.push(result(WARNING, "warning", warning, file));
    }
    let driver = json!({
        "name": "claude-secrets",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules.into_values().collect::<Vec<_>>(),
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    });
    format!("{log:#}\n")
}

fn rule(id: &str, meaning: &str) -> Value {
    json!({ "id": id, "shortDescription": { "text": meaning } })
}

fn result(rule: &str, level: &str, message: &Diagnostic, file: &str) -> Value {
    let place = message.place.as_ref().and_then(|place| Some((place, place.file.as_ref()?)));
    let (uri, line, column) = match place {
        Some((place, file)) => (uri(&file.display().to_string()), place.line, place.column),
        None => (uri(file), 1, 1),
    };
    let text = match &message.help {
        Some(hint) => format!("{}\nFix: {hint}", message.fact),
        None => message.fact.clone(),
    };
    json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri },
            "region": { "startLine": line, "startColumn": column },
        } }],
    })
}

/// A path as a reference of RFC 3986, relative where the path is.
fn uri(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    if path.starts_with('/') { format!("file://{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;
    use crate::error::Error;

    #[test]
    fn every_problem_is_a_result_at_its_place() {
        let place = |line| Some(Place { file: Some("a b/claude-secrets.yml".into()), line, column: 3 });
        let missing = |line| Diagnostic { place: place(line), ..Diagnostic::new("gone").help("set it") };
        let mut report = Report::default();
        let error = Error::new(Code::SecretsMissing, "2 secrets").problems(vec![missing(4), missing(9)]);
        report.fail(&error.and(Error::new(Code::ServiceUnknown, "who?")));
        report.warn(Diagnostic::new("old"));
        let log: Value = serde_json::from_str(&to_string(&report, "compose.yaml")).unwrap();
        let run = &log["runs"][0];
        let of = |result: &Value| {
            let at = &result["locations"][0]["physicalLocation"];
            let uri = at["artifactLocation"]["uri"].as_str().unwrap().to_owned();
            (result["ruleId"].as_str().unwrap().to_owned(), uri, at["region"]["startLine"].as_u64().unwrap())
        };
        let expected = [
            ("secrets-missing", "a%20b/claude-secrets.yml", 4),
            ("secrets-missing", "a%20b/claude-secrets.yml", 9),
            ("service-unknown", "compose.yaml", 1),
            ("warning", "compose.yaml", 1),
        ];
        let results: Vec<_> = run["results"].as_array().unwrap().iter().map(of).collect();
        assert_eq!(results, expected.map(|(rule, uri, line)| (rule.to_owned(), uri.to_owned(), line)));
        assert_eq!(run["results"][0]["message"]["text"], "gone\nFix: set it");
        let rules: Vec<_> =
            run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
        assert_eq!(rules, ["secrets-missing", "service-unknown", "warning"]);
    }
}
