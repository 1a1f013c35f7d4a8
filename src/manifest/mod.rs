//! What is wanted: the declared secrets, who gets them, and where they may be looked for.
//!
//! Two things declare secrets: the `secrets` input (one a line) and the manifest file. [`read`] takes both as text and
//! returns one [`Manifest`], or every problem at once. It does no I/O and reads no environment.

mod at;
mod catalog;
mod check;
mod composed;
mod decode;
mod document;
mod fault;
mod finding;
mod grants;
mod lines;
mod pattern;
mod place;
mod reference;
mod rules;
mod schema;
mod scope;
mod sound;
mod template;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::error::Error;
use crate::secret::{SecretName, SecretValue};

pub use place::Place;
pub use reference::{Reference, ReferenceError, ReferenceErrorKind, SourceId};
pub use rules::{Deliver, Encoding, FileSpec, Freshness, MAX_VALUE_BYTES, Rules, Trim};
pub use schema::schema;
pub use sound::Soundness;
pub use template::Template;

/// The prefix of conventional references when nobody names one.
pub const DEFAULT_PREFIX: &str = "claude-bot";

/// The manifest's file name in the project directory.
pub const FILE_NAME: &str = "claude-secrets.yml";

/// What the conventional references of a run start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The first part, e.g. `claude-bot` or `claude-bot/prod`. Never empty.
    pub prefix: String,
    /// The environment, e.g. `production`, when one was named.
    pub environment: Option<String>,
}

/// One declared secret.
#[derive(Clone)]
pub struct Secret {
    /// Its name, unique in the manifest.
    pub name: SecretName,
    /// What it is and where one gets it: shown when it is missing.
    pub description: Option<String>,
    /// Whether a run fails when no source has it and there is no default.
    pub required: bool,
    /// What it is when no source has it: as a source would give it, so [`Secret::accept`] applies to it as well
    /// (and is known to succeed).
    pub default: Option<SecretValue>,
    /// Where it is looked for, in this order; `None`: in every source, at its conventional place.
    pub from: Option<Vec<Reference>>,
    /// What it is composed of: then no source is asked.
    pub template: Option<Template>,
    /// What a value must be like.
    pub rules: Rules,
    /// How fresh it must be.
    pub freshness: Freshness,
    /// Whether the value is masked and taken out of variables; `false` for plain settings such as a git author.
    pub sensitive: bool,
    /// What is said of its file.
    pub file: FileSpec,
    /// Where it is declared.
    pub place: Place,
}

/// What one service gets: an entry of `services`, in its list or its map form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The secrets, none twice, in the order of the manifest; each declared, or to be imported.
    pub secrets: Vec<SecretName>,
    /// The user that reads them, where the image's own user is not the one (an entry point that drops privileges).
    pub uid: Option<u32>,
    /// The group that reads them.
    pub gid: Option<u32>,
    /// How it gets what its Compose file asks for as variables, where that is said.
    pub deliver: Option<Deliver>,
    /// What is said of single variables.
    pub variables: BTreeMap<String, VariableGrant>,
    /// What it hands on to workers that it starts, where it starts any.
    pub workers: Option<WorkersGrant>,
}

/// What the manifest says of the workers of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkersGrant {
    /// The secrets that they get; `None`: all that the service gets.
    pub secrets: Option<Vec<SecretName>>,
    /// The user that reads them there.
    pub uid: Option<u32>,
    /// The group that reads them there.
    pub gid: Option<u32>,
}

/// What the manifest says of one variable of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableGrant {
    /// The secret that it takes; `None`: the one that the Compose file has there.
    pub secret: Option<SecretName>,
    /// How it is delivered; `None`: as the service's others.
    pub deliver: Option<Deliver>,
}

/// An entry of `sources`, with what the run's environment says of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceConfig {
    /// The kind of source; `None` when the source's id is its kind.
    pub kind: Option<String>,
    /// The settings as they are written, those of the run's environment over the others.
    pub settings: BTreeMap<String, String>,
}

/// What is wanted. Made by [`read`].
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The prefix and environment that hold for this run.
    pub scope: Scope,
    /// The declared secrets: those of the file in its order, then those of the `secrets` input. Empty only where there
    /// are imports.
    pub secrets: Vec<Secret>,
    /// References that end in `*`: everything that is there becomes a secret, see [`crate::resolve::import`].
    pub imports: Vec<Reference>,
    /// Who gets what, by service; `None` when the manifest has no `services` map.
    pub services: Option<BTreeMap<String, Grant>>,
    /// The configured sources.
    pub sources: BTreeMap<SourceId, SourceConfig>,
}

/// What could be read, whatever is wrong.
pub struct Reading {
    /// What is wanted, as far as it could be read.
    pub manifest: Manifest,
    /// What is wrong, as [`read`] tells it.
    pub error: Option<Error>,
    /// What that leaves alone.
    pub soundness: Soundness,
}

/// What [`read`] works on, with what it must know of this program's sources.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// The `secrets` input.
    pub lines: Option<&'a str>,
    /// The manifest file: its path as errors shall name it, and its bytes.
    pub file: Option<(&'a Path, &'a [u8])>,
    /// The `prefix` input; it wins over every prefix of the file.
    pub prefix: Option<&'a str>,
    /// The `environment` input.
    pub environment: Option<&'a str>,
    /// The kinds of sources this build has.
    pub known_kinds: &'a [&'a str],
    /// Those of them whose values have versions, so that a reference may end in `@version`.
    pub versioned: &'a [&'a str],
    /// Whether secrets may be named that nothing declares, or none at all: to take a project down, what another input
    /// declared when it was deployed need not be given again.
    pub lenient: bool,
    /// The settings of each kind; any setting goes for a kind that is not listed.
    pub settings: &'a [(&'a str, Vec<&'a str>)],
}

/// Reads the `secrets` input and the manifest file into one manifest. Lines add to the file and win over it: a line
/// decides whether the secret is required and, where it has references, replaces `from`; everything else is kept.
///
/// # Errors
/// Every problem that could be found, each with its place; the error's code is the problems' own where they agree
/// (`source-unknown`, say), else `manifest-invalid`. `manifest-missing` when nothing declares a secret.
pub fn read(given: &Given<'_>) -> Result<Manifest, Error> {
    let Reading { manifest, error, .. } = examine(given);
    error.map_or(Ok(manifest), Err)
}

/// The same for a run that goes on with what can be read, to find everything else that is wrong.
pub fn examine(given: &Given<'_>) -> Reading {
    check::examine(given)
}

impl Secret {
    /// A required secret of which nothing is said but its name.
    pub fn named(name: SecretName, place: Place) -> Self {
        Self {
            name,
            description: None,
            required: true,
            default: None,
            from: None,
            template: None,
            rules: Rules::default(),
            freshness: Freshness::default(),
            sensitive: true,
            file: FileSpec::default(),
            place,
        }
    }

    /// Whether it is looked for at the conventional place of every source.
    pub fn is_conventional(&self) -> bool {
        self.from.is_none() && self.template.is_none()
    }

    /// The secrets that it is composed of; none when sources have it.
    pub fn parts(&self) -> impl Iterator<Item = &SecretName> {
        self.template.iter().flat_map(Template::parts)
    }
}

impl Manifest {
    /// The kind of the source with this id: what its configuration says, else the id itself.
    pub fn kind<'a>(&'a self, id: &'a SourceId) -> &'a str {
        self.sources.get(id).and_then(|config| config.kind.as_deref()).unwrap_or(id.as_str())
    }

    /// The declared secret of this name.
    pub fn secret(&self, name: &SecretName) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == *name)
    }

    /// Every reference that it names.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.secrets.iter().flat_map(|secret| secret.from.iter().flatten()).chain(&self.imports)
    }
}

impl fmt::Debug for Secret {
    /// Everything but the default, of which only the shape is told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("required", &self.required)
            .field("default", &self.default.as_ref().map(SecretValue::shape))
            .field("from", &self.from)
            .field("template", &self.template)
            .field("rules", &self.rules)
            .field("freshness", &self.freshness)
            .field("sensitive", &self.sensitive)
            .field("file", &self.file)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceConfig {
    /// The kind and the names of the settings: a setting's text may be a misplaced credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceConfig")
            .field("kind", &self.kind)
            .field("settings", &self.settings.keys())
            .finish()
    }
}
