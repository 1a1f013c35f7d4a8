//! What the machine has: no socket, an engine that does not answer, programs that are missing or too old.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::case::{Refusal, again, refuses, running};
use crate::scene::{Scene, is_root, write_script};
use crate::support::between::Between;

const KEY: &[&str] = &["--secrets", "KEY"];

#[test]
fn without_a_socket_the_error_names_its_path() {
    let scene = running();
    let mut command = again(&scene, KEY);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let wanted =
        Refusal { status: 6, code: "docker-socket-missing", names: &["/nowhere/docker.sock"], fix: "runner" };
    refuses(&scene, command, "no socket", &wanted);
}

#[test]
fn an_engine_that_is_down_is_told_as_that() {
    let scene = running();
    let path = scene.beside("dead.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut command = again(&scene, KEY);
    command.env("DOCKER_HOST", format!("unix://{}", path.display()));
    let wanted = Refusal { status: 6, code: "engine-unreachable", names: &["dead.sock"], fix: "" };
    refuses(&scene, command, "the engine is down", &wanted);
}

#[test]
fn an_engine_that_is_too_old_is_told_with_both_versions() {
    let scene = running();
    let answer = r#"{"Platform":{"Name":""},"Version":"19.03.15","ApiVersion":"1.40"}"#;
    let old = Between::at(&scene.beside("old.sock"), move |asked| {
        asked.starts_with("GET /version ").then(|| (200, answer.to_owned()))
    });
    let mut command = again(&scene, KEY);
    command.env("DOCKER_HOST", old.host());
    let wanted = Refusal { status: 6, code: "engine-too-old", names: &["1.40", "1.41"], fix: "20.10" };
    refuses(&scene, command, "the engine is too old", &wanted);
}

/// Whatever answers in place of the engine, or goes wrong on the way to it, is one error.
#[test]
fn what_is_no_engine_is_told_as_that() {
    let scene = running();
    let listens = |name: &str, answer: (u16, &'static str)| {
        Between::at(&scene.beside(name), move |_| Some((answer.0, answer.1.to_owned()))).host()
    };
    let page = listens("page.sock", (200, "<html>an inner page</html>"));
    let gone = listens("gone.sock", (502, ""));
    let short = r#"{"ApiVersion":"1.4"#;
    let cut = listens("cut.sock", (200, short));
    for (host, names) in [
        (page.as_str(), &["page.sock is no Docker Engine"][..]),
        (&gone, &["gone.sock is no Docker Engine"]),
        (&cut, &["cut.sock is no Docker Engine"]),
        ("tcp://127.0.0.1:1", &["tcp://127.0.0.1:1: connection refused"]),
        ("far", &["names no engine"]),
    ] {
        let mut command = again(&scene, KEY);
        command.env("DOCKER_HOST", host);
        refuses(&scene, command, host, &Refusal { status: 6, code: "engine-unreachable", names, fix: "" });
    }
    let mut command = again(&scene, KEY);
    command.env_remove("DOCKER_HOST").env("DOCKER_CONTEXT", "of-nobody");
    let wanted =
        Refusal { status: 6, code: "engine-unreachable", names: &["context of-nobody"], fix: "context ls" };
    refuses(&scene, command, "a context that is not there", &wanted);
}

/// A run for which the machine's Compose plugin is put aside: in a mount name space of its own.
fn without_plugin(scene: &Scene, plugin: Option<&str>) -> Command {
    let inner = again(scene, KEY);
    let real = scene.beside("real-compose");
    std::fs::write(&real, "").unwrap();
    if let Some(text) = plugin {
        let path = scene.beside("home/.docker/cli-plugins/docker-compose");
        write_script(&path, &text.replace("REAL", &real.display().to_string()));
    }
    let script = "for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do \
                  p=$d/docker/cli-plugins; [ -e $p/docker-compose ] || continue; \
                  [ -s REAL ] || mount --bind $p/docker-compose REAL; mount -t tmpfs none $p; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script.replace("REAL", &real.display().to_string()), "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let mut command = scene.scrubbed(command);
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("HOME", scene.beside("home"));
    command
}

#[test]
fn a_compose_that_is_too_old_is_told_with_both_versions() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = running();
    let old = "case \" $* \" in *' version '*) echo v2.20.3; exit 0;; esac\nexec REAL \"$@\"";
    let wanted = Refusal {
        status: 6,
        code: "compose-too-old",
        names: &["2.20.3", "2.24"],
        fix: "https://docs.docker.com/compose/install",
    };
    refuses(&scene, without_plugin(&scene, Some(old)), "Compose is too old", &wanted);
}

/// One that is so old that it does not even know the words that we use.
#[test]
fn a_compose_that_does_not_understand_us_is_too_old_and_not_the_project_wrong() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = running();
    let old = "case \" $* \" in *' version '*) echo v2.2.0; exit 0;; esac\necho 'unknown flag: --no-interpolate' >&2; exit 16";
    let wanted = Refusal {
        status: 6,
        code: "compose-too-old",
        names: &["2.2.0", "2.24"],
        fix: "https://docs.docker.com/compose/install",
    };
    refuses(&scene, without_plugin(&scene, Some(old)), "Compose is much too old", &wanted);
}

/// Two versions that print a project in another form than all others (docker/compose 2.24.7 and 2.25.0, cmd/compose/config.go).
#[test]
fn a_compose_that_prints_no_whole_project_is_too_old_and_not_the_project_wrong() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = running();
    let written = r#"{"name":"x","services":{"web":{"image":"x","environment":["KEY='"$KEY"'"],"env_file":["/x.env"]}}}"#;
    let versions: [&'static [&'static str]; 2] = [&["2.24.7", "2.26"], &["2.25.0", "2.26"]];
    for (names, printed) in versions.into_iter().zip([written, "name: x\nservices: {}"]) {
        let version = names[0];
        let odd = format!(
            "case \" $* \" in *' version '*) echo v{version}; exit 0;; *' config '*) echo '{printed}'; exit 0;; esac\n\
             exec REAL \"$@\""
        );
        let wanted = Refusal {
            status: 6,
            code: "compose-too-old",
            names,
            fix: "https://docs.docker.com/compose/install",
        };
        refuses(&scene, without_plugin(&scene, Some(&odd)), version, &wanted);
    }
}

#[test]
fn without_compose_the_error_tells_what_to_install() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = running();
    let wanted = Refusal {
        status: 6,
        code: "compose-missing",
        names: &["Docker Compose was not found"],
        fix: "https://docs.docker.com/compose/install",
    };
    refuses(&scene, without_plugin(&scene, None), "no Compose", &wanted);
}
