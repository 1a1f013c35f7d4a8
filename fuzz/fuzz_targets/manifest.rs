//! Any bytes as a manifest and, behind a NUL, as the `secrets` input: what is wrong is told without showing more than plain
//! keys, and what is right keeps what its types promise.
#![no_main]

mod words;

use std::collections::BTreeSet;
use std::path::Path;

use claude_secrets::manifest::{Given, Manifest, Reference, read};
use claude_secrets::secret::SecretName;
use claude_secrets::sources::known;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (file, lines) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let lines = std::str::from_utf8(lines).unwrap_or_default();
    let known = known();
    for (environment, lenient) in [(None, false), (Some("production"), true)] {
        let file = Some((Path::new("claude-secrets.yml"), file));
        let given = Given { lines: Some(lines), file, environment, lenient, ..known.given() };
        match read(&given) {
            Ok(manifest) => sound(&manifest, lenient),
            Err(error) => {
                let message = format!("{error} {error:?}");
                assert!(message.len() < 2 * 1024 * 1024);
                for word in words::telling(input).filter(|word| word.contains(['+', '/', '!', '~'])) {
                    assert!(!message.contains(word), "an error shows a part of the file");
                }
            }
        }
    }
});

fn sound(manifest: &Manifest, lenient: bool) {
    let shown = format!("{manifest:?}");
    let mut names = BTreeSet::new();
    let mut files = BTreeSet::new();
    for secret in &manifest.secrets {
        assert!(SecretName::parse(secret.name.as_str()).as_ref() == Ok(&secret.name));
        assert!(names.insert(&secret.name) && files.insert(secret.file_name().to_ascii_lowercase()));
        assert!(!secret.file_name().contains('/') && !secret.file_name().starts_with('.'));
        assert!(secret.from.as_ref().is_none_or(|from| !from.is_empty()));
        let Some(default) = &secret.default else { continue };
        assert!(secret.accept(default.clone()).is_ok(), "a default keeps the secret's own rules");
        let text = String::from_utf8_lossy(default.expose());
        // Elsewhere in the manifest the same word is no secret; so only where it can stand nowhere else.
        let elsewhere = secret.from.iter().flatten().chain(&manifest.imports).any(|r| r.to_string().contains(&*text));
        if text.len() >= 12 && text.contains('~') && !elsewhere && manifest.services.is_none() {
            let rules = format!("{:?} {:?}", secret.rules, manifest.scope);
            assert!(rules.contains(&*text) || !shown.contains(&*text), "a default is not shown");
        }
    }
    for reference in manifest.references() {
        assert!(Reference::parse(&reference.to_string()).as_ref() == Ok(reference));
        assert!(!manifest.kind(&reference.source).is_empty());
    }
    assert!(manifest.imports.iter().all(Reference::is_wildcard));
    if lenient || !manifest.imports.is_empty() {
        return;
    }
    for grant in manifest.services.iter().flat_map(|services| services.values()) {
        let granted: BTreeSet<_> = grant.secrets.iter().collect();
        assert!(granted.len() == grant.secrets.len() && granted.is_subset(&names), "only what is declared is granted");
    }
}
