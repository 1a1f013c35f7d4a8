//! One comment of a pull request, which every run of the same project updates in place.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, RequestError};
use crate::github::files::cut;
use crate::github::repository::Repository;

/// The longest comment that GitHub takes: 65,536 characters. Counted in bytes, one is never longer than that.
const LONGEST: usize = 65_536;
/// How many comments GitHub gives at once.
const PER_PAGE: usize = 100;
/// How many pages of comments are looked through.
const PAGES: usize = 50;
/// What stands at the end of a comment that was too long.
const CUT: &str =
    "\n_The rest is left out: a comment ends at 65,536 characters. The job summary has all of it._\n";

/// The comment of one project on one pull request.
pub struct Comment<'a> {
    api: &'a Api,
    repository: &'a Repository,
    number: u64,
    marker: String,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It is new.
    Made,
    /// It has another text.
    Updated,
    /// It had this text already.
    Unchanged,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
    body: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(rename = "type")]
    kind: String,
}

impl<'a> Comment<'a> {
    /// The comment of the project `key` on the pull request with this number. Another key is another comment.
    pub fn new(api: &'a Api, repository: &'a Repository, number: u64, key: &str) -> Self {
        // No text can end the HTML comment, or begin another marker.
        let key = utf8_percent_encode(key, NON_ALPHANUMERIC);
        let marker = format!("<!-- claude-secrets-action {key} -->\n");
        Self { api, repository, number, marker }
    }

    /// Writes the comment: the one that an earlier run wrote, or a new one. What is too long for GitHub is cut at the end of
    /// a line, and says so.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub async fn upsert(&self, body: &str) -> Result<Done, RequestError> {
        let body = self.text(body);
        let mut own = self.find().await?.into_iter();
        let Some(first) = own.next() else {
            let path = format!("/repos/{}/issues/{}/comments", self.repository, self.number);
            let what = self.what();
            self.api.post::<Value>(&path, &json!({ "body": body }), &asked(&what)).await?;
            return Ok(Done::Made);
        };
        // Two runs at once may each have made one.
        for other in own {
            self.api.delete(&self.path(other.id), &asked(&self.what())).await?;
        }
        // GitHub writes line ends as CR LF where a person has edited it.
        if first.body.as_deref().map(|text| text.replace("\r\n", "\n")).as_deref() == Some(body.as_str()) {
            return Ok(Done::Unchanged);
        }
        self.api.patch::<Value>(&self.path(first.id), &json!({ "body": body }), &asked(&self.what())).await?;
        Ok(Done::Updated)
    }

    fn text(&self, body: &str) -> String {
        let room = LONGEST - self.marker.len();
        let body = if body.len() > room { cut(body, room, CUT) } else { body.to_owned() };
        // GitHub takes white space off the end.
        format!("{}{}", self.marker, body.trim_end())
    }

    /// The comments with our mark that are ours, the oldest first: anybody may write one that looks like it.
    async fn find(&self) -> Result<Vec<Found>, RequestError> {
        let what = self.what();
        let mut own = Vec::new();
        for page in 1..=PAGES {
            let path = format!(
                "/repos/{}/issues/{}/comments?per_page={PER_PAGE}&page={page}",
                self.repository, self.number
            );
            let comments: Vec<Found> = self.api.get(&path, &asked(&what)).await?;
            let is_last = comments.len() < PER_PAGE;
            let marker = self.marker.trim_end();
            own.extend(comments.into_iter().filter(|comment| {
                comment.body.as_deref().is_some_and(|body| body.lines().next() == Some(marker))
            }));
            if is_last {
                break;
            }
        }
        if own.is_empty() {
            return Ok(own);
        }
        if self.api.is_app {
            own.retain(|comment| comment.user.as_ref().is_some_and(|user| user.kind == "Bot"));
        } else {
            let me: User = self.api.get("/user", &asked(&what)).await?;
            own.retain(|comment| comment.user.as_ref().is_some_and(|user| user.login == me.login));
        }
        Ok(own)
    }

    fn path(&self, id: u64) -> String {
        format!("/repos/{}/issues/comments/{id}", self.repository)
    }

    fn what(&self) -> String {
        format!("the comment on the pull request {}#{}", self.repository, self.number)
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { what, permission: "Pull requests: write", of_workflow: Some("pull-requests: write") }
}
