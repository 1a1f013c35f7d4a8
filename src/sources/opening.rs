//! Which sources a run has, and in which order: those that `sources` lists, else all that are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use super::context::SourceContext;
use super::identity::Identity;
use super::kind::SourceKind;
use super::net::Network;
use super::options::{Options, variable_prefix, variable_prefixes};
use super::registry::SOURCES;
use super::{ProjectDirs, Source};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, SourceConfig, SourceId};
use crate::nearest::meant;
use crate::settings::Settings;

/// Opens the sources of a run, highest priority first. The deadline of `timeout` starts here.
///
/// # Errors
/// `source-unknown` if `sources` or the manifest names one that is unknown or not configured; problems with the settings
/// of a configured one.
pub fn open(settings: &Settings, manifest: &Manifest, around: &ProjectDirs) -> Result<Vec<Box<dyn Source>>> {
    let wanted = wanted(settings)?;
    let network = Arc::new(Network::new(settings)?);
    let identity = Arc::new(Identity::new(&settings.variables, network.clone()));
    let opening = SourceContext { settings, around, network, identity };
    let mut configured: BTreeMap<SourceId, Box<dyn Source>> = BTreeMap::new();
    let mut order: Vec<SourceId> = Vec::new();
    for (kind, id) in candidates(&manifest.sources)? {
        // A source that is not used is not opened, so its problems do not matter.
        if !wanted.is_empty() && !wanted.contains(&id) {
            continue;
        }
        let options = Options::new(&id, kind, settings, manifest);
        match (kind.open)(options, &opening)? {
            Some(source) => {
                order.push(id.clone());
                configured.insert(id, source);
            }
            None if manifest.sources.contains_key(&id) && !kind.local => {
                return Err(not_configured(&id, kind));
            }
            None => {}
        }
    }
    if !wanted.is_empty() {
        order = wanted;
    }
    let unknown = |id: &SourceId| match SourceKind::of(manifest.kind(id)) {
        Some(kind) => not_configured(id, kind),
        None => no_such_source(id, manifest),
    };
    order.iter().map(|id| configured.remove(id).ok_or_else(|| unknown(id))).collect()
}

/// Checks the sources that `sources` and `source` name, without opening any.
///
/// # Errors
/// `source-unknown` if there is no such source.
pub fn check_names(settings: &Settings, manifest: &Manifest) -> Result<()> {
    let unknown = |id: &SourceId| SourceKind::of(manifest.kind(id)).is_none();
    match wanted(settings)?.into_iter().find(unknown) {
        Some(id) => Err(no_such_source(&id, manifest)),
        None => Ok(()),
    }
}

/// The sources that the user named.
fn wanted(settings: &Settings) -> Result<Vec<SourceId>> {
    let named = match &settings.source {
        Some(only) => std::slice::from_ref(only),
        None => &settings.sources,
    };
    let wanted: Vec<SourceId> = named.iter().map(|text| id(text)).collect::<Result<_>>()?;
    match wanted.iter().enumerate().find(|(at, id)| wanted[..*at].contains(id)) {
        Some(twice) => {
            Err(Error::new(Code::SourceUnknown, format!("sources: `{}` is listed twice", twice.1)))
        }
        None => Ok(wanted),
    }
}

/// The remarks about stores that are skipped because the step gives them an empty credential. A GitHub secret that does not
/// exist (any more) arrives empty, and without a remark a source of lower priority would win unnoticed.
pub fn without_credentials(
    settings: &Settings,
    configured: &BTreeMap<SourceId, SourceConfig>,
    opened: &[Box<dyn Source>],
) -> Vec<Diagnostic> {
    let all = if settings.sources.is_empty() && settings.source.is_none() {
        candidates(configured).unwrap_or_default()
    } else {
        Vec::new()
    };
    let left_out = all.into_iter().filter(|(_, id)| !opened.iter().any(|source| source.id() == id));
    // Two kinds may share their variables: each is told once.
    let mut told = BTreeSet::new();
    left_out
        .filter_map(|(kind, id)| {
            let mut names = credentials(kind, &id);
            let empty = |name: &String| settings.variables.has(name) && settings.variables.value(name).is_none();
            let name = names.find(empty)?;
            told.insert(name.clone()).then(|| Diagnostic::with_help(format!("skipping {id}: {name} is set, but empty"), format!(
                    "Check that the GitHub secret exists, with this name and in this environment (one that does not exist arrives empty). If you do not use {id}, remove {name} from the step's `env:`."
                )))
        })
        .collect()
}

/// The variables with credentials of the configured and the built-in sources, which no child process gets.
pub fn credential_variables(configured: &BTreeMap<SourceId, SourceConfig>) -> BTreeSet<OsString> {
    let all = candidates(configured).unwrap_or_default();
    all.iter().flat_map(|(kind, id)| credentials(kind, id)).map(OsString::from).collect()
}

/// The variables with a source's credentials.
fn credentials(kind: &'static SourceKind, id: &SourceId) -> impl Iterator<Item = String> {
    let prefixes = variable_prefixes(id, kind).into_iter();
    prefixes.flat_map(|prefix| kind.credentials.iter().map(move |end| format!("{prefix}{end}")))
}

/// Every possible source, by priority: of each kind the one with the kind's name, then those that the manifest defines.
pub(super) fn candidates(
    configured: &BTreeMap<SourceId, SourceConfig>,
) -> Result<Vec<(&'static SourceKind, SourceId)>> {
    let kind_of = |id: &SourceId| configured.get(id).and_then(|config| config.kind.clone());
    let is = |id: &SourceId, kind: &SourceKind| kind_of(id).as_deref().unwrap_or(id.as_str()) == kind.name;
    let mut all = Vec::new();
    for kind in SOURCES {
        let own = id(kind.name)?;
        let named = configured.keys().filter(|id| **id != own && is(id, kind));
        // An id that is a kind's name but sets another kind belongs to the other kind.
        let first = Some(&own).filter(|own| is(own, kind));
        all.extend(first.into_iter().chain(named).map(|id| (kind, id.clone())));
    }
    Ok(all)
}

fn id(text: &str) -> Result<SourceId> {
    SourceId::parse(text).ok_or_else(|| {
        Error::new(Code::SourceUnknown, "sources: an entry is not a valid source id").help(
            "An id consists of lower-case letters, digits and hyphens, e.g. `docker-secrets, dotenv, env`.",
        )
    })
}

fn not_configured(id: &SourceId, kind: &SourceKind) -> Error {
    let help = (kind.to_configure)(id, &variable_prefix(id, kind));
    Error::new(Code::SourceUnknown, format!("sources: `{id}` is not configured")).help(help)
}

fn no_such_source(id: &SourceId, manifest: &Manifest) -> Error {
    let kinds = SOURCES.iter().map(|kind| kind.name.to_owned());
    let known: BTreeSet<String> = kinds.chain(manifest.sources.keys().map(ToString::to_string)).collect();
    let meant = meant(id.as_str(), known.iter().map(String::as_str));
    let meant = meant.map(|meant| format!("Did you mean `{meant}`? ")).unwrap_or_default();
    let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Error::new(Code::SourceUnknown, format!("sources: unknown source `{id}`"))
        .help(format!("{meant}The sources are: {known}."))
}
