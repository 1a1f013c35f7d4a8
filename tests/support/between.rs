//! A socket before the engine's: it writes down what is asked, answers some of it by itself, and passes on the rest.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// The socket of the machine's engine.
const ENGINE: &str = "/var/run/docker.sock";

/// The socket. The threads behind it end with the test.
pub struct Between {
    path: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Between {
    /// Listens at a path. `reply` gets what is asked first on each connection, as it is sent, and gives the status and the
    /// text of the answer; or nothing for what the engine answers.
    pub fn at(path: &Path, reply: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let (asked, reply) = (Arc::new(Mutex::new(Vec::new())), Arc::new(reply));
        let all = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, reply) = (all.clone(), reply.clone());
                thread::spawn(move || serve(stream, &all, &*reply));
            }
        });
        Self { path: path.to_owned(), asked }
    }

    /// What `DOCKER_HOST` is for it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// What was asked first on each connection.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut near: UnixStream,
    all: &Mutex<Vec<String>>,
    reply: &(dyn Fn(&str) -> Option<(u16, String)> + Send + Sync),
) {
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        let mut piece = [0; 16 * 1024];
        let Ok(count @ 1..) = near.read(&mut piece) else { return };
        bytes.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    all.lock().unwrap().push(text.clone());
    if let Some((status, body)) = reply(&text) {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let _ = near.write_all(answer.as_bytes());
        return;
    }
    let Ok(mut far) = UnixStream::connect(ENGINE) else { return };
    if far.write_all(&bytes).is_err() {
        return;
    }
    let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut near, &mut far);
    let _ = far.shutdown(Shutdown::Write);
    let _ = back.join();
}

/// Whether a request has arrived with all that it says that it sends.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, length) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| length.parse::<usize>().ok())?
    });
    bytes.len() >= head.len() + 4 + length.unwrap_or(0)
}
