//! The volumes of a release and of services' data, on the engine.

use std::collections::BTreeSet;

use super::Release;
use crate::delivery::volume::{self};
use crate::engine::objects::{self, Container, Volume};
use crate::engine::tools::Tools;
use crate::engine::volumes;
use crate::error::{Code, Error, Result};
use crate::labels;

/// Makes what is not there yet. Call it under the lock.
pub async fn create(tools: &Tools, project: &str, release: &Release) -> Result<Vec<String>> {
    let mut made = Vec::new();
    if !release.archives.is_empty() {
        let there = volume::complete(tools, project).await?;
        for (name, archive) in &release.archives {
            if !there.iter().any(|volume| volume.name == *name) {
                let labels = [(labels::PROJECT, project), (labels::RELEASE, archive.digest.as_str())];
                volume::fill(tools, name, project, &labels, archive.bytes.clone()).await?;
                made.push(name.clone());
            }
        }
    }
    let names: Vec<String> = release.states.keys().cloned().collect();
    let there = objects::volumes_named(tools, &names).await?;
    for (name, path) in &release.states {
        if let Some(volume) = there.iter().find(|volume| volume.name == *name) {
            check_data(volume, project, path)?;
        } else {
            volumes::create(tools, name, &[(labels::DATA_OF, project), (labels::DATA_AT, path)])
                .await?
                .or_fail(Code::DeliveryFailed, &format!("cannot create the volume {name}"))?;
            made.push(name.clone());
        }
    }
    Ok(made)
}

/// Checks that a volume which is there already was made for the data at this path: a service would get another one's.
fn check_data(volume: &Volume, project: &str, path: &str) -> Result<()> {
    let is = |label: &str, value: &str| volume.labels.get(label).is_none_or(|there| there == value);
    if volume.labels.contains_key(labels::DATA_OF)
        && is(labels::DATA_OF, project)
        && is(labels::DATA_AT, path)
    {
        return Ok(());
    }
    Err(Error::new(
        Code::ProjectFiles,
        format!("the volume {} is there, and was not made for the data in {path}", volume.name),
    )
    .help("Mount another directory, or move what is in the volume and remove it."))
}

/// Removes the volumes of releases that nothing mounts: neither what runs now nor what ran before this deployment.
pub async fn remove_old(
    tools: &Tools,
    project: &str,
    release: &Release,
    containers: &[&[Container]],
) -> Result<()> {
    let all = objects::volumes(tools, &labels::with(labels::PROJECT, project)).await?;
    let old = old(&all, release, containers);
    volumes::remove(tools, &old).await
}

/// Those of a project's volumes that [`remove_old`] removes.
pub fn old(all: &[Volume], release: &Release, containers: &[&[Container]]) -> Vec<String> {
    let mounts = containers.iter().copied().flatten().flat_map(Container::mounts);
    let used: BTreeSet<&str> =
        mounts.filter_map(|(_, source, _)| source.split_once("/volumes/")?.1.split('/').next()).collect();
    let of_releases =
        all.iter().filter(|volume| volume.labels.contains_key(labels::RELEASE)).map(|volume| &volume.name);
    of_releases
        .filter(|name| !release.archives.contains_key(*name) && !used.contains(name.as_str()))
        .cloned()
        .collect()
}

/// Those that [`create`] would make. `complete` are the project's volumes that are complete.
pub async fn missing(tools: &Tools, release: &Release, complete: &[Volume]) -> Result<Vec<String>> {
    let is_complete = |name: &&String| complete.iter().any(|volume| volume.name == **name);
    let states: Vec<String> = release.states.keys().cloned().collect();
    let there = objects::volumes_named(tools, &states).await?;
    let archives = release.archives.keys().filter(|name| !is_complete(name));
    let states = states.iter().filter(|name| !there.iter().any(|volume| volume.name == **name));
    Ok(archives.chain(states).cloned().collect())
}

/// The volumes with data of a project's services.
pub async fn states(tools: &Tools, project: &str) -> Result<Vec<String>> {
    let all = objects::volumes(tools, &labels::with(labels::DATA_OF, project)).await?;
    Ok(all.into_iter().map(|volume| volume.name).collect())
}

/// Whether there is a volume of this name.
pub(super) async fn is_there(tools: &Tools, name: &str) -> Result<bool> {
    Ok(objects::volume(tools, name).await?.is_some())
}
