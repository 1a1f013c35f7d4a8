//! The action's outputs: names, sources, paths and tokens, never a value.

use serde_json::{Map, Value};

use super::model::{Report, SecretState};

/// Every output with its description, in the order of the documentation. `action.yml` and the README are made from,
/// or checked against, this table.
pub const OUTPUTS: &[(&str, &str)] = &[
    (
        "result",
        "How the run ended: `deployed`, `unchanged`, `validated`, `in-sync`, `created`, `removed` or `failed`.",
    ),
    (
        "error-code",
        "The stable token of the error that ended the run (see docs/errors.md); empty without one.",
    ),
    (
        "resolved",
        "A JSON object: the name of each secret that has a value, and the source that it came from.",
    ),
    ("missing", "A JSON list: the names of the required secrets that no source had."),
    ("changed", "A JSON list: the names of the secrets that differ from the last deployment's."),
    ("recreated", "A JSON list: the services whose containers were recreated."),
    (
        "degraded",
        "`true` when `on-missing` or `on-source-error` let something pass that would otherwise have ended the run, \
         else `false`.",
    ),
    ("override-file", "The path of the generated Compose override file, as the Docker host sees it."),
    ("secrets-dir", "The path of the directory of the secret files, as the Docker host sees it."),
    ("report", "The path of the JSON report, as the Docker host sees it."),
];

/// The outputs of a run, each of [`OUTPUTS`] once and in its order, also when the run failed. What is not known is an
/// empty text, or an empty JSON list or object.
pub fn outputs(report: &Report) -> Vec<(&'static str, String)> {
    OUTPUTS.iter().map(|&(name, _)| (name, output(report, name))).collect()
}

fn output(report: &Report, name: &str) -> String {
    let path = |path: &Option<String>| path.clone().unwrap_or_default();
    match name {
        "result" => report.result.token().to_owned(),
        "error-code" => report.error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
        "resolved" => resolved(report),
        "missing" => names(&report.missing),
        "changed" => names(&report.changed),
        "recreated" => names(&report.recreated),
        "degraded" => report.degraded.to_string(),
        "override-file" => path(&report.override_file),
        "secrets-dir" => path(&report.secrets_dir),
        "report" => path(&report.report_file),
        _ => String::new(),
    }
}

/// Name → source of every secret that has a value; a default's source is `default`.
fn resolved(report: &Report) -> String {
    let entries = report.secrets.iter().filter_map(|secret| {
        let source = match secret.state {
            SecretState::Found => secret.source.clone()?,
            SecretState::Default => "default".to_owned(),
            _ => return None,
        };
        Some((secret.name.clone(), Value::String(source)))
    });
    Value::Object(entries.collect::<Map<_, _>>()).to_string()
}

fn names(names: &[String]) -> String {
    Value::from(names).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    #[test]
    fn every_output_of_the_table_can_be_set() {
        let path = |name: &str| Some(format!("/srv/{name}"));
        let report = Report {
            error: Some((&Error::new(Code::Leak, "f")).into()),
            override_file: path("override"),
            secrets_dir: path("dir"),
            report_file: path("report"),
            ..Report::default()
        };
        for (name, value) in outputs(&report) {
            assert!(!value.is_empty(), "{name} is in the table and has no value");
        }
    }

    #[test]
    fn lists_stay_json_with_any_name() {
        let report = Report { recreated: vec!["a\"b\nc".into()], ..Report::default() };
        let value = outputs(&report).into_iter().find(|(name, _)| *name == "recreated").unwrap().1;
        assert_eq!(value, r#"["a\"b\nc"]"#);
    }
}
