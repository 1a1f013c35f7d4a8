//! A connection that breaks in the middle of a rotation: the run says so, and the next one goes on from what is there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::scene::done;
use crate::site::{PROJECT, Remote, container, read};
use crate::support::daemon::Daemon;
use crate::support::tap::Tap;

const PLACES: u64 = 20;
/// No run may take longer, cut or not.
const LONGEST: Duration = Duration::from_mins(1);

/// A project on a server behind a wire that can be cut.
struct Wired {
    remote: Remote,
    daemon: Daemon,
    tap: Tap,
}

impl Wired {
    fn new() -> Self {
        let (remote, daemon) = Remote::apart(PROJECT);
        let tap = Tap::before(remote.sshd.port());
        let this = Self { remote, daemon, tap };
        done(this.call("canary-Zq7-first")).expect(0);
        this
    }

    fn call(&self, key: &str) -> Command {
        let host = format!("ssh://root@127.0.0.1:{}{}", self.tap.port(), self.remote.socket);
        let mut command =
            self.remote.scene.cli(["deploy", "--secrets", "KEY\nOTHER", "--docker-host", &host]);
        command.args([
            "--ssh-fingerprint",
            &self.remote.sshd.fingerprint("host"),
            "--report-file",
            "report.json",
        ]);
        command.args(["--timeout", "10s"]).env("SSH_PRIVATE_KEY", self.remote.sshd.text("client"));
        command.env("KEY", key).env("OTHER", "canary-Zq7-other").env_remove("DOCKER_HOST");
        command
    }

    /// The names of all that a run leaves in the project.
    fn files(&self) -> BTreeSet<PathBuf> {
        self.remote.scene.tree().into_keys().collect()
    }

    /// The containers that the engine has.
    fn left(&self) -> Vec<String> {
        let engine = self.daemon.engine();
        let mut names = engine.lines(&["ps", "--all", "--format", "{{.Names}} {{.State}}"]);
        names.sort();
        names
    }
}

#[test]
fn a_connection_that_is_cut_at_twenty_places_of_a_rotation_leaves_nothing_half_done() {
    let wired = Wired::new();
    let engine = wired.daemon.engine();
    wired.tap.mend();
    done(wired.call("canary-Zq7-whole")).expect(0);
    let mut whole = wired.tap.passed();
    let (files, left, worker) = (wired.files(), wired.left(), container(&engine, "worker"));
    let mut failed = 0;
    for place in 1..=PLACES {
        // Once it comes back at once, once not before the next run.
        let for_good = place % 2 == 0;
        let mut value = format!("canary-Zq7-{place}");
        wired.tap.cut_after(whole * place / (PLACES + 1), for_good);
        let mut start = Instant::now();
        let mut cut = done(wired.call(&value));
        while !wired.tap.was_cut() {
            // A run that waits less for the services says less.
            assert_eq!((cut.code, wired.tap.passed() < whole), (0, true), "{}", cut.stderr);
            whole = wired.tap.passed();
            wired.tap.cut_after(whole * place / (PLACES + 1), for_good);
            value.push('+');
            start = Instant::now();
            cut = done(wired.call(&value));
        }
        let at = format!("place {place} of {PLACES} after {:?}: {}", start.elapsed(), cut.stderr);
        assert!(start.elapsed() < LONGEST, "{at}");
        assert!(!cut.stderr.contains("canary"), "{at}");
        if cut.code != 0 {
            failed += 1;
            let error = wired.remote.report()["error"].clone();
            assert_eq!(error["code"], "engine-unreachable", "{at}");
            assert!(
                cut.stderr.contains("broke in the middle of the run")
                    || cut.stderr.contains("broke the connection off"),
                "{at}"
            );
        } else {
            // It was taken up again, or there was nothing left to say but goodbye.
            assert_eq!(read(&engine, "web", "/run/secrets/key"), value, "{at}");
        }
        assert_eq!(wired.files(), files, "{at}");

        wired.tap.mend();
        let next = done(wired.call(&value));
        let at = format!("{at}\nthe next run: {}", next.stderr);
        assert_eq!(next.code, 0, "{at}");
        assert_eq!(read(&engine, "web", "/run/secrets/key"), value, "{at}");
        // A lock whose holder is gone is taken over by the next run that changes something.
        let now: Vec<String> =
            wired.left().into_iter().filter(|name| !name.starts_with("claude-secrets-lock-")).collect();
        assert_eq!(now, left, "{at}");
        assert_eq!(container(&engine, "worker"), worker, "another service was touched: {at}");
        assert_eq!(wired.files(), files, "{at}");
    }
    assert!(failed >= PLACES / 2, "only {failed} of the cuts were noticed");
    // What a cut leaves behind the next rotation takes away: nothing piles up.
    done(wired.call("canary-Zq7-last")).expect(0);
    assert_eq!(wired.left(), left);
    let filter = format!("label=claude-secrets.project={}", wired.remote.scene.name);
    let volumes = engine.lines(&["volume", "ls", "--quiet", "--filter", &filter]);
    assert!(
        volumes.len() <= 5,
        "the launcher's, the record's, one of the other service, the last two of the rotated one: {volumes:?}"
    );
}

#[test]
fn a_server_that_falls_silent_in_the_middle_ends_the_run() {
    let wired = Wired::new();
    wired.tap.mend();
    done(wired.call("canary-Zq7-whole")).expect(0);
    let whole = wired.tap.passed();
    wired.tap.silence_after(whole / 2);
    let start = Instant::now();
    let silent = done(wired.call("canary-Zq7-silent"));
    assert_ne!(silent.code, 0, "{}", silent.stderr);
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}: {}", start.elapsed(), silent.stderr);
    assert_eq!(wired.remote.report()["error"]["code"], "engine-unreachable", "{}", silent.stderr);
    wired.tap.mend();
    done(wired.call("canary-Zq7-silent")).expect(0);
    assert_eq!(read(&wired.daemon.engine(), "web", "/run/secrets/key"), "canary-Zq7-silent");
}
