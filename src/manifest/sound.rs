//! How far a manifest with mistakes can still be used, to look for everything else that is wrong in the same run.

use std::collections::BTreeSet;

use super::Place;
use super::finding::Finding;
use super::tree::{Kind, Mark, Node};
use crate::error::Code;
use crate::secret::SecretName;

/// What the mistakes do not affect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soundness {
    /// The secrets whose own entries or lines have mistakes: what a source says about them proves nothing.
    pub unsound: BTreeSet<SecretName>,
    /// Whether the names of all secrets are known, so that none of them is passed to a child process in clear.
    pub names_known: bool,
    /// Whether the sources can be asked for the secrets that are sound.
    pub askable: bool,
}

/// Where the sections of a file and the entries of `secrets` begin; both in the order of the file.
pub(super) struct Sections {
    all: Vec<(Mark, String)>,
    secrets: Vec<(Mark, String)>,
}

impl Soundness {
    /// Nothing is wrong.
    pub(super) fn whole() -> Self {
        Self { unsound: BTreeSet::new(), names_known: true, askable: true }
    }

    /// What these findings do not affect. `sections` is `None` if the file could not be read.
    pub(super) fn of(findings: &[Finding], sections: Option<&Sections>) -> Self {
        let mut this = Self::whole();
        for finding in findings {
            let place = finding.what.place.as_ref();
            match (place, sections) {
                // The lines of the input know which secrets are unsound.
                (Some(Place { file: None, .. }), _) => {}
                // An input such as `prefix`.
                (None, _) if finding.code == Code::Usage => this.askable = false,
                (Some(place), Some(sections)) => sections.hold_against(place, &mut this),
                (None, _) | (_, None) => (this.names_known, this.askable) = (false, false),
            }
        }
        this
    }
}

impl Sections {
    /// Those of a file.
    pub(super) fn of(tree: &Node) -> Self {
        let all = keys(tree);
        let entries = match &tree.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| text(key) == Some("secrets")),
            _ => None,
        };
        Self { all, secrets: entries.map(|(_, value)| keys(value)).unwrap_or_default() }
    }

    fn hold_against(&self, place: &Place, soundness: &mut Soundness) {
        let mark = Mark { line: place.line, column: place.column };
        let at = |keys: &[(Mark, String)]| {
            keys.iter().rfind(|(key, _)| *key <= mark).map(|(_, name)| name.clone()).unwrap_or_default()
        };
        match (at(&self.all).as_str(), SecretName::parse(&at(&self.secrets))) {
            ("services" | "stable-for", _) => {}
            ("prefix" | "sources" | "environments" | "import", _) => soundness.askable = false,
            ("secrets", Ok(name)) => soundness.unsound.extend([name]),
            _ => (soundness.names_known, soundness.askable) = (false, false),
        }
    }
}

fn keys(map: &Node) -> Vec<(Mark, String)> {
    let Kind::Map(entries) = &map.kind else { return Vec::new() };
    entries.iter().map(|(key, _)| (key.mark, text(key).unwrap_or_default().to_owned())).collect()
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text(text) | Kind::Number(text) => Some(text.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::manifest::{Given, examine};

    /// The unsound secrets, whether all names are known, and whether the sources can be asked.
    fn of(lines: &str, file: &str) -> (Vec<String>, bool, bool) {
        let kinds = ["env", "vault"];
        let file = Some((Path::new("m.yml"), file.as_bytes()));
        let given = Given { lines: Some(lines), file, known_kinds: &kinds, ..Given::default() };
        let read = examine(&given);
        assert!(read.error.is_some(), "{lines} {file:?}");
        let unsound = read.soundness.unsound.iter().map(ToString::to_string).collect();
        (unsound, read.soundness.names_known, read.soundness.askable)
    }

    #[test]
    fn a_mistake_in_one_secret_leaves_the_others_alone() {
        let one = (vec!["B".to_owned()], true, true);
        assert_eq!(of("", "secrets:\n  A:\n  B: { from: [valut:x] }\n  C:\n"), one);
        assert_eq!(of("", "secrets: { A: {}, B: { defualt: x }, C: {} }\nservices: { web: [A] }\n"), one);
        assert_eq!(of("A\nB = valut:x\nC", ""), one);
        assert_eq!(of("A\nB = valut:x\nC", "services: { web: [B] }"), one, "B is declared all the same");
    }

    #[test]
    fn a_mistake_elsewhere_says_what_can_still_be_done() {
        let none = Vec::new;
        assert_eq!(of("", "services: { web: [B] }\nsecrets: { A: {} }\n"), (none(), true, true));
        assert_eq!(of("", "sources: { valut: {} }\nsecrets: { A: {} }\n"), (none(), true, false));
        assert_eq!(of("", "secrest: { A: {} }\nsecrets: { B: {} }\n"), (none(), false, false));
        assert_eq!(of("", "secrets: { A-B: {} }\n"), (none(), false, false));
        assert_eq!(of("", "secrets: [A]\n"), (none(), false, false));
        assert_eq!(of("A", "secrets: { A: {}\n"), (none(), false, false));
    }
}
