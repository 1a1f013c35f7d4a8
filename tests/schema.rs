//! The published schema is the one that the types make, and it knows the same keys as the parser.
//! `UPDATE_DOCS=1 cargo test --test schema` rewrites it.
// The lints' exception for tests does not reach functions that tests share.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use claude_secrets::manifest::{Given, read, schema};
use serde_json::Value;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/claude-secrets.schema.json");

/// For every key of the schema (its path, `*` for a name that the user chooses) a manifest that uses it.
const SAMPLES: &[(&str, &str)] = &[
    ("prefix", "{ prefix: team, secrets: { A: } }"),
    ("stable-for", "{ stable-for: 10s, secrets: { A: } }"),
    ("sources", "{ sources: {}, secrets: { A: } }"),
    ("sources.*.kind", "{ sources: { mine: { kind: env } }, secrets: { A: } }"),
    ("services", "{ services: {}, secrets: { A: } }"),
    ("services.*.secrets", "{ services: { w: { secrets: [A] } }, secrets: { A: } }"),
    ("services.*.uid", "{ services: { w: { secrets: [A], uid: 1 } }, secrets: { A: } }"),
    ("services.*.gid", "{ services: { w: { secrets: [A], gid: 1 } }, secrets: { A: } }"),
    ("services.*.deliver", "{ services: { w: { deliver: file } }, secrets: { A: } }"),
    ("services.*.variables", "{ services: { w: { variables: { V: A } } }, secrets: { A: } }"),
    (
        "services.*.variables.*.secret",
        "{ services: { w: { variables: { V: { secret: A } } } }, secrets: { A: } }",
    ),
    (
        "services.*.variables.*.deliver",
        "{ services: { w: { variables: { V: { deliver: variable } } } }, secrets: { A: } }",
    ),
    ("services.*.starts-workers", "{ services: { w: { starts-workers: true } }, secrets: { A: } }"),
    ("services.*.workers", "{ services: { w: { starts-workers: true, workers: {} } }, secrets: { A: } }"),
    (
        "services.*.workers.secrets",
        "{ secrets: { A: }, services: { w: { starts-workers: true, workers: { secrets: [A] } } } }",
    ),
    (
        "services.*.workers.uid",
        "{ secrets: { A: }, services: { w: { starts-workers: true, workers: { uid: 1 } } } }",
    ),
    (
        "services.*.workers.gid",
        "{ secrets: { A: }, services: { w: { starts-workers: true, workers: { gid: 1 } } } }",
    ),
    ("secrets", "{ secrets: { A: {} } }"),
    ("secrets.*.description", "{ secrets: { A: { description: d } } }"),
    ("secrets.*.required", "{ secrets: { A: { required: false } } }"),
    ("secrets.*.default", "{ secrets: { A: { default: 1 } } }"),
    ("secrets.*.from", "{ secrets: { A: { from: [env:X] } } }"),
    ("secrets.*.template", "{ secrets: { B: , A: { template: '{B}' } } }"),
    ("secrets.*.starts-with", "{ secrets: { A: { starts-with: x } } }"),
    ("secrets.*.matches", "{ secrets: { A: { matches: x } } }"),
    ("secrets.*.min-length", "{ secrets: { A: { min-length: 1 } } }"),
    ("secrets.*.max-age", "{ secrets: { A: { max-age: 90d } } }"),
    ("secrets.*.expires-within", "{ secrets: { A: { expires-within: 14d } } }"),
    ("secrets.*.encoding", "{ secrets: { A: { encoding: hex } } }"),
    ("secrets.*.trim", "{ secrets: { A: { trim: newline } } }"),
    ("secrets.*.sensitive", "{ secrets: { A: { sensitive: false } } }"),
    ("secrets.*.allow-empty", "{ secrets: { A: { allow-empty: true } } }"),
    ("secrets.*.file", "{ secrets: { A: { file: {} } } }"),
    ("secrets.*.file.name", "{ secrets: { A: { file: { name: x } } } }"),
    ("secrets.*.file.mode", "{ secrets: { A: { file: { mode: '0400' } } } }"),
    ("secrets.*.file.uid", "{ secrets: { A: { file: { uid: 0 } } } }"),
    ("secrets.*.file.gid", "{ secrets: { A: { file: { gid: 0 } } } }"),
    ("import", "{ import: ['keeper:bot/*'], secrets: { A: } }"),
    ("environments", "{ secrets: { A: }, environments: { e: } }"),
    ("environments.*.prefix", "{ secrets: { A: }, environments: { e: { prefix: x } } }"),
    ("environments.*.sources", "{ secrets: { A: }, environments: { e: { sources: { env: {} } } } }"),
    (
        "environments.*.sources.*.kind",
        "{ secrets: { A: }, environments: { e: { sources: { m: { kind: env } } } } }",
    ),
];

fn accepted(manifest: &str) -> Result<(), String> {
    let given = Given {
        file: Some((Path::new("m.yml"), manifest.as_bytes())),
        known_kinds: &["env", "keeper"],
        ..Given::default()
    };
    read(&given).map(|_| ()).map_err(|error| error.to_string())
}

/// The parts of a schema that hold for a node: itself, what it refers to, and its alternatives.
fn parts<'s>(root: &'s Value, node: &'s Value) -> Vec<&'s Value> {
    let mut all = vec![node];
    if let Some(pointer) = node["$ref"].as_str() {
        all.extend(parts(root, root.pointer(pointer.trim_start_matches('#')).expect(pointer)));
    }
    for alternative in ["anyOf", "allOf", "oneOf"].iter().filter_map(|key| node[*key].as_array()).flatten() {
        all.extend(parts(root, alternative));
    }
    all
}

/// Every key below a node, as paths.
fn keys(root: &Value, node: &Value, path: &str, found: &mut BTreeSet<String>) {
    for part in parts(root, node) {
        for (key, below) in part["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            keys(root, below, &path, found);
            found.insert(path);
        }
        if part["additionalProperties"].is_object() {
            keys(root, &part["additionalProperties"], &format!("{path}.*"), found);
        }
    }
}

/// A judge of the part of JSON Schema that ours uses.
fn valid(root: &Value, node: &Value, value: &Value) -> bool {
    if let Some(pointer) = node["$ref"].as_str() {
        return valid(root, root.pointer(pointer.trim_start_matches('#')).expect(pointer), value);
    }
    let listed = |key: &str| node[key].as_array().map(Vec::as_slice);
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        other => panic!("a type that this test does not know: {other:?}"),
    };
    let typed = match &node["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    let matches = |pattern: &Value, text: &str| {
        pattern.as_str().is_none_or(|pattern| regex_lite::Regex::new(pattern).expect(pattern).is_match(text))
    };
    typed
        && listed("anyOf").is_none_or(|all| all.iter().any(|one| valid(root, one, value)))
        && listed("oneOf").is_none_or(|all| all.iter().filter(|one| valid(root, one, value)).count() == 1)
        && listed("enum").is_none_or(|words| words.contains(value))
        && node.get("const").is_none_or(|word| word == value)
        && value.as_str().is_none_or(|text| matches(&node["pattern"], text))
        && value.as_u64().is_none_or(|n| {
            node["minimum"].as_u64().is_none_or(|least| n >= least)
                && node["maximum"].as_u64().is_none_or(|most| n <= most)
        })
        && value.as_array().is_none_or(|items| {
            node.get("items").is_none_or(|schema| items.iter().all(|item| valid(root, schema, item)))
        })
        && value.as_object().is_none_or(|entries| {
            listed("required")
                .is_none_or(|names| names.iter().filter_map(Value::as_str).all(|n| entries.contains_key(n)))
                && entries.iter().all(|(key, below)| {
                    matches(&node["propertyNames"]["pattern"], key)
                        && match (&node["properties"][key], &node["additionalProperties"]) {
                            (Value::Null, Value::Bool(false)) => false,
                            (Value::Null, schema @ Value::Object(_)) => valid(root, schema, below),
                            (Value::Null, _) => true,
                            (schema, _) => valid(root, schema, below),
                        }
                })
        })
}

fn conforms(manifest: &str) -> bool {
    let value: Value = serde_saphyr::from_str(manifest).expect(manifest);
    let schema = schema();
    valid(&schema, &schema, &value)
}

#[test]
fn the_published_schema_is_the_one_that_the_types_make() {
    let made = format!("{}\n", serde_json::to_string_pretty(&schema()).expect("JSON"));
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(PUBLISHED, &made).expect("docs can be written");
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap_or_default();
    assert!(published == made, "out of date: UPDATE_DOCS=1 cargo test --test schema");
}

#[test]
fn every_key_of_the_schema_is_read_and_no_other() {
    let schema = schema();
    let mut found = BTreeSet::new();
    keys(&schema, &schema, "", &mut found);
    let sampled: BTreeSet<String> = SAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, sampled, "every key has a sample, and every sample's key is in the schema");
    for (path, manifest) in SAMPLES {
        assert_eq!(accepted(manifest), Ok(()), "{path}");
        assert!(conforms(manifest), "{path}");
        let key = path.rsplit('.').next().unwrap_or_default();
        // A source's settings depend on its kind: the schema leaves them open.
        if key != "kind" {
            let misspelt = manifest.replacen(&format!("{key}:"), &format!("{key}x:"), 1);
            assert!(accepted(&misspelt).is_err(), "{misspelt}");
            assert!(!conforms(&misspelt), "{misspelt}");
        }
    }
}

#[test]
fn every_key_is_explained() {
    let schema = schema();
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        for part in parts(&schema, definition) {
            for (key, below) in part["properties"].as_object().into_iter().flatten() {
                assert!(below["description"].is_string(), "{name}.{key}");
            }
        }
    }
}

#[test]
fn parser_and_schema_refuse_the_same() {
    for manifest in [
        "[]",
        "{ secrets: [A] }",
        "{ secrets: { 1A: } }",
        "{ secrets: { A-B: } }",
        "{ secrets: { A: text } }",
        "{ secrets: { A: { required: 'yes' } } }",
        "{ secrets: { A: { required: } } }",
        "{ secrets: { A: { description: [x] } } }",
        "{ secrets: { A: { default: {} } } }",
        "{ secrets: { A: { from: env:X } } }",
        "{ secrets: { A: { from: [plain] } } }",
        "{ secrets: { A: { from: [{ env: X }] } } }",
        "{ secrets: { A: { min-length: '3' } } }",
        "{ secrets: { A: { min-length: -3 } } }",
        "{ secrets: { A: { min-length: 1048577 } } }",
        "{ secrets: { A: { encoding: rot13 } } }",
        "{ secrets: { A: { trim: all } } }",
        "{ secrets: { A: { max-age: 90 } } }",
        "{ secrets: { A: { file: { name: a/b } } } }",
        "{ secrets: { A: { file: { name: .hidden } } } }",
        "{ secrets: { A: { file: { mode: 400 } } } }",
        "{ secrets: { A: { file: { uid: root } } } }",
        "{ secrets: { A: { file: { uid: 4294967295 } } } }",
        "{ secrets: { A: }, services: }",
        "{ secrets: { A: }, services: { w: A } }",
        "{ secrets: { A: }, services: { w: { variables: [A] } } }",
        "{ secrets: { A: }, services: { w: { secrets: [A], deliver: clear } } }",
        "{ secrets: { A: }, sources: { env: [x] } }",
        "{ secrets: { A: }, environments: { e: { prefix: [x] } } }",
    ] {
        assert!(accepted(manifest).is_err(), "the parser takes {manifest}");
        assert!(!conforms(manifest), "the schema takes {manifest}");
    }
}
