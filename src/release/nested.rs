//! What services mount inside of a directory of the checkout that they mount, too: `.:/app` and `/app/node_modules`.
//!
//! The copy of the directory cannot be written to, so that a place for each of these mounts must be in it; and what the
//! checkout has there is seen by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Project, Wanted};
use crate::compose::host_mounts;

/// What is mounted inside of one directory, by paths relative to it.
#[derive(Default)]
pub(super) struct Nested {
    /// Each place where something is mounted; whether that is a directory.
    pub(super) places: BTreeMap<PathBuf, bool>,
    /// Those where every service that mounts the directory mounts something.
    pub(super) hidden: BTreeSet<PathBuf>,
}

impl Nested {
    /// For each source of `wanted` that something is mounted in.
    pub(super) fn of(project: &Project, wanted: &[(String, Wanted)]) -> BTreeMap<PathBuf, Self> {
        let mut all: BTreeMap<PathBuf, Self> = BTreeMap::new();
        for (service, outer) in wanted {
            let Some(service) = project.model.services.get(service) else { continue };
            let inside: BTreeMap<PathBuf, bool> = host_mounts::targets(project.model, service)
                .into_iter()
                .filter_map(|(target, source)| {
                    let below = target.strip_prefix(&outer.target).ok()?;
                    let is_file = source.is_some_and(|source| project.here(Path::new(source)).is_file());
                    (below != Path::new("")).then(|| (below.to_owned(), !is_file))
                })
                .collect();
            let here: BTreeSet<PathBuf> = inside.keys().cloned().collect();
            match all.get_mut(&outer.source) {
                Some(known) => {
                    known.hidden.retain(|place| here.contains(place));
                    known.places.extend(inside);
                }
                None => {
                    all.insert(outer.source.clone(), Self { places: inside, hidden: here });
                }
            }
        }
        all
    }
}
