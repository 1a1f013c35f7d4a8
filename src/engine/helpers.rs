//! Our own containers of a project: locks, and those through which volumes are filled.
//!
//! A label alone says nothing: an image hands its labels on to every container that is made from it. Ours are of the empty
//! image and never started.

use serde_json::Value;

use super::empty_image;
use super::objects::{self, Container};
use super::tools::Tools;
use crate::error::Result;
use crate::labels;

/// When a container that was never started was started.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Those of a project.
///
/// # Errors
/// Those of the engine.
pub async fn of_project(tools: &Tools, project: &str) -> Result<Vec<Container>> {
    let mut all = objects::with_label(tools, &labels::with(labels::PROJECT, project)).await?;
    all.retain(is_ours);
    Ok(all)
}

/// Whether a container is one of ours.
pub fn is_ours(container: &Container) -> bool {
    let text = |place: &str| container.raw.pointer(place).and_then(Value::as_str);
    text("/Config/Image") == Some(empty_image::NAME)
        && text("/State/StartedAt") == Some(NEVER)
        && container.label(labels::PROJECT).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_alone_makes_no_container_ours() {
        let is = |image: &str, started: &str, labels: &Value| {
            let raw = json!({
                "Config": { "Image": image, "Labels": labels },
                "State": { "StartedAt": started },
            });
            is_ours(&Container { id: "1".into(), name: "x".into(), service: String::new(), raw })
        };
        let labels = json!({ "claude-secrets.project": "p", "claude-secrets.fills": "v" });
        assert!(is(empty_image::NAME, NEVER, &labels));
        assert!(!is("shop-third", NEVER, &labels));
        assert!(!is(empty_image::NAME, "2026-01-01T00:00:00Z", &labels));
        assert!(!is(empty_image::NAME, NEVER, &json!({})));
    }
}
