//! Containers that are never started, through which volumes are filled and files are read; what containers print, and
//! removing them.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::api::{Answer, Request};
use super::objects::Container;
use super::tools::Tools;
use crate::console::Foreign;
use crate::error::Result;

/// A container that is never started.
#[derive(Default)]
pub struct NeverStarted<'a> {
    /// Its name; the engine gives it one when it has none.
    pub name: Option<&'a str>,
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// What it mounts.
    pub mounts: &'a [Mount<'a>],
}

/// What such a container mounts.
pub enum Mount<'a> {
    /// A volume, which the engine makes with these labels when it is not there.
    Volume {
        /// Its name.
        name: &'a str,
        /// Its labels.
        labels: Vec<(&'a str, &'a str)>,
        /// Where it is mounted.
        at: &'a str,
    },
    /// A directory of the engine's machine, which cannot be written to.
    Directory {
        /// Its path.
        path: &'a str,
        /// Where it is mounted.
        at: &'a str,
    },
}

/// Makes a container of an image that is there. The answer has its id; a failure is no error here.
pub async fn create(tools: &Tools, image: &str, new: &NeverStarted<'_>) -> Result<Answer> {
    let mounts = new.mounts.iter().map(|mount| match mount {
        Mount::Volume { name, labels, at } => json!({
            "Type": "volume", "Source": name, "Target": at,
            "VolumeOptions": { "NoCopy": true, "Labels": map(labels) },
        }),
        Mount::Directory { path, at } => {
            json!({ "Type": "bind", "Source": path, "Target": at, "ReadOnly": true })
        }
    });
    let description = json!({
        "Image": image,
        // An image without a command needs one all the same.
        "Entrypoint": ["/claude-secrets-never-started"],
        "Labels": map(new.labels),
        "HostConfig": { "NetworkMode": "none", "Mounts": mounts.collect::<Vec<_>>() },
    });
    let request = Request::post(&["containers", "create"]).json(&description);
    let request = new.name.into_iter().fold(request, |request, name| request.query("name", name));
    request.send(tools).await
}

/// Removes a container of ours. A failure is no error here.
pub async fn remove(tools: &Tools, id: &str) -> Result<Answer> {
    Request::delete(&["containers", id]).query("force", "true").query("v", "true").send(tools).await
}

/// Removes a container of a service, and keeps its volumes without a name: they may hold data. A failure is no error here.
pub async fn remove_of_service(tools: &Tools, id: &str) -> Result<Answer> {
    Request::delete(&["containers", id]).query("force", "true").send(tools).await
}

/// Puts what an archive (tar) has, with its owners and modes, into a directory of a container. A failure is no error here.
pub async fn put(tools: &Tools, id: &str, directory: &str, archive: Zeroizing<Vec<u8>>) -> Result<Answer> {
    let request = Request::put(&["containers", id, "archive"]).query("path", directory);
    request.query("noOverwriteDirNonDir", "true").archive(archive).send(tools).await
}

/// An archive (tar) of what a container has at a path. A failure is no error here.
pub async fn get(tools: &Tools, id: &str, path: &str) -> Result<Answer> {
    Request::get(&["containers", id, "archive"]).query("path", path).send(tools).await
}

/// The processes of a container, in the columns of ps(1): a row of words for each. `None` when it does not run, or when
/// its machine has no such ps.
pub async fn processes(tools: &Tools, id: &str, columns: &str) -> Result<Option<Vec<Vec<String>>>> {
    let request = Request::get(&["containers", id, "top"]).query("ps_args", &format!("-eo {columns}"));
    let answer = request.send(tools).await?;
    let told = if answer.is_success() { answer.json() } else { None };
    let words = |row: &Value| {
        let row = row.as_array().into_iter().flatten().filter_map(Value::as_str);
        row.map(str::to_owned).collect()
    };
    Ok(told.and_then(|told| Some(told.get("Processes")?.as_array()?.iter().map(words).collect())))
}

/// Shows the last lines that a container printed, those since a time by the engine's clock alone where one is given.
pub async fn show_log(
    tools: &Tools,
    container: &Container,
    since: Option<&str>,
    foreign: &mut Foreign<'_>,
) -> Result<()> {
    let (request, mut frames) = last_lines(container);
    let request = since.and_then(seconds).iter().fold(request, |request, at| request.query("since", at));
    let mut take = |piece: &[u8]| {
        frames.push(piece, &mut |is_error, bytes| {
            if is_error { foreign.stderr(bytes) } else { foreign.stdout(bytes) }
        });
    };
    let answer = request.pieces(tools, &mut take).await?;
    if !answer.is_success() {
        foreign.stderr(format!("{}\n", answer.message).as_bytes());
    }
    Ok(())
}

/// The last lines that a container printed, on both of its streams. `None` when the engine does not have them.
pub async fn log(tools: &Tools, container: &Container) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let (request, mut frames) = last_lines(container);
    let answer = request.send(tools).await?;
    if !answer.is_success() {
        return Ok(None);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(answer.body.len()));
    frames.push(&answer.body, &mut |_, bytes| text.extend_from_slice(bytes));
    Ok(Some(text))
}

/// The request for the last lines of a container, and what reads the answer.
fn last_lines(container: &Container) -> (Request, Frames) {
    let request = Request::get(&["containers", &container.id, "logs"]).query("tail", "20");
    let request = request.query("stdout", "true").query("stderr", "true");
    let has_terminal = container.raw.pointer("/Config/Tty").and_then(Value::as_bool) == Some(true);
    (request, Frames { has_terminal, ..Frames::default() })
}

/// A log as the engine sends it: frames, each with its stream and its length before it; without them from a terminal.
#[derive(Default)]
struct Frames {
    has_terminal: bool,
    head: Vec<u8>,
    left: usize,
    is_error: bool,
}

/// The length of the header of a frame: stream, three zeros, length (big-endian).
const HEAD: usize = 8;

impl Frames {
    fn push(&mut self, mut piece: &[u8], take: &mut dyn FnMut(bool, &[u8])) {
        if self.has_terminal {
            take(false, piece);
            return;
        }
        while !piece.is_empty() {
            if self.left == 0 {
                let (head, rest) = piece.split_at(piece.len().min(HEAD - self.head.len()));
                self.head.extend_from_slice(head);
                piece = rest;
                if let [stream, _, _, _, a, b, c, d] = self.head[..] {
                    self.is_error = stream == 2;
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.head.clear();
                }
            } else {
                let (bytes, rest) = piece.split_at(piece.len().min(self.left));
                take(self.is_error, bytes);
                self.left -= bytes.len();
                piece = rest;
            }
        }
    }
}

/// A time as the engine takes it: seconds and nanoseconds since 1970.
fn seconds(at: &str) -> Option<String> {
    let since = humantime::parse_rfc3339(at).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))
}

fn map(labels: &[(&str, &str)]) -> Map<String, Value> {
    labels.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_however_it_is_cut() {
        let mut log = Vec::new();
        for (stream, text) in [(1u8, "out\n"), (2, "error\n"), (1, ""), (1, "end")] {
            log.extend([stream, 0, 0, 0]);
            log.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            log.extend(text.bytes());
        }
        for size in 1..log.len() {
            let (mut out, mut error) = (Vec::new(), Vec::new());
            let mut frames = Frames::default();
            for piece in log.chunks(size) {
                frames.push(piece, &mut |is_error, bytes| {
                    if is_error { &mut error } else { &mut out }.extend_from_slice(bytes);
                });
            }
            assert_eq!((&out[..], &error[..]), (&b"out\nend"[..], &b"error\n"[..]), "{size}");
        }
        let mut out = Vec::new();
        let mut frames = Frames { has_terminal: true, ..Frames::default() };
        frames.push(b"as it is", &mut |_, bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"as it is");
    }

    #[test]
    fn a_time_is_told_in_seconds() {
        assert_eq!(seconds("1970-01-01T00:01:00.000000007Z").as_deref(), Some("60.000000007"));
        assert_eq!(seconds("yesterday"), None);
    }
}
