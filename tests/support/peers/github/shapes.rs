//! Things as GitHub shows them, with everything that its description demands.

use serde_json::{Value, json};

/// The owner of all repositories.
pub const OWNER: &str = "octo-org";
/// What a date is that no test says anything about.
pub const DATE: &str = "2026-01-10T14:59:22Z";

pub fn comment(id: u64, name: &str, issue: u64, login: &str, kind: &str, body: &str) -> Value {
    let url = format!("https://api.github.com/repos/{OWNER}/{name}/issues");
    json!({
        "id": id, "node_id": format!("IC_{id}"), "url": format!("{url}/comments/{id}"),
        "html_url": format!("https://github.com/{OWNER}/{name}/pull/{issue}#issuecomment-{id}"),
        "issue_url": format!("{url}/{issue}"), "body": body, "user": user(login, kind),
        "created_at": DATE, "updated_at": DATE, "author_association": "NONE",
    })
}

pub fn deployment(id: u64, name: &str, body: &Value) -> Value {
    let url = format!("https://api.github.com/repos/{OWNER}/{name}");
    json!({
        "id": id, "node_id": format!("DE_{id}"), "url": format!("{url}/deployments/{id}"), "sha": body["ref"],
        "ref": body["ref"], "task": "deploy", "payload": {}, "environment": body["environment"],
        "original_environment": body["environment"], "description": body["description"], "creator": user("octocat", "User"),
        "created_at": DATE, "updated_at": DATE, "statuses_url": format!("{url}/deployments/{id}/statuses"),
        "repository_url": url, "statuses": [],
    })
}

pub fn status(id: u64, name: &str, deployment: &str, body: &Value) -> Value {
    let url = format!("https://api.github.com/repos/{OWNER}/{name}");
    json!({
        "id": id, "node_id": format!("DS_{id}"), "url": format!("{url}/deployments/{deployment}/statuses/{id}"),
        "state": body["state"], "creator": user("octocat", "User"), "description": "", "environment": "production",
        "target_url": "https://example.com", "created_at": DATE, "updated_at": DATE,
        "deployment_url": format!("{url}/deployments/{deployment}"), "repository_url": url,
        "environment_url": body.get("environment_url").unwrap_or(&json!("https://example.com")),
        "log_url": body.get("log_url").unwrap_or(&json!("https://example.com")),
    })
}

/// An environment.
pub fn environment(name: &str) -> Value {
    json!({
        "id": 1, "node_id": "EN_1", "name": name, "url": "https://api.github.com/environments/1",
        "html_url": "https://github.com/environments/1", "created_at": DATE, "updated_at": DATE,
    })
}

/// The person who asks.
pub fn me(login: &str, kind: &str) -> Value {
    let mut user = user(login, kind);
    for key in ["name", "company", "blog", "location", "email", "hireable", "bio"] {
        user[key] = Value::Null;
    }
    user["blog"] = json!("");
    for key in ["public_repos", "public_gists", "followers", "following"] {
        user[key] = json!(0);
    }
    user["created_at"] = json!(DATE);
    user["updated_at"] = json!(DATE);
    user
}

/// A person or an app, as what they made shows them.
pub fn user(login: &str, kind: &str) -> Value {
    let url = "https://api.github.com/users/x";
    let mut user = json!({ "login": login, "id": 1, "node_id": "U_1", "gravatar_id": "", "type": kind, "site_admin": false });
    for key in [
        "avatar_url",
        "url",
        "html_url",
        "followers_url",
        "following_url",
        "gists_url",
        "starred_url",
        "subscriptions_url",
        "organizations_url",
        "repos_url",
        "events_url",
        "received_events_url",
    ] {
        user[key] = json!(url);
    }
    user
}
