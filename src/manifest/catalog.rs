//! Which sources can be named: the kinds of this build and the ids that the manifest configures.

use std::collections::BTreeMap;

use super::finding::{Finding, list};
use super::{Given, Reference, ReferenceError, ReferenceErrorKind, Scope, SourceConfig, SourceId};
use crate::error::Code;
use crate::nearest::meant;

/// What can be named in a reference, and how it is read.
pub(super) struct Catalog<'a> {
    pub(super) given: &'a Given<'a>,
    pub(super) scope: &'a Scope,
    pub(super) sources: &'a BTreeMap<SourceId, SourceConfig>,
}

impl Catalog<'_> {
    /// Reads the reference of one secret, see [`Catalog::any_reference`].
    pub(super) fn reference(&self, text: &str) -> Result<Reference, Finding> {
        let reference = self.any_reference(text)?;
        if reference.is_wildcard() {
            let fact = "a reference to one secret is needed here; one that ends in `*` refers to many";
            return Err(Finding::new(Code::ReferenceInvalid, fact).help(
                "Write it below `import` in the manifest, or alone on a line of the input `secrets`.",
            ));
        }
        Ok(reference)
    }

    /// Reads a reference to everything below a prefix, or to every field of an item.
    pub(super) fn import(&self, text: &str) -> Result<Reference, Finding> {
        let reference = self.any_reference(text)?;
        if reference.is_wildcard() && reference.version.is_none() {
            return Ok(reference);
        }
        let fact = "an import must end in `*` and must not have a version";
        Err(Finding::new(Code::ReferenceInvalid, fact).help(
            "Write it like `vault:secret/claude-bot/*`, or `aws:claude-bot/db#*` for all fields of one item. To get a \
             single secret, declare it by its name.",
        ))
    }

    /// Reads a reference and checks that its source exists. The finding repeats nothing of the text but the
    /// source's id, if that is a known one.
    fn any_reference(&self, text: &str) -> Result<Reference, Finding> {
        let reference = Reference::parse_in(text, self.scope).map_err(|error| malformed(error, text))?;
        let id = reference.source.as_str();
        let kind = match self.sources.get(&reference.source) {
            Some(config) => config.kind.as_deref().unwrap_or(id),
            None if self.given.known_kinds.contains(&id) => id,
            None => return Err(self.unknown(id, text)),
        };
        if reference.version.is_some() && !self.given.versioned.contains(&kind) {
            let finding =
                Finding::new(Code::ReferenceInvalid, format!("the source `{kind}` has no versions"));
            return Err(finding.help("Remove `@` and what follows it, or write a literal `@` as `%40`."));
        }
        Ok(reference)
    }

    /// Whether a text was meant as a reference: it starts with a source's name, perhaps misspelled.
    pub(super) fn names_source(&self, text: &str) -> bool {
        let text = text.trim();
        let id = text.split_once(':').map(|(id, _)| id.trim());
        text.starts_with("op://") || id.is_some_and(|id| meant(id, self.ids()).is_some())
    }

    /// Every id that a reference can have.
    fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        self.given.known_kinds.iter().copied().chain(self.sources.keys().map(SourceId::as_str))
    }

    /// What is wrong with a source's id that is neither a kind nor configured.
    fn unknown(&self, id: &str, text: &str) -> Finding {
        let fact = format!("not a valid reference ({}): unknown source", shape(text));
        match meant(id, self.ids()) {
            Some(word) => Finding::new(Code::SourceUnknown, format!("{fact}; did you mean `{word}:`?")),
            None => Finding::new(Code::SourceUnknown, fact).help(format!(
                "A reference is `source:item[#field][@version]`. The sources are {}; `sources` in the manifest can add others.",
                list(self.ids())
            )),
        }
    }
}

/// Checks a kind: `None` if this build has it.
pub(super) fn unknown_kind(given: &Given<'_>, kind: &str) -> Option<Finding> {
    if given.known_kinds.contains(&kind) {
        return None;
    }
    let known = given.known_kinds.iter().copied();
    let fact = "unknown kind of source";
    Some(match meant(kind, known.clone()) {
        Some(word) => Finding::new(Code::SourceUnknown, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::SourceUnknown, fact).help(format!(
            "The kinds are {}. A source with a name of your own needs its kind: `my-source: {{ kind: {} }}`.",
            list(known.clone()),
            known.clone().next().unwrap_or("env"),
        )),
    })
}

/// What is wrong with a text that is not a reference. It may be a misplaced value, so only its shape is reported.
fn malformed(error: ReferenceError, text: &str) -> Finding {
    use ReferenceErrorKind as Kind;
    let what = match error.position {
        1 => format!(": {}", error.kind),
        _ => format!(", {error}"),
    };
    let fact = match error.kind {
        Kind::Empty => "the reference is empty".to_owned(),
        _ => format!("not a valid reference ({}){what}", shape(text)),
    };
    let finding = Finding::new(Code::ReferenceInvalid, fact);
    match error.kind {
        Kind::NoEnvironment => finding.help("Set the input `environment`."),
        Kind::Empty | Kind::NoSource | Kind::BadSource | Kind::Control => {
            finding.help("A reference is `source:item[#field][@version]`, e.g. `env:OTHER_NAME`.")
        }
        _ => finding,
    }
}

fn shape(text: &str) -> String {
    match text.trim().chars().count() {
        1 => "1 character".to_owned(),
        n => format!("{n} characters"),
    }
}
