//! The picture in the job summary: sources → secrets → services, as a Mermaid flowchart.

use std::fmt::Write as _;

use super::model::{Report, SecretState};
use super::text::shortened;
use crate::count::count;
use crate::visible::visible;

/// More arrows than this cannot be followed by eye any more.
const MOST_ARROWS: usize = 60;

/// Keeps the whole text far below the 50,000 characters that Mermaid takes (its `maxTextSize`).
const LONGEST_LABEL: usize = 40;

/// The picture as a fenced block, with a sentence when arrows had to be left out; nothing when there is no arrow.
pub(super) fn picture(report: &Report) -> Option<String> {
    let mut graph = Graph::default();
    for secret in &report.secrets {
        let node = Node { kind: Kind::Secret, name: &secret.name, problem: secret.state.is_problem() };
        if let Some(source) = &secret.source {
            let arrow = if secret.state == SecretState::Found { "-->" } else { "-.-x" };
            graph.arrow(Node::source(source), arrow, node);
        } else if secret.state == SecretState::Default {
            graph.arrow(Node::source("default"), "-->", node);
        }
        for shadowed in &secret.shadowed {
            graph.arrow(Node::source(&shadowed.source), "-.->", node);
        }
        for name in &secret.services {
            let problem =
                report.services.iter().any(|service| service.name == *name && service.state.is_problem());
            graph.arrow(node, "-->", Node { kind: Kind::Service, name, problem });
        }
    }
    (!graph.arrows.is_empty()).then(|| graph.mermaid())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Source,
    Secret,
    Service,
}

#[derive(Clone, Copy)]
struct Node<'a> {
    kind: Kind,
    name: &'a str,
    problem: bool,
}

#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    arrows: Vec<(usize, &'static str, usize)>,
    left_out: usize,
}

impl<'a> Node<'a> {
    fn source(name: &'a str) -> Self {
        Self { kind: Kind::Source, name, problem: false }
    }
}

impl<'a> Graph<'a> {
    fn arrow(&mut self, from: Node<'a>, arrow: &'static str, to: Node<'a>) {
        if self.arrows.len() == MOST_ARROWS {
            self.left_out += 1;
            return;
        }
        let arrow = (self.id(from), arrow, self.id(to));
        self.arrows.push(arrow);
    }

    fn id(&mut self, node: Node<'a>) -> usize {
        let known = self.nodes.iter().position(|other| other.kind == node.kind && other.name == node.name);
        known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    fn mermaid(&self) -> String {
        let mut out = String::from("```mermaid\nflowchart LR\n");
        for (id, node) in self.nodes.iter().enumerate() {
            let (open, close) = match node.kind {
                Kind::Source => ("[(", ")]"),
                Kind::Secret => ("[", "]"),
                Kind::Service => ("([", "])"),
            };
            let class = if node.problem { ":::problem" } else { "" };
            let _ = writeln!(out, "  n{id}{open}\"{}\"{close}{class}", label(node.name));
        }
        for (from, arrow, to) in &self.arrows {
            let _ = writeln!(out, "  n{from} {arrow} n{to}");
        }
        if self.nodes.iter().any(|node| node.problem) {
            out.push_str("  classDef problem stroke:red,stroke-width:2px,stroke-dasharray:4\n");
        }
        out.push_str("```");
        if self.left_out > 0 {
            let _ = write!(out, "\n\nThe picture leaves out {}.", count(self.left_out, "more arrow"));
        }
        out
    }
}

/// A name as a quoted Mermaid label. Everything that is neither letter nor digit is a Mermaid character code (`#35;`),
/// but for marks that mean nothing inside a word: labels are read as Markdown there.
fn label(name: &str) -> String {
    let chars: Vec<char> = shortened(&visible(name), LONGEST_LABEL).chars().collect();
    let word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    chars.iter().enumerate().fold(String::new(), |mut out, (at, &c)| {
        let inside_word = word(at.checked_sub(1)) && word(Some(at + 1));
        match c {
            c if c.is_alphanumeric() || c == '…' => out.push(c),
            '_' | '-' | '.' | '/' if inside_word => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SecretRow, ServiceRow, ServiceState, Shadowed};
    use crate::secret::SecretName;

    fn secret(name: &str, source: &str, services: &[&str]) -> SecretRow {
        let name = SecretName::parse(name).map_err(|e| e.to_string()).unwrap();
        SecretRow {
            state: SecretState::Found,
            source: Some(source.to_owned()),
            services: services.iter().map(|&s| s.to_owned()).collect(),
            ..SecretRow::new(&name)
        }
    }

    #[test]
    fn arrows_go_from_sources_over_secrets_to_services() {
        let mut one = secret("KEY_A", "vault", &["bot", "worker-a"]);
        one.shadowed.push(Shadowed { source: "dotenv".into(), differs: true });
        let mut gone = secret("KEY_B", "aws", &["bot"]);
        gone.state = SecretState::Denied;
        let mut bot = ServiceRow::new("bot");
        bot.state = ServiceState::Unhealthy;
        let report = Report { secrets: vec![one, gone], services: vec![bot], ..Report::default() };
        insta::assert_snapshot!(picture(&report).unwrap(), @r#"
        ```mermaid
        flowchart LR
          n0[("vault")]
          n1["KEY_A"]
          n2[("dotenv")]
          n3(["bot"]):::problem
          n4(["worker-a"])
          n5[("aws")]
          n6["KEY_B"]:::problem
          n0 --> n1
          n2 -.-> n1
          n1 --> n3
          n1 --> n4
          n5 -.-x n6
          n6 --> n3
          classDef problem stroke:red,stroke-width:2px,stroke-dasharray:4
        ```
        "#);
    }

    #[test]
    fn more_than_sixty_arrows_are_counted_not_drawn() {
        let services: Vec<String> = (0..70).map(|n| format!("s{n}")).collect();
        let names: Vec<&str> = services.iter().map(String::as_str).collect();
        let report = Report { secrets: vec![secret("KEY", "env", &names)], ..Report::default() };
        let picture = picture(&report).unwrap();
        assert_eq!(picture.matches("-->").count(), MOST_ARROWS);
        assert!(picture.ends_with("```\n\nThe picture leaves out 11 more arrows."), "{picture}");
    }

    #[test]
    fn a_label_can_neither_end_itself_nor_be_markup() {
        for (name, expected) in [
            ("worker-a", "worker-a"),
            ("KEY_A", "KEY_A"),
            ("__init__", "#95;#95;init#95;#95;"),
            ("a\"]:::b", "a#34;#93;#58;#58;#58;b"),
            ("```\n", "#96;#96;#96;#92;n"),
            ("1. x", "1#46;#32;x"),
            ("#quot;", "#35;quot#59;"),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
        assert_eq!(label(&"x".repeat(100)).chars().count(), LONGEST_LABEL);
    }

    #[test]
    fn a_report_without_arrows_has_no_picture() {
        assert!(picture(&Report::default()).is_none());
    }
}
