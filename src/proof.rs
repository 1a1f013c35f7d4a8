//! The proof after a deployment: no secret value is visible in what the engine tells of the containers.

use crate::console::Console;
use crate::docker::command::Tools;
use crate::docker::engine;
use crate::error::{Code, Error, Problem, Result};

/// Looks through `docker inspect` of every container of the project for any masked form of any value. Errors:
/// [`Code::Leak`] with the container and the secret's name.
pub async fn nothing_leaked(tools: &Tools, console: &Console, project: &str) -> Result<usize> {
    let containers = engine::containers(tools, project).await?;
    let problems: Vec<Problem> = containers
        .iter()
        .flat_map(|container| {
            let text = container.raw.to_string();
            let found = console.secrets_in(text.as_bytes());
            found.into_iter().map(move |name| {
                Problem::new(format!(
                    "docker inspect {} shows the value of {name}",
                    container.name
                ))
            })
        })
        .collect();
    if problems.is_empty() {
        return Ok(containers.len());
    }
    Err(Error::new(
        Code::Leak,
        "secret values are visible in the containers' configuration",
    )
    .problems(problems)
    .hint("Take the value out of the Compose file, rotate the secret, and deploy again."))
}
