//! Places that may hold secrets, behind one interface: a batch of items in, one of four replies for each out.

pub mod docker_secrets;
pub mod dotenv;
pub mod env;
pub mod field;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Reference, Scope, SourceConfig, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;

/// One kind of source, as data: what names it, what it can do. The order is the priority, highest first.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// The kind's name; also the id of the source that needs no configuration.
    pub name: &'static str,
    /// Whether a reference may hold `@version`.
    pub versioned: bool,
    /// Whether it is a file of this machine: when such a source is not there, it surely has nothing. (A store that is
    /// not configured may well have something.)
    pub local: bool,
    /// Keys that `sources.<id>` of the manifest may have.
    pub settings: &'static [&'static str],
    /// One sentence for the documentation.
    pub about: &'static str,
}

/// Every kind of source that is built in, highest priority first. Help, schema, docs and tests come from it.
pub const SOURCES: &[SourceKind] = &[
    SourceKind {
        name: "docker-secrets",
        versioned: false,
        local: true,
        settings: &["dir"],
        about: "Files of a directory, named like the secret in lower case; `/run/secrets` outside of GitHub Actions.",
    },
    SourceKind {
        name: "dotenv",
        versioned: false,
        local: true,
        settings: &[],
        about: "`.env` files, read as Docker Compose reads them, values taken literally.",
    },
    SourceKind {
        name: "env",
        versioned: false,
        local: false,
        settings: &[],
        about: "`NAME_FILE`, `NAME`, an action input `NAME`, and the JSON of `github-secrets`.",
    },
];

/// What is asked of a source: an item, and which version of it. A field is picked by the caller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Item {
    /// The item, as the reference has it.
    pub name: String,
    /// The version; the newest when there is none.
    pub version: Option<String>,
}

/// What a source says to one question. Only [`Reply::Absent`] lets a lower source win (design rule 1).
pub enum Reply {
    /// It has the item.
    Found(Found),
    /// It surely does not have it; says where it looked.
    Absent(String),
    /// It refused to say.
    Denied(Refusal),
    /// It could not be asked, or its answer was no good.
    Failed(Refusal),
}

/// A found item.
pub struct Found {
    /// The value, byte for byte.
    pub value: SecretValue,
    /// Where exactly it was, e.g. `API_KEY_FILE` or `.env line 3`; never a value.
    pub place: String,
    /// The version that the store names.
    pub version: Option<String>,
    /// When this value was written, as the store knows it.
    pub changed: Option<SystemTime>,
    /// When it expires, as the store knows it.
    pub expires: Option<SystemTime>,
}

/// Why an item was not handed out.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The fact.
    pub fact: String,
    /// The remedy, best as text to paste.
    pub remedy: String,
}

/// What a source has to say about itself, once a run.
#[derive(Clone, Debug)]
pub struct Remark {
    /// The fact.
    pub text: String,
    /// The remedy.
    pub remedy: Option<String>,
}

/// A place that may hold secrets.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its id in references and in the report.
    fn id(&self) -> &SourceId;

    /// Where it looks for a secret that has no reference: the conventional one.
    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference;

    /// Whether it is a file on this machine: what wins here while a store has something else is an old copy, and an
    /// error (design rule 2).
    fn is_local_file(&self) -> bool {
        false
    }

    /// Asks for all items at once and answers each, in the same order. Dropping the future stops it.
    async fn read(&self, items: &[Item]) -> Vec<Reply>;

    /// Things worth a warning that came up when it was opened, or about the items that were asked.
    fn remarks(&self, asked: &[Item]) -> Vec<Remark> {
        let _ = asked;
        Vec::new()
    }
}

/// The project's directory and what of it is ours, for sources that read files.
pub struct Surroundings<'a> {
    /// The project directory.
    pub project: &'a Path,
    /// Our own `secrets-dir`: never read as a source (design rule 7).
    pub secrets_dir: &'a Path,
    /// Directories of the Docker host that this process does not see, with their files: read through the engine.
    pub host_directories: &'a BTreeMap<PathBuf, BTreeMap<String, SecretValue>>,
}

/// Opens the sources of a run, highest priority first: those that `sources` names, else all that are configured.
pub fn open(settings: &Settings, manifest: &Manifest, around: &Surroundings) -> Result<Vec<Box<dyn Source>>> {
    let wanted: Vec<SourceId> = settings.sources.iter().map(|text| id(text)).collect::<Result<_>>()?;
    if let Some(twice) = wanted.iter().enumerate().find(|(at, id)| wanted[..*at].contains(id)) {
        return Err(Error::new(Code::SourceUnknown, format!("sources: `{}` is named twice", twice.1)));
    }
    let mut configured: BTreeMap<SourceId, Box<dyn Source>> = BTreeMap::new();
    let mut order: Vec<SourceId> = Vec::new();
    let none = SourceConfig::default();
    for kind in SOURCES {
        let own = id(kind.name)?;
        let named = manifest.sources.iter().filter(|(_, config)| config.kind.as_deref() == Some(kind.name));
        let plain = manifest.sources.get(&own).unwrap_or(&none);
        let candidates = std::iter::once((own.clone(), plain))
            .chain(named.map(|(id, c)| (id.clone(), c)).filter(|(id, _)| *id != own));
        // One that is not asked for is not even opened: a broken file of it is nobody's concern.
        for (id, config) in candidates.filter(|(id, _)| wanted.is_empty() || wanted.contains(id)) {
            if let Some(source) = open_one(kind, &id, config, settings, around)? {
                order.push(id.clone());
                configured.insert(id, source);
            }
        }
    }
    if !wanted.is_empty() {
        order = wanted;
    }
    let kinds = SOURCES.iter().map(|kind| kind.name.to_owned());
    let known: BTreeSet<String> = kinds.chain(manifest.sources.keys().map(ToString::to_string)).collect();
    order.iter().map(|id| configured.remove(id).ok_or_else(|| not_configured(id, &known))).collect()
}

fn id(text: &str) -> Result<SourceId> {
    SourceId::parse(text).ok_or_else(|| {
        Error::new(Code::SourceUnknown, "sources: an entry is no source's id")
            .hint("An id is lower-case letters, digits and hyphens, e.g. `docker-secrets, dotenv, env`.")
    })
}

fn open_one(
    kind: &SourceKind,
    id: &SourceId,
    config: &SourceConfig,
    settings: &Settings,
    around: &Surroundings,
) -> Result<Option<Box<dyn Source>>> {
    fn boxed<S: Source + 'static>(source: S) -> Box<dyn Source> {
        Box::new(source)
    }
    match kind.name {
        "docker-secrets" => Ok(docker_secrets::open(id, config, settings, around)?.map(boxed)),
        "dotenv" => Ok(dotenv::open(id, settings, around)?.map(boxed)),
        _ => Ok(Some(boxed(env::open(id, settings, around)?))),
    }
}

fn not_configured(id: &SourceId, known: &BTreeSet<String>) -> Error {
    let fact = if known.contains(id.as_str()) {
        format!("sources: `{id}` is not configured here")
    } else {
        format!("sources: there is no source `{id}`")
    };
    let remedy = match id.as_str() {
        "dotenv" => "Give the file by `env-file`, or leave `dotenv` out of `sources`.".to_owned(),
        "docker-secrets" => {
            "Give its directory in the manifest: `sources: { docker-secrets: { dir: … } }`.".to_owned()
        }
        _ => format!("The sources are: {}.", known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    Error::new(Code::SourceUnknown, fact).hint(remedy)
}

impl Surroundings<'_> {
    /// Whether a path is our own output, or lies in it.
    fn is_own_output(&self, path: &Path) -> bool {
        let own = self.project.join(self.secrets_dir);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        real(path).starts_with(real(&own))
    }
}

/// Reads a file that holds one secret. Shared by the sources that read files. `own_output` is a directory that is no
/// source.
fn read_file(path: &Path, own_output: &Path) -> std::io::Result<(SecretValue, Option<SystemTime>)> {
    let real = path.canonicalize()?;
    if own_output.canonicalize().is_ok_and(|own| real.starts_with(own)) {
        return Err(std::io::Error::other("it is our own output, which is never read back"));
    }
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(std::io::Error::other(if meta.is_dir() {
            "it is a directory"
        } else {
            "it is no regular file"
        }));
    }
    Ok((SecretValue::new(std::fs::read(path)?), meta.modified().ok()))
}

/// The directory that holds the project's secrets, absolute.
fn absolute(around: &Surroundings, path: &Path) -> PathBuf {
    around.project.join(path)
}
