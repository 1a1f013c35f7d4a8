//! All settings of the user, typed and checked. Only this stage reads flags, action inputs and the environment.

mod address;
mod choices;
mod compose;
mod environment;
mod github;
mod holding;
mod inputs;
mod paths;
mod platform;
mod reading;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::address::{Address, Server};
pub use choices::{DeliveryChoice, Mode, ProjectFiles, Pull};
pub use compose::{ComposeSettings, EngineSettings, RegistryLogin};
pub use environment::Environment;
pub use github::GithubSettings;
pub use holding::Holding;
pub use inputs::{INPUTS, Input, Kind};
pub use paths::clean;
pub use platform::{Platform, Terminal, platform};

use self::reading::Reading;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;

/// All settings.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an input of its own")]
pub struct Settings {
    /// `mode`.
    pub mode: Mode,
    /// `secrets`.
    pub secrets: Option<String>,
    /// `config`, absolute.
    pub config: Option<PathBuf>,
    /// `github-secrets`.
    pub github_secrets: Option<SecretValue>,
    /// `github-token` and what belongs to it.
    pub github: GithubSettings,
    /// `sources`; empty for all that are configured.
    pub sources: Vec<String>,
    /// `env-file`, as given: relative to the project directory.
    pub env_files: Vec<PathBuf>,
    /// `prefix`.
    pub prefix: Option<String>,
    /// `environment`.
    pub environment: Option<String>,
    /// `grant-to`.
    pub grant_to: Vec<String>,
    /// `on-missing` is `warn`.
    pub missing_is_warning: bool,
    /// `on-source-error` is `next`.
    pub next_on_source_error: bool,
    /// `strict`.
    pub strict: bool,
    /// `timeout`.
    pub timeout: Duration,
    /// `max-age`.
    pub max_age: Option<Duration>,
    /// `ca-certificates`: PEM, or a file of the workspace with it.
    pub ca_certificates: Option<String>,
    /// The inputs for one kind of store (`vault-addr`), by their names.
    pub store_inputs: BTreeMap<&'static str, String>,
    /// The settings for Compose.
    pub compose: ComposeSettings,
    /// `docker-host` and what belongs to it.
    pub engine: EngineSettings,
    /// `project-files`.
    pub project_files: ProjectFiles,
    /// `delivery`.
    pub delivery: DeliveryChoice,
    /// `secrets-dir`, as given: relative to the project directory.
    pub secrets_dir: PathBuf,
    /// `override-file`, as given: relative to the project directory.
    pub override_file: PathBuf,
    /// `registries`.
    pub registries: Vec<RegistryLogin>,
    /// `report-file`, as given.
    pub report_file: Option<PathBuf>,
    /// `sarif-file`, as given.
    pub sarif_file: Option<PathBuf>,
    /// `offline`.
    pub offline: bool,
    /// `source`: the only source to ask.
    pub source: Option<String>,
    /// The base of relative paths: the workspace in GitHub Actions, else the current directory.
    pub workspace: PathBuf,
    /// The environment of the run.
    pub platform: Platform,
    /// Unknown inputs, each with the one that was probably meant.
    pub slips: Vec<(String, &'static str)>,
    /// The variables of the process.
    pub variables: Environment,
}

/// The inputs as texts: a flag wins over the action input (`INPUT_…`), which wins over the table's default.
pub struct Given<'a> {
    /// Flags that were given, by input name.
    pub flags: &'a dyn Fn(&str) -> Option<String>,
    /// The variables of the process.
    pub variables: &'a Environment,
    /// The current directory.
    pub current_directory: &'a Path,
    /// Whether `--verbose` was given.
    pub verbose: bool,
}

impl Settings {
    /// Reads all settings. `mode` is the command on the command line; without one, the input decides.
    ///
    /// # Errors
    /// Everything that is wrong, naming the inputs.
    pub fn read(mode: Option<Mode>, given: &Given) -> Result<Self> {
        let reading = Reading::of(given);
        let settings = reading.settings(mode);
        for (input, given) in [("offline", settings.offline), ("source", settings.source.is_some())] {
            if given && settings.mode != Mode::Validate {
                reading.note(only_validate(input, settings.mode));
            }
        }
        if settings.offline && settings.github.repo.is_some() {
            let fact = "repo: with `offline` nothing is asked, and GitHub neither";
            reading.note(Error::new(Code::Usage, fact).help("Leave `repo` or `offline` out."));
        }
        let writes_files = matches!(settings.mode, Mode::CreateFiles | Mode::CreateCompose);
        if settings.engine.is_remote() && writes_files {
            reading.note(needs_no_engine(settings.mode));
        }
        reading.wrong().map_or(Ok(settings), Err)
    }
}

/// Files for another machine's services would be on this one.
fn needs_no_engine(mode: Mode) -> Error {
    let fact = format!(
        "docker-host: mode `{}` writes files on this machine, but the engine is on another one",
        mode.name()
    );
    Error::new(Code::Usage, fact).help("Remove `docker-host`, or use `deploy`.")
}

fn only_validate(input: &str, mode: Mode) -> Error {
    Error::new(
        Code::Usage,
        format!("{input}: only allowed with mode `validate`, but mode is `{}`", mode.name()),
    )
    .help(format!("Remove `{input}`, or use `validate`."))
}

/// The variable with which the runner passes an input: in upper case, spaces as `_`, hyphens kept (facts of the runner:
/// `Handler.AddInputsToEnvironment`).
pub fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        let variables = Environment::from_pairs(pairs.iter().map(|(k, v)| (*k, *v)));
        Settings::read(
            None,
            &Given {
                flags: &|_| None,
                variables: &variables,
                current_directory: Path::new("/"),
                verbose: false,
            },
        )
    }

    #[test]
    fn inputs_arrive_as_the_runner_hands_them_over() {
        let settings = read(&[
            ("INPUT_MODE", "validate"),
            ("INPUT_GRANT-TO", "web, worker\napi"),
            ("INPUT_WAIT", ""),
            ("INPUT_TIMEOUT", "2m"),
        ])
        .unwrap();
        assert_eq!(settings.mode, Mode::Validate);
        assert_eq!(settings.grant_to, ["web", "worker", "api"]);
        assert!(settings.compose.wait, "an empty input counts as not given");
        assert_eq!(settings.timeout, Duration::from_mins(2));
    }

    #[test]
    fn paths_are_written_as_compose_writes_them() {
        for (path, expected) in [("/a/./b/../c", "/a/c"), ("/../a", "/a"), ("a/..", ""), ("./x", "x")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected), "{path}");
        }
        assert_eq!(
            read(&[("INPUT_SECRETS-DIR", "./data/secrets")]).unwrap().secrets_dir,
            Path::new("data/secrets")
        );
    }

    #[test]
    fn every_wrong_input_is_told() {
        let error = read(&[
            ("INPUT_MODE", "depoly"),
            ("INPUT_WAIT", "yes"),
            ("INPUT_TIMEOUT", "soon"),
            ("INPUT_REGISTRIES", "ghcr.io"),
            ("INPUT_PROJECT-DIRECTORY", "nowhere"),
        ]);
        let text = error.err().unwrap().to_string();
        for input in ["mode", "wait", "timeout", "registries", "project-directory"] {
            assert!(text.contains(&format!("{input}: ")), "{input}: {text}");
        }
    }

    #[test]
    fn a_wrong_value_is_described_and_not_echoed() {
        for (input, value) in [
            ("INPUT_MODE", "hunter2hunter2"),
            ("INPUT_WAIT", "hunter2hunter2"),
            ("INPUT_REGISTRIES", "ghcr.io hunter2hunter2"),
        ] {
            let error = read(&[(input, value)]).err().unwrap();
            assert_eq!(error.code, Code::Usage);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
