//! What services have of their secrets now: read back from their volumes and files, to tell which value is another one. The
//! engine knows one digest for all secrets of a service.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::delivery::Held;
use crate::delivery::TARGET;
use crate::delivery::revision::{Revision, Salt};
use crate::delivery::volume::{self};
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::labels;
use crate::secret::SecretValue;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;

/// Values by the names of their files, as in the plan of a delivery.
pub(crate) type Files = BTreeMap<String, SecretValue>;

/// What each of these services has; one is left out of which nothing can be told.
pub(crate) async fn files_of(
    services: &BTreeSet<&String>,
    prepared: &Prepared,
    planned: &Planned,
    tools: &Tools,
) -> Result<BTreeMap<String, Files>> {
    let containers: Vec<&Container> = services
        .iter()
        .filter_map(|service| {
            let own = planned.containers.iter().filter(|container| container.service == **service);
            own.filter(|container| container.label(labels::REVISION).is_some())
                .max_by_key(|container| &container.id)
        })
        .collect();
    let (in_volumes, in_files): (Vec<_>, Vec<_>) =
        containers.into_iter().partition(|container| mounts_volume(container));
    let read = in_volumes.into_iter().map(|container| async move {
        let held = volume::held(tools, &container.id).await?;
        Ok::<_, crate::error::Error>((container.service.clone(), held))
    });
    let mut all = BTreeMap::new();
    for (service, held) in try_join_all(read).await? {
        let Some(held) = held else { continue };
        all.insert(service, held.into_iter().map(|file| (file.name, file.value)).collect());
    }
    if in_files.is_empty() {
        return Ok(all);
    }
    let held = prepared.secrets_dir.held()?;
    if !is_as_left(&held, prepared.record.as_ref().and_then(|record| record.files.as_deref()))? {
        return Ok(all);
    }
    let directory = prepared.host_secrets_dir.as_path();
    let values: BTreeMap<&std::path::Path, &SecretValue> =
        held.iter().map(|file| (file.path.as_path(), &file.value)).collect();
    for container in in_files {
        let value = |source: &str| {
            let below = std::path::Path::new(source).strip_prefix(directory).ok()?;
            values.get(below).map(|value| (*value).clone())
        };
        let files = container.mounts().into_iter().filter_map(|(_, source, target)| {
            let name = target.strip_prefix(TARGET).map_or(target, |below| below.trim_start_matches('/'));
            Some((name.to_owned(), value(source)?))
        });
        all.insert(container.service.clone(), files.collect());
    }
    Ok(all)
}

/// Whether the secret files are those that the last deployment wrote: `digest` is what it noted of them.
pub(crate) fn is_as_left(held: &[Held], digest: Option<&str>) -> Result<bool> {
    let Some((digest, salt)) = digest.and_then(|digest| Some((digest, Salt::of_label(digest)?))) else {
        return Ok(false);
    };
    Ok(Revision::of(&Held::content(held), salt)?.label() == digest)
}

fn mounts_volume(container: &Container) -> bool {
    container.mounts().iter().any(|(kind, _, target)| *kind == "volume" && *target == TARGET)
}
