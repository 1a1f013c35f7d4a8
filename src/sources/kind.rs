//! One kind of source as data: what opens it, its settings, its credentials and its policy.

use super::Source;
use super::context::SourceContext;
use super::options::Options;
use super::policy::{Needs, Policy};
use crate::error::Result;
use crate::manifest::SourceId;

/// One kind of source: its name, what it can do, and its settings.
pub struct SourceKind {
    /// The kind's name; also the id of the source that needs no configuration.
    pub name: &'static str,
    /// Whether a reference may contain `@version`.
    pub versioned: bool,
    /// Whether it is a file of this machine: if such a source does not exist, it has no secrets. (A store that is not
    /// configured may have some.)
    pub local: bool,
    /// What its variables start with, by priority, as in the vendor's own tools: `VAULT_`. A source with its own id has its own
    /// variables: those of `old-vault` start with `OLD_VAULT_`.
    pub prefixes: &'static [&'static str],
    /// The settings in `sources.<id>` of the manifest.
    pub settings: &'static [Setting],
    /// The suffixes of the variables with its credentials; no child process gets them.
    pub credentials: &'static [&'static str],
    /// One sentence for the documentation.
    pub about: &'static str,
    /// Opens it, without any request; `None` if it is not configured. Fails for an invalid setting.
    pub(super) open: Open,
    /// What configures it, for the message that it is not: `id` is the source's, `prefix` what its variables start with.
    pub(super) to_configure: fn(id: &SourceId, prefix: &str) -> String,
    /// Its minimum permissions as text to paste; `None` for a source without permissions.
    pub(super) policy: Option<fn(&Needs<'_>) -> Result<Policy>>,
}

/// Opens a source with its settings and credentials.
type Open = fn(Options, &SourceContext<'_>) -> Result<Option<Box<dyn Source>>>;

/// A source as one of many.
pub(super) fn boxed<S: Source + 'static>(source: S) -> Box<dyn Source> {
    Box::new(source)
}

/// One setting of a source.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its key in the manifest.
    pub name: &'static str,
    /// The action input for the source whose id is its kind.
    pub input: Option<&'static str>,
    /// The suffixes of its variables, by priority.
    pub variables: &'static [&'static str],
}

pub(super) const fn setting(
    name: &'static str,
    input: Option<&'static str>,
    variables: &'static [&'static str],
) -> Setting {
    Setting { name, input, variables }
}
