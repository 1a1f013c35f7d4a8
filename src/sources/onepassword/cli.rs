//! Runs the 1Password CLI, `op`: with only those variables of our environment that it needs, and within the deadline of the
//! sources.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout_at;
use zeroize::Zeroizing;

use super::refusal::Message;
use crate::arguments::Arguments;
use crate::diagnostic::Diagnostic;
use crate::error::plain_reason;
use crate::files::{self, LARGEST_VALUES};
use crate::secret::SecretValue;
use crate::settings::Environment;
use crate::sources::net::{self, Failure, Network};
use crate::sources::{Options, SourceError};

/// The version with service accounts (1Password's documentation, "Use service accounts with 1Password CLI").
const OLDEST: (u32, u32) = (2, 18);
/// No store has a larger response.
const MAX_OUTPUT: usize = net::MAX_BODY;
/// How much of its messages is kept.
const MAX_ERRORS: usize = 64 * 1024;
/// How to get the program if it can be installed.
const INSTALL_OP: &str = "Install the 1Password CLI 2.18 or newer (https://developer.1password.com/docs/cli/get-started), or set `op-path` to it.";
/// Variables for proxies and trusted certificates: for every sign-in method.
const NETWORK: &[&str] = &[
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// Variables with which `op` finds the 1Password app and its own settings.
const DESKTOP: &[&str] = &["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "OP_BIOMETRIC_UNLOCK_ENABLED"];

/// The sign-in method of `op`.
pub(super) enum Login {
    /// A service account, with its token.
    ServiceAccount(SecretValue),
    /// The user who is signed in to this account on this machine.
    Desktop(String),
}

/// The program, and how it is run.
pub(super) struct Op {
    login: Login,
    /// The variable of the token, for messages.
    token_variable: String,
    /// The path in `op-path`.
    named: Option<PathBuf>,
    /// Where `op-path` was set.
    named_by: String,
    variables: Environment,
    network: Arc<Network>,
    /// The temporary directory for the settings of `op`: nothing of the user's own is read or written.
    private: OnceCell<TempDir>,
}

impl Op {
    /// Who signs in, in words.
    pub(super) fn login_in_words(&self) -> String {
        match &self.login {
            Login::ServiceAccount(_) => format!("the service account of {}", self.token_variable),
            Login::Desktop(_) => "who is signed in on this machine".to_owned(),
        }
    }
}

/// How a run of the program ended.
pub(super) enum Ended {
    /// With success and its output.
    Well(Zeroizing<Vec<u8>>),
    /// With an error and its message.
    Badly(Message),
}

impl Op {
    /// The program of a run. Nothing is looked for yet. `workspace` is where a relative `op-path` starts.
    pub(super) fn new(login: Login, options: &Options, network: Arc<Network>, workspace: &Path) -> Self {
        Self {
            login,
            token_variable: options.variable("SERVICE_ACCOUNT_TOKEN"),
            named: options.text("op-path").map(|path| workspace.join(path)),
            named_by: options.said_by("op-path"),
            variables: options.environment().clone(),
            network,
            private: OnceCell::new(),
        }
    }

    /// Runs it with these arguments, and `template` on its standard input.
    ///
    /// # Errors
    /// Why it cannot read any item: it is missing, too old, timed out, or not allowed to read anything.
    pub(super) async fn run(
        &self,
        arguments: Arguments,
        template: Option<&str>,
    ) -> Result<Ended, SourceError> {
        let (status, output, errors) = self.ended(arguments, template).await.map_err(SourceError::Failed)?;
        // Before 2.32.1 it succeeded after server errors, and printed only a message.
        if status.success() && (!output.is_empty() || errors.trim().is_empty()) {
            return Ok(Ended::Well(output));
        }
        Ok(Ended::Badly(Message::parse(&errors)))
    }

    /// Why there are no replies, given a message that is not about a reference. Checks the version if that may be the reason.
    pub(super) async fn refused(&self, message: &Message) -> SourceError {
        if message.is_unknown()
            && let Some(refusal) = self.too_old().await
        {
            return SourceError::Failed(refusal);
        }
        let token = matches!(self.login, Login::ServiceAccount(_)).then_some(self.token_variable.as_str());
        message.refused(token)
    }

    async fn too_old(&self) -> Option<Diagnostic> {
        let (status, output, _) = self.ended(Arguments::new(&["--version"]), None).await.ok()?;
        let text = String::from_utf8_lossy(&output).trim().to_owned();
        let mut parts = text.split('.').map(str::parse::<u32>);
        let version = (parts.next()?.ok()?, parts.next()?.ok()?);
        (status.success() && version < OLDEST).then(|| {
            Diagnostic::with_help(
                format!("`op` is version {text}, but 2.18 or newer is required"),
                self.get_op(),
            )
        })
    }

    async fn ended(&self, arguments: Arguments, template: Option<&str>) -> Result<Talked, Diagnostic> {
        crate::sources::calls::one();
        let mut child = self.command(arguments, template.is_some()).await?.spawn().map_err(|error| {
            Diagnostic::with_help(format!("`op` cannot be started: {}", plain_reason(&error)), self.get_op())
        })?;
        let late = |_| {
            let failure = Failure::Deadline(self.network.timeout());
            failure.refusal("1Password by `op`", "1password.com")
        };
        let talked = timeout_at(self.network.deadline(), talk(&mut child, template)).await.map_err(late)?;
        talked.map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => Failure::TooLong.refusal("1Password by `op`", "`op`"),
            _ => Diagnostic::with_help(
                format!("`op` cannot be read: {}", plain_reason(&error)),
                "Run this again.",
            ),
        })
    }

    async fn command(&self, mut arguments: Arguments, has_input: bool) -> Result<Command, Diagnostic> {
        if let Login::Desktop(account) = &self.login {
            arguments.option("--account", account);
        }
        let mut command = Command::new(self.program()?);
        command
            .args(arguments.into_vec())
            .env_clear()
            .envs(self.environment().await?)
            // A pipe, as `op inject` requires: it does not read a socket or a redirected file.
            .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Only these variables reach the program.
    async fn environment(&self) -> Result<Vec<(&'static str, OsString)>, Diagnostic> {
        let given = |names: &'static [&'static str]| {
            let bytes =
                |name| self.variables.value(name).map(|value| OsStr::from_bytes(value.expose()).to_owned());
            names.iter().filter_map(move |name| Some((*name, bytes(name)?)))
        };
        let mut all: Vec<_> = given(&["PATH"]).chain(given(NETWORK)).collect();
        all.push(("OP_CACHE", "false".into()));
        match &self.login {
            Login::Desktop(_) => all.extend(given(DESKTOP)),
            Login::ServiceAccount(token) => {
                let private = self.private().await?;
                all.push(("HOME", private.into()));
                // The image has no list of users, and programs in Go then take the user from HOME and this.
                all.push(("USER", "claude-secrets".into()));
                all.push(("OP_CONFIG_DIR", private.into()));
                all.push(("OP_SERVICE_ACCOUNT_TOKEN", OsStr::from_bytes(token.expose()).to_owned()));
            }
        }
        if self.network.certificates().is_some() {
            all.retain(|(name, _)| *name != "SSL_CERT_FILE");
            all.push(("SSL_CERT_FILE", self.private().await?.join(CERTIFICATES).into()));
        }
        Ok(all)
    }

    /// Our own directory, which only we can read, with the certificates that `ca-certificates` adds.
    async fn private(&self) -> Result<&Path, Diagnostic> {
        let make = || async {
            let directory = tempfile::Builder::new().prefix("claude-secrets-op-").tempdir()?;
            if let Some(pem) = self.network.certificates() {
                // Every program ignores one that does not exist.
                let platform = self.variables.text("SSL_CERT_FILE").map(PathBuf::from);
                let platform = platform.and_then(|path| files::read(&path, LARGEST_VALUES).ok());
                let platform = platform.as_ref().map(|contents| contents.value.expose());
                let all = [platform.unwrap_or_default(), b"\n", pem].concat();
                let mut file = File::create_new(directory.path().join(CERTIFICATES))?;
                file.write_all(&all)?;
            }
            Ok(directory)
        };
        let directory: std::io::Result<&TempDir> = self.private.get_or_try_init(make).await;
        directory.map(TempDir::path).map_err(|error| {
            Diagnostic::with_help(
                format!("cannot create a working directory for `op`: {}", plain_reason(&error)),
                "Give this user write access to the directory for temporary files (TMPDIR).",
            )
        })
    }

    /// The program: the one in `op-path`, else the first `op` in the PATH.
    fn program(&self) -> Result<PathBuf, Diagnostic> {
        if let Some(path) = &self.named {
            let fact = || format!("{} is not a program: {}", self.named_by, path.display());
            return is_program(path)
                .then(|| path.clone())
                .ok_or_else(|| Diagnostic::with_help(fact(), self.get_op()));
        }
        let path = self.variables.value("PATH").map(|value| OsStr::from_bytes(value.expose()).to_owned());
        // A relative entry would be a program of the workspace.
        std::env::split_paths(&path.unwrap_or_default())
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("op"))
            .find(|path| is_program(path))
            .ok_or_else(|| Diagnostic::with_help("the 1Password CLI `op` is not in the PATH", self.get_op()))
    }

    /// How to get the program: as a step of a workflow the action with it, whose name the runner gives as
    /// `GITHUB_ACTION_REPOSITORY` and `…_REF` (docs.github.com, "Variables reference").
    fn get_op(&self) -> String {
        let said = |name: &str| self.variables.text(name).filter(|text| !text.is_empty());
        let Some(action) = said("GITHUB_ACTION_REPOSITORY") else { return INSTALL_OP.to_owned() };
        let reference = said("GITHUB_ACTION_REF").unwrap_or("v1");
        format!(
            "The action's image does not include `op`, which we may not redistribute. For a service account, use the variant of the action that includes it, with the same inputs:\nuses: {action}/with-op@{reference}\nOr set `op-path` to an `op` in the workspace, or use a Connect server, which does not need it."
        )
    }
}

/// The file with certificates in our directory.
const CERTIFICATES: &str = "ca-certificates.pem";

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// How the program ended, what it printed, and its messages.
type Talked = (ExitStatus, Zeroizing<Vec<u8>>, String);

/// Writes the template while the output is read: the program may stop reading in the middle, or begin to write. The error
/// is `FileTooLarge` when it prints more than any store says.
async fn talk(child: &mut Child, template: Option<&str>) -> std::io::Result<Talked> {
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(output), Some(errors)) = (output, errors) else {
        return Err(std::io::Error::other("it was started without pipes"));
    };
    let write = async {
        if let (Some(mut input), Some(text)) = (input, template) {
            // A program that ends early reports the reason itself.
            let _ = input.write_all(text.as_bytes()).await;
        }
        Ok(())
    };
    let output = files::all_of(output, MAX_OUTPUT);
    let ((), output, errors) = tokio::try_join!(write, output, files::beginning_of(errors, MAX_ERRORS))?;
    let status = child.wait().await?;
    Ok((status, output, String::from_utf8_lossy(&errors).into_owned()))
}
