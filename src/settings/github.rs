//! What is said of GitHub's API.

use super::reading::{Reading, unexpected};
use crate::error::{Code, Error};
use crate::github::repository::Repository;
use crate::secret::SecretValue;

/// The inputs about GitHub's API.
#[derive(Clone, Default)]
pub struct GithubSettings {
    /// `github-token`; outside of a workflow, where `repo` asks for GitHub, else `GH_TOKEN`.
    pub token: Option<SecretValue>,
    /// `repo`: whose secrets are compared, where that is said.
    pub repo: Option<Repository>,
    /// `comment`.
    pub comment: bool,
    /// `deployment`: the name of the environment that deployments are recorded for.
    pub deployment: Option<String>,
    /// `environment-url`.
    pub environment_url: Option<String>,
}

impl GithubSettings {
    /// Whether the token is for something besides comparing secrets.
    pub fn has_other_use(&self) -> bool {
        self.comment || self.deployment.is_some()
    }
}

impl Reading<'_> {
    /// `github-token` and the inputs that belong to it.
    pub(super) fn github(&self, in_workflow: bool) -> GithubSettings {
        let repo = self.optional("repo").map(|text| Repository::parse("repo", &text)).transpose();
        // What is exported for other programs is taken only where somebody asks for GitHub.
        let exported = || self.given.variables.value("GH_TOKEN").cloned();
        let asked = !in_workflow && self.optional("repo").is_some();
        let settings = GithubSettings {
            token: self.secret("github-token").or_else(|| exported().filter(|_| asked)),
            repo: self.sound(repo),
            comment: self.switch("comment"),
            deployment: self.optional("deployment"),
            environment_url: self.optional("environment-url"),
        };
        if asked && settings.token.is_none() {
            let error = Error::new(Code::Usage, "repo: there is no token to ask GitHub with");
            self.note(error.help(
                "Name a file by `--github-token-file`, or set `GH_TOKEN` (`GH_TOKEN=$(gh auth token)`).",
            ));
        }
        if settings.deployment.is_some() && !in_workflow {
            let error = Error::new(Code::Usage, "deployment: only a workflow's run is recorded at GitHub");
            self.note(error.help("Leave `deployment` out."));
        }
        match &settings.environment_url {
            Some(_) if settings.deployment.is_none() => {
                let error = Error::new(Code::Usage, "environment-url: goes with `deployment` alone");
                self.note(error.help("Say which environment it is of: `deployment: production`. A job with an `environment:` of its own says it there, as `url`."));
            }
            Some(text) if !is_page(text) => {
                self.note(unexpected(
                    "environment-url",
                    text,
                    "an address such as `https://app.example.com`",
                ));
            }
            _ => {}
        }
        settings
    }
}

/// Whether a text is an address that a browser opens.
fn is_page(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}
