//! One problem in the declarations of secrets, and how all of them become one error.
//!
//! An excerpt never shows a value: it shows only a line's keys, and of these only those that cannot be a misplaced value.

use std::path::Path;

use super::tree::{Kind, Mark, Node};
use crate::diagnostic::{Diagnostic, Place};
use crate::error::{Code, Error};

/// One problem.
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) what: Diagnostic,
    pub(super) excerpt: Option<String>,
}

impl Finding {
    pub(super) fn new(code: Code, fact: impl Into<String>) -> Self {
        Self { code, what: Diagnostic::new(fact), excerpt: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.what = self.what.help(help);
        self
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.what = self.what.at(place);
        self
    }

    /// The diagnostic, whose fact begins with the place and ends with the excerpt.
    fn told(self) -> Diagnostic {
        let place = self.what.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let excerpt = self.excerpt.map(|excerpt| format!("\n{excerpt}")).unwrap_or_default();
        Diagnostic { fact: format!("{place}{}{excerpt}", self.what.fact), ..self.what }
    }
}

/// All findings as one error, in the order of their places.
pub(super) fn gather(mut findings: Vec<Finding>) -> Error {
    findings.sort_by_key(|f| f.what.place.as_ref().map(|p| (p.file.is_none(), p.line, p.column)));
    let code = match findings.as_slice() {
        [first, rest @ ..] if rest.iter().all(|f| f.code == first.code) => first.code,
        _ => Code::ManifestInvalid,
    };
    let mut problems: Vec<Diagnostic> = findings.into_iter().map(Finding::told).collect();
    match problems.pop() {
        Some(only) if problems.is_empty() => Error::of(code, only),
        last => {
            problems.extend(last);
            Error::new(code, format!("{} problems in the declarations of secrets", problems.len()))
                .problems(problems)
        }
    }
}

/// The problems found so far.
pub(super) struct Findings<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) all: Vec<Finding>,
}

impl Findings<'_> {
    /// Adds one that is about a place in the file.
    pub(super) fn add(&mut self, mark: Mark, finding: Finding) {
        self.all.push(self.origin.locate(finding, mark));
    }
}

/// The file that findings point into.
pub(super) struct Origin<'a> {
    path: &'a Path,
    /// The keys in the order of the text, with the text of those that may be shown.
    keys: Vec<(Mark, Option<String>)>,
}

impl<'a> Origin<'a> {
    /// Takes the path and, if the file could be parsed, its tree.
    pub(super) fn new(path: &'a Path, tree: Option<&Node>) -> Self {
        let mut keys = Vec::new();
        if let Some(tree) = tree {
            collect_keys(tree, &mut keys);
        }
        keys.sort();
        Self { path, keys }
    }

    pub(super) fn place(&self, mark: Mark) -> Place {
        Place { file: Some(self.path.to_owned()), line: mark.line, column: mark.column }
    }

    /// Gives a finding its place and an excerpt of the line.
    pub(super) fn locate(&self, finding: Finding, mark: Mark) -> Finding {
        Finding { excerpt: self.excerpt(mark), ..finding.at(self.place(mark)) }
    }

    /// The line's first key and the last one up to the mark, whose value the mark is in or which it is about. Everything
    /// else is `…`, and a caret is under the last key.
    fn excerpt(&self, mark: Mark) -> Option<String> {
        let mut on_line =
            self.keys.iter().filter(|(key, _)| key.line == mark.line && key.column <= mark.column);
        let first = on_line.next()?;
        let about = on_line.next_back();
        let indent = first.0.column.saturating_sub(1).min(40);
        let mut line = " ".repeat(indent) + &entry(first);
        let mut caret = (indent, key_text(first));
        if let Some(about) = about {
            caret = (line.chars().count() + 1, key_text(about));
            line = format!("{line} {}", entry(about));
        }
        let number = mark.line.to_string();
        let gutter = " ".repeat(number.len());
        let (start, length) = (caret.0, caret.1.chars().count());
        Some(format!("{number} | {line}\n{gutter} | {}{}", " ".repeat(start), "^".repeat(length)))
    }
}

fn key_text(key: &(Mark, Option<String>)) -> &str {
    key.1.as_deref().unwrap_or("…")
}

fn entry(key: &(Mark, Option<String>)) -> String {
    format!("{}: …", key_text(key))
}

fn collect_keys(node: &Node, keys: &mut Vec<(Mark, Option<String>)>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                let shown = match &key.kind {
                    Kind::Text(text) if harmless(text) => Some(text.to_string()),
                    _ => None,
                };
                keys.push((key.mark, shown));
                collect_keys(value, keys);
            }
        }
        _ => {}
    }
}

/// Whether a text in the place of a key or name may be repeated in an error. It may be a misplaced value, so it must look
/// like words: of lower-case letters, of capitals, or capitalised, joined by `-` or `_`, each
/// of at most 16 characters, with digits at the end only and no more than four.
pub(super) fn harmless(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase();
    let upper = |c: char| c.is_ascii_uppercase();
    let in_case = |first: fn(char) -> bool, rest: fn(char) -> bool| {
        text.split(['-', '_']).all(|word| is_word(word, first, rest))
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 64
        && (in_case(lower, lower) || in_case(upper, upper) || in_case(upper, lower))
}

fn is_word(word: &str, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut characters = letters.chars();
    characters.next().is_none_or(first)
        && characters.all(rest)
        && word.len() <= 16
        && word.len() - letters.len() <= 4
}

/// A text in the place of a name: quoted if that is harmless, else its length.
pub(super) fn named(text: &str) -> String {
    if harmless(text) {
        return format!("`{text}`");
    }
    match text.chars().count() {
        0 => "an empty name".to_owned(),
        1 => "a name of 1 character".to_owned(),
        n => format!("a name of {n} characters"),
    }
}

/// `a`, `a and b`, `a, b and c`, each in backticks; `none` when there are none.
pub(super) fn list<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    joined(words, "and")
}

/// As [`list`], with `or`.
pub(super) fn choice<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    joined(words, "or")
}

fn joined<'k>(words: impl IntoIterator<Item = &'k str>, last_by: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} {last_by} {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_words_is_repeated() {
        for word in
            ["starts-wiht", "ANTHROPIC_API_KEY", "max-age", "worker", "DB2_URL", "S3_BUCKET", "A", "_X"]
        {
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
}
