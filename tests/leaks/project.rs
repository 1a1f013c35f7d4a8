//! A project with all nasty values and all kinds of services, deployed, and everything that can be seen of it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::adversarial_values::{From, Nasty, values};
use crate::forms::Scanner;
use crate::scene::{Done, Scene, docker, done, service_image, write_private};

/// Users and restrictions of services.
pub const SERVICES: [&str; 4] = ["root", "nonroot", "readonly", "nocaps"];

/// Those whose programs get variables; the others get files alone.
const WITH_VARIABLES: [&str; 2] = ["nonroot", "nocaps"];

/// The files of the project, by path, and what the program is given apart from them.
pub struct Contents {
    pub files: BTreeMap<String, Vec<u8>>,
    pub github: String,
    pub secrets: Vec<Nasty>,
}

/// All values, where they are found, and a scanner that knows them.
pub struct Given {
    pub files: BTreeMap<String, Vec<u8>>,
    /// The JSON of `github-secrets`.
    pub github: String,
    pub secrets: Vec<Nasty>,
    pub scanner: Scanner,
    pub scene: Scene,
}

/// A deployed project and what the run left to read.
pub struct Deployed {
    pub given: Given,
    pub done: Done,
}

/// The project: four services that all get every secret, and each source with its part of them.
pub fn contents(project: &str) -> Contents {
    let secrets = values();
    let names: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
    let map: String = names.iter().map(|name| format!("      {name}: ${{{name}}}\n")).collect();
    let list: String = names.iter().map(|name| format!("      - {name}\n")).collect();
    // Each service prints all that it can read, plainly and encoded: that is its own log, not ours.
    let common = "    image: IMAGE\n    stop_signal: SIGKILL\n    \
                  command: [sh, -c, 'cat /run/secrets/*; base64 /run/secrets/*; exec sleep 3000']\n"
        .replace("IMAGE", &service_image());
    let compose = format!(
        "name: {project}\nservices:\n  root:\n{common}    environment:\n{map}  nonroot:\n{common}    user: \
         '4242:4242'\n    environment:\n{list}  readonly:\n{common}    read_only: true\n    env_file: [.env]\n  \
         nocaps:\n{common}    cap_drop: [ALL]\n    env_file: [.env]\n    environment:\n{map}"
    );
    let all = names.join(", ");
    let files: Vec<String> = secrets
        .iter()
        .filter(|secret| !secret.fits_a_variable())
        .map(|secret| format!("{}: {{ deliver: file }}", secret.name))
        .collect();
    let files = files.join(", ");
    let services: String = SERVICES
        .iter()
        .map(|service| {
            let how = if WITH_VARIABLES.contains(service) {
                format!("variables: {{ {files} }}")
            } else {
                "deliver: file".to_owned()
            };
            format!("  {service}: {{ secrets: [{all}], {how} }}\n")
        })
        .collect();
    let declared: String = names.iter().map(|name| format!("  {name}: {{}}\n")).collect();
    let manifest =
        format!("sources:\n  docker-secrets: {{ dir: given }}\nservices:\n{services}secrets:\n{declared}");
    let mut files: BTreeMap<String, Vec<u8>> = [
        ("compose.yaml".to_owned(), compose.into_bytes()),
        ("claude-secrets.yml".to_owned(), manifest.into_bytes()),
    ]
    .into();
    let (mut dotenv, mut github) = (String::new(), serde_json::Map::new());
    for secret in &secrets {
        match secret.from {
            From::Dotenv => {
                let text = std::str::from_utf8(&secret.value).unwrap();
                dotenv += &format!("{}='{text}'\n", secret.name);
            }
            From::GithubSecrets => {
                let text = String::from_utf8(secret.value.clone()).unwrap();
                github.insert(secret.name.clone(), text.into());
            }
            From::DockerSecrets => {
                files.insert(format!("given/{}", secret.file()), secret.value.clone());
            }
            From::File => {
                files.insert(format!("files/{}", secret.file()), secret.value.clone());
            }
            From::Variable => {}
        }
    }
    files.insert(".env".to_owned(), dotenv.into_bytes());
    let github = serde_json::to_string_pretty(&github).unwrap();
    Contents { files, github, secrets }
}

impl Given {
    /// The project in a directory of its own with its sources, nothing deployed.
    pub fn new(kind: &str) -> Self {
        let scene = Scene::new(kind);
        let this = Self::with(contents(&scene.name), scene);
        for (path, bytes) in &this.files {
            this.scene.write(path, bytes);
        }
        write_private(&this.scene.beside("github.json"), &this.github);
        this
    }

    /// The same for a project that is written elsewhere.
    pub fn of(contents: Contents) -> Self {
        Self::with(contents, Scene::new("unused"))
    }

    fn with(contents: Contents, scene: Scene) -> Self {
        let Contents { files, github, secrets } = contents;
        let scanner =
            Scanner::new(secrets.iter().map(|secret| (secret.name.as_str(), secret.value.as_slice())));
        Self { files, github, secrets, scanner, scene }
    }

    /// The values of the variables through which the program gets secrets.
    pub fn variables(&self) -> BTreeMap<String, std::ffi::OsString> {
        use std::os::unix::ffi::OsStringExt;
        let mut all = BTreeMap::new();
        for secret in &self.secrets {
            match secret.from {
                From::Variable => {
                    all.insert(secret.name.clone(), std::ffi::OsString::from_vec(secret.value.clone()));
                }
                From::File => {
                    all.insert(format!("{}_FILE", secret.name), format!("files/{}", secret.file()).into());
                }
                _ => {}
            }
        }
        all
    }

    /// A call of the command line that finds every value, and leaves a report, outputs and a summary.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.scene.cli(words);
        command
            .arg("--github-secrets-file")
            .arg(self.scene.beside("github.json"))
            .arg("--report-file")
            .arg(self.scene.beside("report.json"))
            .envs(self.variables());
        for (variable, file) in LEFT {
            let path = self.scene.beside(file);
            std::fs::write(&path, "").unwrap();
            command.env(variable, path);
        }
        command
    }
}

/// The files of the runner's commands. Nothing may be written to the last three.
const LEFT: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "output"),
    ("GITHUB_STEP_SUMMARY", "summary"),
    ("GITHUB_ENV", "env"),
    ("GITHUB_STATE", "state"),
    ("GITHUB_PATH", "path"),
];

impl Deployed {
    /// Deploys with the command line, with every detail that it can print.
    pub fn by_command_line(delivery: &str) -> Self {
        let given = Given::new("leaks");
        let done = done(given.command(&["deploy", "--verbose", "--delivery", delivery])).expect(0);
        Self { given, done }
    }

    fn id(&self, service: &str) -> String {
        self.given.scene.containers()[service].0.clone()
    }

    /// The service reads every value, byte for byte.
    #[track_caller]
    pub fn reads_back(&self, service: &str) {
        reads_back(&self.given.secrets, service, &self.id(service));
    }

    /// Nothing that is printed, written or shown holds a value.
    #[track_caller]
    pub fn nothing_shows(&self) {
        let scene = &self.given.scene;
        let clean = |what: &str, text: &[u8]| self.given.scanner.assert_clean(what, text);
        clean("standard output", &self.done.stdout);
        clean("standard error", self.done.stderr.as_bytes());
        for (variable, file) in LEFT {
            let text = std::fs::read(scene.beside(file)).unwrap();
            let written = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"].contains(&variable);
            assert_eq!(!text.is_empty(), written, "{variable}");
            clean(variable, &text);
        }
        clean("the report", &std::fs::read(scene.beside("report.json")).unwrap());
        self.nothing_shows_in_the_project();
        let containers = scene.containers().into_iter().map(|(service, (id, _))| (service, id)).collect();
        nothing_shows_of_services(&self.given.scanner, &containers);
    }

    /// Of what the program wrote into the project, only the secrets' own files hold values; `docker compose config`
    /// with the override, as someone would run it by hand, shows none.
    #[track_caller]
    fn nothing_shows_in_the_project(&self) {
        let scene = &self.given.scene;
        let given = [".env", "given", "files"].map(|name| scene.project().join(name));
        let secrets_dir = scene.project().join("data/secrets");
        for (path, (_, _, content)) in scene.tree() {
            if given.iter().any(|own| path.starts_with(own)) {
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_secret = path.starts_with(&secrets_dir) && name.starts_with("nasty_");
            if !is_secret {
                self.given.scanner.assert_clean(&path.display().to_string(), &content);
            }
        }
        for format in ["json", "yaml"] {
            let mut compose = Command::new("docker");
            compose.args(["compose", "-f", "compose.yaml", "-f", "docker-compose.secrets.yml"]);
            compose.args(["--profile", "*", "config", "--format", format]);
            let shown = done(scene.scrubbed(compose)).expect(0);
            assert!(!shown.stdout.is_empty());
            self.given.scanner.assert_clean("docker compose config", &shown.stdout);
        }
    }
}

/// The service has every secret, byte for byte: as a file, and as a variable of its program where it gets variables.
#[track_caller]
pub fn reads_back(secrets: &[Nasty], service: &str, container: &str) {
    let script = r#"cd /run/secrets && for f in *; do echo "$f $(base64 -w0 "$f")"; done"#;
    let files = decoded(&docker(["exec", container, "sh", "-c", script]));
    assert_eq!(files.len(), secrets.len(), "{service} has other files: {:?}", files.keys());
    let variables =
        decoded(&docker(["exec", container, "sh", "-c", "printf 'all '; base64 -w0 /proc/1/environ"]));
    let variables: Vec<&[u8]> = variables["all"].split(|byte| *byte == 0).collect();
    for secret in secrets {
        let Nasty { name, value, from } = secret;
        let same = files.get(&secret.file()) == Some(value);
        assert!(same, "{service} reads another {name} ({from:?})");
        let variable = [name.as_bytes(), b"=", value].concat();
        let expected = WITH_VARIABLES.contains(&service) && secret.fits_a_variable();
        assert_eq!(
            variables.contains(&variable.as_slice()),
            expected,
            "the variable {name} of {service} ({from:?})"
        );
    }
}

/// Lines of a name and Base64.
fn decoded(printed: &str) -> BTreeMap<String, Vec<u8>> {
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, text)| (name.to_owned(), data_encoding::BASE64.decode(text.as_bytes()).unwrap()))
        .collect()
}

/// Docker shows no value of these containers (by service), nor of any volume or network; their processes have none in
/// their arguments, nor in their environment unless the service gets variables.
#[track_caller]
pub fn nothing_shows_of_services(scanner: &Scanner, containers: &BTreeMap<String, String>) {
    assert_eq!(containers.len(), SERVICES.len());
    for (service, id) in containers {
        scanner.assert_clean("docker inspect", docker(["inspect", id]).as_bytes());
        let of_processes = |file: &str| {
            docker(["exec", id, "sh", "-c", &format!("cat /proc/[0-9]*/{file} | tr '\\0' '\\n'")])
        };
        let (environment, arguments) = (of_processes("environ"), of_processes("cmdline"));
        assert!(arguments.contains("sleep"));
        scanner.assert_clean("the arguments of a service", arguments.as_bytes());
        if WITH_VARIABLES.contains(&service.as_str()) {
            assert!(environment.contains("NASTY_00=") && !environment.contains("NASTY_00_FILE="));
        } else {
            assert!(environment.contains("NASTY_00_FILE="));
            scanner.assert_clean("the environment of a service", environment.as_bytes());
        }
        // Every service prints its values into its own log: the scanner finds them there.
        let own = Command::new("docker").args(["logs", id]).output().unwrap();
        assert!(scanner.find(&own.stdout).len() > 100, "the scanner finds nothing in the log of {service}");
    }
    for kind in ["volume", "network"] {
        for id in docker([kind, "ls", "-q"]).split_whitespace() {
            scanner.assert_clean("labels of a volume or network", docker([kind, "inspect", id]).as_bytes());
        }
    }
}
