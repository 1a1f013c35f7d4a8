//! Everything the user said, typed and checked. Only this stage reads flags, action inputs and the environment.

mod environment;
mod inputs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::{Environment, holds};
pub use inputs::{INPUTS, Input, Kind};

use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::secret::SecretValue;

/// A longer time is none that anybody waits for, and clocks cannot be moved on by any time.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All stages: the project runs with its secrets.
    Deploy,
    /// Writes the secret files and refreshes the revisions of an override file that is there.
    CreateFiles,
    /// Writes the override file; needs no values.
    CreateCompose,
    /// Everything up to delivery, changing nothing.
    Validate,
    /// Stops the project and removes what is ours.
    Down,
}

impl Mode {
    /// Every mode with its name.
    pub const ALL: &'static [(&'static str, Mode)] = &[
        ("deploy", Mode::Deploy),
        ("create-files", Mode::CreateFiles),
        ("create-compose", Mode::CreateCompose),
        ("validate", Mode::Validate),
        ("down", Mode::Down),
    ];

    /// The mode's name, as the `mode` input takes it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// When Compose pulls images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Before every deployment.
    Always,
    /// Only images that are not there.
    Missing,
    /// Never.
    Never,
}

/// What the `delivery` input asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryChoice {
    /// The safest that works here.
    Auto,
    /// Bind-mounted files.
    File,
    /// A volume per service and revision.
    Volume,
}

/// One login of the `registries` input.
#[derive(Clone)]
pub struct RegistryLogin {
    /// The registry's host, as `docker login` takes it.
    pub host: String,
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub password: SecretValue,
}

/// What is said to Docker Compose.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in Compose")]
pub struct ComposeSettings {
    /// `project-directory`, absolute; when not given, the directory of the first Compose file.
    pub directory: Option<PathBuf>,
    /// `compose-files`, absolute; empty when Compose shall discover them.
    pub files: Vec<PathBuf>,
    /// `project-name`.
    pub name: Option<String>,
    /// `profiles`.
    pub profiles: Vec<String>,
    /// `services`: what to start; empty for all.
    pub services: Vec<String>,
    /// `pull`.
    pub pull: Pull,
    /// `build`.
    pub build: bool,
    /// `remove-orphans`.
    pub remove_orphans: bool,
    /// `force-recreate`.
    pub force_recreate: bool,
    /// `wait`.
    pub wait: bool,
    /// `wait-timeout`.
    pub wait_timeout: Duration,
}

/// Where the run stands: under GitHub Actions, in a container.
#[derive(Clone, Default)]
pub struct Platform {
    /// Whether workflow commands are understood (`GITHUB_ACTIONS=true`).
    pub actions: bool,
    /// `RUNNER_ENVIRONMENT`: `github-hosted` or `self-hosted`.
    pub runner_environment: Option<String>,
    /// Whether debug logging is on (`RUNNER_DEBUG=1` or `--verbose`).
    pub debug: bool,
    /// The file behind `GITHUB_OUTPUT`.
    pub output_file: Option<PathBuf>,
    /// The file behind `GITHUB_STEP_SUMMARY`.
    pub summary_file: Option<PathBuf>,
    /// The runner's temporary directory, when it is one that exists here.
    pub temporary: Option<PathBuf>,
    /// Whether this process runs in a container (`/.dockerenv` or `/run/.containerenv` is there).
    pub in_container: bool,
    /// The host name, which in a container is usually its id.
    pub host_name: Option<String>,
}

/// Everything the user said.
#[derive(Clone)]
pub struct Settings {
    /// `mode`.
    pub mode: Mode,
    /// `secrets`.
    pub secrets: Option<String>,
    /// `config`, absolute.
    pub config: Option<PathBuf>,
    /// `github-secrets`.
    pub github_secrets: Option<SecretValue>,
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
    /// `ca-certificates`: PEM, or a file of the workspace that holds it.
    pub ca_certificates: Option<String>,
    /// The inputs that belong to one kind of store (`vault-addr`), by their names.
    pub store_inputs: BTreeMap<&'static str, String>,
    /// What is said to Compose.
    pub compose: ComposeSettings,
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
    /// The directory that relative paths start from: the workspace under GitHub Actions, else the current directory.
    pub workspace: PathBuf,
    /// Where the run stands.
    pub platform: Platform,
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

impl Given<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.flags)(name)
            .or_else(|| self.variables.text(&input_variable(name)).map(str::to_owned))
            .filter(|text| !text.trim().is_empty())
            .or_else(|| {
                INPUTS.iter().find(|i| i.name == name && !i.default.is_empty()).map(|i| i.default.to_owned())
            })
    }

    fn required(&self, name: &str) -> String {
        self.text(name).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.trim().to_owned())
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(['\n', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn switch(&self, name: &str) -> Result<bool> {
        match self.required(name).as_str() {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            other => Err(unexpected(name, other, "`true` or `false`")),
        }
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.required(name);
        choices.iter().find(|(token, _)| *token == text).map(|(_, value)| *value).ok_or_else(|| {
            let tokens: Vec<_> = choices.iter().map(|(token, _)| format!("`{token}`")).collect();
            unexpected(name, &text, &tokens.join(", "))
        })
    }

    fn duration(&self, name: &str) -> Result<Duration> {
        let text = self.required(name);
        let seconds = text.parse::<u64>().map(Duration::from_secs);
        let time = seconds
            .or_else(|_| humantime::parse_duration(&text))
            .map_err(|_| unexpected(name, &text, "a duration such as `90s`, `2m` or a number of seconds"))?;
        Ok(time.min(LONGEST))
    }

    /// A secret input: `INPUT_…`, or the file that the flag `--NAME-file` names.
    fn secret(&self, name: &str) -> Result<Option<SecretValue>> {
        if let Some(path) = (self.flags)(&format!("{name}-file")) {
            let path = self.current_directory.join(path);
            let contents = files::read(&path, LARGEST_VALUES).map_err(|error| {
                Error::io(Code::Usage, &format!("read the file of --{name}-file,"), &path, &error)
                    .hint("Name a file of at most 4 MiB that this user may read.")
            })?;
            return Ok(Some(contents.value));
        }
        Ok(self.variables.value(&input_variable(name)).cloned())
    }
}

impl Settings {
    /// Reads everything the user said. `mode` is the command given on the command line; without one the input decides.
    /// Errors have the code [`Code::Usage`] and name the input.
    pub fn read(mode: Option<Mode>, given: &Given) -> Result<Self> {
        let platform = platform(given);
        let workspace = match given.variables.text("GITHUB_WORKSPACE").map(PathBuf::from) {
            Some(path) if platform.actions && path.is_dir() => path,
            _ => given.current_directory.to_owned(),
        };
        let directory = given.optional("project-directory").map(|text| clean(&workspace.join(text)));
        if let Some(path) = &directory
            && !path.is_dir()
        {
            return Err(Error::new(
                Code::ProjectDirectoryMissing,
                format!("project-directory: {} does not exist or is no directory", path.display()),
            )
            .hint(
                "Name a directory of the workspace. Does the job check the repository out before this step?",
            ));
        }
        let project = directory.as_deref();
        let mode = match mode {
            Some(mode) => mode,
            None => given.choice("mode", Mode::ALL)?,
        };
        Ok(Self {
            mode,
            secrets: given.text("secrets"),
            config: given.optional("config").map(|text| path(&text, &workspace, project)),
            github_secrets: given.secret("github-secrets")?,
            sources: given.list("sources"),
            env_files: given.list("env-file").into_iter().map(PathBuf::from).collect(),
            prefix: given.optional("prefix"),
            environment: given.optional("environment"),
            grant_to: given.list("grant-to"),
            missing_is_warning: given.choice("on-missing", &[("fail", false), ("warn", true)])?,
            next_on_source_error: given.choice("on-source-error", &[("fail", false), ("next", true)])?,
            strict: given.switch("strict")?,
            timeout: given.duration("timeout")?,
            max_age: given.text("max-age").map(|_| given.duration("max-age")).transpose()?,
            ca_certificates: given.optional("ca-certificates"),
            store_inputs: INPUTS
                .iter()
                .filter(|input| input.is_of_a_store())
                .filter_map(|input| Some((input.name, given.optional(input.name)?)))
                .collect(),
            compose: ComposeSettings {
                files: given
                    .list("compose-files")
                    .iter()
                    .map(|text| path(text, &workspace, project))
                    .collect(),
                directory,
                name: given.optional("project-name"),
                profiles: given.list("profiles"),
                services: given.list("services"),
                pull: given.choice(
                    "pull",
                    &[("always", Pull::Always), ("missing", Pull::Missing), ("never", Pull::Never)],
                )?,
                build: given.switch("build")?,
                remove_orphans: given.switch("remove-orphans")?,
                force_recreate: given.switch("force-recreate")?,
                wait: given.switch("wait")?,
                wait_timeout: given.duration("wait-timeout")?,
            },
            delivery: given.choice(
                "delivery",
                &[
                    ("auto", DeliveryChoice::Auto),
                    ("file", DeliveryChoice::File),
                    ("volume", DeliveryChoice::Volume),
                ],
            )?,
            secrets_dir: clean_relative(&given.required("secrets-dir")),
            override_file: clean_relative(&given.required("override-file")),
            registries: registries(given.secret("registries")?)?,
            report_file: given.optional("report-file").map(PathBuf::from),
            workspace,
            platform,
            variables: given.variables.clone(),
        })
    }
}

/// The variable in which the runner hands over an input: upper-cased, blanks as `_`, hyphens kept (facts of the runner:
/// `Handler.AddInputsToEnvironment`).
pub fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

/// What the run can know of where it stands before anything else is read; the console needs it for its first line.
pub fn platform(given: &Given) -> Platform {
    let path = |name: &str| given.variables.text(name).map(PathBuf::from);
    Platform {
        actions: given.variables.text("GITHUB_ACTIONS") == Some("true"),
        runner_environment: given.variables.text("RUNNER_ENVIRONMENT").map(str::to_owned),
        debug: given.verbose || given.variables.text("RUNNER_DEBUG") == Some("1"),
        output_file: path("GITHUB_OUTPUT"),
        summary_file: path("GITHUB_STEP_SUMMARY"),
        temporary: path("RUNNER_TEMP").filter(|path| path.is_dir()),
        in_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
        host_name: given.variables.text("HOSTNAME").map(str::to_owned),
    }
}

/// A path without `.` and, as far as its text tells, without `..`: as Compose writes paths (Go's `filepath.Clean`), so that
/// two of them can be compared.
pub fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// A relative path without `.`; a `..` stays, for whoever refuses it to see.
fn clean_relative(text: &str) -> PathBuf {
    Path::new(text).components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// A path that exists from the workspace, or else is meant from the project directory.
fn path(text: &str, workspace: &Path, project: Option<&Path>) -> PathBuf {
    let from_workspace = workspace.join(text);
    match project {
        Some(project) if !from_workspace.exists() && project.join(text).exists() => {
            clean(&project.join(text))
        }
        _ => clean(&from_workspace),
    }
}

fn unexpected(name: &str, text: &str, expected: &str) -> Error {
    Error::new(
        Code::Usage,
        format!(
            "{name}: expected {expected}, got {} of something else",
            count(text.chars().count(), "character")
        ),
    )
    .hint(format!("Correct the input `{name}`."))
}

fn registries(text: Option<SecretValue>) -> Result<Vec<RegistryLogin>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let lines = std::str::from_utf8(text.expose())
        .map_err(|_| Error::new(Code::Usage, "registries: the input is not UTF-8"))?;
    let mut logins = Vec::new();
    for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(host), Some(user), Some(password), None) => logins.push(RegistryLogin {
                host: host.to_owned(),
                user: user.to_owned(),
                password: SecretValue::new(password.as_bytes().to_vec()),
            }),
            _ => {
                return Err(Error::new(
                    Code::Usage,
                    format!(
                        "registries: line {} has {} words, expected 3",
                        number + 1,
                        line.split_whitespace().count()
                    ),
                )
                .hint("Write one login a line: `host user password`."));
            }
        }
    }
    Ok(logins)
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
        for (path, expected) in [("/a/./b/../c", "/a/c"), ("/../a", "/../a"), ("a/..", ""), ("./x", "x")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected), "{path}");
        }
        assert_eq!(
            read(&[("INPUT_SECRETS-DIR", "./data/secrets")]).unwrap().secrets_dir,
            Path::new("data/secrets")
        );
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
