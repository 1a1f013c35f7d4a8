//! Every kind of source as data: what opens it, flags, schema, documentation, policies and tests come from this table. Each
//! store has its line in its own folder.

use super::kind::SourceKind;
use super::{aws, azure, docker_secrets, dotenv, env, onepassword, vault};
use crate::manifest::Given;

/// Every kind of source that is built in, highest priority first. The rest of the program asks this list, and names none.
pub const SOURCES: &[SourceKind] = &[
    docker_secrets::KIND,
    aws::KIND,
    aws::PARAMETERS,
    vault::KIND,
    azure::KIND,
    onepassword::KIND,
    dotenv::KIND,
    env::KIND,
];

impl SourceKind {
    /// The kind of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        SOURCES.iter().find(|kind| kind.name == name)
    }
}

/// What the manifest needs to know about the kinds of sources.
pub struct Known {
    kinds: Vec<&'static str>,
    versioned: Vec<&'static str>,
    settings: Vec<(&'static str, Vec<&'static str>)>,
}

/// What the manifest needs to know about the built-in kinds.
pub fn known() -> Known {
    let names = |kind: &SourceKind| kind.settings.iter().map(|setting| setting.name).collect();
    Known {
        kinds: SOURCES.iter().map(|kind| kind.name).collect(),
        versioned: SOURCES.iter().filter(|kind| kind.versioned).map(|kind| kind.name).collect(),
        settings: SOURCES.iter().map(|kind| (kind.name, names(kind))).collect(),
    }
}

impl Known {
    /// With everything else not given.
    pub fn given(&self) -> Given<'_> {
        Given {
            known_kinds: &self.kinds,
            versioned: &self.versioned,
            settings: &self.settings,
            ..Given::default()
        }
    }
}
