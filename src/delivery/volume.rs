//! Delivery by volumes: one immutable volume for each service and revision, filled through the engine before anything
//! refers to it, and mounted read-only at `/run/secrets`.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::TARGET;
use super::revision::Content;
use crate::engine::containers::{self, Mount, NeverStarted};
use crate::engine::objects::{self, Container, Volume};
use crate::engine::tools::Tools;
use crate::engine::{empty_image, helpers, volumes};
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::secret::SecretValue;

/// One file of a volume.
pub struct VolumeFile<'a> {
    /// Its name below `/run/secrets`.
    pub name: String,
    /// The bytes.
    pub value: &'a SecretValue,
    /// Its mode, e.g. `0o400`.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A volume to be made.
pub struct NewVolume<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels besides the project's.
    pub labels: Vec<(&'a str, String)>,
    /// The files.
    pub files: Vec<VolumeFile<'a>>,
}

/// Makes and fills volumes of a project, all of them through one container and by one archive. Another container is there before
/// them and after them, so that a run or an engine that is killed leaves it behind: the sign that they are not complete.
pub async fn create(tools: &Tools, project: &str, new: &[NewVolume<'_>]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = (0..new.len()).map(|number| format!("/{number}")).collect();
    let mounts = new.iter().zip(&places).map(|(volume, at)| {
        let own = volume.labels.iter().map(|(name, text)| (*name, text.as_str()));
        let labels = [(labels::PROJECT, project)].into_iter().chain(own).collect();
        Mount::Volume { name: volume.name, labels, at }
    });
    let mounts: Vec<Mount> = mounts.collect();
    let names: Vec<&str> = new.iter().map(|volume| volume.name).collect();
    fill_through(tools, project, &names, &mounts, ("/", archive(new)?)).await
}

/// Makes one volume with what is in an archive, as the engine takes it; `labels` are all that the volume gets.
pub async fn fill(
    tools: &Tools,
    name: &str,
    project: &str,
    labels: &[(&str, &str)],
    archive: Zeroizing<Vec<u8>>,
) -> Result<()> {
    let mount = Mount::Volume { name, labels: labels.to_vec(), at: TARGET };
    fill_through(tools, project, &[name], &[mount], (TARGET, archive)).await
}

async fn fill_through(
    tools: &Tools,
    project: &str,
    names: &[&str],
    mounts: &[Mount<'_>],
    (at, archive): (&str, Zeroizing<Vec<u8>>),
) -> Result<()> {
    let volumes = if names.len() == 1 { "volume" } else { "volumes" };
    let failed = |what: &str| format!("cannot {what} the {volumes} {}", names.join(", "));
    let fills = names.join(" ");
    let labels = [(labels::PROJECT, project), (labels::FILLS, fills.as_str())];
    let make = async |mounts| {
        let helper = NeverStarted { labels: &labels, mounts, ..NeverStarted::default() };
        let made = empty_image::create(tools, &helper).await?;
        made.or_fail(Code::DeliveryFailed, &failed("create"))?.id()
    };
    let sign = make(&[]).await?;
    let helper = make(mounts).await?;
    let put = containers::put(tools, &helper, at, archive).await?;
    put.or_fail(Code::DeliveryFailed, &failed("fill"))?;
    for id in [helper, sign] {
        let removed = containers::remove(tools, &id).await?;
        removed.or_fail(Code::DeliveryFailed, &failed("finish"))?;
    }
    Ok(())
}

/// The volumes that a container of ours fills.
fn filled_by(helper: &Container) -> impl Iterator<Item = &str> {
    helper.label(labels::FILLS).into_iter().flat_map(|names| names.split(' ').filter(|name| !name.is_empty()))
}

/// Our volumes of a project that are complete: not those that a killed run left half-filled.
pub async fn complete(tools: &Tools, project: &str) -> Result<Vec<Volume>> {
    let label = labels::with(labels::PROJECT, project);
    let (all, helpers) =
        tokio::try_join!(objects::volumes(tools, &label), helpers::of_project(tools, project))?;
    let filling: BTreeSet<&str> = helpers.iter().flat_map(filled_by).collect();
    Ok(all.into_iter().filter(|volume| !filling.contains(volume.name.as_str())).collect())
}

/// Removes what a killed run left: containers that fill volumes, and those volumes. Call it under the lock.
pub async fn remove_incomplete(tools: &Tools, project: &str) -> Result<()> {
    let helpers = helpers::of_project(tools, project).await?;
    let filling: Vec<_> = helpers.iter().filter(|helper| helper.label(labels::FILLS).is_some()).collect();
    if filling.is_empty() {
        return Ok(());
    }
    let ours = objects::volumes(tools, &labels::with(labels::PROJECT, project)).await?;
    let named: BTreeSet<&str> = filling.iter().flat_map(|helper| filled_by(helper)).collect();
    let half = ours.into_iter().map(|own| own.name);
    let half: Vec<String> = half.filter(|name| named.contains(name.as_str())).collect();
    // A volume that a container mounts cannot be removed. Those that mount none go last: they are the sign.
    let (helpers, signs): (Vec<&&Container>, Vec<&&Container>) =
        filling.iter().partition(|helper| !helper.mounts().is_empty());
    for helper in helpers {
        containers::remove(tools, &helper.id).await?;
    }
    volumes::remove(tools, &half).await?;
    let ours = objects::volumes(tools, &labels::with(labels::PROJECT, project)).await?;
    if let Some(left) = ours.iter().find(|own| half.contains(&own.name)) {
        let fact = format!("cannot remove the volume {}, which an earlier run left half-filled", left.name);
        return Err(Error::new(Code::DeliveryFailed, fact)
            .help(format!("Find out what keeps it: `docker volume rm {}`.", left.name)));
    }
    for sign in signs {
        containers::remove(tools, &sign.id).await?;
    }
    Ok(())
}

/// Removes a project's volumes but the current ones and those that its containers mounted before this deployment
/// (`before`), which are kept to go back to. Returns the names of those that are still in use and stay for now.
pub async fn remove_old(
    tools: &Tools,
    project: &str,
    current: &BTreeMap<String, String>,
    before: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let old = old(complete(tools, project).await?, current, before);
    if old.is_empty() {
        return Ok(Vec::new());
    }
    // One that a stopped container still refers to cannot go yet; the next deployment tries again.
    volumes::remove(tools, &old).await?;
    let left = objects::volumes(tools, &labels::with(labels::PROJECT, project)).await?;
    Ok(left.into_iter().map(|volume| volume.name).filter(|name| old.contains(name)).collect())
}

/// Those of a project's volumes that [`remove_old`] removes.
pub fn old(all: Vec<Volume>, current: &BTreeMap<String, String>, before: &BTreeSet<String>) -> Vec<String> {
    let keep = |name: &String| current.values().any(|other| other == name) || before.contains(name);
    let mut by_service: BTreeMap<String, Vec<Volume>> = BTreeMap::new();
    for volume in all {
        // The launcher's volume is no service's, and stays.
        if let Some(service) = volume.labels.get(labels::SERVICE).cloned() {
            by_service.entry(service).or_default().push(volume);
        }
    }
    let mut old = Vec::new();
    for mut volumes in by_service.into_values() {
        volumes.retain(|volume| !current.values().any(|name| *name == volume.name));
        if volumes.iter().any(|volume| before.contains(&volume.name)) {
            volumes.retain(|volume| !keep(&volume.name));
        } else if !volumes.is_empty() {
            // This deployment changed nothing for the service: the newest of its older volumes is the one before.
            volumes.sort_by(|a, b| b.created.cmp(&a.created));
            volumes.remove(0);
        }
        old.extend(volumes.into_iter().map(|volume| volume.name));
    }
    old
}

/// A file of a volume as it is there.
pub struct HeldFile {
    /// Its name below `/run/secrets`.
    pub name: String,
    /// The bytes.
    pub value: SecretValue,
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The files of the volume that a container mounts at `/run/secrets`, whether it runs or not. `None` when the engine does not
/// hand them out.
pub async fn held(tools: &Tools, container: &str) -> Result<Option<Vec<HeldFile>>> {
    let copied = containers::get(tools, container, TARGET).await?;
    Ok(if copied.is_success() { read_archive(&copied.body) } else { None })
}

/// What the digest of [`SUM`] covers.
pub fn sum_of<'f>(files: impl Iterator<Item = (&'f str, u32, u32, u32, &'f SecretValue)>) -> Content {
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|(name, ..)| *name);
    let mut content = Content::default();
    for (name, mode, uid, gid, value) in files {
        content.add(name.as_bytes());
        for number in [mode, uid, gid] {
            content.add(&number.to_le_bytes());
        }
        content.add(value.expose());
    }
    content
}

/// The files of an archive of `/run/secrets`, as the engine makes one: with the directory's own name before theirs.
fn read_archive(bytes: &[u8]) -> Option<Vec<HeldFile>> {
    let mut archive = tar::Archive::new(bytes);
    let mut files = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let path = entry.path().ok()?.into_owned();
        let name: std::path::PathBuf = path.components().skip(1).collect();
        let header = entry.header();
        let (mode, uid, gid) = (header.mode().ok()?, header.uid().ok()?, header.gid().ok()?);
        let mut value = Vec::with_capacity(usize::try_from(entry.size()).ok()?);
        std::io::Read::read_to_end(&mut entry, &mut value).ok()?;
        files.push(HeldFile {
            name: name.to_str()?.to_owned(),
            value: SecretValue::new(value),
            mode: mode & 0o7777,
            uid: uid.try_into().ok()?,
            gid: gid.try_into().ok()?,
        });
    }
    Some(files)
}

/// The files of volumes as a tar archive that carries owners and modes, as the engine takes it: those of each below its number.
fn archive(volumes: &[NewVolume]) -> Result<Zeroizing<Vec<u8>>> {
    let files = || {
        let numbered = volumes.iter().enumerate();
        numbered.flat_map(|(number, volume)| volume.files.iter().map(move |file| (number, file)))
    };
    // Room for all at once: a buffer that grows would leave copies of the values behind.
    let room: usize = files().map(|(_, file)| file.value.expose().len() + 2048).sum();
    let mut buffer = Zeroizing::new(Vec::with_capacity(room + 4096));
    {
        let mut tar = tar::Builder::new(&mut *buffer);
        let fault = |_| Error::new(Code::Internal, "the archive of the secrets could not be made");
        for (number, file) in files() {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.value.expose().len() as u64);
            header.set_mode(file.mode);
            header.set_uid(file.uid.into());
            header.set_gid(file.gid.into());
            header.set_mtime(0);
            let path = format!("{number}/{}", file.name);
            tar.append_data(&mut header, path, file.value.expose()).map_err(fault)?;
        }
        tar.finish().map_err(fault)?;
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_carries_owner_and_mode_and_every_byte_to_each_volume() {
        let value = SecretValue::new(b"a\0b\n".to_vec());
        let long = "x".repeat(180);
        let volumes = [
            NewVolume {
                name: "a",
                labels: Vec::new(),
                files: vec![
                    VolumeFile { name: "key".into(), value: &value, mode: 0o400, uid: 1000, gid: 2000 },
                    VolumeFile { name: long.clone(), value: &value, mode: 0o440, uid: 0, gid: 0 },
                ],
            },
            NewVolume {
                name: "b",
                labels: Vec::new(),
                files: vec![VolumeFile { name: "key".into(), value: &value, mode: 0o444, uid: 7, gid: 8 }],
            },
        ];
        let bytes = archive(&volumes).unwrap();
        let mut tar = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
            assert_eq!(text, b"a\0b\n");
            let header = entry.header();
            seen.push((
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                entry.path().unwrap().display().to_string(),
            ));
        }
        let long = format!("0/{long}");
        let expected = [(0o400, 1000, 2000, "0/key"), (0o440, 0, 0, &long), (0o444, 7, 8, "1/key")];
        assert_eq!(seen, expected.map(|(mode, uid, gid, path)| (mode, uid, gid, path.to_owned())));
    }
}
