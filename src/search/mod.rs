//! Searches whole documents for secret values: every text, number and key, unless a rule says what its place contains.
//!
//! Unknown places are searched like variables. The tables in [`places`] list what cannot contain a value (ids, digests,
//! dates), and where names and paths are, which contain short values and everyday words by chance.

pub mod places;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path};

use serde_json::Value;

use self::places::Places;

/// What a place of a document contains, and so what a value found there means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Ids, digests, dates: never a value.
    Nothing,
    /// The names of a document's own fields. A value counts if it is long enough and not only letters.
    Field,
    /// A name that is required anyway, of a service or an image. A value counts if it looks random.
    GivenName,
    /// A name or a path. A value counts if it is long enough and not made of the project's own names.
    Name,
    /// What the engine shows: what programs get, and everything else. Every value counts, unless it is made of the project's
    /// own names, which are in images and commands anyway.
    Shown,
    /// What people write. Every value counts.
    Text,
}

/// A shorter value (bytes) is not a finding in a name or path: it is there by chance.
const SHORTEST_IN_NAMES: usize = 8;
/// A shorter value (bytes) is not a finding in given names.
const SHORTEST_GIVEN: usize = 12;
/// A shorter value (bytes) is not a finding in the middle of a digest.
const SHORTEST_IN_DIGESTS: usize = 12;
/// This many hexadecimal digits in a row are a digest.
const DIGEST: usize = 32;
/// How often a text is searched again after findings by chance; a text with even more of them is reported.
const MOST_CHANCES: usize = 200;

/// Paths and words that this program itself puts into projects. A finding is ignored only if it is inside of one.
const OURS: &[&str] = &["/run/secrets", "docker_secrets", "claude-secrets-placeholder"];

/// A search for values that knows the project's own names.
#[derive(Clone)]
pub struct Search<'a> {
    secrets_in: &'a dyn Fn(&str) -> Vec<String>,
    /// The project's own names.
    given: BTreeSet<String>,
    /// Other words that occur in names and paths.
    names: BTreeSet<String>,
}

/// A value that was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// The steps from the top of the document: keys, and indexes as `[0]`.
    pub steps: Vec<String>,
    /// The secret's name.
    pub secret: String,
}

impl Finding {
    /// The place as people write it: `services.web.command[1]`.
    pub fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.steps {
            if !place.is_empty() && !step.starts_with('[') {
                place.push('.');
            }
            place.push_str(step);
        }
        place
    }

    /// Whether the place is at or below this one; `*` is any step.
    pub fn is_at(&self, steps: &[&str]) -> bool {
        self.steps.len() >= steps.len()
            && steps.iter().zip(&self.steps).all(|(wanted, step)| *wanted == "*" || wanted == step)
    }
}

impl<'a> Search<'a> {
    /// A search with a function that returns the secrets whose values a text contains.
    pub fn new(secrets_in: &'a dyn Fn(&str) -> Vec<String>) -> Self {
        Self { secrets_in, given: BTreeSet::new(), names: BTreeSet::new() }
    }

    /// The same search with more known names: of the project, its services, images and directories. In places of names, a
    /// value that is made only of such names is there by chance.
    #[must_use]
    pub fn knowing(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names.into_iter().filter(|name| !name.is_empty()));
        self
    }

    /// The same search with the names that a Compose model defines: its own, and those of its services, networks, volumes,
    /// secrets, configs and images.
    #[must_use]
    pub fn knowing_model(mut self, model: &Value) -> Self {
        self.given.extend(places::names_of(model));
        self
    }

    /// The same search with a directory of the project as known names: its path, and the names in it.
    #[must_use]
    pub fn knowing_directory(self, directory: &Path) -> Self {
        let parts = directory.components().filter(|part| matches!(part, Component::Normal(_)));
        let names = parts.map(|part| part.as_os_str().to_string_lossy().into_owned());
        self.knowing(names.chain([directory.to_string_lossy().into_owned()]))
    }

    /// Every value in a document, once for each place. Takes the rules for the places.
    pub fn document(&self, document: &Value, places: &Places) -> Vec<Finding> {
        let mut found = BTreeSet::new();
        self.walk(document, places.top(), &places.all(), &mut Vec::new(), &mut found);
        found.into_iter().collect()
    }

    /// The secrets whose values a text contains, by its kind of place.
    pub fn text(&self, text: &str, holds: Holds) -> Vec<String> {
        if holds == Holds::Nothing || text.is_empty() {
            return Vec::new();
        }
        let found = (self.secrets_in)(text);
        found.into_iter().filter(|secret| self.counts(text, secret, holds)).collect()
    }

    fn walk(
        &self,
        value: &Value,
        holds: Holds,
        rules: &[(&[&'static str], Holds)],
        steps: &mut Vec<String>,
        found: &mut BTreeSet<Finding>,
    ) {
        let note = |secrets: Vec<String>, steps: &[String], found: &mut BTreeSet<Finding>| {
            found.extend(secrets.into_iter().map(|secret| Finding { steps: steps.to_vec(), secret }));
        };
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => note(self.text(text, holds), steps, found),
            Value::Number(number) => note(self.number(&number.to_string(), holds), steps, found),
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    let (below, holds) = step_into(rules, "[]", holds);
                    steps.push(format!("[{index}]"));
                    self.walk(value, holds, &below, steps, found);
                    steps.pop();
                }
            }
            Value::Object(map) => {
                let keys = rules.iter().rev().find(|(rest, _)| *rest == [places::KEYS]);
                let keys = keys.map_or(Holds::Field, |(_, holds)| *holds);
                let keys = if holds == Holds::Nothing { Holds::Nothing } else { keys };
                for (key, value) in map {
                    let in_key = self.text(key, keys);
                    // The key itself must not be shown.
                    steps.push(if in_key.is_empty() { key.clone() } else { "(a key)".to_owned() });
                    note(in_key, steps, found);
                    let (below, holds) = step_into(rules, key, holds);
                    self.walk(value, holds, &below, steps, found);
                    steps.pop();
                }
            }
        }
    }

    /// A number is a value as a whole, or not at all: sizes and times contain some digits by chance.
    fn number(&self, number: &str, holds: Holds) -> Vec<String> {
        if holds == Holds::Nothing {
            return Vec::new();
        }
        let mut found = (self.secrets_in)(number);
        found.retain(|secret| self.span(number, secret) == Some(0..number.len()));
        found
    }

    /// Whether any occurrence of this secret's value in the text is not by chance.
    fn counts(&self, text: &str, secret: &str, holds: Holds) -> bool {
        let mut rest = text.to_owned();
        for _ in 0..MOST_CHANCES {
            let Some(span) = self.span(&rest, secret) else {
                return false;
            };
            if !self.is_chance(text, span.clone(), holds) {
                return true;
            }
            let first = rest[span.start..].chars().next().map_or(1, char::len_utf8);
            rest.replace_range(span.start..span.start + first, &"\0".repeat(first));
        }
        true
    }

    /// The position of the first of the secret's values to end in the text. It only uses the search function, so it works
    /// for every form of a value.
    fn span(&self, text: &str, secret: &str) -> Option<Range<usize>> {
        let holds = |part: &str| (self.secrets_in)(part).iter().any(|found| found == secret);
        if !holds(text) {
            return None;
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
        let end = ends[ends.partition_point(|&end| !holds(&text[..end])).min(ends.len() - 1)];
        let starts: Vec<usize> = text[..end].char_indices().map(|(at, _)| at).collect();
        let start = starts[starts.partition_point(|&start| holds(&text[start..end])).saturating_sub(1)];
        Some(start..end)
    }

    fn is_chance(&self, text: &str, span: Range<usize>, holds: Holds) -> bool {
        let hit = &text[span.clone()];
        if hit.len() < SHORTEST_IN_DIGESTS && is_in_digest(text, &span) {
            return true;
        }
        match holds {
            Holds::Nothing => true,
            Holds::Text => is_covered(text, &span, ours()),
            Holds::Shown => is_covered(text, &span, ours().chain(words(&self.given))),
            Holds::Name => {
                let known = ours().chain(words(&self.given)).chain(words(&self.names));
                hit.len() < SHORTEST_IN_NAMES || is_covered(text, &span, known)
            }
            Holds::Field => {
                hit.len() < SHORTEST_IN_NAMES || hit.bytes().all(|c| c.is_ascii_alphabetic() || c == b'_')
            }
            Holds::GivenName => hit.len() < SHORTEST_GIVEN || !looks_random(hit),
        }
    }
}

fn ours<'n>() -> impl Iterator<Item = &'n str> {
    OURS.iter().copied()
}

fn words(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

/// The rules that apply below a step, and what is there.
fn step_into<'r>(
    rules: &[(&'r [&'static str], Holds)],
    step: &str,
    holds: Holds,
) -> (Vec<(&'r [&'static str], Holds)>, Holds) {
    let mut below = Vec::new();
    let mut here = holds;
    for (rest, rule) in rules {
        let Some((first, rest)) = rest.split_first().filter(|(first, _)| **first == "*" || **first == step)
        else {
            continue;
        };
        debug_assert!(!first.is_empty());
        if rest.is_empty() {
            here = *rule;
        } else {
            below.push((rest, *rule));
        }
    }
    (below, here)
}

/// Whether the part is inside of a longer row of hexadecimal digits.
fn is_in_digest(text: &str, span: &Range<usize>) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
    let bytes = text.as_bytes();
    if !bytes[span.clone()].iter().all(is_digit) {
        return false;
    }
    let before = bytes[..span.start].iter().rev().take_while(|byte| is_digit(byte)).count();
    let after = bytes[span.end..].iter().take_while(|byte| is_digit(byte)).count();
    before + span.len() + after >= DIGEST
}

/// Whether the part of the text consists only of these words and of separators. A word counts if it is a whole word.
fn is_covered<'n>(text: &str, span: &Range<usize>, words: impl Iterator<Item = &'n str>) -> bool {
    let bytes = text.as_bytes();
    let mut covered: Vec<bool> = bytes.iter().map(|byte| b"-_./: ".contains(byte)).collect();
    let is_part = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
    let mut cover = |range: Range<usize>| {
        let before = range.start.checked_sub(1).and_then(|at| bytes.get(at));
        // The container's number comes after its service, and other words anywhere.
        if !is_part(before) && !is_part(bytes.get(range.end)) {
            covered[range].fill(true);
        }
    };
    for word in words {
        for (at, _) in text.match_indices(word) {
            cover(at..at + word.len());
        }
    }
    let number = |range: &Range<usize>| bytes[range.clone()].iter().all(u8::is_ascii_digit);
    for start in 0..bytes.len() {
        for range in (1..=3).map(|length| start..start + length) {
            if range.end <= bytes.len() && number(&range) {
                cover(range);
            }
        }
    }
    covered[span.clone()].iter().all(|covered| *covered)
}

/// Whether letters, capitals and digits alternate more often than in a name: more than once in five characters. Parts that
/// a hyphen or the like separates are not compared, because `web-2-eu` is a name.
fn looks_random(text: &str) -> bool {
    let kind = |byte: &u8| match byte {
        b'0'..=b'9' => 1,
        b'a'..=b'z' => 2,
        b'A'..=b'Z' => 3,
        _ => 0,
    };
    let kinds: Vec<u8> = text.as_bytes().iter().map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| !pair.contains(&0) && pair[0] != pair[1]).count();
    changes * 5 > kinds.len()
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
