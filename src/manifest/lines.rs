//! The `secrets` input: one declaration per line.
//!
//! `NAME`, `NAME?` (optional), several of these separated by commas, `NAME = reference [| reference…]`, or only a
//! reference that ends in `*` (everything there); a line that starts with `#` is a comment.
//! A line that is not a declaration may be a secret, so nothing of it is repeated but the name.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::finding::{Finding, harmless};
use super::{Place, Reference};
use crate::error::Code;
use crate::secret::{ANOTHER_NAME, NameError, SecretName};

/// The remedy for a value that was given by mistake.
const NO_VALUES: &str = "Values do not belong here. Write only `NAME` and set the value in the step's `env:` as \
    `NAME: ${{ secrets.NAME }}`, or write where it is stored: `NAME = env:OTHER_NAME`.";

/// A declaration.
pub(super) struct Line {
    pub(super) name: SecretName,
    pub(super) required: bool,
    pub(super) from: Option<Vec<Reference>>,
    pub(super) place: Place,
}

/// What the input says.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) declarations: Vec<Line>,
    /// In which line each is.
    by_name: BTreeMap<SecretName, usize>,
    /// Those of which a reference was reported.
    pub(super) unsound: Vec<SecretName>,
    pub(super) imports: Vec<Reference>,
}

/// Reads the input; problems are added to the findings.
pub(super) fn read(text: &str, catalog: &Catalog<'_>, findings: &mut Vec<Finding>) -> Lines {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        let fact = "the input `secrets` contains JSON; it takes names of secrets, one per line";
        findings.push(Finding::new(Code::ManifestInvalid, fact).help(
            "Pass `${{ toJSON(secrets) }}` to the input `github-secrets`, and the names to `secrets`.",
        ));
        return Lines::default();
    }
    let mut lines = Lines::default();
    for (index, line) in text.lines().enumerate() {
        let start = line.chars().take_while(|c| c.is_whitespace()).count();
        let line = Trimmed { text: line.trim(), number: index + 1, start };
        if line.text.is_empty() || line.text.starts_with('#') {
            continue;
        }
        if line.text.ends_with('*') && !line.text.contains('=') && catalog.names_source(line.text) {
            match catalog.import(line.text) {
                Ok(reference) => lines.imports.push(reference),
                Err(finding) => findings.push(finding.at(line.place(0))),
            }
            continue;
        }
        for line in line.names() {
            lines.declare(&line, catalog, findings);
        }
    }
    lines
}

impl Lines {
    fn declare(&mut self, line: &Trimmed<'_>, catalog: &Catalog<'_>, findings: &mut Vec<Finding>) {
        let before = findings.len();
        let Some(declaration) = line.read(catalog, findings) else {
            return;
        };
        if findings.len() > before {
            self.unsound.push(declaration.name.clone());
        }
        if let Some(first) = self.by_name.get(&declaration.name) {
            let fact = format!("{} is declared twice; first in line {first}", shown(&declaration.name));
            findings.push(
                line.finding(0, fact)
                    .help("Remove one of the two lines. Separate several references with `|`."),
            );
            return;
        }
        self.by_name.insert(declaration.name.clone(), declaration.place.line);
        self.declarations.push(declaration);
    }
}

/// The name, if it may be shown: the last line of a PEM key, for example, may look like a name followed by `=`.
fn shown(name: &SecretName) -> &str {
    if harmless(name.as_str()) { name.as_str() } else { "the name" }
}

/// A line without the spaces around it.
struct Trimmed<'a> {
    text: &'a str,
    number: usize,
    /// How many spaces are before it.
    start: usize,
}

impl<'a> Trimmed<'a> {
    /// The parts of a line of names separated by commas, with or without one after the last; else the line itself. Only
    /// names in capitals count: other words with commas may be a value, and a reference may contain a comma.
    fn names(&self) -> Vec<Self> {
        let list = self.text.strip_suffix(',').unwrap_or(self.text);
        let is_name = |part: &str| {
            let name = part.trim().strip_suffix('?').unwrap_or(part).trim();
            SecretName::parse(name).is_ok() && !name.contains(|c: char| c.is_ascii_lowercase())
        };
        if !self.text.contains(',') || !list.split(',').all(is_name) {
            return vec![Trimmed { ..*self }];
        }
        let mut at = 0;
        let trimmed = |part: &'a str| {
            let blanks = part.len() - part.trim_start().len();
            let before = self.text.get(..at + blanks).unwrap_or_default().chars().count();
            at += part.len() + 1;
            Trimmed { text: part.trim(), number: self.number, start: self.start + before }
        };
        list.split(',').map(trimmed).collect()
    }

    /// A finding at a byte of the text.
    fn finding(&self, at: usize, fact: impl Into<String>) -> Finding {
        Finding::new(Code::ManifestInvalid, fact).at(self.place(at))
    }

    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or_default().chars().count();
        Place { file: None, line: self.number, column: self.start + before + 1 }
    }

    fn read(&self, catalog: &Catalog<'_>, findings: &mut Vec<Finding>) -> Option<Line> {
        let (left, right) = match self.text.split_once('=') {
            Some((left, right)) => (left.trim_end(), Some(right)),
            None => (self.text, None),
        };
        let (name, required) = match left.strip_suffix('?') {
            Some(name) => (name.trim_end(), false),
            None => (left, true),
        };
        let name = match SecretName::parse(name) {
            Ok(name) => name,
            Err(error) => {
                let mut finding = self.finding(0, format!("not a valid secret name: {error}"));
                finding.code = Code::SecretNameInvalid;
                findings.push(match error {
                    NameError::Reserved(_) => finding.help(ANOTHER_NAME),
                    _ => finding.help(advice(left)),
                });
                return None;
            }
        };
        let from = match right {
            None => None,
            // A reference that could not be read was reported; the name still counts as declared.
            Some(right) => self.references(&name, right, catalog, findings),
        };
        Some(Line { name, required, from, place: self.place(0) })
    }

    /// The references on the right side; `None` if one of them was reported.
    fn references(
        &self,
        name: &SecretName,
        right: &str,
        catalog: &Catalog<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<Reference>> {
        let mut at = self.text.len() - right.len();
        if right.trim().is_empty() {
            let fact = format!("no reference after the `=` of {}", shown(name));
            findings.push(
                self.finding(at - 1, fact)
                    .help("Remove the `=`, or write where the secret is stored: `NAME = env:OTHER_NAME`."),
            );
            return None;
        }
        let mut references = Vec::new();
        let mut sound = true;
        for part in right.split('|') {
            let blanks = part.len() - part.trim_start().len();
            match catalog.reference(part.trim()) {
                Ok(reference) => references.push(reference),
                Err(mut finding) => {
                    sound = false;
                    finding.what.fact = format!("{}: {}", shown(name), finding.what.fact);
                    // If this is a value, that is the first thing to report.
                    if !part.trim().is_empty() && !catalog.names_source(part) {
                        finding.what.help = Some(NO_VALUES.to_owned());
                    }
                    findings.push(finding.at(self.place(at + blanks)));
                }
            }
            at += part.len() + 1;
        }
        sound.then_some(references)
    }
}

/// What to do about a line with an invalid name, by what was probably meant.
fn advice(left: &str) -> &'static str {
    let name = |text: &str| SecretName::parse(text.trim()).is_ok();
    if left.starts_with("export ") {
        return "Remove `export`: this is not a shell script.";
    }
    if left.starts_with("- ") {
        return "Remove the dash: this is not a YAML list.";
    }
    if left.contains(',') && left.split(',').all(name) {
        return "Write one name per line, without commas.";
    }
    if left.split_once(':').is_some_and(|(left, _)| name(left)) {
        return "Write `NAME = reference`, with `=` instead of the colon.";
    }
    if left.split_whitespace().count() > 1 && left.split_whitespace().all(name) {
        return "Write one name per line, optionally followed by `= reference`.";
    }
    "A name consists of letters (A-Z, a-z), digits and underscores, and does not start with a digit. If this \
     is a value, it does not belong here: set it in the step's `env:`, and write its name here."
}
