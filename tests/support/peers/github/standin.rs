//! What GitHub keeps of repositories and does by request, as far as it is asked here: lists with pages, permissions of
//! tokens, deployments, comments. Prism holds it against GitHub's description.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::listening::{Listening, Port};
use super::super::wire::{Wire, data};
use super::shapes::{self, DATE, OWNER};

/// A running stand-in. It stops when it is dropped.
pub struct Standin {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _server: Listening,
}

/// A repository of one test.
pub struct Repository {
    /// Its name; the owner is [`OWNER`].
    pub name: String,
    shared: Arc<Shared>,
}

/// A token, by what it is.
pub struct Token(pub String);

struct Shared {
    repositories: Mutex<BTreeMap<String, Kept>>,
    tokens: Mutex<BTreeMap<String, Who>>,
    next: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// Lists by the end of their path, `actions/secrets`: names and dates.
    lists: BTreeMap<String, Vec<(String, String)>>,
    environments: BTreeSet<String>,
    comments: Vec<Value>,
    deployments: Vec<Value>,
}

#[derive(Clone)]
struct Who {
    login: String,
    kind: &'static str,
    permissions: BTreeSet<String>,
}

impl Standin {
    /// Starts one that has nothing.
    pub fn start() -> Self {
        let port = Port::take();
        let shared = Arc::new(Shared {
            repositories: Mutex::default(),
            tokens: Mutex::default(),
            next: AtomicU64::new(1000),
        });
        let serving = shared.clone();
        let server = port.serve(move |stream| serving.serve(stream));
        Self { address: server.address, shared, _server: server }
    }

    /// A new repository.
    pub fn repository(&self) -> Repository {
        let name = format!("repo-{}", self.shared.number());
        self.shared.repositories().insert(name.clone(), Kept::default());
        Repository { name, shared: self.shared.clone() }
    }

    /// A new token of a person, with permissions in the words of `x-accepted-github-permissions`: `secrets=read`.
    pub fn token(&self, permissions: &[&str]) -> Token {
        self.token_of("github_pat_canary", "mona", "User", permissions)
    }

    /// A new token of an app: such as a workflow's own.
    pub fn app_token(&self, permissions: &[&str]) -> Token {
        self.token_of("ghs_canary", "github-actions[bot]", "Bot", permissions)
    }

    fn token_of(&self, prefix: &str, login: &str, kind: &'static str, permissions: &[&str]) -> Token {
        let token = format!("{prefix}{}", self.shared.number());
        let permissions = permissions.iter().map(|&text| text.to_owned()).collect();
        let who = Who { login: login.to_owned(), kind, permissions };
        self.shared.tokens.lock().unwrap().insert(token.clone(), who);
        Token(token)
    }
}

impl Repository {
    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{OWNER}/{}", self.name)
    }

    /// Puts names into a list, by the end of its path: `actions/secrets`, `actions/organization-variables`,
    /// `environments/production/secrets`, `dependabot/secrets`.
    pub fn has(&self, list: &str, names: &[&str]) -> &Self {
        for name in names {
            self.has_since(list, name, DATE);
        }
        self
    }

    /// The same with a date.
    pub fn has_since(&self, list: &str, name: &str, date: &str) -> &Self {
        self.with(|kept| {
            if let Some((environment, _)) =
                list.strip_prefix("environments/").and_then(|rest| rest.rsplit_once('/'))
            {
                kept.environments.insert(environment.to_owned());
            }
            kept.lists.entry(list.to_owned()).or_default().push((name.to_owned(), date.to_owned()));
        });
        self
    }

    /// Makes an environment that has nothing.
    pub fn has_environment(&self, name: &str) -> &Self {
        self.with(|kept| kept.environments.insert(name.to_owned()));
        self
    }

    /// Writes a comment as somebody else.
    pub fn comment_by(&self, login: &str, kind: &str, issue: u64, body: &str) {
        let comment = shapes::comment(self.shared.number(), &self.name, issue, login, kind, body);
        self.with(|kept| kept.comments.push(comment));
    }

    /// The comments on an issue or pull request, as their authors and texts.
    pub fn comments(&self, issue: u64) -> Vec<(String, String)> {
        let end = format!("/issues/{issue}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.with(|kept| {
            let own = kept.comments.iter().filter(|comment| text(&comment["issue_url"]).ends_with(&end));
            own.map(|comment| (text(&comment["user"]["login"]), text(&comment["body"]))).collect()
        })
    }

    /// The deployments, each with its statuses below `statuses`.
    pub fn deployments(&self) -> Vec<Value> {
        self.with(|kept| kept.deployments.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(self.shared.repositories().get_mut(&self.name).unwrap())
    }
}

/// A status, headers, and JSON; null for none.
type Reply = (u16, Vec<(String, String)>, Value);

impl Shared {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn repositories(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.repositories.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut wire = Wire::new(Box::new(stream));
        let Some(head) = wire.head()? else { return Ok(()) };
        let body = wire.body(&head, false)?;
        let body: Value = serde_json::from_slice(&data(&head, &body)).unwrap_or_default();
        let bearer = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let (status, headers, answer) = self.reply(&head.first[0], &head.first[1], bearer, &body);
        let text = if answer.is_null() { String::new() } else { answer.to_string() };
        let mut lines = vec![format!("HTTP/1.1 {status} ."), format!("Content-Length: {}", text.len())];
        lines.push("Connection: close".to_owned());
        if !answer.is_null() {
            lines.push("Content-Type: application/json; charset=utf-8".to_owned());
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        wire.send(format!("{}\r\n\r\n{text}", lines.join("\r\n")).as_bytes())
    }

    fn reply(&self, method: &str, target: &str, bearer: Option<&str>, body: &Value) -> Reply {
        let url = reqwest::Url::parse(&format!("http://github{target}")).unwrap();
        let who = bearer.and_then(|token| self.tokens.lock().unwrap().get(token).cloned());
        let Some(who) = who else { return refusal(401, "Bad credentials") };
        if url.path() == "/user" {
            return match who.kind {
                "Bot" => refusal(403, "Resource not accessible by integration"),
                _ => (200, Vec::new(), shapes::me(&who.login, who.kind)),
            };
        }
        let path = percent_decode_str(url.path()).decode_utf8().unwrap().into_owned();
        let Some(rest) = path.strip_prefix(&format!("/repos/{OWNER}/")) else {
            return refusal(404, "Not Found");
        };
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let mut repositories = self.repositories();
        let Some(kept) = repositories.get_mut(name) else { return refusal(404, "Not Found") };
        let permission = permission(rest);
        if !who.permissions.contains(permission) {
            let (status, mut headers, answer) =
                refusal(403, "Resource not accessible by personal access token");
            headers.push(("x-accepted-github-permissions".to_owned(), permission.to_owned()));
            return (status, headers, answer);
        }
        let query =
            |key: &str| url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        let number = |key: &str| query(key).and_then(|text| text.parse::<usize>().ok());
        let page = Page { number: number("page").unwrap_or(1), per_page: number("per_page") };
        self.of_repository(method, name, rest, &who, kept, page, body)
    }

    #[allow(clippy::too_many_arguments)]
    fn of_repository(
        &self,
        method: &str,
        name: &str,
        rest: &str,
        who: &Who,
        kept: &mut Kept,
        page: Page,
        body: &Value,
    ) -> Reply {
        let parts: Vec<&str> = rest.split('/').collect();
        match (method, &parts[..]) {
            ("GET", ["environments"]) => {
                let all = kept.environments.iter().map(|name| shapes::environment(name)).collect();
                listed("environments", all, page, 100)
            }
            ("GET", ["environments", .., kind @ ("secrets" | "variables")]) => {
                let name = rest["environments/".len()..rest.len() - kind.len() - 1].to_owned();
                if !kept.environments.contains(&name) {
                    return refusal(404, "Not Found");
                }
                named(kept, rest, kind, page)
            }
            ("GET", ["actions", list]) => named(kept, rest, list.rsplit('-').next().unwrap(), page),
            ("GET", ["dependabot", "secrets"]) => named(kept, rest, "secrets", page),
            ("GET", ["issues", number, "comments"]) => {
                let end = format!("/issues/{number}");
                let own = |comment: &&Value| comment["issue_url"].as_str().unwrap().ends_with(&end);
                let all: Vec<Value> = kept.comments.iter().filter(own).cloned().collect();
                (200, Vec::new(), Value::Array(page.of(all, 100)))
            }
            ("POST", ["issues", number, "comments"]) => {
                let text = body["body"].as_str().unwrap();
                if text.chars().count() > 65_536 {
                    return refusal(422, "Body is too long (maximum is 65536 characters)");
                }
                let comment =
                    shapes::comment(self.number(), name, number.parse().unwrap(), &who.login, who.kind, text);
                kept.comments.push(comment.clone());
                (201, Vec::new(), comment)
            }
            ("PATCH" | "DELETE", ["issues", "comments", id]) => {
                let at = kept.comments.iter().position(|comment| comment["id"].as_u64() == id.parse().ok());
                let Some(at) = at else { return refusal(404, "Not Found") };
                if method == "DELETE" {
                    kept.comments.remove(at);
                    return (204, Vec::new(), Value::Null);
                }
                kept.comments[at]["body"] = body["body"].clone();
                (200, Vec::new(), kept.comments[at].clone())
            }
            ("POST", ["deployments"]) => {
                let deployment = shapes::deployment(self.number(), name, body);
                kept.deployments.push(deployment.clone());
                let mut shown = deployment;
                shown.as_object_mut().unwrap().remove("statuses");
                (201, Vec::new(), shown)
            }
            ("POST", ["deployments", id, "statuses"]) => {
                let found = kept.deployments.iter_mut().find(|one| one["id"].as_u64() == id.parse().ok());
                let Some(deployment) = found else { return refusal(404, "Not Found") };
                deployment["statuses"].as_array_mut().unwrap().push(body.clone());
                (201, Vec::new(), shapes::status(self.number(), name, id, body))
            }
            _ => refusal(404, "Not Found"),
        }
    }
}

/// Which page is asked for.
#[derive(Clone, Copy)]
struct Page {
    number: usize,
    per_page: Option<usize>,
}

impl Page {
    fn of<T>(self, all: Vec<T>, most: usize) -> Vec<T> {
        let per_page = self.per_page.unwrap_or(30).min(most);
        all.into_iter().skip((self.number - 1) * per_page).take(per_page).collect()
    }
}

fn listed(kind: &str, all: Vec<Value>, page: Page, most: usize) -> Reply {
    (200, Vec::new(), json!({ "total_count": all.len(), kind: page.of(all, most) }))
}

/// A list of names and dates. Of variables GitHub gives thirty at most.
fn named(kept: &Kept, list: &str, kind: &str, page: Page) -> Reply {
    let all = kept.lists.get(list).cloned().unwrap_or_default();
    let entry = |(name, date): (String, String)| match kind {
        "variables" => json!({ "name": name, "value": "a-value", "created_at": DATE, "updated_at": date }),
        _ => json!({ "name": name, "created_at": DATE, "updated_at": date }),
    };
    let most = if kind == "variables" { 30 } else { 100 };
    listed(kind, all.into_iter().map(entry).collect(), page, most)
}

/// The permission that a request needs, as GitHub's own header names it.
fn permission(rest: &str) -> &'static str {
    match rest.split('/').next().unwrap_or_default() {
        "environments" if rest == "environments" => "actions=read",
        "environments" => "environments=read",
        "dependabot" => "dependabot_secrets=read",
        "deployments" => "deployments=write",
        "issues" => "pull_requests=write",
        _ if rest.ends_with("variables") => "variables=read",
        _ => "secrets=read",
    }
}

fn refusal(status: u16, message: &str) -> Reply {
    let url = "https://docs.github.com/rest";
    (
        status,
        Vec::new(),
        json!({ "message": message, "documentation_url": url, "status": status.to_string() }),
    )
}
