//! All settings of the user, typed and checked. Only this stage reads flags, action inputs and the environment.

mod environment;
mod github;
mod holding;
mod inputs;
mod reading;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
pub use github::GithubSettings;
pub use holding::Holding;
pub use inputs::{INPUTS, Input, Kind};

use self::reading::Reading;
use crate::error::{Code, Error, Result};
use crate::nearest::slip;
use crate::remote::{Address, Server};
use crate::secret::SecretValue;

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All stages: the project runs with its secrets.
    Deploy,
    /// Writes the secret files and refreshes the revisions of an existing override file.
    CreateFiles,
    /// Writes the override file; needs no values.
    CreateCompose,
    /// Everything up to delivery, changing nothing.
    Validate,
    /// Compares what runs with what the last deployment left.
    Drift,
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
        ("drift", Mode::Drift),
        ("down", Mode::Down),
    ];

    /// The mode's name in the input `mode`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// When Compose pulls images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Before every deployment.
    Always,
    /// Only missing images.
    Missing,
    /// Never.
    Never,
}

/// The value of the input `delivery`.
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
    /// The registry's host, as in `docker login`.
    pub host: String,
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub password: SecretValue,
}

/// The settings for Docker Compose.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in Compose")]
pub struct ComposeSettings {
    /// `project-directory`, absolute; if not set, the directory of the first Compose file.
    pub directory: Option<PathBuf>,
    /// `compose-files`, absolute; if empty, Compose discovers them.
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
    /// `stable-for`.
    pub stable_for: Option<Duration>,
}

/// The environment of the run: GitHub Actions, a container.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Platform {
    /// Whether workflow commands are understood (`GITHUB_ACTIONS=true`).
    pub actions: bool,
    /// `RUNNER_ENVIRONMENT`: `github-hosted` or `self-hosted`.
    pub runner_environment: Option<String>,
    /// Whether debug logging is on (`RUNNER_DEBUG=1` or `--verbose`).
    pub debug: bool,
    /// Whether only warnings, errors and the result are printed (`--quiet`).
    pub quiet: bool,
    /// Whether the report goes to standard output as JSON (`--format json`).
    pub json: bool,
    /// The file behind `GITHUB_OUTPUT`.
    pub output_file: Option<PathBuf>,
    /// The file behind `GITHUB_STEP_SUMMARY`.
    pub summary_file: Option<PathBuf>,
    /// The runner's temporary directory, if it exists here.
    pub temporary: Option<PathBuf>,
    /// Whether this process runs in a container (`/.dockerenv` or `/run/.containerenv` is there).
    pub in_container: bool,
    /// The host name, which in a container is usually its id.
    pub host_name: Option<String>,
    /// The terminal that standard error is; `None` where it is none, and under GitHub Actions.
    pub terminal: Option<Terminal>,
    /// Where the page of the errors is, for an action that a workflow names by its repository.
    pub errors_page: Option<String>,
}

/// A terminal that people look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Its columns; `None` where it does not tell.
    pub width: Option<u16>,
    /// Whether it may be given colours: `NO_COLOR` is not set (no-color.org), and `TERM` is not `dumb`.
    pub has_colours: bool,
}

impl Terminal {
    /// The terminal that standard error is, if any.
    fn of(variables: &Environment) -> Option<Self> {
        let stderr = std::io::stderr();
        if !stderr.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stderr).ok();
        Some(Self {
            width: size.map(|size| size.ws_col).filter(|columns| *columns > 0),
            has_colours: variables.value("NO_COLOR").is_none() && variables.text("TERM") != Some("dumb"),
        })
    }
}

impl Platform {
    /// Whether the engine of this machine is there for longer than the workspace: on runners that GitHub does not throw away
    /// after the job, the next checkout wipes what services mount of it.
    pub fn engine_outlives_workspace(&self) -> bool {
        self.actions && self.runner_environment.as_deref() != Some("github-hosted")
    }
}

/// What the `project-files` input asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProjectFiles {
    /// Copied where the engine is on another machine, or outlives the workspace.
    Auto,
    /// Copied.
    Copy,
    /// Mounted at the same path.
    InPlace,
}

/// Where the engine is, and how it is reached.
#[derive(Clone, Default)]
pub struct EngineSettings {
    /// `docker-host`; `None` for Docker's own settings.
    pub host: Option<Address>,
    /// `ssh-known-hosts`: lines, or a file of the workspace with them.
    pub known_hosts: Option<String>,
    /// `ssh-fingerprint`.
    pub fingerprint: Option<String>,
    /// `ssh-key`: the reference of the key, e.g. `vault:secret/deploy#key`.
    pub key: Option<String>,
    /// `ssh-sign`: the reference of who signs a key of this run, e.g. `vault:ssh-client-signer/sign/deploy`.
    pub sign: Option<String>,
    /// `ssh-jump`: the servers on the way, the nearest first.
    pub jumps: Vec<Server>,
    /// `docker-tls-ca`: PEM, or a file of the workspace with it.
    pub tls_ca: Option<String>,
}

impl EngineSettings {
    /// Whether `docker-host` names another machine.
    pub fn is_remote(&self) -> bool {
        self.host.as_ref().is_some_and(Address::is_remote)
    }
}

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
            reading.note(Error::new(Code::Usage, fact).hint("Leave `repo` or `offline` out."));
        }
        let writes_files = matches!(settings.mode, Mode::CreateFiles | Mode::CreateCompose);
        if settings.engine.is_remote() && writes_files {
            reading.note(needs_no_engine(settings.mode));
        }
        reading.wrong().map_or(Ok(settings), Err)
    }
}

impl Reading<'_> {
    /// The settings, with arbitrary values for those that were noted as wrong.
    fn settings(&self, mode: Option<Mode>) -> Settings {
        let given = self.given;
        let platform = platform(given);
        let workspace = match given.variables.text("GITHUB_WORKSPACE").map(PathBuf::from) {
            Some(path) if platform.actions && path.is_dir() => path,
            _ => given.current_directory.to_owned(),
        };
        let directory = self.optional("project-directory").map(|text| clean(&workspace.join(text)));
        if let Some(path) = &directory
            && !path.is_dir()
        {
            self.note(
                Error::new(
                    Code::ProjectDirectoryMissing,
                    format!("project-directory: {} does not exist or is not a directory", path.display()),
                )
                .hint(
                    "Use a directory of the workspace. Does the job check out the repository before this step?",
                ),
            );
        }
        let project = directory.as_deref();
        Settings {
            mode: mode.unwrap_or_else(|| self.choice("mode", Mode::ALL)),
            secrets: self.text("secrets"),
            config: self.optional("config").map(|text| path(&text, &workspace, project)),
            github_secrets: self.secret("github-secrets"),
            github: self.github(platform.actions),
            sources: self.list("sources"),
            env_files: self.list("env-file").into_iter().map(PathBuf::from).collect(),
            prefix: self.optional("prefix"),
            environment: self.optional("environment"),
            grant_to: self.list("grant-to"),
            missing_is_warning: self.choice("on-missing", &[("fail", false), ("warn", true)]),
            next_on_source_error: self.choice("on-source-error", &[("fail", false), ("next", true)]),
            strict: self.switch("strict"),
            timeout: self.duration("timeout"),
            max_age: self.text("max-age").map(|_| self.duration("max-age")),
            ca_certificates: self.optional("ca-certificates"),
            store_inputs: INPUTS
                .iter()
                .filter(|input| input.of_a_store)
                .filter_map(|input| Some((input.name, self.optional(input.name)?)))
                .collect(),
            compose: ComposeSettings {
                files: self
                    .list("compose-files")
                    .iter()
                    .map(|text| path(text, &workspace, project))
                    .collect(),
                directory,
                name: self.optional("project-name"),
                profiles: self.list("profiles"),
                services: self.list("services"),
                pull: self.choice(
                    "pull",
                    &[("always", Pull::Always), ("missing", Pull::Missing), ("never", Pull::Never)],
                ),
                build: self.switch("build"),
                remove_orphans: self.switch("remove-orphans"),
                force_recreate: self.switch("force-recreate"),
                wait: self.switch("wait"),
                wait_timeout: self.duration("wait-timeout"),
                stable_for: self.text("stable-for").map(|_| self.duration("stable-for")),
            },
            engine: self.engine(),
            project_files: self.choice(
                "project-files",
                &[
                    ("auto", ProjectFiles::Auto),
                    ("copy", ProjectFiles::Copy),
                    ("in-place", ProjectFiles::InPlace),
                ],
            ),
            delivery: self.choice(
                "delivery",
                &[
                    ("auto", DeliveryChoice::Auto),
                    ("file", DeliveryChoice::File),
                    ("volume", DeliveryChoice::Volume),
                ],
            ),
            secrets_dir: clean_relative(&self.required("secrets-dir")),
            override_file: clean_relative(&self.required("override-file")),
            registries: self.registries(),
            report_file: self.optional("report-file").map(PathBuf::from),
            sarif_file: self.optional("sarif-file").map(PathBuf::from),
            offline: self.switch("offline"),
            source: self.optional("source"),
            workspace,
            platform,
            slips: slips(given.variables),
            variables: given.variables.clone(),
        }
    }
}

/// Files for another machine's services would be on this one.
fn needs_no_engine(mode: Mode) -> Error {
    let fact = format!(
        "docker-host: mode `{}` writes files on this machine, but the engine is on another one",
        mode.name()
    );
    Error::new(Code::Usage, fact).hint("Remove `docker-host`, or use `deploy`.")
}

fn only_validate(input: &str, mode: Mode) -> Error {
    Error::new(
        Code::Usage,
        format!("{input}: only allowed with mode `validate`, but mode is `{}`", mode.name()),
    )
    .hint(format!("Remove `{input}`, or use `validate`."))
}

/// The variable with which the runner passes an input: in upper case, spaces as `_`, hyphens kept (facts of the runner:
/// `Handler.AddInputsToEnvironment`).
pub fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

/// The environment of the run, which can be read before everything else; the console needs it for its first line.
pub fn platform(given: &Given) -> Platform {
    let path = |name: &str| given.variables.text(name).map(PathBuf::from);
    Platform {
        actions: given.variables.text("GITHUB_ACTIONS") == Some("true"),
        runner_environment: given.variables.text("RUNNER_ENVIRONMENT").map(str::to_owned),
        debug: given.verbose || given.variables.text("RUNNER_DEBUG") == Some("1"),
        quiet: (given.flags)("quiet").as_deref() == Some("true"),
        json: (given.flags)("format").as_deref() == Some("json"),
        output_file: path("GITHUB_OUTPUT"),
        summary_file: path("GITHUB_STEP_SUMMARY"),
        temporary: path("RUNNER_TEMP").filter(|path| path.is_dir()),
        in_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
        host_name: given.variables.text("HOSTNAME").map(str::to_owned),
        terminal: Terminal::of(given.variables)
            .filter(|_| given.variables.text("GITHUB_ACTIONS") != Some("true")),
        errors_page: errors_page(given.variables),
    }
}

/// Inputs that are not ours but look like ours. Others may be secrets, which the `env` source also reads as inputs.
fn slips(variables: &Environment) -> Vec<(String, &'static str)> {
    let known = || INPUTS.iter().map(|input| input.name);
    let foreign = variables.names().filter_map(|name| name.strip_prefix("INPUT_")).map(str::to_lowercase);
    let foreign = foreign.filter(|name| !known().any(|input| input == name));
    foreign.filter_map(|name| slip(&name, known()).map(|meant| (name, meant))).collect()
}

/// The page of the errors in the repository and at the version of the action that runs (`GITHUB_ACTION_REPOSITORY` and
/// `GITHUB_ACTION_REF`, docs.github.com/actions/reference/workflows-and-actions/variables).
fn errors_page(variables: &Environment) -> Option<String> {
    let text = |name: &str| variables.text(name).filter(|text| !text.contains(char::is_whitespace));
    let (repository, reference) = (text("GITHUB_ACTION_REPOSITORY")?, text("GITHUB_ACTION_REF")?);
    let server = text("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    Some(format!("{server}/{repository}/blob/{reference}/docs/errors.md"))
}

/// A path without `.` and, as far as its text tells, without `..`: like Compose's paths (Go's `filepath.Clean`), so that
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
            // Above the root there is the root.
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::RootDir)) => {}
            other => clean.push(other),
        }
    }
    clean
}

/// A relative path without `.`; a `..` is kept, so that it can be refused later.
fn clean_relative(text: &str) -> PathBuf {
    Path::new(text).components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// A path relative to the workspace if it exists there, else relative to the project directory.
fn path(text: &str, workspace: &Path, project: Option<&Path>) -> PathBuf {
    let from_workspace = workspace.join(text);
    match project {
        Some(project) if !from_workspace.exists() && project.join(text).exists() => {
            clean(&project.join(text))
        }
        _ => clean(&from_workspace),
    }
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
