//! Any bytes as a value, and what another parser finds in them under `password`: it is a secret by itself.
#![no_main]

use claude_secrets::mask::{Plan, Redactor};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|value: &[u8]| {
    let redactor = Redactor::new(&Plan::new([("DOCUMENT", value)]));
    let mut passwords = Vec::new();
    for document in serde_json::Deserializer::from_slice(value).into_iter::<Value>() {
        let Ok(document) = document else { break };
        // What stands outside of objects and lists is no JSON document to look into.
        if !(document.is_object() || document.is_array()) {
            break;
        }
        collect(&document, &mut passwords);
    }
    if !value.trim_ascii_start().starts_with(b"{") && !value.trim_ascii_start().starts_with(b"[") {
        return;
    }
    for password in passwords {
        assert_eq!(redactor.names_in(format!("x {password}").as_bytes()), ["DOCUMENT"]);
        assert!(redactor.redact_text(&password) == "***");
    }
});

/// The strings under `password` that are surely no everyday words.
fn collect(document: &Value, passwords: &mut Vec<String>) {
    match document {
        Value::Array(items) => items.iter().for_each(|item| collect(item, passwords)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "password" => {
                        let mixed = text.bytes().any(|byte| byte.is_ascii_digit())
                            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
                        if mixed && text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                            passwords.push(text.clone());
                        }
                    }
                    _ => collect(value, passwords),
                }
            }
        }
        _ => {}
    }
}
