//! The `docker-secrets` source: a directory with a file for each secret, as Docker mounts it at `/run/secrets`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::kind::{SourceKind, boxed, setting};
use super::{About, Found, Item, Options, ProjectDirs, Reply, Source, absolute, read_file};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result, plain_reason};
use crate::manifest::{Manifest, Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;

/// Where Docker mounts the secrets of a container.
const RUN_SECRETS: &str = "/run/secrets";

/// This kind of source.
pub(super) const KIND: SourceKind = SourceKind {
    name: "docker-secrets",
    versioned: false,
    local: true,
    prefixes: &[],
    settings: &[setting("dir", None, &[])],
    credentials: &[],
    about: "Files of a directory, named like the secret in lower case; outside of GitHub Actions, `/run/secrets` by default.",
    open: |options, opening| Ok(open(&options, opening.settings, opening.around)?.map(boxed)),
    to_configure: |id, _| format!("Set its directory in the manifest: `sources: {{ {id}: {{ dir: … }} }}`."),
    policy: None,
};

/// The source.
pub struct DockerSecrets {
    id: SourceId,
    directory: PathBuf,
    own_output: PathBuf,
    /// The files of a directory of the Docker host that this process cannot access.
    on_host: Option<BTreeMap<String, SecretValue>>,
}

/// The directories in the manifest that this process cannot access: they may be the Docker host's.
pub fn unseen_directories(manifest: &Manifest) -> Vec<PathBuf> {
    let configured = manifest.sources.iter().filter(|(id, _)| manifest.kind(id) == "docker-secrets");
    let named = configured.filter_map(|(_, config)| config.settings.get("dir")).map(PathBuf::from);
    named.filter(|path| path.is_absolute() && !path.exists()).collect()
}

/// Opens it: the directory in the manifest, else `/run/secrets` if it exists. `None` if there is neither.
fn open(options: &Options, settings: &Settings, around: &ProjectDirs) -> Result<Option<DockerSecrets>> {
    let id = &options.id;
    let directory = match options.text("dir") {
        Some(dir) => absolute(around, Path::new(dir)),
        None if settings.platform.actions => return Ok(None),
        None => PathBuf::from(RUN_SECRETS),
    };
    let named = options.text("dir").is_some();
    let own_output = absolute(around, around.secrets_dir);
    if named && around.is_own_output(&directory) {
        return Err(Error::new(
            Code::ManifestInvalid,
            format!("sources.{id}.dir is the secrets-dir {}, which this program writes", directory.display()),
        )
        .help("Use another directory, or remove the source."));
    }
    if let Some(files) = around.host_directories.get(&directory) {
        return Ok(Some(DockerSecrets {
            id: id.clone(),
            directory,
            own_output,
            on_host: Some(files.clone()),
        }));
    }
    match std::fs::read_dir(&directory) {
        Ok(_) => Ok(Some(DockerSecrets { id: id.clone(), directory, own_output, on_host: None })),
        Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(
            Code::SourceFailed,
            format!("sources.{id}.dir: cannot read {}: {}", directory.display(), plain_reason(&error)),
        )
        .help("It must be a directory of the workspace, or an absolute path of the Docker host.")),
    }
}

#[async_trait]
impl Source for DockerSecrets {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, _: &Scope) -> Reference {
        Reference { source: self.id.clone(), item: name.file_name(), field: None, version: None }
    }

    fn is_local_file(&self) -> bool {
        true
    }

    fn about(&self) -> About {
        About { place: self.directory.display().to_string(), ..About::default() }
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(items.len());
        for item in items {
            replies.push(self.one(&item.name).await);
        }
        replies
    }
}

impl DockerSecrets {
    async fn one(&self, name: &str) -> Reply {
        if name.contains('/') || matches!(name, "." | "..") {
            return Reply::Failed(Diagnostic::with_help(
                "a docker-secrets reference must be a file name, not a path",
                "Use only the file name, e.g. `docker-secrets:api_key`.",
            ));
        }
        let path = self.directory.join(name);
        if let Some(files) = &self.on_host {
            let place = format!("{} of the host", path.display());
            return match files.get(name) {
                Some(value) => Reply::Found(Found {
                    value: value.clone(),
                    place,
                    version: None,
                    changed: None,
                    expires: None,
                }),
                None => Reply::Absent(place),
            };
        }
        match read_file(&path, &self.own_output).await {
            Ok((value, changed)) => Reply::Found(Found {
                value,
                place: path.display().to_string(),
                version: None,
                changed,
                expires: None,
            }),
            Err(error) => match error.kind() {
                std::io::ErrorKind::NotFound => Reply::Absent(path.display().to_string()),
                std::io::ErrorKind::PermissionDenied => Reply::Denied(Diagnostic::with_help(
                    format!("{} is not readable by this user", path.display()),
                    format!("Give this user read access: chown or chmod {}", path.display()),
                )),
                _ => Reply::Failed(Diagnostic::with_help(
                    format!("{} cannot be read: {}", path.display(), plain_reason(&error)),
                    "Put a regular file there, or remove it.",
                )),
            },
        }
    }
}
