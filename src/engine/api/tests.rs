//! What comes of the answers of engines, good ones and bad ones.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::secret::SecretValue;
use crate::sensitive::Sensitive;
use crate::settings::{Environment, Platform};

/// The version that an engine of today tells.
const NEW: &str = r#"{"Version":"30.0","ApiVersion":"1.60","MinAPIVersion":"1.44","Arch":"amd64"}"#;

/// A stand-in for an engine, and what it was asked.
struct Engine {
    directory: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    /// One that answers each request as `answer` does, which gets its first line.
    fn new(answer: impl Fn(&str, &mut UnixStream) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let all = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let first = String::from_utf8(head).unwrap().lines().next().unwrap_or_default().to_owned();
                all.lock().unwrap().push(first.clone());
                answer(&first, &mut stream);
            }
        });
        Self { directory, asked }
    }

    /// One that says which version it is and answers everything else with these bytes.
    fn answering(version: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(move |first, stream| {
            let _ = if first.starts_with("GET /version ") {
                stream.write_all(&json(version))
            } else {
                stream.write_all(bytes)
            };
        })
    }

    fn tools(&self, known: Sensitive) -> Tools {
        let variables = Sensitive::docker_alone(&Environment::default());
        let console = Console::to(Box::new(std::io::sink()), &Platform::default(), known);
        let tools = Tools::new(variables, Arc::new(console), Interrupt::default());
        tools.for_socket(&self.directory.path().join("s"))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn json(text: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
    format!("{head}: {}\r\n\r\n{text}", text.len()).into_bytes()
}

async fn asked(engine: &Engine) -> Result<Answer> {
    Request::get(&["containers", "x", "json"]).send(&engine.tools(Sensitive::default())).await
}

#[tokio::test]
async fn the_version_is_one_that_both_know() {
    for (version, path) in [
        (NEW, "/v1.51/"),
        (r#"{"ApiVersion":"1.41"}"#, "/v1.41/"),
        (r#"{"ApiVersion":"1.45","MinAPIVersion":"1.24"}"#, "/v1.45/"),
        (r#"{"ApiVersion":"1.70","MinAPIVersion":"1.60"}"#, "/v1.60/"),
    ] {
        let engine = Engine::answering(version, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        let tools = engine.tools(Sensitive::default());
        for _ in 0..2 {
            assert!(Request::get(&["info"]).send(&tools).await.unwrap().is_success());
        }
        let line = format!("GET {path}info HTTP/1.1");
        assert_eq!(engine.asked(), ["GET /version HTTP/1.1", &line, &line]);
    }
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_asked_nothing_more() {
    let engine = Engine::answering(r#"{"ApiVersion":"1.40"}"#, b"");
    let error = asked(&engine).await.err().unwrap();
    assert_eq!(error.code, Code::EngineTooOld);
    assert!(error.fact.contains("speaks API 1.40, 1.41 or newer is needed"), "{error}");
    assert_eq!(engine.asked().len(), 1);
}

#[tokio::test]
async fn every_engine_that_does_not_answer_well_is_told_with_one_error() {
    let html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>";
    let of = |answer: &'static [u8]| Engine::new(move |_, stream| drop(stream.write_all(answer)));
    for (engine, said) in [
        (of(html), "is no Docker Engine"),
        (of(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "is no Docker Engine"),
        (of(b"SSH-2.0-OpenSSH_9\r\n"), "does not speak HTTP"),
        (of(b""), "before the end of its answer to GET /version"),
        (of(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"ApiV"), "before the end of its answer"),
        (
            Engine::answering(NEW, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n"),
            "before the end of its answer to GET /containers/x/json",
        ),
    ] {
        let error = asked(&engine).await.err().unwrap();
        assert_eq!(error.code, Code::EngineUnreachable, "{error}");
        assert!(error.fact.contains(said), "{said}: {error}");
    }
    let engine = of(b"");
    std::fs::remove_file(engine.directory.path().join("s")).unwrap();
    let error = asked(&engine).await.err().unwrap();
    assert!(error.fact.contains("/s: no such file or directory"), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_taken_in() {
    let engine = Engine::new(|first, stream| {
        if first.starts_with("GET /version ") {
            stream.write_all(&json(NEW)).unwrap();
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[");
        let blanks = vec![b' '; 64 * 1024];
        while stream.write_all(&blanks).is_ok() {}
    });
    let error = asked(&engine).await.err().unwrap();
    assert!(error.fact.contains("is longer than 64 MiB"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine { directory, asked: Arc::default() };
    // Whoever connects is never listened to.
    let _listener = UnixListener::bind(engine.directory.path().join("s")).unwrap();
    let error = asked(&engine).await.err().unwrap();
    assert!(error.fact.contains("has not answered GET /version for 120 s"), "{error}");
}

#[tokio::test]
async fn what_the_engine_says_of_a_failure_is_redacted() {
    let mut known = Sensitive::default();
    known.add_credential("KEY", &SecretValue::new(b"canary-of-a-test".to_vec()));
    let engine = Engine::answering(
        NEW,
        b"HTTP/1.1 500 Oops\r\nContent-Length: 35\r\n\r\n{\"message\":\"no canary-of-a-test x\"}",
    );
    let answer = Request::get(&["info"]).send(&engine.tools(known)).await.unwrap();
    assert!(!answer.is_success() && !answer.message.contains("canary"), "{}", answer.message);
    let page = Engine::answering(NEW, b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\n<h1>");
    assert_eq!(asked(&page).await.unwrap().message, "it answered with the status 403");
}

#[tokio::test]
async fn a_name_is_never_more_than_a_name() {
    let engine = Engine::answering(NEW, b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}");
    let tools = engine.tools(Sensitive::default());
    for (name, path) in [
        ("ghcr.io/a/b:1@sha256:00", "ghcr.io/a/b:1@sha256:00"),
        ("a?b#c d%2f", "a%3Fb%23c%20d%252f"),
        ("a\r\nB: c", "a%0D%0AB:%20c"),
        ("a/../b", "-"),
        ("..", "-"),
        ("", "-"),
        ("ü", "%C3%BC"),
    ] {
        let found = Request::get(&["images", name, "json"]).query("a", "b&c=d/").send(&tools).await.unwrap();
        assert!(found.is_absent());
        let line = format!("GET /v1.51/images/{path}/json?a=b%26c%3Dd%2F HTTP/1.1");
        assert_eq!(engine.asked().last(), Some(&line));
    }
}

#[tokio::test]
async fn pieces_are_taken_as_they_come_and_of_a_failure_none() {
    let ok = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    let failed = b"HTTP/1.1 500 No\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}";
    for (answer, text, message) in [(&ok[..], &b"abc"[..], ""), (failed, b"", "x")] {
        let engine = Engine::answering(NEW, answer);
        let tools = engine.tools(Sensitive::default());
        let mut taken = Vec::new();
        let mut take = |piece: &[u8]| taken.extend_from_slice(piece);
        let done = Request::get(&["logs"]).pieces(&tools, &mut take).await.unwrap();
        assert_eq!((&taken[..], done.message.as_str()), (text, message));
    }
}

#[tokio::test]
async fn what_goes_on_without_an_end_may_be_silent_once_it_has_begun() {
    let engine = Engine::new(|first, stream| {
        if first.starts_with("GET /version ") {
            stream.write_all(&json(NEW)).unwrap();
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        stream.write_all(b"2\r\nab\r\n0\r\n\r\n").unwrap();
    });
    let tools = engine.tools(Sensitive::default());
    assert!(version(&tools).await.is_ok());
    let (told, mut news) = tokio::sync::mpsc::unbounded_channel();
    let mut take = |piece: &[u8]| drop(told.send(piece.to_vec()));
    let listen = Request::get(&["events"]).events(&tools, &mut take);
    let wait = async {
        assert_eq!(news.recv().await.unwrap(), b"", "it has begun");
        // Two minutes are over at once, and again: nothing is given up.
        tokio::time::pause();
        tokio::time::advance(crate::engine::limits::MOST_SILENCE * 2).await;
        tokio::time::resume();
        assert_eq!(news.recv().await.unwrap(), b"ab");
    };
    let (ended, ()) = tokio::join!(listen, wait);
    assert!(ended.unwrap().is_success());
}

#[tokio::test]
async fn a_program_that_leads_to_no_engine_says_why() {
    use std::os::unix::fs::PermissionsExt;
    let programs = tempfile::tempdir().unwrap();
    let docker = programs.path().join("docker");
    std::fs::write(&docker, "#!/bin/sh\necho 'no such certificate' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).unwrap();
    let pairs = [("PATH", programs.path().to_str().unwrap()), ("DOCKER_HOST", "ssh://far")];
    let variables = Environment::from_pairs(pairs.map(|(name, text)| (name, text.to_owned())));
    let console = Console::to(Box::new(std::io::sink()), &Platform::default(), Sensitive::default());
    let tools = Tools::new(Sensitive::docker_alone(&variables), Arc::new(console), Interrupt::default());
    let error = check(&tools).await.unwrap_err();
    assert!(error.fact.contains("ssh://far: no such certificate"), "{error}");
    // One that passes everything on to an engine.
    let engine = Engine::answering(NEW, b"");
    let script = "#!/usr/bin/env python3\nimport os, socket, sys, threading\ns = socket.socket(socket.AF_UNIX)\n\
                  s.connect('SOCKET')\n\
                  def up():\n    while (b := os.read(0, 4096)): s.sendall(b)\n\
                  threading.Thread(target=up, daemon=True).start()\n\
                  while (b := s.recv(4096)): os.write(1, b)\n";
    let path = engine.directory.path().join("s");
    std::fs::write(&docker, script.replace("SOCKET", path.to_str().unwrap())).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let variables = Environment::from_pairs([("PATH", path), ("DOCKER_HOST", "ssh://far".to_owned())]);
    let console = Console::to(Box::new(std::io::sink()), &Platform::default(), Sensitive::default());
    let tools = Tools::new(Sensitive::docker_alone(&variables), Arc::new(console), Interrupt::default());
    assert_eq!(version(&tools).await.unwrap()["Arch"], "amd64");
}
