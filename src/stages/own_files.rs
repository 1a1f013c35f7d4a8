//! The project's own Compose secrets that move into a service's volume: a volume at `/run/secrets` would hide them, and
//! Compose cannot mount them into it.
//!
//! They are read as Compose itself would read them: a variable as Compose's process sees it, where no declared secret and
//! no credential is, else from the project's env files; a file through the Docker host's eyes, and never one of a pseudo
//! file system, where the step's environment could be read.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::access::{Access, Entry};
use crate::compose::includes::included_env_files;
use crate::compose::model::OwnDefinition;
use crate::compose::placeholder::variables_in;
use crate::compose::project::Project;
use crate::compose::service::{OwnFile, Service};
use crate::delivery::choose::Kind;
use crate::delivery::plan::OwnSecret;
use crate::engine::host_directory;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result, plain_reason};
use crate::files::{self, LARGEST_VALUES};
use crate::manifest::{FileSpec, MAX_VALUE_BYTES};
use crate::secret::SecretValue;
use crate::sources::dotenv::parse::{Interpolation, parse};

const SECRETS: &str = "/run/secrets";

/// Reads what moves, by service: nothing with delivery `file`, and without an engine, where `tools` are `None`. Errors:
/// [`Code::DeliveryFailed`] for what cannot be read, or is mounted where the volume goes.
pub(crate) async fn read(
    delivery: Kind,
    project: &Project,
    access: &Access,
    tools: Option<&Tools>,
    host: &HostPaths,
) -> Result<BTreeMap<String, Vec<OwnSecret>>> {
    let Some(tools) = tools.filter(|_| delivery.in_volumes()) else { return Ok(BTreeMap::new()) };
    let reader = Reader { project, tools, host };
    let mut all = BTreeMap::new();
    for (name, own) in &access.services {
        let Some(service) = project.model.services.get(name) else { continue };
        if own.secrets.is_empty() && own.composed.is_empty() {
            continue;
        }
        check_mounts(service)?;
        let mut moved = Vec::new();
        for secret in &service.secrets {
            let file = secret.target.strip_prefix("/run/secrets/").unwrap_or(&secret.target);
            let taken = own.taken.contains(&Entry::Secret(secret.source.clone()))
                || own.secrets.iter().any(|granted| granted.file == file);
            if !file.starts_with('/') && !taken {
                moved.push(reader.read(service, secret, file).await?);
            }
        }
        all.insert(name.clone(), moved);
    }
    Ok(all)
}

fn check_mounts(service: &Service) -> Result<()> {
    let below = |target: &str| Path::new(target).starts_with(SECRETS);
    match service.mounts.iter().find(|mount| below(&mount.target)) {
        None => Ok(()),
        Some(taken) => Err(Error::new(
            Code::DeliveryFailed,
            format!(
                "service {} mounts something of its own at {}, where its secrets go",
                service.name, taken.target
            ),
        )
        .help("Take that mount out of the Compose file, or use `delivery: file`.")),
    }
}

struct Reader<'a> {
    project: &'a Project,
    tools: &'a Tools,
    host: &'a HostPaths,
}

impl Reader<'_> {
    async fn read(&self, service: &Service, own: &OwnFile, file: &str) -> Result<OwnSecret> {
        let failed = |what: String| {
            let (source, name) = (&own.source, &service.name);
            Error::new(Code::DeliveryFailed, format!("the Compose secret {source} of service {name} {what}"))
                .help("Declare it as a secret of this action, or use `delivery: file`.")
        };
        let (value, mode) = match self.project.model.own_file("secrets", &own.source) {
            Some(OwnDefinition::File(path)) => self.file(Path::new(path)).await.map_err(failed)?,
            Some(OwnDefinition::Variable(variable)) => {
                let value = self.variable(variable);
                (value.ok_or_else(|| failed(format!("needs the variable {variable}")))?, 0o444)
            }
            _ => return Err(failed("is neither a file nor a variable".to_owned())),
        };
        // Compose mounts a file as it is, and copies a variable's text with the mode that is asked for.
        let spec = FileSpec { name: None, mode: Some(own.mode.unwrap_or(mode)), uid: own.uid, gid: own.gid };
        Ok(OwnSecret { file: file.to_owned(), value, spec })
    }

    /// A file of the Docker host, with its mode. An error says what is wrong, after the secret's name.
    async fn file(&self, path: &Path) -> Result<(SecretValue, u32), String> {
        if let Some(here) = self.host.here(path) {
            let read = files::read_aside(here, MAX_VALUE_BYTES as u64).await;
            let contents = read.map_err(|error| {
                format!("cannot be read from {}: {}", path.display(), plain_reason(&error))
            })?;
            return Ok((contents.value, contents.mode & 0o777));
        }
        let image = self.host.own_image.as_deref().unwrap_or_default();
        let (directory, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name());
        let files = host_directory::read(self.tools, image, directory).await.map_err(|error| error.fact)?;
        let name = name.and_then(|name| name.to_str()).unwrap_or_default();
        let value = files.get(name).cloned();
        value
            .map(|value| (value, 0o444))
            .ok_or_else(|| format!("is not at {} of the Docker host", path.display()))
    }

    /// A variable as Compose sees it: its process's, else that of the env files of the project and of what it includes.
    fn variable(&self, name: &str) -> Option<SecretValue> {
        if let Some(value) = self.tools.variable(name).filter(|value| !value.is_empty()) {
            let text = value.to_string_lossy();
            return variables_in(&text).is_empty().then(|| SecretValue::new(value.as_bytes().to_vec()));
        }
        let files = [self.project.files.directory.join(".env")];
        let included = included_env_files(&self.project.files.files);
        files.iter().chain(&included).find_map(|file| self.in_env_file(file, name))
    }

    fn in_env_file(&self, file: &Path, name: &str) -> Option<SecretValue> {
        let bytes = files::read(file, LARGEST_VALUES).ok()?.value;
        let known = |variable: &str| Some(Zeroizing::new(self.tools.variable(variable)?.as_bytes().to_vec()));
        let parsed = parse(bytes.expose(), Interpolation::Compose(&known)).ok()?;
        let value = SecretValue::new(parsed.get(name)?.value.to_vec());
        // A line that is composed of a declared secret is not the project's own to hand out.
        let own = std::str::from_utf8(value.expose()).is_ok_and(|text| variables_in(text).is_empty());
        own.then_some(value)
    }
}
