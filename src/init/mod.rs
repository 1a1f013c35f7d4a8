//! What `claude-secrets init` proposes for an existing Compose project: a manifest, a workflow, and the secrets that GitHub must
//! be given. Names alone: values are looked at to tell a secret from a setting, and are never in a proposal.

mod names;
mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};

pub use self::read::{Project, read};
pub use self::write::{manifest, workflow};

/// A variable that looks like a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The services that read it, by the Compose file.
    pub services: BTreeSet<String>,
    /// Whether the project can do without it: the Compose file has a default wherever it names it, and `.env` no value.
    pub is_optional: bool,
}

/// What is proposed. It holds names alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// The secrets, by name.
    pub secrets: BTreeMap<String, Found>,
    /// Variables that look like no secret, and that the Compose files need from outside.
    pub settings: BTreeSet<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Proposal {
    /// The name under which GitHub keeps a secret: its own, but for names that begin with `GITHUB_`, which GitHub keeps for
    /// itself (docs.github.com/actions/reference/security/secrets, "Naming your secrets").
    pub fn name_at_github(name: &str) -> String {
        match name.strip_prefix("GITHUB_") {
            Some(rest) => format!("BOT_{rest}"),
            None => name.to_owned(),
        }
    }

    /// The commands that give GitHub what it must have; each asks for its value itself.
    pub fn commands(&self) -> Vec<String> {
        let secrets = self.secrets.keys().map(|name| format!("gh secret set {}", Self::name_at_github(name)));
        let settings =
            self.settings.iter().map(|name| format!("gh variable set {}", Self::name_at_github(name)));
        secrets.chain(settings).collect()
    }
}
