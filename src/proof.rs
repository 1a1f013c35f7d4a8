//! The proof after a deployment: no secret value is visible in what the engine tells of the containers.

use crate::console::Console;
use crate::docker::command::Tools;
use crate::docker::engine::{self, Container};
use crate::error::{Code, Error, Problem, Result};

/// Looks through what `docker inspect` shows of every container of the project for any masked form of any value. Errors:
/// [`Code::Leak`] with the container and the secret's name.
pub async fn nothing_leaked(tools: &Tools, console: &Console, project: &str) -> Result<usize> {
    let containers = engine::containers(tools, project).await?;
    let problems: Vec<Problem> = containers
        .iter()
        .flat_map(|container| {
            let found = console.secrets_in(shown(container).as_bytes());
            found.into_iter().map(move |name| {
                Problem::new(format!("docker inspect {} shows the value of {name}", container.name))
            })
        })
        .collect();
    if problems.is_empty() {
        return Ok(containers.len());
    }
    Err(Error::new(Code::Leak, "secret values are visible in the containers' configuration")
        .problems(problems)
        .hint("Take the value out of the Compose file, rotate the secret, and deploy again."))
}

/// What programs are given, as the engine shows it. Names and paths are left out, and the labels that hold them: a short
/// value may stand there by chance.
fn shown(container: &Container) -> String {
    let part = |path: &str| container.raw.pointer(path).cloned().unwrap_or_default();
    let labels = part("/Config/Labels").as_object().cloned().unwrap_or_default();
    let foreign = labels
        .into_iter()
        .filter(|(name, _)| !name.starts_with("com.docker.compose.") && !name.starts_with("claude-secrets."));
    let parts = ["/Path", "/Args", "/Config/Env", "/Config/Cmd", "/Config/Entrypoint", "/Config/Healthcheck"];
    let mut all: Vec<String> = parts.into_iter().map(|path| part(path).to_string()).collect();
    all.extend(foreign.map(|(name, value)| format!("{name}={value}")));
    all.join("\n")
}
