//! Brings services up and takes the project down.

use std::collections::BTreeSet;

use crate::compose::failed::what_failed;
use crate::compose::project::{Project, With};
use crate::engine::call::Call;
use crate::engine::containers;
use crate::engine::host_paths::HostPath;
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::progress;
use crate::settings::ComposeSettings;

/// Which services an `up` brings up.
pub enum Scope<'a> {
    /// What the `services` input names, with all that they depend on; all when it names none.
    Whole,
    /// These alone: the others are up to date, and a finished one-shot among them must not run again.
    Only(&'a BTreeSet<String>),
}

/// Runs `docker compose up -d` with the override. Images are there already: nothing is pulled or built here.
pub async fn up(
    tools: &Tools,
    project: &Project,
    override_file: &HostPath,
    settings: &ComposeSettings,
    scope: &Scope<'_>,
) -> Result<()> {
    let call = project.call(tools, With::Override(override_file), &settings.profiles);
    let mut call = call.words(&["up", "--detach", "--no-build", "--pull=never"]);
    if settings.remove_orphans {
        call = call.words(&["--remove-orphans"]);
    }
    if settings.force_recreate {
        call = call.words(&["--force-recreate"]);
    }
    call = match scope {
        Scope::Whole => call.names(&settings.services),
        Scope::Only(names) => call.words(&["--no-deps"]).names(*names),
    };
    // Compose waits by itself for what others depend on, without an end, and also where nobody waits for the services.
    let limit = Some(settings.wait_timeout);
    let _shown = progress::begin("docker compose up");
    let Some((success, tail)) = call.stream_within(limit).await? else {
        return Err(Error::new(
            Code::Unhealthy,
            format!(
                "docker compose up did not end within {}",
                humantime::format_duration(settings.wait_timeout)
            ),
        )
        .help("A service that others depend on is not ready. `wait-timeout` gives slow ones more time."));
    };
    if success {
        return Ok(());
    }
    Err(Error::new(Code::DeployFailed, format!("docker compose up failed: {}", what_failed(&tail)))
        .help("What Compose printed is in the log above."))
}

/// Takes the project of a call down: containers and networks. Its own volumes and images stay.
pub async fn down(call: Call) -> Result<()> {
    let (success, tail) = call.words(&["down", "--remove-orphans"]).stream().await?;
    if success {
        return Ok(());
    }
    Err(Error::new(Code::DeployFailed, format!("docker compose down failed: {}", what_failed(&tail)))
        .help("What Compose printed is in the log above."))
}

/// Removes what a run that broke off in the middle of `up` has left: containers that Compose made to replace others, that were
/// never started, and that still have the name by which it makes them. Returns whether there were any.
pub async fn remove_unfinished(tools: &Tools, containers: &[Container]) -> Result<bool> {
    let unfinished: Vec<&String> = containers
        .iter()
        .filter(|container| is_unfinished(container))
        .map(|container| &container.id)
        .collect();
    if unfinished.is_empty() {
        return Ok(false);
    }
    for id in unfinished {
        let removed = containers::remove_of_service(tools, id).await?;
        removed.or_fail(Code::DeployFailed, "cannot remove what an earlier run left unfinished")?;
    }
    Ok(true)
}

/// Compose makes the new container as `ID-OF-THE-OLD_NAME`, and renames it when the old one is gone.
fn is_unfinished(container: &Container) -> bool {
    let status = container.raw.pointer("/State/Status").and_then(serde_json::Value::as_str);
    let start = container.name.split_once('_').map(|(start, _)| start);
    let has_id = start.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    status == Some("created") && has_id && container.label(labels::COMPOSE_REPLACE).is_some()
}

/// Removes containers of services that the project no longer has. Returns their names.
pub async fn remove_orphans(
    tools: &Tools,
    project: &Project,
    containers: &[Container],
) -> Result<Vec<String>> {
    let orphans: Vec<&Container> =
        containers.iter().filter(|c| !project.model.services.contains_key(&c.service)).collect();
    if orphans.is_empty() {
        return Ok(Vec::new());
    }
    for orphan in &orphans {
        let removed = containers::remove_of_service(tools, &orphan.id).await?;
        removed.or_fail(Code::DeployFailed, "cannot remove the containers of services that are gone")?;
    }
    Ok(orphans.iter().map(|container| container.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Container, is_unfinished};

    #[test]
    fn only_what_was_never_started_and_never_renamed_is_unfinished() {
        let container = |name: &str, status: &str, labels: serde_json::Value| Container {
            id: "1".to_owned(),
            name: name.to_owned(),
            service: "web".to_owned(),
            raw: json!({ "State": { "Status": status }, "Config": { "Labels": labels } }),
        };
        let replaces = || json!({ "com.docker.compose.replace": "p-web-1" });
        assert!(is_unfinished(&container("cfd03f966106_p-web-1", "created", replaces())));
        for (name, status, labels) in [
            ("cfd03f966106_p-web-1", "running", replaces()),
            ("cfd03f966106_p-web-1", "created", json!({})),
            ("p-web-1", "created", replaces()),
            ("p_web_1", "created", replaces()),
        ] {
            assert!(!is_unfinished(&container(name, status, labels)), "{name} {status}");
        }
    }
}
