//! What containers printed before this run may hold values that have been replaced since: it is not shown.

use crate::scene::{Done, Scene, docker, done};

const OLD: &str = "canary-of-the-rotated-value";
const NEW: &str = "canary-of-the-present-value";

fn deploy(scene: &Scene, value: &str) -> Done {
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--grant-to", "web", "--wait-timeout", "20s"]);
    command.env("KEY", value);
    done(command)
}

/// `web` prints its secret, `old` has the first value in its log by another way (as a program that was told it would), and
/// ends when a file is there.
fn project(scene: &Scene, restart: &str) {
    scene.write("shared/old", OLD);
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sh, -c, 'cat /run/secrets/key; exec sleep \
         3000']\n  old:\n    image: IMAGE\n    stop_signal: SIGKILL\n    restart: '{restart}'\n    volumes: ['./shared:/shared']\n    \
         command: [sh, -c, 'cat /shared/old; until [ -e /shared/end ]; do sleep 0.2; done; cat /shared/old; exit 3']\n"
    ));
}

#[test]
fn the_log_of_a_container_of_an_earlier_run_is_not_shown_after_a_rotation() {
    for restart in ["no", "always"] {
        let scene = Scene::new("leaks");
        project(&scene, restart);
        deploy(&scene, OLD).expect(0);
        let id = scene.containers()["old"].0.clone();
        scene.write("shared/end", "");
        let start = std::time::Instant::now();
        while docker(["inspect", "--format", "{{.State.ExitCode}}{{.RestartCount}}", &id]).trim() == "00" {
            assert!(start.elapsed().as_secs() < 60, "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        for value in [NEW, NEW] {
            let said = deploy(&scene, value);
            assert!(!said.stderr.contains(OLD), "restart {restart}: {}", said.stderr);
            assert!(!said.stderr.contains(NEW), "restart {restart}: {}", said.stderr);
            // One that is restarted again and again may be up when the gate looks.
            assert!(said.code == 6 || restart == "always", "restart {restart}: {}", said.stderr);
            if said.code == 6 {
                assert!(said.stderr.contains("is not shown: it is older than this run"), "{}", said.stderr);
            }
        }
    }
}

#[test]
fn an_up_that_fails_shows_what_this_run_made_and_nothing_older() {
    let scene = Scene::new("leaks");
    scene.write("shared/old", OLD);
    scene.write("claude-secrets.yml", "services: { new: [KEY], web: [KEY] }\nsecrets: { KEY: }\n");
    let project = |check: &str| {
        scene.compose(&format!(
            "services:\n  old:\n    image: IMAGE\n    volumes: ['./shared:/shared']\n    stop_signal: SIGKILL\n    healthcheck: {{ test: '[ -e /healthy ]', interval: \
             1s, retries: 2 }}\n    command: [sh, -c, 'cat /shared/old; touch /healthy; exec sleep 3000']\n  new:\n    image: \
             IMAGE\n    stop_signal: SIGKILL\n    healthcheck: {{ test: '{check}', interval: 1s, retries: 2 }}\n    command: [sh, \
             -c, 'echo printed by this run; cat /run/secrets/key; exec sleep 3000']\n    labels: {{ check: '{check}' }}\n  \
             web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n    depends_on: {{ new: {{ condition: service_healthy }} }}\n"
        ));
    };
    let deploy = |value: &str, code: i32| {
        let mut command = scene.cli(["deploy", "--wait-timeout", "40s"]);
        command.env("KEY", value);
        done(command).expect(code)
    };
    project("true");
    deploy(OLD, 0);
    docker(["exec", &scene.containers()["old"].0, "rm", "/healthy"]);
    project("false");
    let said = deploy(NEW, 6).stderr;
    assert!(!said.contains(OLD) && !said.contains(NEW), "{said}");
    assert!(said.contains("printed by this run"), "{said}");
}
