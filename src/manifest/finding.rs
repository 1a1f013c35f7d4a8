//! One thing that is wrong with what declares the secrets, and how all of them become one error.
//!
//! An excerpt never shows a value: of a line of the file only its own keys are shown, and of those only the ones that
//! cannot be a misplaced value.

use std::path::Path;

use super::Place;
use super::tree::{Kind, Mark, Node};
use crate::error::{Code, Error, Problem};

/// One thing that is wrong.
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) place: Option<Place>,
    pub(super) fact: String,
    pub(super) excerpt: Option<String>,
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn new(code: Code, fact: impl Into<String>) -> Self {
        Self {
            code,
            place: None,
            fact: fact.into(),
            excerpt: None,
            remedy: None,
        }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(place) = &self.place {
            text.push_str(&format!("{place}: "));
        }
        text.push_str(&self.fact);
        if let Some(excerpt) = &self.excerpt {
            text.push('\n');
            text.push_str(excerpt);
        }
        text
    }
}

/// All findings as one error, in the order of their places.
pub(super) fn gather(mut findings: Vec<Finding>) -> Error {
    findings.sort_by_key(|f| f.place.as_ref().map(|p| (p.file.is_none(), p.line, p.column)));
    let code = match findings.as_slice() {
        [first, rest @ ..] if rest.iter().all(|f| f.code == first.code) => first.code,
        _ => Code::ManifestInvalid,
    };
    if let [only] = findings.as_slice() {
        let error = Error::new(code, only.text());
        return match &only.remedy {
            Some(remedy) => error.hint(remedy.clone()),
            None => error,
        };
    }
    let problems = findings
        .iter()
        .map(|f| Problem {
            fact: f.text(),
            remedy: f.remedy.clone(),
        })
        .collect();
    Error::new(
        code,
        format!(
            "{} things are wrong with what declares the secrets",
            findings.len()
        ),
    )
    .problems(problems)
}

/// The file that findings point into.
pub(super) struct Origin<'a> {
    path: &'a Path,
    /// The keys of each line that may be shown, in the order of the text.
    keys: Vec<(Mark, String)>,
}

impl<'a> Origin<'a> {
    /// Takes the path and, when the file could be read, its tree.
    pub(super) fn new(path: &'a Path, tree: Option<&Node>) -> Self {
        let mut keys = Vec::new();
        if let Some(tree) = tree {
            collect_keys(tree, &mut keys);
        }
        keys.sort();
        Self { path, keys }
    }

    pub(super) fn place(&self, mark: Mark) -> Place {
        Place {
            file: Some(self.path.to_owned()),
            line: mark.line,
            column: mark.column,
        }
    }

    /// Gives a finding its place and, under the key it is about, a caret.
    pub(super) fn locate(&self, finding: Finding, mark: Mark, key: Option<Mark>) -> Finding {
        let excerpt = self.excerpt(key.filter(|key| key.line == mark.line).unwrap_or(mark));
        Finding {
            excerpt,
            ..finding.at(self.place(mark))
        }
    }

    /// The line's first key and the one at the mark, everything else as `…`, with a caret.
    fn excerpt(&self, mark: Mark) -> Option<String> {
        let on_line: Vec<_> = self
            .keys
            .iter()
            .filter(|(key, _)| key.line == mark.line)
            .collect();
        let (first, text) = on_line.first()?;
        let mut line = format!("{}{text}: …", " ".repeat(first.column.saturating_sub(1).min(40)));
        let mut caret = (first.column.saturating_sub(1).min(40), text.chars().count());
        if *first != mark {
            let (start, length) = (line.chars().count() + 1, 1);
            match on_line.iter().find(|(key, _)| *key == mark) {
                Some((_, text)) => {
                    line.push_str(&format!(" {text}: …"));
                    caret = (start, text.chars().count());
                }
                None => caret = (start - 1 - length, length),
            }
        }
        let number = mark.line.to_string();
        let gutter = " ".repeat(number.len());
        Some(format!(
            "{number} | {line}\n{gutter} | {}{}",
            " ".repeat(caret.0),
            "^".repeat(caret.1)
        ))
    }
}

fn collect_keys(node: &Node, keys: &mut Vec<(Mark, String)>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                if let Kind::Text(text) = &key.kind
                    && harmless(text)
                {
                    keys.push((key.mark, text.to_string()));
                }
                collect_keys(value, keys);
            }
        }
        _ => {}
    }
}

/// Whether a text that stands where a key or name belongs may be repeated in an error. A misplaced value could stand
/// there too, so it must look like a word: lower-case words joined by `-` or `_`, or upper-case ones joined by `_`,
/// no word longer than 16 characters, and digits only after a letter and at most four in a row.
pub(super) fn harmless(text: &str) -> bool {
    let lower = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    let upper = text
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let mut digits = 0;
    let runs_of_digits_are_short = text.chars().all(|c| {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        digits <= 4
    });
    let words = text.split(['-', '_']);
    (lower || upper)
        && runs_of_digits_are_short
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 64
        && words
            .into_iter()
            .all(|word| word.len() <= 16 && digits_end_it(word))
}

/// Whether the digits of a word all stand at its end, as in `v2`; a generated token mixes them.
fn digits_end_it(word: &str) -> bool {
    let head = word.trim_end_matches(|c: char| c.is_ascii_digit());
    !head.contains(|c: char| c.is_ascii_digit())
}

/// A text that stands where a name belongs: quoted when that is harmless, else its length.
pub(super) fn named(text: &str) -> String {
    if harmless(text) {
        return format!("`{text}`");
    }
    match text.chars().count() {
        0 => "an empty text".to_owned(),
        1 => "a text of 1 character".to_owned(),
        n => format!("a text of {n} characters"),
    }
}

/// The known word that a text was probably meant to be.
pub(super) fn meant<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = text.chars().count();
    if length > 200 {
        return None;
    }
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&text.to_lowercase(), &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| *distance <= word.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `a`, `a and b`, `a, b and c`, each in backticks; `none` when there are none.
pub(super) fn list<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_words_is_repeated() {
        for word in [
            "starts-wiht",
            "ANTHROPIC_API_KEY",
            "max-age",
            "worker",
            "DB2_URL",
            "S3_BUCKET",
            "A",
            "_X",
        ] {
            assert!(harmless(word), "{word}");
        }
        for value in [
            "",
            "sk-ant-api03-AbCdEf",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "correcthorsebatterystaple",
            "JBSWY3DPEHPK3PXPJBSWY3DP",
            "hunter2-A",
            "0123456789",
            "a b",
            "d3adb33f",
            "9f86d081884c7d65",
        ] {
            assert!(!harmless(value), "{value}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(
            meant("starts-wiht", ["starts-with", "matches"]),
            Some("starts-with")
        );
        assert_eq!(meant("Required", ["required"]), Some("required"));
        assert_eq!(meant("token", ["required", "from"]), None);
    }
}
