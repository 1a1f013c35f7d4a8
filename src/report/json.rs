//! The JSON form of the report and its schema, `docs/report.schema.json`.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::model::Report;
use crate::error::{Code, Error, Result};

/// The report as JSON for people and programs: indented, every field present, a newline at the end.
/// Fails only by a fault of this program ([`Code::Internal`]).
pub fn to_string(report: &Report) -> Result<String> {
    let json = serde_json::to_string_pretty(report).map_err(|error| {
        Error::new(Code::Internal, format!("the report cannot be written as JSON: {error}"))
    })?;
    Ok(json + "\n")
}

/// The JSON Schema (draft 2020-12) of what [`to_string`] writes, made from the types.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Report>();
    schema.insert("title".to_owned(), Value::from("claude-secrets report"));
    schema.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_has_every_field_of_the_schema() {
        let report: Value = serde_json::from_str(&to_string(&Report::default()).unwrap()).unwrap();
        let schema = schema();
        let required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let fields: Vec<&String> = report.as_object().unwrap().keys().collect();
        assert_eq!(required.len(), properties.len(), "every field is always written");
        assert_eq!(fields, properties);
        assert_eq!(report["version"], 1);
    }
}
