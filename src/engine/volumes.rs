//! Making and removing volumes.

use serde_json::{Map, Value, json};

use super::api::{self, Answer, Request};
use super::tools::Tools;
use crate::error::Result;

/// Makes a volume; one of this name that is there stays as it is. A failure is no error here.
pub async fn create(tools: &Tools, name: &str, labels: &[(&str, &str)]) -> Result<Answer> {
    let labels: Map<String, Value> =
        labels.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
    let request = Request::post(&["volumes", "create"]);
    request.json(&json!({ "Name": name, "Labels": labels })).send(tools).await
}

/// Removes volumes. One that is not there, or that a container refers to, is no error.
pub async fn remove<S: AsRef<str>>(tools: &Tools, names: &[S]) -> Result<()> {
    let questions = names.iter().map(|name| Request::delete(&["volumes", name.as_ref()]).send(tools));
    api::each(questions).await.map(|_| ())
}
