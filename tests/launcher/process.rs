//! The process stays what it was: the engine's signals reach the program, and its exit status reaches the engine.

use crate::site::{Image, Site};
use crate::support::engine::Engine;
use crate::support::{service_image, small_image, wait_until};

fn images() -> (Image, Vec<String>) {
    let scratch = Image::of("FROM scratch\nCMD [\"/probe\"]\n");
    let all = vec![scratch.0.clone(), small_image(), service_image()];
    (scratch, all)
}

#[test]
fn docker_stop_reaches_a_program_that_is_the_first_process() {
    let engine = Engine::shared();
    let site = Site::new().file("pw", "value of pw").variable("PW", "pw");
    let (_scratch, images) = images();
    for image in &images {
        for options in [&[][..], &["--init"], &["--read-only", "--cap-drop=ALL", "--user=10001"]] {
            let container = site.start(options, image, &["/probe", "serve"]);
            let ready = || engine.text(&["logs", &container]) == "ready";
            wait_until("the program is ready", 20, ready);
            // Much longer than the test waits: a signal that reached nobody would end it with 137.
            engine.text(&["stop", "--time=30", &container]);
            let state = &engine.inspect(&container)["State"];
            assert_eq!(state["ExitCode"], 42, "{image} {options:?}");
            engine.run(&["rm", "--force", &container]);
        }
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    let site = Site::new();
    let (_scratch, images) = images();
    for image in &images {
        for status in [0, 1, 7, 125, 255] {
            assert_eq!(site.launch(&[], image, &["/probe", "exit", &status.to_string()]).status, status);
        }
    }
    let killed = site.launch(&[], &service_image(), &["sh", "-c", "kill -KILL $$; exec /probe exit 3"]);
    assert_eq!(killed.status, 3, "the first process of a container cannot kill itself");
    let killed = site.launch(&["--init"], &service_image(), &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status, 137);
}

#[test]
fn standard_input_is_the_programs() {
    use std::io::Write as _;
    let site = Site::new();
    let mut command = site.docker("run");
    command.args(["--rm", "--interactive", "--entrypoint=/run/claude-secrets/exec"]);
    let mut child = command
        .args([&service_image(), "--", "cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo").unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    assert_eq!(done.stdout, b"one\ntwo");
}
