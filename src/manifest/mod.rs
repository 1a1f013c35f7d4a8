//! The declared secrets, which services get them, and where they are looked up.
//!
//! Secrets are declared in the `secrets` input (one per line) and in the manifest file. [`read`] takes both as text and
//! returns one [`Manifest`], or every problem at once. It does no I/O and reads no environment variables.

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
mod reference;
mod rules;
mod schema;
mod scope;
mod sound;
mod template;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::diagnostic::Place;
use crate::error::Error;
use crate::secret::{SecretName, SecretValue};

pub use reference::{Reference, ReferenceError, ReferenceErrorKind, SourceId};
pub use rules::{Deliver, Encoding, FileSpec, Freshness, MAX_VALUE_BYTES, Rules, Trim};
pub use schema::schema;
pub use sound::Soundness;
pub use template::Template;

/// The default prefix of conventional references.
pub const DEFAULT_PREFIX: &str = "claude-bot";

/// The manifest's file name in the project directory.
pub const FILE_NAME: &str = "claude-secrets.yml";

/// What a run's conventional references start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The first part, e.g. `claude-bot` or `claude-bot/prod`. Never empty.
    pub prefix: String,
    /// The environment, e.g. `production`, if one was given.
    pub environment: Option<String>,
}

/// One declared secret.
#[derive(Clone)]
pub struct Secret {
    /// Its name, unique in the manifest.
    pub name: SecretName,
    /// What it is and where to get it: shown if it is missing.
    pub description: Option<String>,
    /// Whether a run fails if no source has it and there is no default.
    pub required: bool,
    /// Its value if no source has it, in the form that a source would return: [`Secret::accept`] applies to it as well (and
    /// is known to succeed).
    pub default: Option<SecretValue>,
    /// Where it is looked up, in this order; `None`: in every source, at its conventional place.
    pub from: Option<Vec<Reference>>,
    /// What it is composed of. If set, no source is asked.
    pub template: Option<Template>,
    /// The rules for its value.
    pub rules: Rules,
    /// How fresh it must be.
    pub freshness: Freshness,
    /// Whether the value is masked and removed from variables; `false` for plain settings such as a git author.
    pub sensitive: bool,
    /// The settings of its file.
    pub file: FileSpec,
    /// Where it is declared.
    pub place: Place,
}

/// What one service gets: an entry of `services`, in its list or its map form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The secrets, without duplicates, in the order of the manifest; each is declared or will be imported.
    pub secrets: Vec<SecretName>,
    /// The user that reads them, if it is not the image's user (an entry point that drops privileges).
    pub uid: Option<u32>,
    /// The group that reads them.
    pub gid: Option<u32>,
    /// How it gets the secrets that its Compose file puts into variables, if set.
    pub deliver: Option<Deliver>,
    /// Settings of single variables.
    pub variables: BTreeMap<String, VariableGrant>,
    /// What it passes on to workers, if it starts any.
    pub workers: Option<WorkersGrant>,
}

/// What the manifest says about the workers of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkersGrant {
    /// The secrets that they get; `None`: every secret of the service.
    pub secrets: Option<Vec<SecretName>>,
    /// The user that reads them there.
    pub uid: Option<u32>,
    /// The group that reads them there.
    pub gid: Option<u32>,
}

/// What the manifest says about one variable of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableGrant {
    /// Its secret; `None`: the one that the Compose file uses there.
    pub secret: Option<SecretName>,
    /// How it is delivered; `None`: like the service's others.
    pub deliver: Option<Deliver>,
}

/// An entry of `sources`, with the settings of the run's environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceConfig {
    /// The kind of source; `None` if the source's id is its kind.
    pub kind: Option<String>,
    /// The settings as they are written; those of the run's environment replace the others.
    pub settings: BTreeMap<String, String>,
}

/// Everything that was declared. Made by [`read`].
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The prefix and environment of this run.
    pub scope: Scope,
    /// The declared secrets: those of the file in its order, then those of the `secrets` input. Only empty if there are
    /// imports.
    pub secrets: Vec<Secret>,
    /// References that end in `*`: everything there becomes a secret, see [`crate::resolve::import`].
    pub imports: Vec<Reference>,
    /// Who gets what, by service; `None` if the manifest has no `services` map.
    pub services: Option<BTreeMap<String, Grant>>,
    /// The configured sources.
    pub sources: BTreeMap<SourceId, SourceConfig>,
    /// How long a service without a health check must stay up, if set.
    pub stable_for: Option<Duration>,
}

/// What could be read of a manifest with or without problems.
pub struct Reading {
    /// The manifest, as far as it could be read.
    pub manifest: Manifest,
    /// What is wrong, as [`read`] returns it.
    pub error: Option<Error>,
    /// What the problems do not affect.
    pub soundness: Soundness,
}

/// The input of [`read`], with what it must know about this program's sources.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// The `secrets` input.
    pub lines: Option<&'a str>,
    /// The manifest file: its path as shown in errors, and its bytes.
    pub file: Option<(&'a Path, &'a [u8])>,
    /// The `prefix` input; it replaces every prefix of the file.
    pub prefix: Option<&'a str>,
    /// The `environment` input.
    pub environment: Option<&'a str>,
    /// The kinds of sources this build has.
    pub known_kinds: &'a [&'a str],
    /// The kinds whose values have versions, so that a reference may end in `@version`.
    pub versioned: &'a [&'a str],
    /// Whether undeclared secrets are allowed, or no secrets at all: `down` does not need the declarations that the
    /// deployment had.
    pub lenient: bool,
    /// The settings of each kind; a kind that is not listed takes any setting.
    pub settings: &'a [(&'a str, Vec<&'a str>)],
}

/// Reads the `secrets` input and the manifest file into one manifest. Lines add to the file and take precedence: a line
/// decides whether the secret is required and, if it has references, replaces `from`; everything else is kept.
///
/// # Errors
/// Every problem that could be found, each with its place; the error's code is the problems' own if they agree
/// (`source-unknown`, for example), else `manifest-invalid`. `manifest-missing` if no secret is declared.
pub fn read(given: &Given<'_>) -> Result<Manifest, Error> {
    let Reading { manifest, error, .. } = examine(given);
    error.map_or(Ok(manifest), Err)
}

/// The same for a run that goes on with what can be read, to find the other problems.
pub fn examine(given: &Given<'_>) -> Reading {
    check::examine(given)
}

impl Secret {
    /// The variables that may hold it in the Compose project: its name, and the variables that its references read.
    pub fn variables(&self) -> BTreeSet<String> {
        let named = self
            .from
            .iter()
            .flatten()
            .filter(|r| matches!(r.source.as_str(), "env" | "dotenv") && r.field.is_none());
        named.map(|reference| reference.item.clone()).chain([self.name.to_string()]).collect()
    }

    /// A required secret with nothing but a name.
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

    /// Whether it is looked up at the conventional place of every source.
    pub fn is_conventional(&self) -> bool {
        self.from.is_none() && self.template.is_none()
    }

    /// The secrets that it is composed of; none if sources have it.
    pub fn parts(&self) -> impl Iterator<Item = &SecretName> {
        self.template.iter().flat_map(Template::parts)
    }
}

impl Manifest {
    /// The kind of the source with this id: what its configuration says, else the id itself.
    pub fn kind<'a>(&'a self, id: &'a SourceId) -> &'a str {
        self.sources.get(id).and_then(|config| config.kind.as_deref()).unwrap_or(id.as_str())
    }

    /// Every reference that it names.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.secrets.iter().flat_map(|secret| secret.from.iter().flatten()).chain(&self.imports)
    }
}

impl fmt::Debug for Secret {
    /// Everything but the default, of which only the shape is shown.
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
    /// The kind and the names of the settings only: a setting's text may be a misplaced credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceConfig")
            .field("kind", &self.kind)
            .field("settings", &self.settings.keys())
            .finish()
    }
}
