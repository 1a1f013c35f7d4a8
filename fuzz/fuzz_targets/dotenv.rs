//! Any bytes as a `.env` file: no message shows what stands in it, and what was read is read again when it is written out
//! in quotes.
#![no_main]

mod words;

use claude_secrets::sources::dotenv::parse::{Interpolation, Quoting, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let set = |name: &str| (name == "SET").then(|| b"a value".to_vec().into());
    let composed = parse(file, Interpolation::Compose(&set));
    match &composed {
        Ok(parsed) => {
            for warning in &parsed.warnings {
                tells_nothing(file, warning.key(), &format!("{warning} {warning:?} {}", warning.help()));
            }
            let total: usize = parsed.entries.iter().map(|entry| entry.value.len()).sum();
            assert!(
                total <= file.len() + 16 * 1024 * 1024,
                "what refers to itself does not grow without end"
            );
        }
        Err(error) => {
            assert!(error.line >= 1 && error.line <= 1 + file.split(|byte| *byte == b'\n').count());
            tells_nothing(file, error.key.as_deref(), &format!("{error} {}", error.help()));
        }
    }
    let parsed = match parse(file, Interpolation::Literal) {
        Ok(parsed) => parsed,
        Err(error) => {
            tells_nothing(file, error.key.as_deref(), &format!("{error} {error:?} {}", error.help()));
            assert!(composed.is_err(), "what is no file without dollars is none with them");
            return;
        }
    };
    for warning in &parsed.warnings {
        tells_nothing(file, warning.key(), &format!("{warning} {warning:?} {}", warning.help()));
    }
    let mut written = Vec::new();
    for entry in &parsed.entries {
        assert!(!entry.key.is_empty() && entry.line >= 1 && entry.quoting != Quoting::Inherited);
        assert!(std::ptr::eq(parsed.get(&entry.key).expect("it is there"), entry), "a key is there once");
        // With `export`: the key may itself begin with this word.
        // A backslash at the end or before a quote cannot be said in single quotes.
        let sayable = !entry.value.ends_with(b"\\")
            && !entry.value.windows(2).any(|pair| pair == b"\\'" || pair == b"\\\\");
        if sayable {
            let quoted = entry
                .value
                .iter()
                .flat_map(|byte| if *byte == b'\'' { vec![b'\\', b'\''] } else { vec![*byte] });
            written.push((
                entry,
                [b"export ", entry.key.as_bytes(), b"='", &quoted.collect::<Vec<u8>>(), b"'\n"].concat(),
            ));
        }
    }
    let again = written.iter().flat_map(|(_, line)| line.iter().copied()).collect::<Vec<u8>>();
    let again = parse(&again, Interpolation::Literal)
        .unwrap_or_else(|error| panic!("written out it has a fault: {error}"));
    assert_eq!(again.entries.len(), written.len());
    for ((before, _), after) in written.iter().zip(&again.entries) {
        assert!(before.key == after.key && before.value == after.value, "the same when it is read again");
    }
    if let Ok(composed) = composed
        && !file.contains(&b'$')
    {
        for entry in &parsed.entries {
            let other = composed.get(&entry.key).expect("without a dollar both ways have the key");
            assert!(other.quoting == Quoting::Inherited || other.value == entry.value, "and the same value");
        }
    }
});

/// A message may show the key that it names by itself, and nothing else of the file.
fn tells_nothing(file: &[u8], key: Option<&str>, message: &str) {
    let message = key.map_or_else(|| message.to_owned(), |key| message.replace(key, ""));
    for word in words::telling(file) {
        assert!(!message.contains(word), "a message shows a part of the file");
    }
}
