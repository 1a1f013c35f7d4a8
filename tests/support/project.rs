//! A runner's folders with a checked-out project in them, and the project's containers. All of it is gone on drop.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::engine::Engine;
use super::unique;

/// The folders of one runner and the Compose project in its workspace.
pub struct Workspace {
    /// The Compose project's name, which is used by no other test.
    pub project: String,
    /// The engine that the project runs on.
    pub engine: Engine,
    /// The repository's name, without its owner: the folder's name, twice.
    pub repository: String,
    work: TempDir,
    folder: PathBuf,
}

/// One container, as far as tests compare it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub id: String,
    pub started: String,
    pub running: bool,
}

impl Workspace {
    /// Empty folders of a runner on the machine's engine.
    pub fn new() -> Self {
        Self::named("shop")
    }

    /// The same for a repository of another name, which is a folder's name.
    pub fn named(repository: &str) -> Self {
        Self::with(repository, Engine::shared())
    }

    /// The same on another engine.
    pub fn with(repository: &str, engine: Engine) -> Self {
        let work = tempfile::Builder::new()
            .prefix("claude-secrets-runner-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let folder = work.path().join(repository).join(repository);
        let this = Self {
            project: format!("cst{}", unique()),
            engine,
            repository: repository.to_owned(),
            work,
            folder,
        };
        std::fs::create_dir_all(&this.folder).unwrap();
        for own in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            std::fs::create_dir_all(this.temp().join(own)).unwrap();
        }
        std::fs::write(this.temp().join("_github_workflow/event.json"), "{}\n").unwrap();
        this
    }

    /// The workspace: where the checkout is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The runner's `_temp`.
    pub fn temp(&self) -> PathBuf {
        self.work.path().join("_temp")
    }

    /// What the runner says in `RUNNER_WORKSPACE`.
    pub fn runner_workspace(&self) -> &Path {
        self.folder.parent().unwrap()
    }

    /// Writes a file of the project, its folders too.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// Writes `docker-compose.yml` with the project's name. `IMAGE` stands for the image that services run, `SLEEP` for
    /// a program that runs on and ends when it is told to.
    pub fn compose(&self, yaml: &str) -> &Self {
        self.compose_file("docker-compose.yml", &format!("name: {}\n{yaml}", self.project))
    }

    /// Writes another Compose file with the same stand-ins, as it is.
    pub fn compose_file(&self, path: &str, yaml: &str) -> &Self {
        let text = yaml
            .replace("IMAGE", &super::service_image())
            .replace("SLEEP", "[sh, -c, 'trap exit TERM INT; sleep 9999 & wait']");
        self.write(path, text)
    }

    /// Reads a file of the workspace; `None` when there is none.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(path)).ok()
    }

    /// Runs `git` in the workspace, which must end well.
    pub fn git(&self, words: &[&str]) {
        let mut command = Command::new("git");
        self.run_git(command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(words));
    }

    /// Commits all that is there.
    pub fn commit(&self) -> &Self {
        if !self.folder.join(".git").is_dir() {
            self.git(&["init", "--quiet", "."]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "project"]);
        self
    }

    /// What `actions/checkout` does to a workspace that is there: everything that is not in the repository goes.
    pub fn checkout(&self) {
        self.git(&["clean", "-ffdx", "--quiet"]);
        self.git(&["reset", "--hard", "--quiet", "HEAD"]);
    }

    fn run_git(&self, command: &mut Command) {
        let output = command
            .current_dir(&self.folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .expect("git starts");
        assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ids of the project's containers by service; the single one of each.
    pub fn containers(&self) -> BTreeMap<String, String> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let format = "{{.Label \"com.docker.compose.service\"}} {{.ID}}";
        let list = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", format];
        let lines = self.engine.lines(&list).into_iter();
        let pair =
            |line: String| line.split_once(' ').map(|(service, id)| (service.to_owned(), id.to_owned()));
        lines.filter_map(pair).collect()
    }

    /// The id of a service's container.
    pub fn container(&self, service: &str) -> String {
        let mut all = self.containers();
        all.remove(service).unwrap_or_else(|| panic!("{service} has no container"))
    }

    /// How every service stands: what must not change when nothing is to change.
    pub fn standing(&self) -> BTreeMap<String, Standing> {
        let containers = self.containers().into_iter();
        containers
            .map(|(service, id)| {
                let raw = self.engine.inspect(&id);
                let started = raw["State"]["StartedAt"].as_str().unwrap().to_owned();
                let running = raw["State"]["Running"] == true;
                (service, Standing { id, started, running })
            })
            .collect()
    }

    /// The variables of a service's container.
    pub fn variables(&self, service: &str) -> BTreeMap<String, String> {
        let raw = self.engine.inspect(&self.container(service));
        let list = raw["Config"]["Env"].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(Value::as_str)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), value.to_owned())
            })
            .collect()
    }

    /// A secret's bytes, as the service's own user reads them.
    pub fn secret(&self, service: &str, file: &str) -> Option<Vec<u8>> {
        self.secret_as(None, service, file)
    }

    /// The names that a service finds in `/run/secrets`, sorted; empty when there is no such directory.
    pub fn secret_files(&self, service: &str) -> Vec<String> {
        let id = self.container(service);
        let list = "cd /run/secrets 2>/dev/null || exit 0; ls -A";
        let text = self.engine.text(&["exec", "--user", "0", &id, "sh", "-c", list]);
        text.lines().map(str::to_owned).collect()
    }

    /// Checks that a service reads these secrets (file name and value), byte for byte and as its own user, that nothing
    /// else is there, and that its variables name the files and hold no value.
    pub fn assert_reads(&self, service: &str, expected: &[(&str, &str)]) {
        self.assert_reads_as(None, service, expected);
    }

    /// The same for a program that has changed its user: `user` is whom it runs as.
    pub fn assert_reads_as(&self, user: Option<&str>, service: &str, expected: &[(&str, &str)]) {
        let names: Vec<&str> = expected.iter().map(|(file, _)| *file).collect();
        assert_eq!(self.secret_files(service), names, "{service}");
        for (file, value) in expected {
            let read = self.secret_as(user, service, file);
            assert!(read.is_some(), "{service} cannot read {file}");
            assert!(read.as_deref() == Some(value.as_bytes()), "{service} reads other bytes in {file}");
        }
        let variables = self.variables(service);
        for (file, value) in expected {
            let name = file.to_uppercase();
            assert_eq!(variables.get(&name).map_or("", String::as_str), "", "{service}: {name}");
            // A file is named by `NAME_FILE`, or the launcher sets a variable from it; one or the other, as it was asked for.
            let by_variable = variables.get(&format!("{name}_FILE")).map(String::as_str);
            let at_start = variables.get("CLAUDE_SECRETS_VARIABLES").map_or("", String::as_str);
            let at_start = at_start.split(' ').any(|pair| pair.ends_with(&format!("={file}")));
            let path = format!("/run/secrets/{file}");
            assert_eq!(by_variable, (!at_start).then_some(path.as_str()), "{service}: {name}");
            assert!(
                variables.values().all(|text| !text.contains(value)),
                "{service}: a value is in a variable"
            );
        }
        let files = variables.keys().any(|name| name.ends_with("_FILE"));
        let mode = if files { "docker_secrets" } else { "environment" };
        let mode = (!expected.is_empty()).then_some(mode);
        assert_eq!(variables.get("SECRETS_MODE").map(String::as_str), mode, "{service}");
    }

    /// A secret's bytes, as this user of the service's container reads them; `None` for its own user.
    pub fn secret_as(&self, user: Option<&str>, service: &str, file: &str) -> Option<Vec<u8>> {
        let (id, path) = (self.container(service), format!("/run/secrets/{file}"));
        let user = user.map_or_else(Vec::new, |user| vec!["--user", user]);
        let done = self.engine.run(&[&["exec"], &user[..], &[&id, "cat", &path]].concat());
        done.success.then_some(done.stdout)
    }

    /// Our volumes of the project, sorted.
    pub fn volumes(&self) -> Vec<String> {
        let mut all = self.engine.volumes(&format!("claude-secrets.project={}", self.project));
        all.retain(|name| !name.ends_with("_claude-secrets-record"));
        all
    }

    /// Our own containers of the project: locks, and those through which volumes are filled. None when no run is on.
    pub fn own_containers(&self) -> Vec<String> {
        self.engine.containers(&format!("claude-secrets.project={}", self.project))
    }

    /// Every file of the workspace but git's, with what is in it: what a run that changes nothing leaves alone.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    if !path.ends_with(".git") {
                        folders.push(path);
                    }
                } else {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    all.insert(path, bytes);
                }
            }
        }
        all
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.engine.remove_project(&self.project);
    }
}
