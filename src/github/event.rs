//! What a workflow's run was started by, as far as that decides which secrets it gets (docs.github.com, "Using secrets in
//! GitHub Actions", "Troubleshooting Dependabot on GitHub Actions").

use std::path::Path;

use serde_json::Value;

use crate::files::{self, LARGEST_VALUES};
use crate::settings::Environment;

/// The events that run with what the head of a pull request may have.
const OF_A_PULL_REQUEST: &[&str] = &["pull_request", "pull_request_review", "pull_request_review_comment"];
/// The events that Dependabot does not cause: what is started by them has all secrets, whoever is named as the actor.
const NOT_BY_DEPENDABOT: &[&str] = &["schedule", "workflow_dispatch", "repository_dispatch", "workflow_run"];
/// Dependabot's name as an actor.
const DEPENDABOT: &str = "dependabot[bot]";

/// What a run was started by.
#[derive(Clone, Default)]
pub struct Event {
    name: String,
    actor: String,
    payload: Value,
}

/// Why a run gets no secrets, or others than the repository's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Withheld {
    /// It is of a pull request from a fork, which has this name.
    Fork(String),
    /// Dependabot started it.
    Dependabot,
}

impl Event {
    /// What the runner says of it; nothing outside of a workflow.
    pub fn of(variables: &Environment) -> Self {
        if variables.text("GITHUB_ACTIONS") != Some("true") {
            return Self::default();
        }
        let text = |name: &str| variables.text(name).unwrap_or_default().to_owned();
        let path = variables.path("GITHUB_EVENT_PATH");
        Self {
            name: text("GITHUB_EVENT_NAME"),
            actor: text("GITHUB_ACTOR"),
            payload: path.and_then(|path| payload(&path)).unwrap_or_default(),
        }
    }

    /// The number of the pull request that the run is of.
    pub fn pull_request(&self) -> Option<u64> {
        let is_one = self.name.starts_with("pull_request");
        self.payload.pointer("/pull_request/number").and_then(Value::as_u64).filter(|_| is_one)
    }

    /// Why the run gets no secrets, or others than the repository's; nothing when it gets those.
    pub fn withheld(&self) -> Option<Withheld> {
        if self.actor == DEPENDABOT && !NOT_BY_DEPENDABOT.contains(&self.name.as_str()) {
            return Some(Withheld::Dependabot);
        }
        if !OF_A_PULL_REQUEST.contains(&self.name.as_str()) {
            return None;
        }
        let name =
            |side: &str| self.payload.pointer(&format!("/pull_request/{side}/repo/full_name"))?.as_str();
        let (head, base) = (name("head"), name("base"));
        // The fork may be gone meanwhile: then it has no name.
        (head != base).then(|| Withheld::Fork(head.unwrap_or("that is gone").to_owned()))
    }
}

impl Withheld {
    /// What is to be said of it: the fact, and the remedy.
    pub fn told(&self) -> (String, &'static str) {
        match self {
            Self::Fork(name) => (
                format!("this run is of a pull request from a fork ({name}): GitHub gives it no secrets and no identity token"),
                "Check pull requests with `mode: validate` and `offline: true`, and deploy what is merged.",
            ),
            Self::Dependabot => (
                "this run was started by Dependabot: GitHub gives it Dependabot secrets alone, and none of Actions".to_owned(),
                "Check its pull requests with `mode: validate` and `offline: true`, or set what it needs by `gh secret set NAME --app dependabot`.",
            ),
        }
    }
}

fn payload(path: &Path) -> Option<Value> {
    serde_json::from_slice(files::read(path, LARGEST_VALUES).ok()?.value.expose()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, actor: &str, head: Option<&str>) -> Event {
        let repo = |name: Option<&str>| name.map_or(Value::Null, |name| json!({ "full_name": name }));
        let payload = json!({ "pull_request": {
            "number": 7, "head": { "repo": repo(head) }, "base": { "repo": repo(Some("octo-org/octo-repo")) },
        } });
        Event { name: name.to_owned(), actor: actor.to_owned(), payload }
    }

    #[test]
    fn forks_and_dependabot_are_recognised() {
        let (own, fork) = (Some("octo-org/octo-repo"), Some("mona/octo-repo"));
        let is_fork = Some(Withheld::Fork("mona/octo-repo".to_owned()));
        for (name, actor, head, expected) in [
            ("pull_request", "octocat", own, None),
            ("pull_request", "mona", fork, is_fork.clone()),
            ("pull_request_review", "mona", fork, is_fork),
            ("pull_request", "mona", None, Some(Withheld::Fork("that is gone".to_owned()))),
            ("pull_request_target", "mona", fork, None),
            ("pull_request", DEPENDABOT, own, Some(Withheld::Dependabot)),
            ("push", DEPENDABOT, own, Some(Withheld::Dependabot)),
            ("workflow_dispatch", DEPENDABOT, own, None),
        ] {
            assert_eq!(event(name, actor, head).withheld(), expected, "{name} {actor} {head:?}");
        }
        assert_eq!(event("pull_request", "octocat", own).pull_request(), Some(7));
        assert_eq!(event("push", "octocat", own).pull_request(), None);
    }

    #[test]
    fn outside_of_a_workflow_there_is_no_event() {
        let variables =
            Environment::from_pairs([("GITHUB_ACTOR", DEPENDABOT), ("GITHUB_EVENT_NAME", "push")]);
        assert_eq!(Event::of(&variables).withheld(), None);
        let broken = Environment::from_pairs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_EVENT_PATH", "/nowhere/event.json"),
        ]);
        assert_eq!(Event::of(&broken).withheld(), None);
    }
}
