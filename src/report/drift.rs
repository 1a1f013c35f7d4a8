//! What is not as the last deployment left it, as the report holds it.

use schemars::JsonSchema;
use serde::Serialize;

use super::tokens::tokens;

tokens! {
    /// In which way something is not as the last deployment left it.
    DriftKind {
        #[default]
        Missing = "missing": "A container is gone.",
        Recreated = "recreated": "A container was made anew, and not by a deployment.",
        WithoutSecrets = "without-secrets": "A container was made without the override file: it has no secrets.",
        Added = "added": "There is a container that the deployment did not leave.",
        Stopped = "stopped": "A container that ran does not run.",
        Variables = "variables": "A container has other variables.",
        Networks = "networks": "A container is in other networks.",
        Stale = "stale": "A service runs with older secrets, since no deployment started it.",
        VolumeGone = "volume-gone": "A volume is gone.",
        VolumeReplaced = "volume-replaced": "A volume was removed and made anew.",
        SecretsChanged = "secrets-changed": "The secrets in a volume are not those that were put there.",
        FilesChanged = "files-changed": "The secret files are not those that were written.",
        FilesGone = "files-gone": "The secret files are gone.",
    }
}

/// One thing that is not as the last deployment left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DriftRow {
    /// In which way.
    pub kind: DriftKind,
    /// The service, where it is about one.
    pub service: Option<String>,
    /// The fact, as a sentence without a full stop.
    pub detail: String,
}
