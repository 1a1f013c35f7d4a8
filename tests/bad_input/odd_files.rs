//! Files that are none, or have no end, in every place where the program reads one: each is refused by what it is, in
//! little memory and time, and nothing of its content is said. Neither the memory nor the time is measured: the system
//! ends a run that takes more.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::case::{CANARY, Refusal, says_it_once};
use crate::forms::Scanner;
use crate::scene::{Done, done, write_private};

/// A kind of file: its name, how it is made, and a word of the error.
type KindOfFile = (&'static str, fn(&Path), &'static str);

/// What stands where a file is expected, and what is said of it.
const KINDS: &[KindOfFile] = &[
    ("a device without an end", |path| symlink("/dev/zero", path).unwrap(), "it is a device"),
    ("a pipe that nobody writes to", pipe, "it is a pipe"),
    ("the step's environment", |path| symlink("/proc/self/environ", path).unwrap(), "by the kernel (proc)"),
    ("the map of all pages", |path| symlink("/proc/self/pagemap", path).unwrap(), "by the kernel (proc)"),
    ("a file of a terabyte with holes", |path| sized(path, 1 << 40), "it is larger than"),
    ("a file of 100 MiB", |path| sized(path, 100 << 20), "it is larger than"),
];

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn sized(path: &Path, bytes: u64) {
    File::create(path).unwrap().set_len(bytes).unwrap();
}

/// One place where a file is read.
struct Place {
    what: &'static str,
    /// Where the odd file is put, below the project.
    path: &'static str,
    words: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// What else the project has.
    files: &'static [(&'static str, &'static str)],
    status: i32,
    code: &'static str,
    /// What the message names besides the reason.
    names: &'static [&'static str],
}

const ONE: &[&str] = &["--secrets", "KEY"];
const VAULT: (&str, &str) = ("VAULT_ADDR", "http://127.0.0.1:1");
const OF_AWS: &[&str] = &["--secrets", "KEY = aws:key", "--aws-region", "eu-central-1"];

const PLACES: &[Place] = &[
    Place {
        what: "the project's `.env`",
        path: ".env",
        words: ONE,
        variables: &[],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &[".env"],
    },
    Place {
        what: "a file of `env-file`",
        path: "prod.env",
        words: &["--secrets", "KEY", "--env-file", "prod.env"],
        variables: &[],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &["env-file", "prod.env"],
    },
    Place {
        what: "the file of a variable NAME_FILE",
        path: "odd",
        words: ONE,
        variables: &[("KEY_FILE", "odd")],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &["KEY_FILE", "/odd"],
    },
    Place {
        what: "the file of an entry NAME_FILE",
        path: "odd",
        words: ONE,
        variables: &[],
        files: &[(".env", "KEY_FILE=odd\n")],
        status: 4,
        code: "source-failed",
        names: &["KEY_FILE", ".env line 1", "/odd"],
    },
    Place {
        what: "the manifest",
        path: "claude-secrets.yml",
        words: ONE,
        variables: &[],
        files: &[],
        status: 2,
        code: "manifest-invalid",
        names: &["manifest", "claude-secrets.yml"],
    },
    Place {
        what: "the manifest that `config` names",
        path: "odd.yml",
        words: &["--secrets", "KEY", "--config", "odd.yml"],
        variables: &[],
        files: &[],
        status: 2,
        code: "manifest-invalid",
        names: &["manifest", "odd.yml"],
    },
    Place {
        what: "the file of `ca-certificates`",
        path: "odd.pem",
        words: &["--secrets", "KEY = vault:secret/bot#key", "--ca-certificates", "odd.pem"],
        variables: &[VAULT, ("VAULT_TOKEN", "hvs.made-up")],
        files: &[],
        status: 2,
        code: "usage",
        names: &["ca-certificates", "odd.pem"],
    },
    Place {
        what: "the file of --github-secrets-file",
        path: "odd.json",
        words: &["--secrets", "KEY", "--github-secrets-file", "odd.json"],
        variables: &[],
        files: &[],
        status: 2,
        code: "usage",
        names: &["--github-secrets-file", "odd.json"],
    },
    Place {
        what: "the file of --registries-file",
        path: "odd.txt",
        words: &["--secrets", "KEY", "--registries-file", "odd.txt"],
        variables: &[],
        files: &[],
        status: 2,
        code: "usage",
        names: &["--registries-file", "odd.txt"],
    },
    Place {
        what: "a Compose file",
        path: "odd.yaml",
        words: &["--secrets", "KEY", "--compose-files", "compose.yaml,odd.yaml"],
        variables: &[],
        files: &[],
        status: 2,
        code: "compose-file-invalid",
        names: &["Compose file", "odd.yaml"],
    },
    Place {
        what: "a file of a `docker-secrets` directory",
        path: "mine/key",
        words: ONE,
        variables: &[],
        files: &[("claude-secrets.yml", "sources: { docker-secrets: { dir: mine } }\n")],
        status: 4,
        code: "source-failed",
        names: &["mine/key"],
    },
    Place {
        what: "the token of a service account for Vault",
        path: "token",
        words: &["--secrets", "KEY = vault:secret/bot#key"],
        variables: &[VAULT],
        files: &[(
            "claude-secrets.yml",
            "sources: { vault: { auth: kubernetes, role: bot, kubernetes-token-file: token } }\n",
        )],
        status: 4,
        code: "source-failed",
        names: &["vault", "token"],
    },
    Place {
        what: "the federated token for Azure",
        path: "token",
        words: &["--secrets", "KEY = azure:key"],
        variables: &[
            ("AZURE_FEDERATED_TOKEN_FILE", "token"),
            ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
            ("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222"),
        ],
        files: &[(
            "claude-secrets.yml",
            "sources: { azure: { vault-url: 'https://bot.vault.azure.net' } }\n",
        )],
        status: 4,
        code: "source-failed",
        names: &["azure", "token"],
    },
    Place {
        what: "the shared configuration of AWS",
        path: "config",
        words: OF_AWS,
        variables: &[("AWS_CONFIG_FILE", "config")],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &["AWS_CONFIG_FILE", "config"],
    },
    Place {
        what: "the shared credentials of AWS",
        path: "credentials",
        words: OF_AWS,
        variables: &[("AWS_SHARED_CREDENTIALS_FILE", "credentials")],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &["AWS_SHARED_CREDENTIALS_FILE", "credentials"],
    },
    Place {
        what: "the identity token for AWS",
        path: "token",
        words: OF_AWS,
        variables: &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bot"),
        ],
        files: &[],
        status: 4,
        code: "source-failed",
        names: &["AWS_WEB_IDENTITY_TOKEN_FILE", "token"],
    },
];

/// A project that no engine hears of.
pub struct Project(tempfile::TempDir);

impl Project {
    pub fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        this.write("compose.yaml", "services: { web: { image: scratch, environment: { KEY: } } }\n");
        this
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file of it.
    pub fn write(&self, path: &str, text: &str) {
        write_private(&self.0.path().join(path), text);
    }

    fn put(&self, path: &str, make: fn(&Path)) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make(&path);
    }

    /// A run that may have 1 GB of addresses, 20 seconds of the processor, and two minutes: none of them is near what a
    /// run needs that ends before it asks Docker.
    pub fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> (Done, String) {
        let outputs = tempfile::NamedTempFile::new().unwrap();
        let mut command = self.command(words);
        command.env("GITHUB_OUTPUT", outputs.path()).envs(variables.iter().copied());
        let script = "ulimit -v 1000000; ulimit -t 20; exec timeout 120 \"$@\"";
        let mut limited = Command::new("sh");
        limited.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        limited.current_dir(self.path()).env_clear();
        for (name, value) in command.get_envs() {
            limited.env(name, value.unwrap_or_default());
        }
        (done(limited), fs::read_to_string(outputs.path()).unwrap())
    }

    /// A run of it without limits.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-secrets"));
        command
            .arg("create-files")
            .args(words)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path().join("nobody's"))
            .env("OTHER_TOKEN", CANARY);
        command
    }
}

fn try_places(part: usize) {
    let mut failed = Vec::new();
    for place in PLACES.iter().skip(part).step_by(4) {
        for (kind, make, reason) in KINDS {
            let what = format!("{}: {kind}", place.what);
            let tried = std::panic::catch_unwind(|| {
                let project = Project::new();
                for (path, text) in place.files {
                    project.write(path, text);
                }
                project.put(place.path, *make);
                let (done, outputs) = project.run(place.words, place.variables);
                assert_eq!(done.code, place.status, "{what}: {}", done.stderr);
                assert!(outputs.contains(place.code), "{what}: {outputs}");
                let wanted = Refusal { status: place.status, code: place.code, names: place.names, fix: "" };
                says_it_once(&what, &done.stderr, &wanted);
                assert!(done.stderr.contains(reason), "{what}: {}", done.stderr);
                Scanner::new([("KEY", CANARY.as_bytes())]).assert_clean(&what, done.stderr.as_bytes());
            });
            if tried.is_err() {
                failed.push(what);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_file_that_is_none_or_has_no_end_is_refused_wherever_one_is_read_1_of_4() {
    try_places(0);
}

#[test]
fn a_file_that_is_none_or_has_no_end_is_refused_wherever_one_is_read_2_of_4() {
    try_places(1);
}

#[test]
fn a_file_that_is_none_or_has_no_end_is_refused_wherever_one_is_read_3_of_4() {
    try_places(2);
}

#[test]
fn a_file_that_is_none_or_has_no_end_is_refused_wherever_one_is_read_4_of_4() {
    try_places(3);
}

/// Python's virtual environments are directories of this name, and Compose passes over them.
#[test]
fn a_directory_named_env_is_no_env_file() {
    let project = Project::new();
    project.put(".env", |path| fs::create_dir(path).unwrap());
    let (done, _) = project.run(ONE, &[]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("KEY"), "{}", done.stderr);
}

/// Git's own files are not ours to judge: what cannot be read there is unknown, and nothing waits for it.
#[test]
fn an_odd_file_of_git_stops_no_run() {
    for name in [".git/index", ".git"] {
        for (kind, make, _) in KINDS {
            let project = Project::new();
            if name == ".git/index" {
                project.write(".git/HEAD", "ref: refs/heads/main\n");
            }
            project.put(name, *make);
            let (done, _) = project.run(ONE, &[("KEY", "a-value-of-its-own")]);
            // Docker's own programs do not run in so few addresses; the places are looked at before they are asked.
            assert!(
                !done.stderr.contains("out of memory") && done.code != 124,
                "{name}: {kind}: {}",
                done.stderr
            );
        }
    }
}
