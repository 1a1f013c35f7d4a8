//! Any text as a reference, below any prefix, in any environment (one a line): what it prints as, is read as the same, and
//! what is none is told without a word of it.
#![no_main]

mod words;

use claude_secrets::manifest::{Reference, Scope, SourceId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut lines = input.split('\n');
    let text = lines.next().unwrap_or_default();
    let prefix = lines.next().filter(|line| is_prefix(line)).unwrap_or("claude-bot").to_owned();
    let environment = lines.next().filter(|line| is_environment(line)).map(str::to_owned);
    if let Some(reference) = checked(text, Reference::parse(text)) {
        assert!(!text.starts_with("op://") || reference.source.as_str() == "onepassword");
    }
    let scope = Scope { prefix, environment };
    let within = checked(text, Reference::parse_in(text, &scope));
    if let (Ok(plain), Some(within)) = (Reference::parse(text), within) {
        assert!(plain == within, "without a placeholder the scope says nothing");
    }
    if let Some(id) = SourceId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert!(Reference::parse(&format!("{id}:item")).is_ok_and(|reference| reference.source == id));
    }
});

/// What a manifest takes as a prefix.
fn is_prefix(text: &str) -> bool {
    is_environment(text) && text.trim() == text && !text.contains(['{', '}'])
}

fn is_environment(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

fn checked(text: &str, parsed: Result<Reference, claude_secrets::manifest::ReferenceError>) -> Option<Reference> {
    match parsed {
        Ok(reference) => {
            let shown = reference.to_string();
            assert!(!shown.contains(char::is_control), "it stands in one line of a log");
            let again = Reference::parse(&shown);
            assert!(again.as_ref() == Ok(&reference), "it is read as it is shown");
            assert!(SourceId::parse(reference.source.as_str()).is_some());
            let parts = [Some(&reference.item), reference.field.as_ref(), reference.version.as_ref()];
            assert!(parts.into_iter().flatten().all(|part| !part.is_empty()));
            Some(reference)
        }
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.position), "the place is in the text");
            let message = format!("{error} {error:?}");
            assert!(words::telling(text.as_bytes()).all(|word| !message.contains(word)));
            None
        }
    }
}
