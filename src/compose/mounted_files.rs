//! What is in the files that a service's definition only names: its configs, its own secrets, the single files that it
//! mounts. Compose itself does not look: with other content in them it leaves the container as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::model::Model;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::files::{self, Links};
use crate::tracked;

/// So much of a file is looked at; of what is longer, its size tells the rest.
const MOST: u64 = 64 * 1024 * 1024;

/// The content of one file, or of one variable that Compose makes a file of, as a service gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounted {
    /// The name below `/run/secrets`, for one of the project's own secrets.
    pub secret: Option<String>,
    /// The name in the definition, and a digest of the content.
    pub content: String,
}

/// Where the project is, for what is looked for there.
pub struct MountContext<'a> {
    /// The children's variables: Compose fills configs and secrets from them.
    pub tools: &'a Tools,
    /// How paths of the host are read here.
    pub host: &'a HostPaths,
    /// The project directory, as this process sees it.
    pub directory: &'a Path,
    /// Where our own files are, as a path of the host: their content is a matter of the revision.
    pub secrets_dir: &'a Path,
    /// Whether the workspace is a runner's, which is wiped before each run: nothing in it is a service's own data.
    pub fresh: bool,
}

/// The content of what each service's definition names. What cannot be read here (it is elsewhere on the host, or no
/// file) is left out: the definition itself has its path.
pub fn of_services(model: &Model, around: &MountContext) -> BTreeMap<String, Vec<Mounted>> {
    let mut known = BTreeMap::new();
    let services = model.plain().get("services").and_then(Value::as_object);
    services
        .into_iter()
        .flatten()
        .map(|(name, definition)| (name.clone(), of_service(model.plain(), definition, around, &mut known)))
        .filter(|(_, mounted): &(_, Vec<Mounted>)| !mounted.is_empty())
        .collect()
}

fn of_service(
    project: &Value,
    definition: &Value,
    around: &MountContext,
    known: &mut BTreeMap<PathBuf, Option<String>>,
) -> Vec<Mounted> {
    let list = |key: &str| definition.get(key).and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut all = Vec::new();
    for section in ["configs", "secrets"] {
        for entry in list(section) {
            let Some(source) = entry.as_str().map(str::to_owned).or_else(|| text(entry, "source")) else {
                continue;
            };
            let Some(defined) = project.get(section).and_then(|all| all.get(&source)) else { continue };
            let content = match (text(defined, "file"), text(defined, "environment")) {
                (Some(path), _) => around.file(Path::new(&path), known),
                (None, Some(variable)) => Some(around.variable(&variable, known)),
                (None, None) => None,
            };
            let target = text(entry, "target").unwrap_or_else(|| source.clone());
            let secret = target.strip_prefix("/run/secrets/").unwrap_or(&target).to_owned();
            all.extend(content.map(|content| Mounted {
                secret: (section == "secrets").then_some(secret),
                content: format!("{section} {source} {content}"),
            }));
        }
    }
    for mount in list("volumes").filter(|mount| text(mount, "type").as_deref() == Some("bind")) {
        let Some(source) = text(mount, "source") else { continue };
        let read_only = mount.get("read_only").and_then(Value::as_bool) == Some(true);
        if read_only || around.is_the_projects(Path::new(&source)) {
            let content = around.file(Path::new(&source), known);
            // Where the checkout is, is no matter here: the definition has that, unless the file is copied.
            let target = text(mount, "target").unwrap_or_default();
            all.extend(
                content.map(|content| Mounted { secret: None, content: format!("bind {target} {content}") }),
            );
        }
    }
    all
}

impl MountContext<'_> {
    /// A digest of a file of the host; `None` when it cannot be read here.
    fn file(&self, path: &Path, known: &mut BTreeMap<PathBuf, Option<String>>) -> Option<String> {
        if path.starts_with(self.secrets_dir) {
            return None;
        }
        let here = self.host.here(path)?;
        known.entry(here).or_insert_with_key(|path| digest(path)).clone()
    }

    /// What Compose fills a file from: the variable, or the line in `.env`. The latter is not looked for: any change of
    /// that file counts.
    fn variable(&self, name: &str, known: &mut BTreeMap<PathBuf, Option<String>>) -> String {
        use std::os::unix::ffi::OsStrExt;
        if let Some(value) = self.tools.variable(name) {
            return shown(&Sha256::digest(value.as_bytes()));
        }
        let env_file = self.directory.join(".env");
        known.entry(env_file).or_insert_with_key(|path| digest(path)).clone().unwrap_or_default()
    }

    /// Whether a file that a service may write is one of the project's all the same, and not the service's data: it lies
    /// in the project, and git, where there is a repository, tracks it.
    fn is_the_projects(&self, path: &Path) -> bool {
        let Some(here) = self.host.here(path) else { return false };
        let directory = self.directory.canonicalize().unwrap_or_else(|_| self.directory.to_owned());
        let inside = here.starts_with(self.directory) || here.starts_with(directory);
        inside && (self.fresh || !tracked::is_untracked(&here))
    }
}

/// A digest of a regular file's size and its first [`MOST`] bytes; `None` for anything else.
fn digest(path: &Path) -> Option<String> {
    let mut hash = Sha256::new();
    let size = files::read_beginning(path, MOST, Links::Followed, |piece| hash.update(piece)).ok()?;
    hash.update(size.to_le_bytes());
    Some(shown(&hash.finalize()))
}

fn shown(digest: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_have_a_digest_and_it_changes_with_their_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!((digest(&path), digest(directory.path())), (None, None));
        let mut seen = std::collections::BTreeSet::new();
        for content in ["", "a", "b", "aa"] {
            std::fs::write(&path, content).unwrap();
            assert!(seen.insert(digest(&path).unwrap()), "{content}");
            assert_eq!(digest(&path), digest(&path));
        }
        for made_up in
            ["/dev/zero", "/proc/self/environ", "/proc/stat", "/sys/kernel/mm/transparent_hugepage/enabled"]
        {
            assert_eq!(digest(Path::new(made_up)), None, "{made_up}");
        }
    }
}
