//! The command line as a person runs it: the built program in a directory of its choice, with a scrubbed environment.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

/// Variables of the test's own environment that say where the program runs, or that it would read.
const PREFIXES: &[&str] = &[
    "GITHUB_",
    "RUNNER_",
    "ACTIONS_",
    "INPUT_",
    "COMPOSE_",
    "DOCKER_",
    "CI",
    "RUST_LOG",
    "CLAUDE_SECRETS_",
    "AWS_",
    "VAULT_",
    "AZURE_",
    "OP_",
];

/// One call of the program.
pub struct Cli(Command);

impl Cli {
    /// `claude-secrets` with these words, in this directory, as outside of any runner.
    pub fn new(directory: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-secrets"));
        let foreign = |name: &OsString| {
            let name = name.to_string_lossy();
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| !foreign(name)))
            .current_dir(directory)
            .args(words);
        Self(command)
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.env(name, value.into());
        self
    }

    /// Runs it to its end: exit status, standard output, standard error.
    pub fn run(mut self) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.0.output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
    }
}
