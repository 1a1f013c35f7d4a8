//! Completes arguments: puts values where their placeholders are.

use std::ffi::CString;

use crate::file;
use crate::interface::{Asked, PLACEHOLDER, Pair};
use crate::message::Message;

/// The words with the value of every name that is listed, for arguments or for variables, in place of its placeholder.
/// Other text is left as it is. Fails with every value that cannot be read.
pub(crate) fn complete(words: &[Vec<u8>], asked: &Asked) -> Result<Vec<CString>, Vec<Message>> {
    let mut faults = Vec::new();
    let mut value = |name: &[u8]| {
        let pair = listed(name, asked)?;
        let mut bytes = Vec::new();
        if let Err(fault) = file::append(&pair.path, &mut bytes) {
            faults.push(file::message(pair, &fault));
        }
        Some(bytes)
    };
    let words = words.iter().map(|word| fill(word, &mut value)).collect::<Vec<_>>();
    // A word of ours has no NUL, and a value with one is among the faults.
    if faults.is_empty() { Ok(words.into_iter().flat_map(CString::new).collect()) } else { Err(faults) }
}

fn listed<'a>(name: &[u8], asked: &'a Asked) -> Option<&'a Pair> {
    asked.arguments.iter().chain(&asked.variables).find(|pair| pair.name == name)
}

/// The word with each placeholder replaced for which there is a value. What is put in is not looked at again.
fn fill(word: &[u8], value: &mut impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let prefix = PLACEHOLDER.as_bytes();
    let mut filled = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, others @ ..] = rest {
        let placeholder = rest.strip_prefix(prefix).and_then(|after| {
            let end = after.iter().position(|byte| *byte == b'.')?;
            let (name, after) = after.split_at_checked(end)?;
            Some((value(name)?, after.get(1..)?))
        });
        if let Some((bytes, after)) = placeholder {
            filled.extend_from_slice(&bytes);
            rest = after;
        } else {
            filled.push(*first);
            rest = others;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_listed_names_are_replaced_and_everything_else_stays() {
        let mut value = |name: &[u8]| match name {
            b"A" => Some(b"one".to_vec()),
            b"B" => Some(b"\xff claude-secrets-placeholder.A. $x".to_vec()),
            b"EMPTY" => Some(Vec::new()),
            _ => None,
        };
        for (word, wanted) in [
            ("", &b""[..]),
            ("plain", b"plain"),
            ("claude-secrets-placeholder.A.", b"one"),
            ("--pw=claude-secrets-placeholder.A.claude-secrets-placeholder.A.x", b"--pw=oneonex"),
            ("claude-secrets-placeholder.B.", b"\xff claude-secrets-placeholder.A. $x"),
            ("[claude-secrets-placeholder.EMPTY.]", b"[]"),
            ("claude-secrets-placeholder.C.", b"claude-secrets-placeholder.C."),
            ("claude-secrets-placeholder.A", b"claude-secrets-placeholder.A"),
            ("claude-secrets-placeholder..", b"claude-secrets-placeholder.."),
            ("claude-secrets-placeholder.claude-secrets-placeholder.A.", b"claude-secrets-placeholder.one"),
            ("cclaude-secrets-placeholder.A.", b"cone"),
        ] {
            assert_eq!(fill(word.as_bytes(), &mut value), wanted, "{word}");
        }
    }
}
