//! `docker` and the Compose plugin behind scripts that write down their arguments and environment and then run the real
//! program. The plugin is found in fixed directories, so it is put aside in a mount name space of the run's own.

use std::path::PathBuf;
use std::process::Command;

use crate::scene::{Scene, path_with, write_script};

/// The records of one scene.
pub struct Spy {
    records: PathBuf,
    bin: PathBuf,
    home: PathBuf,
    real: PathBuf,
}

/// One program that was started.
pub struct Started {
    /// Whether it was Docker Compose.
    pub is_compose: bool,
    /// What followed its name.
    pub arguments: Vec<String>,
    /// Everything: arguments and environment.
    pub text: Vec<u8>,
}

impl Spy {
    /// Puts the scripts beside a scene's project. Only root can run commands behind it.
    pub fn new(scene: &Scene) -> Self {
        let this = Self {
            records: scene.beside("records"),
            bin: scene.beside("bin"),
            home: scene.beside("home"),
            real: scene.beside("real-compose"),
        };
        std::fs::create_dir(&this.records).unwrap();
        std::fs::write(&this.real, "").unwrap();
        let docker = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap();
        let docker = String::from_utf8(docker.stdout).unwrap();
        let spy = |kind: &str, program: &str| {
            format!(
                "r=$(mktemp {0}/{kind}.XXXXXX); tr '\\0' '\\n' < /proc/$$/environ > $r.env\nprintf '%s\\0' \"$@\" > \
                 $r\nexec {program} \"$@\"",
                this.records.display()
            )
        };
        write_script(&this.bin.join("docker"), &spy("docker", docker.trim()));
        let plugin = this.home.join(".docker/cli-plugins/docker-compose");
        write_script(&plugin, &spy("compose", &this.real.display().to_string()));
        this
    }

    /// The same command with the scripts in the programs' places.
    pub fn behind(&self, scene: &Scene, inner: &Command) -> Command {
        let script = "for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do \
                      p=$d/docker/cli-plugins; [ -e $p/docker-compose ] || continue; \
                      [ -s REAL ] || mount --bind $p/docker-compose REAL; mount -t tmpfs none $p; done; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            &script.replace("REAL", &self.real.display().to_string()),
            "sh",
        ]);
        // A shell hands on no variable with a hyphen in its name.
        command.arg("env");
        for (name, value) in
            inner.get_envs().filter(|(name, _)| !["PATH", "HOME"].map(Some).contains(&name.to_str()))
        {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value.unwrap_or_default());
            command.arg(pair);
        }
        command.arg(inner.get_program()).args(inner.get_args());
        let mut command = scene.scrubbed(command);
        command.env("HOME", &self.home).env("PATH", path_with(&self.bin));
        command
    }

    /// What was started since this was last asked.
    pub fn started(&self) -> Vec<Started> {
        let mut all = Vec::new();
        for path in std::fs::read_dir(&self.records).unwrap().map(|entry| entry.unwrap().path()) {
            if path.to_string_lossy().ends_with(".env") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let environment = format!("{}.env", path.display());
            let text = [&bytes[..], &std::fs::read(&environment).unwrap()].concat();
            let arguments = String::from_utf8(bytes).unwrap();
            let arguments = arguments.split_terminator('\0').map(str::to_owned).collect();
            let is_compose = path.file_name().unwrap().to_string_lossy().starts_with("compose");
            all.push(Started { is_compose, arguments, text });
            std::fs::remove_file(path).unwrap();
            std::fs::remove_file(environment).unwrap();
        }
        all
    }
}
