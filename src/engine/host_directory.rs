//! Reads a directory of the Docker host that this container does not see: through the engine, by a container that mounts
//! it and is never started.

use std::collections::BTreeMap;
use std::path::Path;

use super::containers::{self, Mount, NeverStarted};
use super::empty_image;
use super::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;

/// The regular files right in the host's `directory`, by name. `image` is any image that the engine has, or
/// [`empty_image::NAME`], which is made there. Errors:
/// [`Code::SourceFailed`], also when the host has no such directory.
pub async fn read(tools: &Tools, image: &str, directory: &Path) -> Result<BTreeMap<String, SecretValue>> {
    let failed = format!("cannot read {} of the Docker host", directory.display());
    let path = directory
        .to_str()
        .ok_or_else(|| Error::new(Code::SourceFailed, format!("{failed}: its name is not UTF-8")))?;
    let new = NeverStarted { mounts: &[Mount::Directory { path, at: "/read" }], ..NeverStarted::default() };
    let created = if image == empty_image::NAME {
        empty_image::create(tools, &new).await?
    } else {
        containers::create(tools, image, &new).await?
    };
    let id = created.or_fail(Code::SourceFailed, &failed)?.id()?;
    let copied = containers::get(tools, &id, "/read/.").await;
    containers::remove(&tools.uninterrupted(), &id).await?;
    let archive = copied?.or_fail(Code::SourceFailed, &failed)?;
    let mut files = BTreeMap::new();
    let mut entries = tar::Archive::new(&archive.body[..]);
    let broken = |_| Error::new(Code::SourceFailed, format!("{failed}: the engine's archive is broken"));
    for entry in entries.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let name = path.strip_prefix(".").unwrap_or(&path).to_str().map(str::to_owned);
        let Some(name) = name.filter(|name| entry.header().entry_type().is_file() && !name.contains('/'))
        else {
            continue;
        };
        // What the header says need not be so.
        let room = usize::try_from(entry.size()).unwrap_or(usize::MAX).min(archive.body.len());
        let mut value = Vec::with_capacity(room);
        std::io::Read::read_to_end(&mut entry, &mut value).map_err(broken)?;
        files.insert(name, SecretValue::new(value));
    }
    Ok(files)
}
