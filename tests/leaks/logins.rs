//! Passwords of registries: used for pulling, and in no file, however the run ends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use data_encoding::BASE64;

use crate::scene::{Scene, done, write_private};
use crate::support::between::Between;

/// A registry that wants a login and has no image. Returns its address and the requests for manifests, with the login of
/// each; it answers those after `patience`.
fn registry(patience: Duration) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let asked = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut stream, mut request, mut login) = (stream, String::new(), String::new());
                let _ = reader.read_line(&mut request);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                        break;
                    }
                    if line.to_lowercase().starts_with("authorization:") {
                        line.trim().clone_into(&mut login);
                    }
                }
                let answer = if login.is_empty() {
                    "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\""
                } else if request.contains("/manifests/") {
                    asked.lock().unwrap().push(login);
                    std::thread::sleep(patience);
                    "404 Not Found"
                } else {
                    "200 OK"
                };
                let _ = write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            });
        }
    });
    (address, seen)
}

fn project(scene: &Scene, registry: &str, logins: &str) -> Command {
    scene.compose(&format!("services:\n  web:\n    image: {registry}/shop:1\n"));
    write_private(&scene.beside("registries"), logins);
    std::fs::create_dir_all(scene.beside("tmp")).unwrap();
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--grant-to", "web"]);
    command.arg("--registries-file").arg(scene.beside("registries")).env("TMPDIR", scene.beside("tmp"));
    command.env("KEY", "a-value-of-the-test");
    command
}

/// Files where a login may lie that hold the password in some form.
fn files_with(password: &str, scene: &Scene) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![scene.beside("tmp"), scene.beside("home")];
    let logins = |path: &Path| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("claude-secrets-login-"))
    };
    for place in ["/dev/shm", "/tmp"] {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        open.extend(entries.filter(|path| logins(path)));
    }
    let encoded = BASE64.encode(format!("user:{password}").as_bytes());
    while let Some(directory) = open.pop() {
        for path in std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if !path.is_symlink() {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
                if text.contains(password) || text.contains(&encoded) {
                    found.push(path);
                }
            }
        }
    }
    found
}

#[test]
fn a_login_serves_for_pulling_and_lies_in_no_file_when_the_run_is_killed_meanwhile() {
    const PASSWORD: &str = "canary-of-a-pull";
    let scene = Scene::new("leaks");
    let (registry, asked) = registry(Duration::from_secs(20));
    let mut command = project(&scene, &registry, &format!("{registry} user {PASSWORD}\n"));
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    while asked.lock().unwrap().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it pulled");
        assert!(start.elapsed() < Duration::from_mins(2), "it never pulls");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(files_with(PASSWORD, &scene), Vec::<PathBuf>::new(), "while it pulls");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files_with(PASSWORD, &scene), Vec::<PathBuf>::new(), "after it was killed");
    let login = asked.lock().unwrap()[0].clone();
    assert_eq!(login.rsplit(' ').next().unwrap(), BASE64.encode(format!("user:{PASSWORD}").as_bytes()));
}

/// By an engine that hangs at the second registry: the first one's password is in no file by then.
#[test]
fn a_run_that_is_killed_during_a_login_leaves_no_file_with_a_password() {
    const PASSWORD: &str = "canary-of-a-login";
    let scene = Scene::new("leaks");
    let (registry, _) = registry(Duration::ZERO);
    let hangs = |asked: &str| asked.contains("/auth ") && asked.contains("hangs.invalid");
    let between = Between::at(&scene.beside("engine.sock"), move |asked| {
        if hangs(asked) {
            std::thread::sleep(Duration::from_mins(1));
        }
        None
    });
    let logins = format!("{registry} user {PASSWORD}\nhangs.invalid user {PASSWORD}\n");
    let mut command = project(&scene, &registry, &logins);
    let mut child = command.env("DOCKER_HOST", between.host()).spawn().unwrap();
    let start = Instant::now();
    while !between.asked().iter().any(|asked| hangs(asked)) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it hung");
        assert!(start.elapsed() < Duration::from_mins(2), "it never logs in to the second");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(files_with(PASSWORD, &scene), Vec::<PathBuf>::new(), "while it logs in");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files_with(PASSWORD, &scene), Vec::<PathBuf>::new(), "after it was killed");
    let of_the_first = between.asked().into_iter().find(|asked| asked.contains("/auth ")).unwrap();
    assert!(of_the_first.contains(PASSWORD), "this test shows nothing");
    let end = done(project(&scene, &registry, &format!("{registry} user {PASSWORD}\n"))).expect(6);
    assert!(!end.stderr.contains(PASSWORD), "{}", end.stderr);
    assert_eq!(files_with(PASSWORD, &scene), Vec::<PathBuf>::new(), "after the next run");
}
