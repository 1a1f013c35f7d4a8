//! Errors as the user sees them: a code, a fact, and separately the help.
//!
//! Every error has a stable, value-free token (`error-code` in the outputs) and an exit status. `docs/errors.md` is generated
//! from the table below; a test keeps them in sync.

pub mod catalogue;

use std::fmt;

use crate::diagnostic::{Diagnostic, Place};

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident $token:literal $exit:literal $meaning:literal;)*) => {
        /// The user's situation. Its token is stable and goes to the `error-code` output.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code { $(#[doc = $meaning] $variant,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable token, as in the `error-code` output.
            pub fn token(self) -> &'static str {
                match self { $(Code::$variant => $token,)* }
            }

            /// The exit status of a run that ends with this error.
            pub fn exit_status(self) -> u8 {
                match self { $(Code::$variant => $exit,)* }
            }

            /// One sentence: when this error is given.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    Usage "usage" 2 "The command line or an action input is malformed.";
    GithubSecretsInvalid "github-secrets-invalid" 2 "`github-secrets` is not a JSON object of strings.";
    ProjectDirectoryMissing "project-directory-missing" 2 "The project directory does not exist or is not a directory.";
    ManifestInvalid "manifest-invalid" 2 "The manifest or the `secrets` input is malformed.";
    ManifestMissing "manifest-missing" 2 "The manifest that `config` names does not exist, or no secrets are declared.";
    SecretNameInvalid "secret-name-invalid" 2 "A secret's name is not a valid variable name.";
    SecretNamesCollide "secret-names-collide" 2 "Two secrets would use the same file, or the same place in a source.";
    ReferenceInvalid "reference-invalid" 2 "A reference is malformed or names something its source does not have.";
    SourceUnknown "source-unknown" 2 "A source is unknown or not configured.";
    ComposeFileMissing "compose-file-missing" 2 "No Compose file was found where one was looked for.";
    ComposeFileInvalid "compose-file-invalid" 2 "Docker Compose rejects the project.";
    ServiceUnknown "service-unknown" 2 "A service does not exist in the Compose project.";
    SecretWithoutService "secret-without-service" 2 "A secret is not assigned to any service.";
    ServiceWithoutContainer "service-without-container" 2 "A service with a `provider` instead of a container would get secrets.";
    SecretNotGranted "secret-not-granted" 2 "A service would get a secret that it is not granted.";
    SecretInLargerValue "secret-in-larger-value" 2 "A declared secret is part of a value that the engine shows, such as a label or a build argument.";
    UnsafeLogDriver "unsafe-log-driver" 2 "The action container's log driver sends its output, including the masks, to another machine.";
    OverrideInvalid "override-invalid" 2 "The existing override file cannot be used.";
    SecretsMissing "secrets-missing" 3 "Required secrets were found in no source.";
    SecretInvalid "secret-invalid" 3 "A secret's value violates a rule of the manifest, or cannot be delivered.";
    Strict "strict" 3 "There are warnings, which `strict` treats as errors.";
    SourceDenied "source-denied" 4 "A source of higher priority than the one that answered refused access.";
    SourceFailed "source-failed" 4 "A source of higher priority than the one that answered could not be read.";
    GithubDenied "github-denied" 4 "GitHub does not tell which secrets the repository that `repo` names has: it is not found, or the token may not list them.";
    GithubFailed "github-failed" 4 "GitHub could not be asked which secrets the repository that `repo` names has.";
    PathUnsafe "path-unsafe" 5 "A path to write to is or passes a symbolic link, lies outside the project, or is tracked by git.";
    NotWritable "not-writable" 5 "A file or directory cannot be written.";
    DiskFull "disk-full" 5 "There is no space left on the device.";
    DeliveryFailed "delivery-failed" 5 "The secrets could not be delivered to the services.";
    ProjectFiles "project-files" 5 "Files of the checkout that services mount cannot be copied to the engine's machine.";
    LauncherMissing "launcher-missing" 5 "The program that sets variables in the services is not next to `claude-secrets`, or cannot run on the engine's machine.";
    WorkspaceNotOnHost "workspace-not-on-host" 5 "The workspace cannot be mapped to a path of the Docker host.";
    Locked "locked" 5 "Another run is changing the same project.";
    DockerSocketMissing "docker-socket-missing" 6 "There is no Docker socket.";
    EngineUnreachable "engine-unreachable" 6 "The Docker Engine does not answer.";
    SshKeyInvalid "ssh-key-invalid" 2 "The private key for the server is missing, or cannot be used.";
    SshDenied "ssh-denied" 6 "The server refuses the SSH login.";
    HostKeyUnknown "host-key-unknown" 6 "The server's SSH host key is not known.";
    HostKeyChanged "host-key-changed" 6 "The server's SSH host key is not the known one.";
    EngineTooOld "engine-too-old" 6 "The Docker Engine's API is older than 1.41.";
    ComposeMissing "compose-missing" 6 "Docker Compose was not found.";
    ComposeTooOld "compose-too-old" 6 "Docker Compose is older than v2.24, or is v2.24.7 or v2.25.";
    RegistryLoginFailed "registry-login-failed" 6 "A registry refused a login.";
    ImageUnavailable "image-unavailable" 6 "An image could not be pulled or built.";
    OtherEnvironment "other-environment" 6 "The running project was deployed for another environment.";
    DeployFailed "deploy-failed" 6 "Docker Compose could not start the project.";
    Unhealthy "unhealthy" 6 "A service did not become healthy, or did not stay up.";
    SecretUnreadable "secret-unreadable" 6 "A service runs as a user that cannot read a secret that it was granted.";
    RemovalIncomplete "removal-incomplete" 6 "Something of ours is still there after `down`.";
    NotDeployed "not-deployed" 6 "Nothing is noted of a deployment of this project.";
    Leak "leak" 7 "A secret value was found where it must not be.";
    Drift "drift" 8 "What runs is not what the last deployment left.";
    Interrupted "interrupted" 130 "The run was stopped by a signal.";
    Internal "internal" 70 "A bug in this program.";
}

/// A run's failure: one situation, with all of its problems, and the help.
/// It contains no secret value; values are described by their shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The user's situation.
    pub code: Code,
    /// The fact, one or more lines.
    pub fact: String,
    /// The problems, if there are several.
    pub problems: Vec<Diagnostic>,
    /// What to do about it.
    pub help: Vec<String>,
    /// Where it is, when it is at one place of what the user wrote.
    pub place: Option<Box<Place>>,
    /// Other errors at the same time, each with its own code; none of them has others.
    pub others: Vec<Error>,
}

/// The result of everything that can fail with an error for the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given code with its fact.
    pub fn new(code: Code, fact: impl Into<String>) -> Self {
        Self {
            code,
            fact: fact.into(),
            problems: Vec::new(),
            help: Vec::new(),
            place: None,
            others: Vec::new(),
        }
    }

    /// An error of the given code with one diagnostic as its fact.
    pub fn of(code: Code, what: Diagnostic) -> Self {
        let place = what.place.map(Box::new);
        Self { help: what.help.into_iter().collect(), place, ..Self::new(code, what.fact) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the problems behind the fact.
    #[must_use]
    pub fn problems(mut self, problems: Vec<Diagnostic>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// Combines two errors of the same run. The result has the code of this one; what both have is reported once, and an
    /// interruption replaces everything else.
    #[must_use]
    pub fn and(mut self, mut other: Error) -> Self {
        let more = std::mem::take(&mut other.others);
        for error in std::iter::once(other).chain(more) {
            if self.code == Code::Interrupted {
                return self;
            }
            if error.code == Code::Interrupted {
                return error;
            }
            if self.is_like(&error) {
                self.add_problems(error.problems);
            } else if let Some(known) = self.others.iter_mut().find(|known| known.is_like(&error)) {
                known.add_problems(error.problems);
            } else {
                self.others.push(error);
            }
        }
        self
    }

    /// Combines all errors; `None` if there are none.
    pub fn together(errors: impl IntoIterator<Item = Error>) -> Option<Self> {
        errors.into_iter().reduce(Self::and)
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.code, &self.fact, &self.help) == (other.code, &other.fact, &other.help)
    }

    fn add_problems(&mut self, problems: Vec<Diagnostic>) {
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// Turns an operating-system error at a path into an error with help: a full disk and a read-only file system have
    /// their own codes; everything else is `otherwise`.
    pub fn io(otherwise: Code, doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let fact = format!("cannot {doing} {}: {}", path.display(), plain_reason(error));
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => Error::new(Code::DiskFull, fact)
                .help("Free some space on the device that holds this path. Nothing was changed."),
            K::ReadOnlyFilesystem => Error::new(Code::NotWritable, fact)
                .help("The file system is mounted read-only: mount it writable, or choose another path."),
            K::PermissionDenied if otherwise.exit_status() == 5 => Error::new(Code::NotWritable, fact)
                .help("Give the user that runs this step write access, or choose another path."),
            _ => Error::new(otherwise, fact),
        }
    }
}

/// Both results, or the errors of either.
///
/// # Errors
/// Those of the two, together.
pub fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(a), Err(b)) => Err(a.and(b)),
    }
}

/// The operating system's reason without the number that Rust appends.
pub fn plain_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl fmt::Display for Error {
    /// The fact, the problems as a list, then the help; then the other errors in the same way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)?;
        for problem in &self.problems {
            write!(f, "\n  - {}", problem.fact.replace('\n', "\n    "))?;
            if let Some(help) = &problem.help {
                write!(f, "\n    fix: {}", help.replace('\n', "\n    "))?;
            }
        }
        for help in &self.help {
            write!(f, "\nfix: {}", help.replace('\n', "\n     "))?;
        }
        self.others.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_unique_and_documented() {
        let mut tokens: Vec<_> = Code::ALL.iter().map(|c| c.token()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), Code::ALL.len());
    }

    #[test]
    fn an_error_reads_as_fact_problems_and_help() {
        let error = Error::new(Code::SecretsMissing, "2 secrets are missing")
            .problems(vec![Diagnostic::new("A").help("set it"), Diagnostic::new("B")])
            .help("or make them optional");
        assert_eq!(
            error.to_string(),
            "2 secrets are missing\n  - A\n    fix: set it\n  - B\nfix: or make them optional"
        );
    }

    #[test]
    fn errors_together_are_told_once_each_under_the_code_of_the_first() {
        let (a, b) = (Error::new(Code::SecretsMissing, "a"), Error::new(Code::ServiceUnknown, "b"));
        let inner = b.clone().and(a.clone());
        let all = Error::together([a.clone(), inner, a.clone()]).unwrap();
        assert_eq!((all.code, &all.others[..]), (Code::SecretsMissing, &[b.clone()][..]));
        assert_eq!(all.to_string(), "a\nb");
        let problem = |fact: &str| Error { problems: vec![Diagnostic::new(fact)], ..a.clone() };
        assert_eq!(problem("x").and(problem("y")).and(problem("x")).to_string(), "a\n  - x\n  - y");
        assert_eq!(Error::together([]), None);
        let stopped = Error::new(Code::Interrupted, "stopped");
        assert_eq!(Error::together([a, stopped.clone(), b]), Some(stopped));
    }
}
