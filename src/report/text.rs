//! Text from elsewhere made fit for one line of output, and the small phrases that log and summary share.

use crate::visible::visible;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_become_one() {
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
