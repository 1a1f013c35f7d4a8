//! What the proof asks the engine: networks, volumes, the layers of images and the processes of containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::api::{self, Request};
use super::containers;
use super::tools::Tools;
use crate::error::Result;

/// The kinds of things that containers use and that are inspected by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Used {
    /// Networks.
    Network,
    /// Volumes.
    Volume,
}

/// What the engine says of these networks or volumes; those that are not there are left out.
pub async fn inspect_used(tools: &Tools, kind: Used, names: &BTreeSet<String>) -> Result<Vec<Value>> {
    let place = match kind {
        Used::Network => "networks",
        Used::Volume => "volumes",
    };
    let questions =
        names.iter().map(|name| async move { Request::get(&[place, name]).send(tools).await?.found() });
    Ok(api::each(questions).await?.into_iter().flatten().collect())
}

/// What the engine says of the layers of an image, by the image's id.
pub async fn history(tools: &Tools, image: &str) -> Result<Vec<Value>> {
    let told = Request::get(&["images", image, "history"]).send(tools).await?.found()?;
    match told {
        Some(Value::Array(layers)) => Ok(layers),
        _ => Err(api::unreachable(&format!("it does not tell the layers of {image}"))),
    }
}

/// A process of a container, as the Docker host sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// The user that it works as.
    pub uid: u32,
    /// The group that it works as.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
}

/// The processes of a container. `None` when the container does not run any more, or when the Docker host has no `ps` that
/// tells users by number.
pub async fn processes(tools: &Tools, container: &str) -> Result<Option<Vec<Process>>> {
    let rows = containers::processes(tools, container, "pid,ppid,euid,egid,supgid").await?;
    Ok(rows.and_then(|rows| rows.iter().map(|row| process(&row.join(" "))).collect()))
}

fn process(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (pid, parent, uid, gid) = (number()?, number()?, number()?, number()?);
    let groups = words.next().unwrap_or_default().split(',');
    Some(Process { pid, parent, uid, gid, groups: groups.filter_map(|group| group.parse().ok()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read_with_their_users_and_groups() {
        let read = |line: &str| process(line).map(|p| (p.pid, p.parent, p.uid, p.gid, p.groups));
        assert_eq!(read("326   306   0   0   0"), Some((326, 306, 0, 0, vec![0])));
        assert_eq!(read("7 6 1000 1001 4,27,1000"), Some((7, 6, 1000, 1001, vec![4, 27, 1000])));
        assert_eq!(read("7 6 1000 1001 -"), Some((7, 6, 1000, 1001, vec![])));
        assert_eq!(read("7 6 root root"), None);
    }
}
