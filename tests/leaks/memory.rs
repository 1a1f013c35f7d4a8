//! What others on the machine can see of the running program, and what it says when it breaks.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::scene::{PROGRAM, Scene, is_root};
use crate::support::between::Between;

/// A user that is not root and needs no entry in any file.
const SOMEBODY: u32 = 4242;

#[test]
fn the_running_program_leaves_no_core_and_its_memory_is_closed_to_others_of_its_user() {
    let scene = Scene::new("leaks");
    scene.compose("services:\n  web: { image: IMAGE }\n");
    // An engine that never answers.
    let hangs = Between::at(&scene.beside("hangs.sock"), |_| {
        std::thread::sleep(Duration::from_secs(30));
        None
    });
    std::fs::set_permissions(scene.beside(""), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(
        scene.project().join("compose.yaml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    // Where the program was built not everyone may go. A process of its own copies it: a copy that this one had open for
    // writing when another test forks could not be run.
    let program = scene.beside("claude-secrets");
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    let mut command = Command::new(program);
    command.args(["validate", "--secrets", "KEY"]);
    let mut command = scene.scrubbed(command);
    command.env("DOCKER_HOST", hangs.host()).env("KEY", "canary-value");
    if is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while hangs.asked().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never asked the engine");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it asked the engine");
        std::thread::sleep(Duration::from_millis(20));
    }
    let proc = format!("/proc/{}", child.id());
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let owner = std::fs::metadata(format!("{proc}/environ")).unwrap().uid();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    // The kernel gives the files of a process that is not dumpable to root (proc(5)).
    assert_eq!(owner, 0);
}

/// Not a test by itself: what the child does.
#[test]
fn the_panicking_child() {
    if let Ok(value) = std::env::var("LEAKS_PANIC_WITH") {
        claude_secrets::harden::process();
        panic!("choked on {value}");
    }
}

#[test]
fn a_panic_tells_its_place_and_nothing_else() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::the_panicking_child", "--nocapture"])
        .env("LEAKS_PANIC_WITH", "canary-value")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("a fault of this program at"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}
