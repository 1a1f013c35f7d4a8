//! The JSON Schema of the manifest file, for completion and checks in editors.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::document::Document;

/// The schema (draft 2020-12), made from the types that the parser reads.
pub fn schema() -> Value {
    let mut made = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    made.insert("title".to_owned(), "claude-secrets.yml".into());
    // The description of the file comes first.
    let mut ordered = Map::new();
    for key in ["$schema", "title", "description"] {
        ordered.extend(made.remove(key).map(|value| (key.to_owned(), value)));
    }
    if let Value::Object(rest) = made.to_value() {
        ordered.extend(rest);
    }
    Value::Object(ordered)
}
