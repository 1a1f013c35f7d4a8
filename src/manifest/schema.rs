//! The JSON Schema of the manifest file, for completion and checks in editors.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::Document;

/// The schema (draft 2020-12), made from the types that the parser reads.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "claude-secrets.yml".into());
    schema.to_value()
}
