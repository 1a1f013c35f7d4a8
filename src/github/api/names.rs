//! Which secrets and variables GitHub has for a repository: their names, and when each was last changed.

use std::time::SystemTime;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::list::{self, Named, PerPage, SECRETS, VARIABLES};
use super::request_error::Kind;
use super::{Api, Asked, RequestError};
use crate::github::repository::Repository;
use crate::nearest::meant;

/// Whose a secret or variable is. One that is nearer hides those of the same name that are further away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The environment's.
    Environment,
    /// The repository's.
    Repository,
    /// The organisation's, and shared with the repository.
    Organisation,
}

/// What there is of lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Secrets for Actions.
    Secrets(Level),
    /// Variables for Actions.
    Variables(Level),
    /// Secrets for Dependabot's runs.
    Dependabot,
}

/// A secret or a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name, in upper case as GitHub writes it.
    pub name: String,
    /// Whose it is.
    pub level: Level,
    /// When it was last changed.
    pub written: Option<SystemTime>,
}

/// All that GitHub says.
#[derive(Clone, Debug)]
pub struct Names {
    /// The repository.
    pub repository: Repository,
    /// The environment, where one was asked for and is there.
    pub environment: Option<String>,
    /// The secrets for Actions, nearest first.
    pub secrets: Vec<Entry>,
    /// The variables for Actions, nearest first.
    pub variables: Vec<Entry>,
    /// The secrets for Dependabot's runs.
    pub dependabot: Vec<Entry>,
    /// What could not be read, and why.
    pub unread: Vec<(Part, RequestError)>,
}

/// Asks for everything that a run in this environment could get.
///
/// # Errors
/// Why the repository's own secrets cannot be listed. What else cannot be read is among the answer.
pub async fn read(
    api: &Api,
    repository: &Repository,
    environment: Option<&str>,
) -> Result<Names, RequestError> {
    use Level::{Environment, Organisation, Repository as Own};
    let reader = Reader { api, repository, environment };
    let (secrets, variables, dependabot) = tokio::join!(
        reader.three(Part::Secrets),
        reader.three(Part::Variables),
        reader.part(Part::Dependabot),
    );
    let mut names = Names {
        repository: repository.clone(),
        environment: environment.map(str::to_owned),
        secrets: Vec::new(),
        variables: Vec::new(),
        dependabot: Vec::new(),
        unread: Vec::new(),
    };
    let [of_environment, own, of_organisation] = secrets;
    names.secrets = own?;
    for (level, answer) in [(Organisation, of_organisation), (Environment, of_environment)] {
        names.take(Part::Secrets(level), answer);
    }
    for (level, answer) in [Own, Organisation, Environment].into_iter().zip(in_order(variables)) {
        names.take(Part::Variables(level), answer);
    }
    names.take(Part::Dependabot, dependabot);
    for entries in [&mut names.secrets, &mut names.variables] {
        entries.sort_by(|a, b| (a.level, &a.name).cmp(&(b.level, &b.name)));
    }
    names.settle_environment(&reader).await;
    Ok(names)
}

type Answer = Result<Vec<Entry>, RequestError>;

/// The three of a kind in the order in which they are taken: the environment's last, since it may not be there.
fn in_order([of_environment, own, of_organisation]: [Answer; 3]) -> [Answer; 3] {
    [own, of_organisation, of_environment]
}

impl Names {
    /// The secret of this name that a run gets. GitHub takes small and capital letters for the same.
    pub fn secret(&self, name: &str) -> Option<&Entry> {
        nearest(&self.secrets, name)
    }

    /// The variable of this name that a run gets.
    pub fn variable(&self, name: &str) -> Option<&Entry> {
        nearest(&self.variables, name)
    }

    /// Whether a part was read.
    pub fn has_read(&self, part: Part) -> bool {
        !self.unread.iter().any(|(own, _)| *own == part)
    }

    /// What was found, in one line for the log.
    pub fn summary(&self) -> String {
        let of =
            |entries: &[Entry], level: Level| entries.iter().filter(|entry| entry.level == level).count();
        let mut parts = Vec::new();
        for level in [Level::Repository, Level::Environment, Level::Organisation] {
            let (secrets, variables) = (of(&self.secrets, level), of(&self.variables, level));
            if level == Level::Repository || secrets + variables > 0 {
                let own =
                    [crate::count::count(secrets, "secret"), crate::count::count(variables, "variable")];
                parts.push(format!("{} has {}", self.owner(level), own.join(" and ")));
            }
        }
        parts.join(", ")
    }

    /// Whose something is, in words.
    pub fn owner(&self, level: Level) -> String {
        match level {
            Level::Repository => self.repository.to_string(),
            Level::Organisation => format!("the organisation {}", self.repository.owner),
            Level::Environment => {
                format!("the environment `{}`", self.environment.as_deref().unwrap_or_default())
            }
        }
    }

    fn take(&mut self, part: Part, answer: Answer) {
        match (part, answer) {
            (Part::Secrets(_), Ok(entries)) => self.secrets.extend(entries),
            (Part::Variables(_), Ok(entries)) => self.variables.extend(entries),
            (Part::Dependabot, Ok(entries)) => self.dependabot = entries,
            // A person's repository has no organisation, some servers have no Dependabot, and the repository itself was found.
            (
                Part::Secrets(Level::Organisation) | Part::Variables(Level::Organisation) | Part::Dependabot,
                Err(trouble),
            ) if trouble.kind == Kind::Missing => {}
            (part, Err(trouble)) => self.unread.push((part, trouble)),
        }
    }

    /// An environment that is not there is none, and one with a similar name may be meant.
    async fn settle_environment(&mut self, reader: &Reader<'_>) {
        let of_environment = |part: &Part| {
            matches!(part, Part::Secrets(Level::Environment) | Part::Variables(Level::Environment))
        };
        let is_missing =
            |(part, trouble): &&(Part, RequestError)| of_environment(part) && trouble.kind == Kind::Missing;
        let Some(name) = self.environment.clone() else { return };
        if self.unread.iter().find(is_missing).is_none() {
            return;
        }
        self.environment = None;
        self.unread.retain(|(part, _)| !of_environment(part));
        let there = reader.environments().await.unwrap_or_default();
        let meant = meant(&name, there.iter().map(String::as_str));
        let trouble = RequestError {
            kind: Kind::Missing,
            fact: format!("{} has no environment `{name}` at GitHub", self.repository),
            help: match meant {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => "If the job has an `environment:`, give `environment` the same name.".to_owned(),
            },
        };
        self.unread.push((Part::Secrets(Level::Environment), trouble));
    }
}

fn nearest<'e>(entries: &'e [Entry], name: &str) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// What reads lists of one repository.
struct Reader<'a> {
    api: &'a Api,
    repository: &'a Repository,
    environment: Option<&'a str>,
}

impl Reader<'_> {
    /// The lists of the environment, the repository and the organisation.
    async fn three(&self, part: impl Fn(Level) -> Part) -> [Answer; 3] {
        let (first, second, third) = tokio::join!(
            self.part(part(Level::Environment)),
            self.part(part(Level::Repository)),
            self.part(part(Level::Organisation)),
        );
        [first, second, third]
    }

    async fn part(&self, part: Part) -> Answer {
        let Some((path, what)) = self.place(part) else { return Ok(Vec::new()) };
        let (per, permission, level) = match part {
            Part::Secrets(level) => (SECRETS, permission(level, "Secrets: read"), level),
            Part::Variables(level) => (VARIABLES, permission(level, "Variables: read"), level),
            Part::Dependabot => (SECRETS, "Dependabot secrets: read", Level::Repository),
        };
        let found = self.list(&path, per, &what, permission).await?;
        let entry = |named: Named| Entry {
            written: named.updated_at.and_then(|text| humantime::parse_rfc3339_weak(&text).ok()),
            name: named.name,
            level,
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// The names of the repository's environments.
    async fn environments(&self) -> Result<Vec<String>, RequestError> {
        let what = format!("the environments of {}", self.repository);
        let path = format!("/repos/{}/environments", self.repository);
        let found = self.list(&path, SECRETS, &what, "Actions: read").await?;
        Ok(found.into_iter().map(|named| named.name).collect())
    }

    async fn list(
        &self,
        path: &str,
        per: PerPage,
        what: &str,
        permission: &str,
    ) -> Result<Vec<Named>, RequestError> {
        list::all(self.api, path, per, &Asked { what, permission, of_workflow: None }).await
    }

    /// The path of a list, and what is in it. Names of environments hold anything, slashes too.
    fn place(&self, part: Part) -> Option<(String, String)> {
        let repository = self.repository;
        let (kind, level) = match part {
            Part::Secrets(level) => ("secrets", level),
            Part::Variables(level) => ("variables", level),
            Part::Dependabot => {
                let what = format!("the Dependabot secrets of {repository}");
                return Some((format!("/repos/{repository}/dependabot/secrets"), what));
            }
        };
        Some(match level {
            Level::Repository => {
                (format!("/repos/{repository}/actions/{kind}"), format!("the {kind} of {repository}"))
            }
            Level::Organisation => (
                format!("/repos/{repository}/actions/organization-{kind}"),
                format!("the {kind} that the organisation {} shares with {repository}", repository.owner),
            ),
            Level::Environment => {
                let name = self.environment?;
                let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
                (
                    format!("/repos/{repository}/environments/{encoded}/{kind}"),
                    format!("the {kind} of the environment `{name}` of {repository}"),
                )
            }
        })
    }
}

/// What a fine-grained token needs for a list. An environment's secrets and variables have a permission of their own.
fn permission(level: Level, own: &'static str) -> &'static str {
    if level == Level::Environment { "Environments: read" } else { own }
}
