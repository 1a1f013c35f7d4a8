//! What children of the program get: no value in any argument or variable.

use std::process::Command;

use crate::project::Given;
use crate::scene::{done, is_root, path_with, write_script};

/// `docker` and the Compose plugin behind scripts that write down their arguments and environment and then run the real
/// program. The plugin is found in fixed directories, so it is put aside in a mount name space of the run's own.
#[test]
fn no_child_gets_a_value_in_its_arguments_or_environment() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    for delivery in ["file", "volume"] {
        let given = Given::new("leaks");
        let records = given.scene.beside("records");
        std::fs::create_dir(&records).unwrap();
        let bin = given.scene.beside("bin");
        let plugins = given.scene.beside("home/.docker/cli-plugins");
        let real = given.scene.beside("real-compose");
        std::fs::write(&real, "").unwrap();
        let docker = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap();
        let docker = String::from_utf8(docker.stdout).unwrap();
        let spy = |program: &str| {
            format!(
                "{{ tr '\\0' '\\n' < /proc/$$/cmdline; tr '\\0' '\\n' < /proc/$$/environ; }} > {}/$$\nexec {program} \"$@\"",
                records.display()
            )
        };
        write_script(&bin.join("docker"), &spy(docker.trim()));
        write_script(&plugins.join("docker-compose"), &spy(&real.display().to_string()));
        let script = "for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do \
                      p=$d/docker/cli-plugins; [ -e $p/docker-compose ] || continue; \
                      [ -s REAL ] || mount --bind $p/docker-compose REAL; mount -t tmpfs none $p; done; exec \"$@\"";
        let inner = given.command(&["deploy", "--delivery", delivery]);
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &script.replace("REAL", &real.display().to_string()), "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        let mut command = given.scene.scrubbed(command);
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("HOME", given.scene.beside("home")).env("PATH", path_with(&bin));
        let done = done(command).expect(0);
        given.scanner.assert_clean("standard error", done.stderr.as_bytes());
        let mut calls = (0, 0);
        for record in std::fs::read_dir(&records).unwrap() {
            let text = std::fs::read(record.unwrap().path()).unwrap();
            let first = String::from_utf8_lossy(&text).lines().nth(1).unwrap_or_default().to_owned();
            if first.ends_with("docker-compose") {
                calls.1 += 1;
                // Its interpolation must pass, so it gets something in each secret's place.
                assert!(text.windows(9).any(|w| w == b"NASTY_00="));
            } else {
                calls.0 += 1;
            }
            given.scanner.assert_clean("the arguments or environment of a child", &text);
            for (_, path) in given.variables().iter().filter(|(name, _)| name.ends_with("_FILE")) {
                let path = path.to_string_lossy();
                assert!(!String::from_utf8_lossy(&text).contains(&*path), "a child is told of {path}");
            }
        }
        assert!(calls.0 >= 5 && calls.1 >= 3, "{calls:?} calls of docker and Compose were seen");
    }
}
