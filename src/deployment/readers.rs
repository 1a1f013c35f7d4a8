//! Why a service that fails may be unable to read its secrets: its program runs as another user than its image says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::containers;
use crate::engine::objects::{Container, Health, State};
use crate::engine::tools::Tools;
use crate::error::Result;

/// How often the processes of one container are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The services whose secret files one user alone can read.
pub type Readers = BTreeMap<String, Reader>;

/// Who can read a service's secrets.
pub struct Reader {
    /// The user's number.
    pub user: u32,
    /// The names of the secrets.
    pub secrets: Vec<String>,
    /// The other services that get one of them.
    pub others: Vec<String>,
}

/// What is known of the users that programs run as. A program that has ended cannot be asked any more, so it is looked at
/// before.
pub(super) struct Seen<'a> {
    readers: &'a Readers,
    users: BTreeMap<String, BTreeSet<u32>>,
    looked: BTreeMap<String, Instant>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(readers: &'a Readers) -> Self {
        Self { readers, users: BTreeMap::new(), looked: BTreeMap::new() }
    }

    /// Looks at the users of a container's processes, if that can matter and was not done just now.
    pub(super) async fn look(&mut self, tools: &Tools, container: &Container) -> Result<()> {
        let recent = self.looked.get(&container.id).is_some_and(|at| at.elapsed() < EVERY);
        // Most services come up; only of those that seem not to it is worth a call.
        let running = match container.state() {
            State::Running(Health::None) => container.restart_count() > 0,
            State::Running(_) => true,
            _ => false,
        };
        if recent || !running || !self.readers.contains_key(&container.service) {
            return Ok(());
        }
        self.looked.insert(container.id.clone(), Instant::now());
        // Between two starts there is nothing to look at.
        if let Some(rows) = containers::processes(tools, &container.id, "uid,pid").await? {
            self.users.entry(container.id.clone()).or_default().extend(users(&rows));
        }
        Ok(())
    }

    /// What to do about a failed service whose program may not read its secrets; `None` when nothing speaks for that.
    pub(super) async fn help(&self, tools: &Tools, container: &Container) -> Result<Option<String>> {
        let (service, Some(readers)) = (&container.service, self.readers.get(&container.service)) else {
            return Ok(None);
        };
        let reader = &readers.user;
        let others = self.users.get(&container.id).into_iter().flatten();
        if let Some(user) = others.filter(|user| *user != reader && **user != 0).min() {
            return Ok(Some(format!(
                "Its program ran as the user {user}, and its secret files can be read by the user {reader} alone. Say who \
                 reads them, in claude-secrets.yml{}",
                readers.entry(service, &user.to_string())
            )));
        }
        let log = containers::log(tools, container).await?.unwrap_or_default();
        if is_denied(&String::from_utf8_lossy(&log)) {
            return Ok(Some(format!(
                "Its log speaks of a secret file that it may not read; the user {reader} alone can. If its entry point gives \
                 up root, say who reads them (UID is the number of the user that it becomes), in claude-secrets.yml{}",
                readers.entry(service, "UID")
            )));
        }
        Ok(None)
    }
}

impl Reader {
    /// What the manifest must say. Of a secret that it maps to one service the others no longer get it by naming it.
    fn entry(&self, service: &str, user: &str) -> String {
        let also = if self.others.is_empty() {
            String::new()
        } else {
            format!(
                " (with an entry for each other service that gets one of them: {})",
                self.others.join(", ")
            )
        };
        format!(
            " below `services:`{also}: `{service}: {{ secrets: [{}], uid: {user} }}`",
            self.secrets.join(", ")
        )
    }
}

/// The numbers in the first column of a table of processes.
fn users(rows: &[Vec<String>]) -> impl Iterator<Item = u32> + '_ {
    rows.iter().filter_map(|row| row.first()?.parse().ok())
}

/// Whether a program says that a secret may not be read (the words of strerror(3) in the C locale).
fn is_denied(log: &str) -> bool {
    let denied =
        |line: &str| line.contains("/run/secrets") && line.to_lowercase().contains("permission denied");
    log.lines().any(denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_the_table_of_processes() {
        let rows = [["999", "22189"], ["0", "1"], ["root", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(users(&rows).collect::<Vec<_>>(), [999, 0]);
        assert_eq!(users(&[]).count(), 0);
    }

    #[test]
    fn only_a_secret_that_may_not_be_read_is_a_denied_secret() {
        assert!(is_denied("x\ncat: /run/secrets/key: Permission denied\n"));
        assert!(is_denied("open /run/secrets/key: permission denied"));
        assert!(!is_denied(
            "cat: /etc/key: Permission denied\ncat: /run/secrets/key: No such file or directory"
        ));
    }
}
