//! What a program or an engine that answers a question may take: time without a sign of life, room, and memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};
use tokio::process::Child;
use tokio::time::Instant;

/// How long a program whose answer is awaited may neither read nor print anything: an engine that hangs, or a project
/// that Docker Compose would work on for hours.
pub(super) const MOST_SILENCE: Duration = Duration::from_mins(2);

/// The most that a program may print, or the engine may answer, where all of it is taken in: a project of hundreds of services
/// fits many times.
pub(super) const MOST_OUTPUT: usize = 64 * 1024 * 1024;

/// The most memory (bytes) that Docker Compose may take to read a project; real ones need a twentieth of it. A few lines
/// can ask for more than a machine has, since variables and anchors multiply.
pub(super) const MOST_MEMORY: u64 = 2 << 30;

/// When a program last read or printed something.
#[derive(Clone)]
pub(super) struct Moves(Arc<Mutex<Instant>>);

impl Default for Moves {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Moves {
    /// What to call with all that passes through a pipe.
    pub(super) fn noting(&self) -> impl FnMut(&[u8]) + Send + use<> {
        let last = self.0.clone();
        move |_| *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now()
    }

    /// Waits until nothing has passed for this long.
    pub(super) async fn end(&self, most: Duration) {
        loop {
            let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + most;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// Limits what the program itself may take. One that has ended already needs no limit.
pub(super) fn limit_memory(child: &Child) {
    let most = Rlimit { current: Some(MOST_MEMORY), maximum: Some(MOST_MEMORY) };
    if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = rustix::process::prlimit(Some(id), Resource::Data, most);
    }
}

/// Whether a program in Go says that it got no more memory.
pub(super) fn is_out_of_memory(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    text.contains("runtime: out of memory") || text.contains("cannot allocate memory")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::console::Console;
    use crate::engine::call::Call;
    use crate::engine::tools::Tools;
    use crate::interrupt::Interrupt;
    use crate::sensitive::Sensitive;
    use crate::settings::{Environment, Platform};

    #[tokio::test(start_paused = true)]
    async fn a_program_is_given_up_only_after_it_was_silent_for_the_whole_time() {
        let moves = Moves::default();
        let mut note = moves.noting();
        let start = Instant::now();
        let talk = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(100)).await;
                note(b"x");
            }
        };
        tokio::join!(talk, moves.end(MOST_SILENCE));
        assert_eq!(start.elapsed().as_secs(), 1000 + 120);
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_never_answers_is_stopped_with_a_reason() {
        let programs = tempfile::tempdir().unwrap();
        let docker = programs.path().join("docker");
        std::fs::write(&docker, "#!/bin/sh\nexec /bin/sleep 1000\n").unwrap();
        std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).unwrap();
        let path = [("PATH", programs.path().to_str().unwrap().to_owned())];
        let variables = Sensitive::docker_alone(&Environment::from_pairs(path));
        let console =
            Arc::new(Console::to(Box::new(std::io::sink()), &Platform::default(), Sensitive::default()));
        let tools = Tools::new(variables, console, Interrupt::default());
        let output =
            Call::docker(&tools, &["info"]).output().await.unwrap_or_else(|error| panic!("{}", error.fact));
        assert_eq!(
            (output.success, output.stderr.as_str()),
            (false, "it was stopped, not having answered for 120 s")
        );
    }

    #[tokio::test]
    async fn a_program_that_takes_more_memory_than_it_may_fails() {
        for (gibibytes, is_fine) in [(1, true), (3, false)] {
            let mut command = tokio::process::Command::new("python3");
            command.arg("-c").arg(format!("import sys; sys.stdin.read(); bytearray({gibibytes} << 30)"));
            command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            limit_memory(&child);
            drop(child.stdin.take());
            assert_eq!(child.wait().await.unwrap().success(), is_fine, "{gibibytes} GiB");
        }
    }
}
