//! What the last deployment left, kept by the engine as the label of an empty volume: names, places and ids, and no value.
//!
//! The workspace is wiped by the next checkout, and a container's label would have to wait for the next recreation to be told
//! that a secret comes from another store. Who may inspect volumes reads it, as who may inspect containers reads their labels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SecretsDir;
use crate::engine::objects::{self, Container, State};
use crate::engine::tools::Tools;
use crate::engine::volumes;
use crate::error::{Code, Result};
use crate::labels;

/// The version of the format. One that is higher is not read.
const VERSION: u32 = 1;

/// A longer text is not written: whoever lists volumes gets it, every time.
const LONGEST: usize = 100 * 1024;

/// What a deployment left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The version of this format.
    pub version: u32,
    /// When the deployment ended (RFC 3339, UTC).
    pub at: String,
    /// The delivery: `file` or `volume`.
    pub delivery: String,
    /// Where each secret that was delivered came from.
    pub secrets: BTreeMap<String, Delivered>,
    /// The services of the project that had containers.
    pub services: BTreeMap<String, Left>,
    /// The volumes that they mounted, with the time at which each was made.
    pub volumes: BTreeMap<String, String>,
    /// The secrets directory, from the project directory, for delivery `file`.
    pub secrets_dir: Option<PathBuf>,
    /// A slow digest of the secret files, for delivery `file`.
    pub files: Option<String>,
    /// Which Docker Compose it was.
    pub compose: Option<String>,
}

/// Where a secret came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivered {
    /// The source's id, `default` or `template`.
    pub source: String,
    /// Where in the source.
    pub reference: Option<String>,
    /// The version that the source named.
    pub version: Option<String>,
}

/// What was left of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {
    /// The label of its revision.
    pub revision: Option<String>,
    /// The ids of its containers, sorted.
    pub containers: Vec<String>,
    /// How many of them ran.
    pub running: usize,
    /// The secrets that it got, sorted.
    pub secrets: Vec<String>,
    /// The names of its variables, sorted.
    pub variables: Vec<String>,
    /// The networks that its containers were in, sorted.
    pub networks: Vec<String>,
    /// Whether they were left with older secrets, since they were not to be started.
    pub stale: bool,
}

impl Left {
    /// What there is of a service now. All its containers are alike as far as this goes.
    pub fn of(containers: &[&Container], secrets: Vec<String>) -> Self {
        let mut ids: Vec<String> = containers.iter().map(|container| container.id.clone()).collect();
        ids.sort();
        let first = containers.first();
        Self {
            revision: first.and_then(|container| container.label(labels::REVISION)).map(str::to_owned),
            containers: ids,
            running: containers.iter().filter(|container| is_up(container)).count(),
            secrets,
            variables: first.map(|container| variables(container)).unwrap_or_default(),
            networks: first.map(|container| networks(container)).unwrap_or_default(),
            stale: false,
        }
    }
}

/// Whether a container runs, or the engine is about to start it again.
pub fn is_up(container: &Container) -> bool {
    matches!(container.state(), State::Running(_) | State::Restarting)
}

/// The names of a container's variables, sorted.
pub fn variables(container: &Container) -> Vec<String> {
    let list = container.raw.pointer("/Config/Env").and_then(|list| list.as_array());
    let name = |pair: &str| pair.split('=').next().unwrap_or(pair).to_owned();
    let mut names: Vec<String> =
        list.into_iter().flatten().filter_map(|pair| pair.as_str()).map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// The networks that a container is in, sorted.
pub fn networks(container: &Container) -> Vec<String> {
    let all = container.raw.pointer("/NetworkSettings/Networks").and_then(|all| all.as_object());
    let mut names: Vec<String> = all.into_iter().flat_map(|all| all.keys().cloned()).collect();
    names.sort();
    names
}

impl Record {
    /// The secrets directory that the deployment used, where it is another one than `now`; `None` also where it cannot be
    /// opened. `directory` is the project directory, `now` is below it, `name` is the project's.
    pub fn former_dir(&self, directory: &Path, now: &Path, name: &str) -> Option<SecretsDir> {
        let path = self.secrets_dir.as_deref().filter(|path| *path != now)?;
        SecretsDir::open(directory, path).ok().map(|former| former.of_project(name))
    }

    /// Whether the two tell of the same state, whenever they were written.
    pub fn is_like(&self, other: &Self) -> bool {
        let bare = |record: &Self| Self {
            version: VERSION,
            at: String::new(),
            volumes: BTreeMap::new(),
            files: None,
            compose: None,
            ..record.clone()
        };
        bare(self) == bare(other)
    }

    /// The text of the label. What a text that `is_secret` would tell is left out; `None` where that is not enough.
    fn text(&self, is_secret: &dyn Fn(&str) -> bool) -> Option<String> {
        let mut told = Self { version: VERSION, ..self.clone() };
        for delivered in told.secrets.values_mut() {
            for text in [&mut delivered.reference, &mut delivered.version] {
                *text = text.take().filter(|text| !is_secret(text));
            }
        }
        let written = |record: &Self| serde_json::to_string(record).ok();
        let fits = |text: &String| text.len() <= LONGEST && !is_secret(text);
        if let Some(text) = written(&told).filter(fits) {
            return Some(text);
        }
        for delivered in told.secrets.values_mut() {
            *delivered = Delivered { source: std::mem::take(&mut delivered.source), ..Delivered::default() };
        }
        for left in told.services.values_mut() {
            left.variables.clear();
        }
        written(&told).filter(fits)
    }
}

/// The name of a project's volume with the record.
pub fn volume_of(project: &str) -> String {
    format!("{project}_claude-secrets-record")
}

/// What the last deployment of a project left; `None` where no record is there, or none that this program understands.
pub async fn read(tools: &Tools, project: &str) -> Result<Option<Record>> {
    let volume = objects::volume(tools, &volume_of(project)).await?;
    let text =
        volume.and_then(|volume| Some(volume.get("Labels")?.get(labels::RECORD)?.as_str()?.to_owned()));
    let record = text.and_then(|text| serde_json::from_str::<Record>(&text).ok());
    Ok(record.filter(|record| record.version == VERSION))
}

/// Puts a record in the place of the one before. `is_secret` says whether a text holds a value.
///
/// # Errors
/// [`Code::DeliveryFailed`] when the engine does not take it. Whether it could be told without a value is returned.
pub async fn write(
    tools: &Tools,
    project: &str,
    record: &Record,
    is_secret: &dyn Fn(&str) -> bool,
) -> Result<bool> {
    let name = volume_of(project);
    volumes::remove(tools, &[&name]).await?;
    let Some(text) = record.text(is_secret) else { return Ok(false) };
    volumes::create(tools, &name, &[(labels::PROJECT, project), (labels::RECORD, &text)])
        .await?
        .or_fail(Code::DeliveryFailed, "cannot note what this deployment left")?;
    Ok(true)
}

/// The volumes that containers mount, with the time at which each was made.
pub async fn volumes(tools: &Tools, containers: &[Container]) -> Result<BTreeMap<String, String>> {
    let mounts = containers.iter().flat_map(Container::mounts);
    let mut names: Vec<String> =
        mounts.filter(|(kind, ..)| *kind == "volume").map(|(_, name, _)| name.to_owned()).collect();
    names.sort();
    names.dedup();
    let all = objects::volumes_named(tools, &names).await?;
    Ok(all.into_iter().map(|volume| (volume.name, volume.created)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let delivered = |source: &str, reference: &str| Delivered {
            source: source.into(),
            reference: Some(reference.into()),
            version: Some("7".into()),
        };
        Record {
            secrets: BTreeMap::from([
                ("A".to_owned(), delivered("vault", "vault:secret/hunter2-hunter2#key")),
                ("B".to_owned(), delivered("env", "env:B")),
            ]),
            services: BTreeMap::from([(
                "web".to_owned(),
                Left { variables: vec!["PATH".into()], ..Left::default() },
            )]),
            ..Record::default()
        }
    }

    #[test]
    fn a_reference_that_holds_a_value_is_left_out_and_the_rest_is_kept() {
        let text = record().text(&|text| text.contains("hunter2")).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read.secrets["A"].reference, None);
        assert_eq!(read.secrets["A"].source, "vault");
        assert_eq!(read.secrets["B"].reference.as_deref(), Some("env:B"));
        assert_eq!(read.version, VERSION);
    }

    #[test]
    fn what_is_too_long_loses_its_details_first_and_is_then_not_written() {
        let mut long = record();
        long.services.get_mut("web").unwrap().variables = vec!["V".repeat(200); 1000];
        let read: Record = serde_json::from_str(&long.text(&|_| false).unwrap()).unwrap();
        assert!(read.services["web"].variables.is_empty() && read.secrets.len() == 2);
        long.services.get_mut("web").unwrap().containers = vec!["c".repeat(200); 1000];
        assert_eq!(long.text(&|_| false), None);
        assert_eq!(record().text(&|text| text.contains("web")), None);
    }

    #[test]
    fn two_records_are_alike_whenever_they_were_written() {
        let compose = Some("2.40.3 1 2.3".into());
        let later =
            Record { at: "2030-01-01T00:00:00Z".into(), files: Some("x.y".into()), compose, ..record() };
        assert!(later.is_like(&record()));
        assert!(!Record { delivery: "file".into(), ..record() }.is_like(&record()));
    }
}
