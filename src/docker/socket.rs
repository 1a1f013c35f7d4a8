//! Short questions to an engine on this machine, asked on its socket. A client that is started for each of them takes 20 ms
//! of the processor; this takes one.
//!
//! It is a short cut and nothing else: where it does not lead to an answer, `docker` is asked, which knows contexts, TLS and
//! SSH, and says what is wrong.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::command::Tools;
use super::engine;

/// How long an answer may take. The engine may be busy; then `docker` waits for it, which can be interrupted.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer answer (bytes) is left to `docker`.
const LONGEST: u64 = 16 << 20;

/// The socket of the engine on this machine.
pub struct Socket(PathBuf);

/// What the engine answered.
pub enum Answer {
    /// What was asked for.
    Found(Value),
    /// There is nothing of this name.
    Absent,
}

impl Socket {
    /// The socket, when the engine that `docker` speaks to is on this machine.
    pub async fn of(tools: &Tools) -> Option<Self> {
        match engine::endpoint(tools).await.ok()? {
            None => Some(Self("/var/run/docker.sock".into())),
            Some(endpoint) => Some(Self(endpoint.strip_prefix("unix://")?.into())),
        }
    }

    /// Asks with GET for what the engine has of this kind and name, e.g. `networks`, `shop_default`, with what follows in
    /// the path. The path has no version: the engine answers in its newest form. `None` when there is no answer of one of
    /// these kinds.
    pub async fn get(&self, kind: &str, name: &str, rest: &str) -> Option<Answer> {
        // Names that would have to be escaped are left to `docker`.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if !name.bytes().all(is_plain) || name.starts_with('.') {
            return None;
        }
        let path = format!("/{kind}/{name}{rest}");
        let bytes = tokio::time::timeout(PATIENCE, self.exchange(&path)).await.ok()??;
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        match head.split(' ').nth(1)? {
            "200" => serde_json::from_slice(&bytes[end + 4..]).ok().map(Answer::Found),
            "404" => Some(Answer::Absent),
            _ => None,
        }
    }

    /// HTTP/1.0: one question, and an answer that ends with the connection.
    async fn exchange(&self, path: &str) -> Option<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.0).await.ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.take(LONGEST).read_to_end(&mut bytes).await.ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What comes of an answer, and what was asked.
    fn asked(answer: &'static [u8], name: &str) -> (Option<Answer>, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..40 {
                if let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    let mut bytes = vec![0; 1024];
                    let read = stream.read(&mut bytes).unwrap();
                    stream.write_all(answer).unwrap();
                    return String::from_utf8_lossy(&bytes[..read]).into_owned();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            String::new()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(Socket(path).get("networks", name, "?verbose=false"));
        (answer, server.join().unwrap())
    }

    #[test]
    fn what_is_found_is_told_from_what_is_absent_and_from_no_answer() {
        let (found, question) = asked(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"Id\": 1}", "shop_default");
        assert!(matches!(found, Some(Answer::Found(value)) if value["Id"] == 1));
        assert!(question.starts_with("GET /networks/shop_default?verbose=false HTTP/1.0\r\n"), "{question}");
        assert!(matches!(asked(b"HTTP/1.0 404 Not Found\r\n\r\n{}", "x").0, Some(Answer::Absent)));
        for answer in [&b"HTTP/1.0 500 Oops\r\n\r\n{}"[..], b"HTTP/1.0 200 OK\r\n\r\n{\"cut", b"", b"HTTP"] {
            assert!(asked(answer, "x").0.is_none());
        }
    }

    #[test]
    fn names_that_mean_something_in_an_address_are_never_asked_for() {
        for name in ["a/../b", "a?b", "a b", "a%2f", "..", "ü", "a\r\nB: c"] {
            let (answer, question) = asked(b"HTTP/1.0 200 OK\r\n\r\n{}", name);
            assert!(answer.is_none() && question.is_empty(), "{name:?}");
        }
    }
}
