//! Picks a field out of a JSON value. JSON is split only where a reference has `#field` (design rule 4).

use serde_json::Value;
use zeroize::Zeroize;

use crate::secret::SecretValue;

/// The result of selecting a field.
pub enum Field {
    /// Its bytes: a string as it is, anything else as its JSON text.
    Value(SecretValue),
    /// It is null, which counts as absent.
    Null,
    /// There is no such field; holds the names of those that exist.
    Missing(Vec<String>),
    /// The value is not a JSON object.
    NotAnObject,
}

/// A JSON object, read once for all fields that are taken out of it, and wiped in the end. It has no `Debug`.
pub struct Fields(Value);

impl Fields {
    /// Reads a text; one that is no JSON object has no fields.
    pub fn of(value: &SecretValue) -> Self {
        Self(serde_json::from_slice(value.expose()).unwrap_or(Value::Null))
    }

    /// Returns one field. `name` is a key; with a leading `/` it is a JSON pointer (RFC 6901).
    pub fn pick(&self, name: &str) -> Field {
        let Value::Object(map) = &self.0 else { return Field::NotAnObject };
        let found = if name.starts_with('/') { self.0.pointer(name) } else { map.get(name) };
        match found {
            None => Field::Missing(map.keys().cloned().collect()),
            Some(Value::Null) => Field::Null,
            Some(Value::String(text)) => Field::Value(SecretValue::new(text.clone().into_bytes())),
            // A number keeps its text as far as JSON has one.
            Some(other) => Field::Value(SecretValue::new(other.to_string().into_bytes())),
        }
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// The names of a JSON object's fields; `None` if the value is not one.
pub fn names(value: &SecretValue) -> Option<Vec<String>> {
    let mut json = serde_json::from_slice::<Value>(value.expose()).ok()?;
    let names = json.as_object().map(|map| map.keys().cloned().collect());
    wipe(&mut json);
    names
}

/// Wipes every string of a JSON value: it may be a secret.
pub(super) fn wipe(json: &mut Value) {
    match json {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(json: &str, name: &str) -> String {
        match Fields::of(&SecretValue::new(json.as_bytes().to_vec())).pick(name) {
            Field::Value(value) => String::from_utf8_lossy(value.expose()).into_owned(),
            Field::Null => "<null>".into(),
            Field::Missing(names) => format!("<missing, there are {}>", names.join(" ")),
            Field::NotAnObject => "<no object>".into(),
        }
    }

    #[test]
    fn fields_keep_their_text() {
        for (json, name, expected) in [
            (r#"{"a":"x y\n"}"#, "a", "x y\n"),
            (r#"{"a":1.50}"#, "a", "1.50"),
            (r#"{"a":12345678901234567890123}"#, "a", "12345678901234567890123"),
            (r#"{"a":null}"#, "a", "<null>"),
            (r#"{"a":"1","b":"2"}"#, "c", "<missing, there are a b>"),
            (r#"{"a":{"b":"deep"}}"#, "/a/b", "deep"),
            (r#"{"a":{"b":[1,2]}}"#, "a", r#"{"b":[1,2]}"#),
            ("plain", "a", "<no object>"),
            ("[1]", "a", "<no object>"),
        ] {
            assert_eq!(picked(json, name), expected, "{json} {name}");
        }
    }
}
