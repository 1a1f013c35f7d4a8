//! Why GitHub did not do what it was asked for, as a person can act on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use octocrab::GitHubError;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::count::count;
use crate::error::{Code, Error};
use crate::sources::DATES;
use crate::sources::net::{Failure, cause, retry_after};

/// The longest words of GitHub's that are repeated, in characters.
const LONGEST: usize = 200;

/// What was asked for, in words.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The thing: `the secrets of octo-org/octo-repo`.
    pub what: &'a str,
    /// The permission of a fine-grained token or an app that it needs: `Secrets: read`.
    pub permission: &'a str,
    /// Whether the workflow's own token can have that permission, as `permissions:` writes it.
    pub of_workflow: Option<&'a str>,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The token may not do it, or is none.
    Denied,
    /// It is not there, or the token may not know of it.
    Missing,
    /// Too much was asked for.
    Limited,
    /// GitHub could not be asked, or its answer was no good.
    Failed,
}

/// Why GitHub did not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestError {
    /// The kind.
    pub kind: Kind,
    /// The fact.
    pub fact: String,
    /// The remedy.
    pub help: String,
}

impl RequestError {
    /// What an error of octocrab's says. `host` is the server that was asked.
    pub(super) fn of(error: &octocrab::Error, asked: &Asked, host: &str) -> Self {
        if let octocrab::Error::GitHub { source, .. } = error {
            return Self::answered(source, asked, host);
        }
        if let Some(failure) = cause::<Failure>(error) {
            let mut refusal = failure.refusal(asked.what, host);
            if let Failure::Deadline(time) = failure {
                refusal.fact =
                    format!("{}: no answer within {}", asked.what, humantime::format_duration(*time));
                refusal.help = Some(format!("Look at {host}, or give it more time with `timeout`."));
            }
            return Self { kind: Kind::Failed, fact: refusal.fact, help: refusal.help.unwrap_or_default() };
        }
        Self {
            kind: Kind::Failed,
            fact: format!("{}: the answer of {host} is not what GitHub's API answers", asked.what),
            help: format!("Is {host} GitHub's API? A GitHub Enterprise Server must be 3.17 or newer."),
        }
    }

    /// What an answer says that is no success.
    fn answered(error: &GitHubError, asked: &Asked, host: &str) -> Self {
        let none = HeaderMap::new();
        let headers = error.headers.as_ref().unwrap_or(&none);
        let status = error.status_code.as_u16();
        let what = asked.what;
        let said = said(&error.message);
        if let Some(limit) = Limit::of(error, headers) {
            return Self {
                kind: Kind::Limited,
                fact: format!("{what}: the token has asked GitHub for too much ({limit})"),
                help: "Run it again then, or use a token of its own: the limit is counted by token."
                    .to_owned(),
            };
        }
        match status {
            401 => Self {
                kind: Kind::Denied,
                fact: format!("{what}: GitHub does not know the token{said}"),
                help: "It has expired, was revoked or is of another server: make a new one, and set the secret behind `github-token`.".to_owned(),
            },
            403 if headers.contains_key("x-github-sso") => Self {
                kind: Kind::Denied,
                fact: format!("{what}: the organisation wants the token to be authorised for single sign-on"),
                help: "Authorise it: github.com, Settings, Developer settings, the token, Configure SSO.".to_owned(),
            },
            403 => Self {
                kind: Kind::Denied,
                fact: format!("{what}: the token may not do that{said}"),
                help: asked.help(headers),
            },
            404 | 410 => Self {
                kind: Kind::Missing,
                fact: format!("{what}: not found, or the token may not know of it"),
                help: format!("Is the name right? {}", asked.help(headers)),
            },
            301 | 302 | 307 | 308 => Self {
                kind: Kind::Failed,
                fact: format!("{what}: GitHub sends on to another place"),
                help: "Was the repository renamed or moved? Use its new name.".to_owned(),
            },
            409 | 422 => Self {
                kind: Kind::Failed,
                fact: format!("{what}: GitHub refuses the request with status {status}{said}"),
                help: "Look at what the request names: the branch, the environment, the pull request.".to_owned(),
            },
            _ => Self {
                kind: Kind::Failed,
                fact: format!("{what}: {host} answers with status {status}{said}"),
                help: "Look at githubstatus.com, or at what is between here and the server, and run this again.".to_owned(),
            },
        }
    }

    /// The same as an error that ends a run: `github-denied` or `github-failed`.
    pub fn error(self) -> Error {
        let code = match self.kind {
            Kind::Denied | Kind::Missing => Code::GithubDenied,
            Kind::Limited | Kind::Failed => Code::GithubFailed,
        };
        Error::new(code, self.fact).help(self.help)
    }
}

impl Asked<'_> {
    /// The permission to give, as GitHub's own answer names it where it does.
    fn help(&self, headers: &HeaderMap) -> String {
        let accepted = headers.get("x-accepted-github-permissions").and_then(|text| text.to_str().ok());
        let accepted = accepted.filter(|text| !text.is_empty());
        let accepted = accepted.map(|text| format!(" (GitHub: `{text}`)")).unwrap_or_default();
        match self.of_workflow {
            Some(line) => format!(
                "Give the token `{}`{accepted}: for the workflow's own one add to the job:\npermissions:\n  contents: read\n  {line}\n(Pull requests from forks never get it.)",
                self.permission
            ),
            None => format!(
                "Give `github-token` a fine-grained token or an app's, for this repository, with `{}`{accepted}. The workflow's own `GITHUB_TOKEN` can never have that.",
                self.permission
            ),
        }
    }
}

/// A limit that was reached, and when it is over.
struct Limit(Option<SystemTime>);

impl Limit {
    /// docs.github.com, "Rate limits for the REST API", "Exceeding the rate limit": 403 or 429, with what tells when to
    /// come back, or none of it.
    fn of(error: &GitHubError, headers: &HeaderMap) -> Option<Self> {
        let status = error.status_code.as_u16();
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let wait = headers.get(RETRY_AFTER).and_then(|text| retry_after(text.to_str().ok()?));
        let spent = text("x-ratelimit-remaining") == Some("0");
        let named = error.documentation_url.as_ref().is_some_and(|url| url.contains("rate-limit"));
        if status != 429 && !(status == 403 && (wait.is_some() || spent || named)) {
            return None;
        }
        let reset = text("x-ratelimit-reset").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let reset = reset.filter(|_| spent).and_then(|time| UNIX_EPOCH.checked_add(time));
        Some(Self(reset.or_else(|| SystemTime::now().checked_add(wait?))))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_date = |at: &SystemTime| at.duration_since(UNIX_EPOCH).is_ok_and(|since| since < DATES);
        let Some(at) = self.0.filter(is_date) else { return f.write_str("GitHub does not say until when") };
        let left = at.duration_since(SystemTime::now()).unwrap_or_default().as_secs().div_ceil(60);
        let left = count(usize::try_from(left).unwrap_or(usize::MAX), "minute");
        write!(f, "until {}, for {left}", humantime::format_rfc3339_seconds(at))
    }
}

/// GitHub's own words, where they are some: not a page of what is between, and not at any length.
fn said(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    if line.is_empty() || line.starts_with('<') {
        return String::new();
    }
    let cut: String = line.chars().take(LONGEST).collect();
    format!(", and says: {cut}")
}
