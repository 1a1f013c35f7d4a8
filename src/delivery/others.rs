//! Where the secrets' files of other projects lie that this engine runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::TARGET;
use super::files::index::INDEX;
use crate::engine::host_paths::HostPaths;
use crate::engine::objects::MountOfProject;

/// Files with secrets of another project.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OtherFiles {
    /// The project.
    pub project: String,
    /// Its secrets directory on the Docker host.
    pub path: PathBuf,
}

/// The files of all other projects whose services mount them, as far as they can be seen here. `mounts` are those of the
/// containers that this program deployed, `own` is the project that is not another one. What else a project mounts as its own
/// Compose secrets is none of ours.
pub fn files(mounts: &[MountOfProject], own: &str, host: &HostPaths) -> BTreeSet<OtherFiles> {
    let others = mounts.iter().filter(|mount| mount.project != own);
    let secrets = others.filter(|mount| Path::new(&mount.target).starts_with(TARGET));
    let is_ours = |directory: &&Path| host.here(directory).is_some_and(|here| here.join(INDEX).exists());
    let directory = |mount: &MountOfProject| {
        let path = Path::new(&mount.source).ancestors().skip(1).find(is_ours)?.to_owned();
        Some(OtherFiles { project: mount.project.clone(), path })
    };
    secrets.filter_map(directory).collect()
}
