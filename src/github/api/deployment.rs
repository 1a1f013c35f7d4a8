//! Deployments as GitHub records them: what the repository's page shows under *Deployments*, with a status and an address
//! (docs.github.com, "REST API endpoints for deployments", "… for deployment statuses").

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, RequestError};
use crate::github::repository::Repository;
use crate::settings::Environment;

/// What is deployed, and from where.
#[derive(Clone, Debug)]
pub struct Deploying {
    /// The repository.
    pub repository: Repository,
    /// The commit.
    pub commit: String,
    /// The name of the environment.
    pub environment: String,
    /// Where the project can be seen.
    pub url: Option<String>,
    /// The page of the workflow's run.
    pub log: Option<String>,
}

/// How far a deployment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It has begun.
    InProgress,
    /// It has ended well.
    Success,
    /// It has not.
    Failure,
}

/// A deployment that is recorded.
#[derive(Debug)]
pub struct Recorded {
    deploying: Deploying,
    id: u64,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

impl Deploying {
    /// What the runner says of the run; `None` outside of a workflow.
    pub fn of(variables: &Environment, environment: &str, url: Option<&str>) -> Option<Self> {
        let repository = Repository::of(variables.text("GITHUB_REPOSITORY")?)?;
        let server = variables.text("GITHUB_SERVER_URL").unwrap_or("https://github.com");
        let run = variables.text("GITHUB_RUN_ID");
        Some(Self {
            commit: variables.text("GITHUB_SHA")?.to_owned(),
            environment: environment.to_owned(),
            url: url.map(str::to_owned),
            log: run.map(|run| format!("{server}/{repository}/actions/runs/{run}")),
            repository,
        })
    }

    /// Records that it begins.
    ///
    /// # Errors
    /// Why it cannot be recorded.
    pub async fn begin(self, api: &Api) -> Result<Recorded, RequestError> {
        let body = json!({
            "ref": self.commit,
            "environment": self.environment,
            "description": "claude-secrets",
            // Nothing is merged, and no check of the commit is waited for: the job runs already.
            "auto_merge": false,
            "required_contexts": [],
        });
        let path = format!("/repos/{}/deployments", self.repository);
        let made: Made = api.post(&path, &body, &asked(&self.what())).await?;
        let recorded = Recorded { deploying: self, id: made.id };
        recorded.is(State::InProgress, api).await?;
        Ok(recorded)
    }

    fn what(&self) -> String {
        format!("the deployment of {} to `{}`", self.repository, self.environment)
    }
}

impl Recorded {
    /// Records how far it is. One that has ended well takes the place of the one before in its environment.
    ///
    /// # Errors
    /// Why it cannot be recorded.
    pub async fn is(&self, state: State, api: &Api) -> Result<(), RequestError> {
        let Deploying { repository, url, log, .. } = &self.deploying;
        let mut body = json!({ "state": state.token(), "auto_inactive": true });
        for (key, text) in [("environment_url", url), ("log_url", log)] {
            if let Some(text) = text {
                body[key] = Value::from(text.as_str());
            }
        }
        let path = format!("/repos/{repository}/deployments/{}/statuses", self.id);
        api.post::<Made>(&path, &body, &asked(&self.deploying.what())).await.map(|_| ())
    }
}

impl State {
    fn token(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { what, permission: "Deployments: write", of_workflow: Some("deployments: write") }
}
