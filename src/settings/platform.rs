//! Where the run is: GitHub Actions, a container, a terminal.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::{Environment, Given};

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

/// The page of the errors in the repository and at the version of the action that runs (`GITHUB_ACTION_REPOSITORY` and
/// `GITHUB_ACTION_REF`, docs.github.com/actions/reference/workflows-and-actions/variables).
fn errors_page(variables: &Environment) -> Option<String> {
    let text = |name: &str| variables.text(name).filter(|text| !text.contains(char::is_whitespace));
    let (repository, reference) = (text("GITHUB_ACTION_REPOSITORY")?, text("GITHUB_ACTION_REF")?);
    let server = text("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    Some(format!("{server}/{repository}/blob/{reference}/docs/errors.md"))
}
