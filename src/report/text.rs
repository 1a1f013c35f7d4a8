//! Text from elsewhere made fit for one line of output, and the small phrases that log and summary share.

/// The text with everything that is not seen as itself written out (`\n`, `\u{202e}`): a name can then neither start
/// a line of its own, where the runner would look for a workflow command, nor reorder what a reader sees
/// (Unicode TR 36, section 2.5).
pub(super) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// The text on one line: line breaks become spaces, other things that cannot be seen are written out.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(['\n', '\r', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect();
    visible(&words.join(" "))
}

/// At most so many characters; what is longer ends with `…`.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The names as a list, the ones beyond `most` only counted: `a, b and 3 more`.
pub(super) fn list<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A duration as people read it: `480 ms`, `12.3 s`.
pub(super) fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// Marks that direct, join or hide text and have no picture of their own.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("a\n::error::b\u{202e}\u{1b}[31m"), "a\\n::error::b\\u{202e}\\u{1b}[31m");
        assert_eq!(visible("Schlüssel 🔑"), "Schlüssel 🔑");
        assert_eq!(one_line("one\n  two\r\n\nthree"), "one two three");
    }

    #[test]
    fn phrases_shorten() {
        assert_eq!(list(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(list(&["a", "b"], 2), "a, b");
        assert_eq!((shortened("äöü", 3), shortened("äöüß", 3)), ("äöü".into(), "äö…".into()));
        assert_eq!((duration(999), duration(61_250)), ("999 ms".into(), "61.2 s".into()));
    }
}
