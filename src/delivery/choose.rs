//! Which delivery a run uses, and why.

use crate::error::{Code, Error, Result};
use crate::settings::{DeliveryChoice, Mode, Settings};

/// How services get their secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Read-only bind mounts of files below the project directory.
    File,
    /// A volume for each service and revision.
    Volume,
}

/// The delivery with the reason for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The delivery.
    pub kind: Kind,
    /// Why, in one sentence.
    pub reason: String,
}

impl Kind {
    /// Whether services mount files of the secrets directory.
    pub fn in_files(self) -> bool {
        match self {
            Self::File => true,
            Self::Volume => false,
        }
    }

    /// Whether services mount volumes of ours, which the engine keeps.
    pub fn in_volumes(self) -> bool {
        match self {
            Self::File => false,
            Self::Volume => true,
        }
    }

    /// The name, as the `delivery` input takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Volume => "volume",
        }
    }
}

/// Chooses the safest delivery that works here. `endpoint` is where the engine is, e.g.
/// `tcp://build:2376`; `None` for the default socket.
pub fn choose(settings: &Settings, endpoint: Option<&str>) -> Result<Choice> {
    let remote = endpoint.is_some_and(is_remote);
    let files_only = matches!(settings.mode, Mode::CreateFiles | Mode::CreateCompose);
    let given = |kind, reason: &str| Ok(Choice { kind, reason: reason.to_owned() });
    match settings.delivery {
        DeliveryChoice::Volume if files_only => Err(Error::new(
            Code::Usage,
            format!("delivery: `volume` goes with `deploy` alone, and mode is `{}`", settings.mode.name()),
        )
        .help("A volume is filled and named by the deployment that uses it. Leave `delivery` out, or use `deploy`.")),
        DeliveryChoice::File if remote => Err(Error::new(
            Code::DeliveryFailed,
            "delivery: `file` cannot reach a remote engine: its host does not have our files",
        )
        .help("Use `delivery: volume`, or leave it out.")),
        DeliveryChoice::File => given(Kind::File, "asked for by `delivery`"),
        DeliveryChoice::Volume => given(Kind::Volume, "asked for by `delivery`"),
        DeliveryChoice::Auto if settings.offline => given(Kind::File, "no engine is asked"),
        DeliveryChoice::Auto if files_only => given(Kind::File, "the mode writes files"),
        DeliveryChoice::Auto if remote => given(Kind::Volume, "the engine is remote and does not share our files"),
        DeliveryChoice::Auto if !settings.platform.actions => {
            given(Kind::File, "the command line's project directory stays where it is")
        }
        DeliveryChoice::Auto if !settings.platform.engine_outlives_workspace() => {
            given(Kind::File, "a GitHub-hosted runner is thrown away after the job, and the project with it")
        }
        DeliveryChoice::Auto => given(
            Kind::Volume,
            "the engine outlives the job's workspace, which the next checkout wipes: files would vanish under the services",
        ),
    }
}

/// Whether an engine that is reached there is on another machine.
pub fn is_remote(endpoint: &str) -> bool {
    ["tcp://", "ssh://", "http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme))
}
