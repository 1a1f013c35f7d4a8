//! One run at a time for a project, also from different machines: a container of a fixed name, whose creation the
//! engine makes atomic. (Creating a volume is not: it succeeds when the volume is there.)

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::Tools;
use super::{empty_image, engine};
use crate::delivery::volume::PROJECT;
use crate::error::{Code, Error, Result};
use crate::files;

/// Label of the lock: who holds it.
pub const HOLDER: &str = "claude-secrets.lock";
const POLL: Duration = Duration::from_millis(500);

/// The lock. Release it with [`EngineLock::release`].
pub struct EngineLock {
    id: String,
}

/// Who holds a lock: a container that still runs, or a process of this machine that is still there.
pub struct Holder {
    /// The id of our container, or empty.
    pub container: String,
    /// Boot id of the machine, process id and the process's start time; empty in a container.
    pub process: String,
}

impl Holder {
    /// This process.
    pub fn me(container: Option<&str>) -> Self {
        let process = format!("{}/{}/{}", boot_id(), std::process::id(), start_time(std::process::id()));
        Self { container: container.unwrap_or_default().to_owned(), process }
    }

    fn label(&self) -> String {
        format!("{}|{}", self.container, self.process)
    }
}

impl EngineLock {
    /// Takes the project's lock, waiting up to `wait` for another run. A lock whose holder is gone is taken over.
    /// Errors: [`Code::Locked`].
    pub async fn take(tools: &Tools, project: &str, holder: &Holder, wait: Duration) -> Result<Self> {
        let name = format!("claude-secrets-lock-{project}");
        let start = Instant::now();
        loop {
            let (of, by) = (format!("{PROJECT}={project}"), format!("{HOLDER}={}", holder.label()));
            let options = [("--name", name.as_str()), ("--label", &of), ("--label", &by)];
            let made = empty_image::create(tools, &options).await?;
            if made.success {
                return Ok(Self { id: made.text().trim().to_owned() });
            }
            let others = engine::inspect(tools, std::slice::from_ref(&name)).await?;
            let Some(other) = others.first() else {
                if made.stderr.contains("is already in use") {
                    // It was released between the two calls.
                    sleep(POLL).await;
                    continue;
                }
                return Err(Error::new(
                    Code::Locked,
                    format!("cannot take the lock of {project}: {}", made.stderr),
                ));
            };
            let theirs = other.label(HOLDER).unwrap_or_default().to_owned();
            if is_gone(tools, &theirs, holder).await? {
                // By its id: a lock that someone else has taken meanwhile has another one.
                tools.docker(&["rm", "--volumes"]).names([&other.id]).output().await?;
                continue;
            }
            if start.elapsed() >= wait {
                return Err(Error::new(
                    Code::Locked,
                    format!("another run is changing the project {project}"),
                )
                .hint("Wait for it; in a workflow, `concurrency:` keeps two runs apart.")
                .hint(format!("If no other run is under way: docker rm {name}")));
            }
            sleep(POLL).await;
        }
    }

    /// Gives the lock back.
    pub async fn release(self, tools: &Tools) {
        // Left behind it is taken over by the next run, since its holder is gone.
        let _ = tools.uninterrupted().docker(&["rm", "--volumes"]).names([&self.id]).output().await;
    }
}

async fn is_gone(tools: &Tools, theirs: &str, me: &Holder) -> Result<bool> {
    let (container, process) = theirs.split_once('|').unwrap_or((theirs, ""));
    if !container.is_empty() {
        let found = engine::inspect(tools, &[container.to_owned()]).await?;
        return Ok(!found.first().is_some_and(|c| matches!(c.state(), engine::State::Running(_))));
    }
    // Of a process of another machine nothing can be known.
    let mut parts = process.split('/');
    let (boot, id, start) = (parts.next(), parts.next().and_then(|id| id.parse().ok()), parts.next());
    let same_machine = boot.is_some_and(|boot| !boot.is_empty() && me.process.starts_with(boot));
    Ok(same_machine && id.is_some_and(|id: u32| Some(start_time(id).as_str()) != start))
}

fn boot_id() -> String {
    let text = files::told_by_the_kernel("/proc/sys/kernel/random/boot_id");
    text.trim().to_owned()
}

/// Field 22 of `/proc/PID/stat`, counted behind the command's closing bracket (proc(5)).
fn start_time(id: u32) -> String {
    let text = files::told_by_the_kernel(&format!("/proc/{id}/stat"));
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().nth(19).unwrap_or_default().to_owned()
}
