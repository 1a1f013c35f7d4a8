//! Values that break a rule.

use crate::case::{CANARY, Refusal, again, refuses, running};

/// What a manifest may ask of a value, and a value that does not obey.
#[test]
fn a_value_that_breaks_a_rule_is_described_and_not_told() {
    for (rule, name) in [
        ("starts-with: sk-ant-", "starts-with"),
        ("matches: '^[0-9]+$'", "KEY"),
        ("min-length: 100", "100"),
        ("encoding: hex", "hex"),
    ] {
        let scene = running();
        scene.write("claude-secrets.yml", format!("secrets:\n  KEY: {{ {rule} }}\n"));
        let names: &'static [&'static str] = Box::leak(Box::new([name, "KEY"]));
        let wanted = Refusal { status: 3, code: "secret-invalid", names, fix: "" };
        assert!(!rule.contains(CANARY));
        refuses(&scene, again(&scene, &[]), rule, &wanted);
    }
}
