//! What a deployment would change, as the report holds it: names, sources, versions, paths and reasons, and never a value.
//!
//! `validate` prints it; `deploy` keeps the one that it works by. Its JSON form has a version of its own.

mod lines;
mod markdown;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::lines::{lines, summary};
pub use self::markdown::markdown;
use super::tokens::tokens;

/// The version of the plan. It goes up when a field is taken away or changes its meaning; a field that is added leaves it
/// as it is.
pub const VERSION: u32 = 1;

/// What a deployment would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// Whether a deployment would change anything at all.
    pub changes: bool,
    /// Every declared secret, and those that services have and would get no more.
    pub secrets: Vec<PlannedSecret>,
    /// Every service of the project, and those that have containers and are gone from it.
    pub services: Vec<PlannedService>,
    /// Variables of the Compose file that a service's program does not get, of services that are made anew.
    pub variables: Vec<TakenVariable>,
    /// Files that are written or removed, relative to the project directory.
    pub files: Vec<PlannedFile>,
    /// Volumes that are made or removed.
    pub volumes: Vec<PlannedVolume>,
    /// Images that are pulled or built.
    pub images: Vec<PlannedImage>,
}

tokens! {
    /// What becomes of a secret.
    SecretChange {
        #[default]
        Unchanged = "unchanged": "Every service that has it keeps its value.",
        New = "new": "No service has it yet.",
        Changed = "changed": "Its value is another one.",
        Uncertain = "uncertain": "The values of a service are others, and nothing tells whether this one is among them.",
        Moved = "moved": "Its value is the same and comes from another source or reference.",
        Gone = "gone": "Services have it, and would get it no more.",
    }
}

tokens! {
    /// What becomes of a service.
    ServiceAction {
        #[default]
        Keep = "keep": "It is left as it is.",
        Create = "create": "It has no container and gets one.",
        Recreate = "recreate": "Its containers are replaced.",
        Scale = "scale": "It gets another number of containers.",
        Start = "start": "Its container is there, does not run and is started.",
        Restart = "restart": "Its container is stopped and started with a service that it depends on.",
        Ask = "ask": "Its provider is asked.",
        Stale = "stale": "It goes on running with older secrets, since it is not to be started.",
        Idle = "idle": "It has no container, and is not to be started.",
        Remove = "remove": "The project does not have it any more, and its containers are removed.",
        Orphan = "orphan": "The project does not have it any more, and its containers go on running.",
    }
}

tokens! {
    /// What becomes of a file.
    FileChange {
        #[default]
        Write = "write": "It is not there yet.",
        Replace = "replace": "It has other content, or another owner or mode.",
        Remove = "remove": "It is not needed any more.",
    }
}

tokens! {
    /// What becomes of a volume.
    VolumeChange {
        #[default]
        Create = "create": "It is made.",
        Remove = "remove": "It is not needed any more.",
    }
}

tokens! {
    /// What a volume holds.
    VolumeKind {
        #[default]
        Secrets = "secrets": "The secrets of one service, or of its workers.",
        Launcher = "launcher": "The program that sets variables when a service starts.",
        ProjectFiles = "project-files": "Files of the checkout, for an engine on another machine.",
        Data = "data": "Data of the project's own.",
    }
}

tokens! {
    /// How an image is got.
    ImageAction {
        #[default]
        Pull = "pull": "It is pulled.",
        Build = "build": "It is built.",
    }
}

/// Whether a plan is told before or after it was carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tense {
    /// It is what a deployment would do.
    Would,
    /// It is what this deployment did.
    Did,
}

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedSecret {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: SecretChange,
    /// Where it comes from; `null` for a secret that is gone.
    pub origin: Option<Origin>,
    /// Where it came from at the last deployment, if that was elsewhere or another version.
    pub before: Option<Origin>,
    /// The services whose value of it is another one, or may be.
    pub changed_for: Vec<String>,
    /// The services that would get it and do not have it.
    pub gained: Vec<String>,
    /// The services that have it and would get it no more.
    pub lost: Vec<String>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Origin {
    /// The id of the source, `default` for the manifest's default, or `template`.
    pub source: String,
    /// Where in the source, in the manifest's grammar.
    pub reference: Option<String>,
    /// The version that the source names.
    pub version: Option<String>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedService {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: ServiceAction,
    /// Why.
    pub why: Option<String>,
    /// Whether it would be recreated if the image that is pulled or built for it turns out to be another one.
    pub if_image_changes: bool,
}

/// A variable that a service's program does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TakenVariable {
    /// The service.
    pub service: String,
    /// The variable's name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedFile {
    /// Its path, relative to the project directory.
    pub path: String,
    /// What becomes of it.
    pub change: FileChange,
    /// Whether that is sure. It is not where a file's owner and mode hang on the user of an image that is not here yet.
    pub is_certain: bool,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedVolume {
    /// Its name; `null` for one whose name only the deployment that makes it knows.
    pub name: Option<String>,
    /// What it holds.
    pub kind: VolumeKind,
    /// The service whose secrets it holds.
    pub service: Option<String>,
    /// What becomes of it.
    pub change: VolumeChange,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedImage {
    /// Its name.
    pub name: String,
    /// How it is got.
    pub action: ImageAction,
    /// The services that use it.
    pub services: Vec<String>,
    /// Whether the engine has one of this name already.
    pub is_there: bool,
}

impl SecretChange {
    /// Whether it may be that services get another value.
    pub fn is_of_value(self) -> bool {
        matches!(self, Self::New | Self::Changed | Self::Uncertain)
    }
}

impl ServiceAction {
    /// The action in words: `recreate`, `recreated`.
    pub fn in_words(self, tense: Tense) -> &'static str {
        if tense == Tense::Would {
            return self.token();
        }
        match self {
            Self::Keep => "kept",
            Self::Create => "created",
            Self::Recreate => "recreated",
            Self::Scale => "scaled",
            Self::Start => "started",
            Self::Restart => "restarted",
            Self::Ask => "asked",
            Self::Remove => "removed",
            Self::Stale | Self::Idle | Self::Orphan => self.token(),
        }
    }

    /// Whether something is done to the service's containers.
    pub fn is_doing(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Recreate | Self::Scale | Self::Start | Self::Restart | Self::Remove
        )
    }
}

impl PlannedSecret {
    /// Whether there is anything to tell.
    pub fn is_told(&self) -> bool {
        self.change != SecretChange::Unchanged || !self.gained.is_empty() || !self.lost.is_empty()
    }
}

impl PlannedService {
    /// Whether there is anything to tell.
    pub fn is_told(&self) -> bool {
        !matches!(self.action, ServiceAction::Keep | ServiceAction::Idle) || self.if_image_changes
    }
}

/// `in_words`: an action as it is to be done, or as it was done.
macro_rules! in_words {
    ($($kind:ident { $($variant:ident = $done:literal),* })*) => {$(
        impl $kind {
            /// The action in words, as it is to be done or as it was done.
            pub fn in_words(self, tense: Tense) -> &'static str {
                match (tense, self) {
                    (Tense::Would, _) => self.token(),
                    $((Tense::Did, Self::$variant) => $done,)*
                }
            }
        }
    )*};
}

in_words! {
    FileChange { Write = "written", Replace = "replaced", Remove = "removed" }
    VolumeChange { Create = "created", Remove = "removed" }
    ImageAction { Pull = "pulled", Build = "built" }
}

impl Origin {
    /// The origin in words: `vault:secret/web#key (version 3)`.
    pub fn in_words(&self) -> String {
        let place = match &self.reference {
            Some(reference) if reference.starts_with(&self.source) => reference.clone(),
            Some(reference) => format!("{} {reference}", self.source),
            None => self.source.clone(),
        };
        match &self.version {
            Some(version) => format!("{place} (version {version})"),
            None => place,
        }
    }
}

impl Plan {
    /// A plan of these parts.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.version = VERSION;
        self.changes = self.services.iter().any(|service| service.action.is_doing())
            || !self.files.is_empty()
            || !self.volumes.is_empty()
            || !self.images.is_empty();
        self
    }

    /// The names of the secrets whose values services would get, and that are other ones than before, or may be.
    pub fn changed(&self) -> Vec<String> {
        let changed = self.secrets.iter().filter(|secret| secret.change.is_of_value());
        let granted = changed.filter(|secret| !secret.changed_for.is_empty() || !secret.gained.is_empty());
        granted.map(|secret| secret.name.clone()).collect()
    }

    /// Every text that comes from elsewhere, for the last pass of the redactor.
    pub(super) fn free_texts(&mut self) -> Vec<&mut String> {
        let mut texts = Vec::new();
        for secret in &mut self.secrets {
            for origin in [&mut secret.origin, &mut secret.before].into_iter().flatten() {
                texts.extend([&mut origin.reference, &mut origin.version].into_iter().flatten());
            }
        }
        texts.extend(self.services.iter_mut().filter_map(|service| service.why.as_mut()));
        texts.extend(self.variables.iter_mut().map(|variable| &mut variable.why));
        texts
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            version: VERSION,
            changes: false,
            secrets: Vec::new(),
            services: Vec::new(),
            variables: Vec::new(),
            files: Vec::new(),
            volumes: Vec::new(),
            images: Vec::new(),
        }
    }
}
