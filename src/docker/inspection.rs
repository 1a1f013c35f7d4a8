//! What the proof asks the engine: networks, volumes, the layers of images and the processes of containers. On the socket of
//! an engine of this machine, else by `docker`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;

use super::command::Tools;
use super::engine::unreachable;
use super::socket::{Answer, Socket};
use crate::error::{Code, Error, Result};

/// The kinds of things that containers use and that are inspected by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Used {
    /// Networks.
    Network,
    /// Volumes.
    Volume,
}

/// What the engine says of these networks or volumes; those that are not there are left out. Without a socket, or without
/// an answer from it, one call of `docker` asks for all.
pub async fn inspect_used(
    tools: &Tools,
    socket: Option<&Socket>,
    kind: Used,
    names: &BTreeSet<String>,
) -> Result<Vec<Value>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let (word, place) = match kind {
        Used::Network => ("network", "networks"),
        Used::Volume => ("volume", "volumes"),
    };
    if let Some(socket) = socket {
        let answers = join_all(names.iter().map(|name| socket.get(place, name, ""))).await;
        if let Some(answers) = answers.into_iter().collect::<Option<Vec<_>>>() {
            let found = answers.into_iter().filter_map(|answer| match answer {
                Answer::Found(value) => Some(value),
                Answer::Absent => None,
            });
            return Ok(found.collect());
        }
    }
    let answer = tools.docker(&[word, "inspect"]).names(names).output().await?;
    match answer.json() {
        Some(Value::Array(list)) => Ok(list),
        _ => Err(unreachable(&answer.stderr)),
    }
}

/// What the engine says of the layers of an image, by the image's id.
pub async fn history(tools: &Tools, socket: Option<&Socket>, image: &str) -> Result<Vec<Value>> {
    if let Some(socket) = socket
        && let Some(Answer::Found(Value::Array(layers))) = socket.get("images", image, "/history").await
    {
        return Ok(layers);
    }
    let answer =
        tools.docker(&["history", "--no-trunc", "--format={{json .}}"]).names([image]).output().await?;
    if !answer.success {
        return Err(unreachable(&answer.stderr));
    }
    let layers = serde_json::Deserializer::from_slice(&answer.stdout).into_iter::<Value>();
    layers.collect::<std::result::Result<_, _>>().map_err(|_| {
        Error::new(Code::Internal, format!("`docker history` of {image} printed something that is no JSON"))
    })
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
pub async fn processes(
    tools: &Tools,
    socket: Option<&Socket>,
    container: &str,
) -> Result<Option<Vec<Process>>> {
    const COLUMNS: &str = "pid,ppid,euid,egid,supgid";
    if let Some(socket) = socket
        && let Some(Answer::Found(answer)) =
            socket.get("containers", container, &format!("/top?ps_args=-eo%20{COLUMNS}")).await
    {
        let rows = answer.get("Processes").and_then(Value::as_array).into_iter().flatten();
        let line = |row: &Value| {
            let words = row.as_array().into_iter().flatten().filter_map(Value::as_str);
            process(&words.collect::<Vec<_>>().join(" "))
        };
        return Ok(rows.map(line).collect());
    }
    let answer = tools.docker(&["top"]).names([container, "-eo", COLUMNS]).output().await?;
    Ok(answer.success.then(|| answer.text().lines().skip(1).map(process).collect()).flatten())
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
