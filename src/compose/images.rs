//! Images: there before anything is changed, and known by the user that they run as.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::failed::what_failed;
use super::placeholder::literal;
use super::project::{Project, With};
use super::service::Service;
use crate::engine::containers::{self, NeverStarted};
use crate::engine::memory_directory::{MemoryDirectory, place, remove_stale};
use crate::engine::objects::{self, Image};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;
use crate::settings::{ComposeSettings, Pull};

/// Whether the builder of Compose 5 (`buildx bake`) asks before it reads a file that is neither in a build context nor below
/// the current directory. Without a terminal it refuses, and Compose gives no leave for the files of build secrets: no build would
/// get one of ours. What a project's builds may read, we have checked by then.
const BAKE_ASKS: &str = "BUILDX_BAKE_ENTITLEMENTS_FS";

/// The images of the project that the engine has, by name.
pub type Images = BTreeMap<String, Image>;

/// The images of the services that the engine has now, without pulling or building any. `known` are some that have
/// been looked at already.
pub async fn present(
    tools: &Tools,
    project: &Project,
    services: &BTreeSet<String>,
    known: Images,
) -> Result<Images> {
    let names: BTreeSet<&String> = chosen(project, services).map(|service| &service.image).collect();
    let new: Vec<String> =
        names.iter().filter(|name| !known.contains_key(**name)).map(|n| (*n).clone()).collect();
    let mut all = known;
    all.retain(|name, _| names.contains(name));
    all.extend(objects::images(tools, &new).await?);
    Ok(all)
}

/// The services to build, and those to pull: what the inputs say, then what the service's `pull_policy` says, then what is
/// not there.
pub fn missing<'a>(
    project: &'a Project,
    settings: &ComposeSettings,
    services: &'a BTreeSet<String>,
    images: &Images,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut build, mut pull) = (Vec::new(), Vec::new());
    for service in chosen(project, services) {
        let absent = !images.contains_key(&service.image);
        let policy = service.pull_policy.as_str();
        if service.build && (settings.build || absent || policy == "build") {
            build.push(service.name.as_str());
        } else if !service.build
            && (absent || settings.pull == Pull::Always || policy == "always" && settings.pull != Pull::Never)
        {
            pull.push(service.name.as_str());
        }
    }
    (build, pull)
}

/// The registry that an image is pulled from: what is before the first `/`, where that can be a host, else Docker Hub
/// (github.com/distribution/reference, `splitDockerDomain`).
pub fn registry(image: &str) -> &str {
    let is_host = |part: &&str| {
        part.contains(['.', ':']) || *part == "localhost" || part.chars().any(char::is_uppercase)
    };
    image.split_once('/').map(|(first, _)| first).filter(is_host).unwrap_or("docker.io")
}

/// Pulls and builds what the services need, as `pull` and `build` say, and returns all their images. Nothing that runs
/// is touched. `images` is what [`present`] found; builds get `secrets` as Compose's own build secrets.
pub async fn ensure(
    tools: &Tools,
    project: &Project,
    settings: &ComposeSettings,
    services: &BTreeSet<String>,
    images: Images,
    secrets: &BuildSecrets,
) -> Result<Images> {
    let (build, pull) = missing(project, settings, services, &images);
    if build.is_empty() && pull.is_empty() {
        return Ok(images);
    }
    if settings.pull == Pull::Never && !pull.is_empty() {
        return Err(unavailable(&pull, "is not there, and `pull` is `never`"));
    }
    for (word, names) in [("pull", &pull), ("build", &build)] {
        if names.is_empty() {
            continue;
        }
        let files = if word == "build" { secrets.write()? } else { None };
        let with = files.as_ref().map_or(With::NoOverride, |files| With::Input(&files.override_text));
        let mut tools = tools.clone();
        if word == "build" && tools.variable(BAKE_ASKS).is_none() {
            tools = tools.with_variable(BAKE_ASKS, OsStr::new("0"));
        }
        let call = project.call(&tools, with, &["*".to_owned()]);
        let (success, tail) = call.words(&[word]).names(names).stream().await?;
        if !success && word == "build" {
            return Err(not_built(names, &tail));
        }
        if !success {
            return Err(unavailable(names, &format!("could not be pulled:\n{}", what_failed(&tail))));
        }
    }
    let images = present(tools, project, services, Images::new()).await?;
    let missing: Vec<&str> = chosen(project, services)
        .filter(|service| !images.contains_key(&service.image))
        .map(|service| service.name.as_str())
        .collect();
    if missing.is_empty() { Ok(images) } else { Err(unavailable(&missing, "is still not there")) }
}

/// What the names of directories for build secrets start with.
const BUILD_PREFIX: &str = "claude-secrets-build-";

/// What builds get as Compose's build secrets, by their keys in the project's `secrets`: files that only this process can
/// read, for as long as a build takes.
#[derive(Default)]
pub struct BuildSecrets(pub BTreeMap<String, SecretValue>);

/// The files of build secrets, removed when this is dropped, and the override that names them.
struct BuildFiles {
    override_text: String,
    _directory: MemoryDirectory,
}

impl BuildSecrets {
    fn write(&self) -> Result<Option<BuildFiles>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        remove_stale(BUILD_PREFIX);
        let failed = |error: &std::io::Error| {
            Error::io(Code::DeliveryFailed, "write build secrets to", &place(), error)
        };
        let directory = MemoryDirectory::new(BUILD_PREFIX).map_err(|error| failed(&error))?;
        let mut override_text = "services: {}\nsecrets:\n".to_owned();
        for (key, value) in &self.0 {
            // Made for its owner alone (tempfile: 0600).
            let mut file =
                tempfile::NamedTempFile::new_in(directory.path()).map_err(|error| failed(&error))?;
            std::io::Write::write_all(&mut file, value.expose()).map_err(|error| failed(&error))?;
            let (_, path) = file.keep().map_err(|error| failed(&error.error))?;
            let path = literal(&path.display().to_string());
            let (key, path) = (serde_json::Value::from(key.as_str()), serde_json::Value::from(path));
            let _ = writeln!(override_text, "  {key}: !override\n    file: {path}");
        }
        Ok(Some(BuildFiles { override_text, _directory: directory }))
    }
}

/// Who the image's `/etc/passwd` says a user is: `(uid, gid)`. `None` when there is no such file or user.
pub async fn user_of(tools: &Tools, image: &str, user: &str) -> Result<Option<(u32, u32)>> {
    let created = containers::create(tools, image, &NeverStarted::default()).await?;
    let id = created.or_fail(Code::DeliveryFailed, &format!("cannot look into the image {image}"))?.id()?;
    let text = text_of(tools, &id, "/etc/passwd").await;
    containers::remove(&tools.uninterrupted(), &id).await?;
    Ok(text?.and_then(|text| find_user(&text, user)))
}

/// The text of a file of a container; `None` when there is none. The engine hands out a link as a link.
async fn text_of(tools: &Tools, id: &str, path: &str) -> Result<Option<String>> {
    const MOST_LINKS: usize = 8;
    let mut path = PathBuf::from(path);
    for _ in 0..=MOST_LINKS {
        let copied = containers::get(tools, id, &path.to_string_lossy()).await?;
        if !copied.is_success() {
            return Ok(None);
        }
        let mut archive = tar::Archive::new(&copied.body[..]);
        let Some(mut entry) = archive.entries().ok().and_then(|mut all| all.next()?.ok()) else { break };
        let Ok(Some(target)) = entry.link_name().map(|target| target.map(Cow::into_owned)) else {
            let mut text = String::new();
            return Ok(std::io::Read::read_to_string(&mut entry, &mut text).ok().map(|_| text));
        };
        path.pop();
        path.push(target);
    }
    Ok(None)
}

/// passwd(5): name, password, uid, gid, …
fn find_user(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        if name == user { Some((uid.parse().ok()?, gid.parse().ok()?)) } else { None }
    })
}

/// Those of the services that are made from an image.
fn chosen<'a>(project: &'a Project, services: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Service> {
    let all = project.model.services.values();
    all.filter(|service| services.contains(&service.name) && service.provider.is_none())
}

/// How the builders say that a registry did not give an image, and no step of a Dockerfile failed.
const OF_A_REGISTRY: &[&str] = &[
    "pull access denied",
    "failed to authorize",
    "failed to resolve source metadata",
    "failed to resolve reference",
    "unauthorized:",
    "denied:",
    "manifest unknown",
    "manifest for ",
    "failed to do request:",
    ": not found",
];

/// How they say that a step failed (with what it ran, which may hold any words), or that the Dockerfile cannot be read.
const OF_A_STEP: &[&str] = &[
    "did not complete successfully",
    "executor failed running",
    "returned a non-zero code",
    "dockerfile parse error",
];

fn not_built(services: &[&str], tail: &[String]) -> Error {
    let images = images_of(services);
    let error =
        Error::new(Code::ImageUnavailable, format!("{images} could not be built:\n{}", tail.join("\n")));
    if is_of_a_registry(tail) {
        return error.help(REGISTRY_HINT);
    }
    error.help(format!(
        "The failed step is in the log above. `docker compose build {}` builds by hand.",
        services.join(" ")
    ))
}

/// Whether a build failed since a registry did not give an image that it is made from. Nothing but its words tells.
fn is_of_a_registry(tail: &[String]) -> bool {
    // The last line is the build's own; what comes before may be any program's.
    let said = what_failed(tail);
    let last = said.lines().last().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| last.contains(word));
    !has(OF_A_STEP) && has(OF_A_REGISTRY)
}

/// What can be done when a registry does not give an image.
const REGISTRY_HINT: &str = "Is the image's name right, and does the engine have access? Logins go to the input `registries`: \
    a `docker login` of an earlier step does not reach a container action.";

fn images_of(services: &[&str]) -> String {
    match services {
        [one] => format!("the image of {one}"),
        several => format!("one or more of the images of {}", several.join(", ")),
    }
}

fn unavailable(services: &[&str], what: &str) -> Error {
    Error::new(Code::ImageUnavailable, format!("{} {what}", images_of(services))).help(REGISTRY_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_told_as_docker_reads_an_images_name() {
        for (image, host) in [
            ("debian", "docker.io"),
            ("grafana/grafana:12", "docker.io"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("10.0.0.1:5000/a", "10.0.0.1:5000"),
        ] {
            assert_eq!(registry(image), host);
        }
    }

    #[test]
    fn users_are_found_by_their_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:4321::/:/bin/false\nbroken\n";
        assert_eq!(find_user(passwd, "app"), Some((1234, 4321)));
        assert_eq!(find_user(passwd, "nobody"), None);
    }

    #[test]
    fn a_registry_that_refuses_is_told_from_a_step_that_fails() {
        for (line, of_a_registry) in [
            (
                "failed to solve: rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to \
                 create LLB definition: failed to do request: Head \"https://ghcr.io/v2/a/b/manifests/1\": dial tcp: x",
                true,
            ),
            (
                "failed to solve: a/b:1: failed to resolve source metadata for docker.io/a/b:1: 403 Forbidden",
                true,
            ),
            (
                "failed to solve: pull access denied, repository does not exist or may require authorization",
                true,
            ),
            (
                "failed to solve: executor failed running [/bin/sh -c echo 'pull access denied'; false]: exit code: 1",
                false,
            ),
            (
                "failed to solve: process \"/bin/sh -c npm ci # unauthorized: \" did not complete successfully: exit code: 1",
                false,
            ),
            ("failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN", false),
        ] {
            let tail = ["#5 0.211 unauthorized: of a program".to_owned(), line.to_owned()];
            assert_eq!(is_of_a_registry(&tail), of_a_registry, "{line}");
            let help = not_built(&["web"], &tail).help.concat();
            assert_eq!(help.contains("`registries`"), of_a_registry, "{line}");
        }
    }
}
