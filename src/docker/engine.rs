//! What the Docker Engine knows: its version, the project's containers, images and volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::command::Tools;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};

/// The oldest Engine API that is supported: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);
/// The oldest Compose: `!override` and `!reset` work as documented since v2.24.
const OLDEST_COMPOSE: (u32, u32) = (2, 24);

/// A container as `docker inspect` shows it. It has no `Debug`: its variables may hold anything.
pub struct Container {
    /// The full id.
    pub id: String,
    /// The name without the slash.
    pub name: String,
    /// The Compose service it belongs to; empty when none.
    pub service: String,
    /// The whole answer.
    pub raw: Value,
}

/// What a container is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs, and its health check, if it has one, is in this state.
    Running(Health),
    /// The engine is starting it again after it ended.
    Restarting,
    /// It has ended with this status.
    Exited(i64),
    /// It was created and not started, is paused, dead or being removed.
    Other,
}

/// What the health check of a running container says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// There is no health check.
    None,
    /// No answer yet.
    Starting,
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
}

/// A volume with its labels.
pub struct Volume {
    /// The name.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, as the engine writes it (RFC 3339).
    pub created: String,
}

impl Container {
    pub(super) fn from(raw: Value) -> Option<Self> {
        let id = raw.get("Id")?.as_str()?.to_owned();
        let name = raw.get("Name")?.as_str()?.trim_start_matches('/').to_owned();
        let mut this = Self { id, name, service: String::new(), raw };
        this.service = this.label("com.docker.compose.service").unwrap_or_default().to_owned();
        Some(this)
    }

    /// A label's text.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.raw.get("Config")?.get("Labels")?.get(name)?.as_str()
    }

    /// The id of the image it was made from.
    pub fn image_id(&self) -> &str {
        self.raw.get("Image").and_then(Value::as_str).unwrap_or_default()
    }

    /// The number of its first process on the Docker host; `None` when it does not run.
    pub fn pid(&self) -> Option<u32> {
        let pid = self.raw.pointer("/State/Pid").and_then(Value::as_u64)?;
        u32::try_from(pid).ok().filter(|pid| *pid != 0)
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        let text = |path: &str| self.raw.pointer(path).and_then(Value::as_str).unwrap_or_default();
        match text("/State/Status") {
            "running" => State::Running(match text("/State/Health/Status") {
                "healthy" => Health::Healthy,
                "unhealthy" => Health::Unhealthy,
                "starting" => Health::Starting,
                _ => Health::None,
            }),
            "restarting" => State::Restarting,
            "exited" => {
                State::Exited(self.raw.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(-1))
            }
            _ => State::Other,
        }
    }

    /// How often the engine has started it again by its restart policy.
    pub fn restart_count(&self) -> u64 {
        self.raw.get("RestartCount").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Its mounts: (kind, name of the volume or source path, destination).
    pub fn mounts(&self) -> Vec<(&str, &str, &str)> {
        let list = self.raw.get("Mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .map(|mount| {
                let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default();
                let kind = text("Type");
                (kind, if kind == "volume" { text("Name") } else { text("Source") }, text("Destination"))
            })
            .collect()
    }

    /// Whether it may write to what is mounted at a place.
    pub fn mount_is_writable(&self, target: &str) -> bool {
        let list = self.raw.get("Mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().any(|mount| {
            mount.get("Destination").and_then(Value::as_str) == Some(target)
                && mount.get("RW").and_then(Value::as_bool) == Some(true)
        })
    }
}

/// Checks that the engine and Compose answer and are new enough. Returns Compose's version, as it prints it.
pub async fn check_versions(tools: &Tools) -> Result<String> {
    let (engine, compose) = tokio::join!(check_engine(tools), compose_version(tools));
    engine?;
    compose
}

/// Where the engine is that Docker's programs speak to: `DOCKER_HOST`, else what the chosen context says; `None` for the
/// default socket.
pub async fn endpoint(tools: &Tools) -> Result<Option<String>> {
    let variable = |name: &str| tools.variable(name).and_then(|text| text.to_str()).map(str::to_owned);
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(Some(host));
    }
    let directory = variable("DOCKER_CONFIG").or_else(|| Some(format!("{}/.docker", variable("HOME")?)));
    let settings = directory.map(|directory| PathBuf::from(directory).join("config.json"));
    let settings = settings.and_then(|path| files::read(&path, LARGEST_SETTINGS).ok());
    let settings: Option<Value> =
        settings.and_then(|contents| serde_json::from_slice(contents.value.expose()).ok());
    let chosen = variable("DOCKER_CONTEXT")
        .or_else(|| Some(settings?.get("currentContext")?.as_str()?.to_owned()))
        .filter(|context| !context.is_empty() && context != "default");
    let Some(context) = chosen else { return Ok(None) };
    let answer = tools
        .docker(&["context", "inspect", "--format={{.Endpoints.docker.Host}}"])
        .names([&context])
        .output()
        .await?;
    if answer.success {
        return Ok(Some(answer.text().trim().to_owned()));
    }
    Err(Error::new(
        Code::EngineUnreachable,
        format!("the Docker context {context} cannot be read: {}", answer.stderr),
    )
    .hint("`docker context ls` shows the contexts; `DOCKER_CONTEXT` chooses one."))
}

/// Checks that the engine answers and speaks API 1.41 or newer.
pub async fn check_engine(tools: &Tools) -> Result<()> {
    let answer = tools.docker(&["version", "--format={{json .Server}}"]).output().await?;
    let server = answer.json().filter(|server| !server.is_null());
    let Some(server) = server else {
        return Err(unreachable(&answer.stderr));
    };
    let version = server.get("ApiVersion").and_then(Value::as_str).unwrap_or_default();
    match numbers(version) {
        Some(found) if found >= OLDEST_API => Ok(()),
        _ => Err(Error::new(
            Code::EngineTooOld,
            format!("the Docker Engine speaks API {version}, 1.41 or newer is needed"),
        )
        .hint("Update the Docker Engine to 20.10 or newer: https://docs.docker.com/engine/install/")),
    }
}

/// Checks that Compose answers and is v2.24 or newer, and returns its version.
pub async fn compose_version(tools: &Tools) -> Result<String> {
    let answer = tools.compose(&["version", "--short"]).output().await?;
    if !answer.success {
        return Err(super::command::compose_missing());
    }
    let version = answer.text().trim().trim_start_matches('v').to_owned();
    match numbers(&version) {
        Some(found) if found >= OLDEST_COMPOSE => Ok(version),
        _ => Err(Error::new(
            Code::ComposeTooOld,
            format!("Docker Compose is {version}, v2.24 or newer is needed (`!override` works since then)"),
        )
        .hint("Update the Compose plugin: https://docs.docker.com/compose/install/")),
    }
}

/// The project's containers, stopped ones too.
pub async fn containers(tools: &Tools, project: &str) -> Result<Vec<Container>> {
    let all = with_label(tools, &format!("com.docker.compose.project={project}")).await?;
    Ok(services_own(all))
}

/// The project's containers, and the images that they were made from by the names that they were given: both asked for at
/// the same time.
pub async fn containers_and_images(
    tools: &Tools,
    project: &str,
) -> Result<(Vec<Container>, BTreeMap<String, Image>)> {
    let listed = list(tools, &format!("com.docker.compose.project={project}")).await?;
    let (ids, names): (Vec<String>, BTreeSet<String>) = listed.into_iter().unzip();
    let names: Vec<String> = names.into_iter().collect();
    let (containers, images) = tokio::try_join!(inspect(tools, &ids), images(tools, &names))?;
    Ok((services_own(containers), images))
}

fn services_own(mut all: Vec<Container>) -> Vec<Container> {
    // What `docker compose run` started belongs to no service. And images that Compose built carry the labels of their
    // project and service on to every container made from them, our locks and helpers too: as Compose does, only those
    // that have the hash of a definition count.
    all.retain(|container| {
        container.label("com.docker.compose.oneoff") != Some("True")
            && container.label("com.docker.compose.config-hash").is_some()
    });
    all
}

/// All containers with a label (`name` or `name=value`), stopped ones too.
pub async fn with_label(tools: &Tools, label: &str) -> Result<Vec<Container>> {
    let ids: Vec<String> = list(tools, label).await?.into_iter().map(|(id, _)| id).collect();
    inspect(tools, &ids).await
}

/// Ids of all containers with a label, with the name of the image that each was made from (an id, when the name has moved
/// on to another image).
async fn list(tools: &Tools, label: &str) -> Result<Vec<(String, String)>> {
    let listed = tools
        .docker(&["ps", "--all", "--no-trunc", "--format={{.ID}} {{.Image}}"])
        .option("--filter", format!("label={label}"))
        .output()
        .await?;
    if !listed.success {
        return Err(unreachable(&listed.stderr));
    }
    let pair = |line: &str| line.split_once(' ').map(|(id, image)| (id.to_owned(), image.to_owned()));
    Ok(listed.text().lines().filter_map(pair).collect())
}

/// The containers with these ids or names; those that are gone are left out.
pub async fn inspect(tools: &Tools, ids: &[String]) -> Result<Vec<Container>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let answer = tools.docker(&["container", "inspect"]).names(ids).output().await?;
    let Some(Value::Array(list)) = answer.json() else {
        return Err(unreachable(&answer.stderr));
    };
    Ok(list.into_iter().filter_map(Container::from).collect())
}

/// The volumes with a label (`name` or `name=value`).
pub async fn volumes(tools: &Tools, label: &str) -> Result<Vec<Volume>> {
    let filter = format!("label={label}");
    let answer = tools.docker(&["volume", "ls", "--quiet"]).option("--filter", &filter).output().await?;
    let names: Vec<String> = answer
        .or_fail(Code::DeliveryFailed, "cannot list volumes")?
        .text()
        .lines()
        .map(str::to_owned)
        .collect();
    volumes_named(tools, &names).await
}

/// The volumes of these names; those that are not there are left out.
pub async fn volumes_named(tools: &Tools, names: &[String]) -> Result<Vec<Volume>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let answer = tools.docker(&["volume", "inspect"]).names(names).output().await?;
    let Some(Value::Array(list)) = answer.json() else {
        return Err(Error::new(Code::DeliveryFailed, format!("cannot inspect volumes: {}", answer.stderr)));
    };
    Ok(list
        .iter()
        .filter_map(|volume| {
            let labels = volume.get("Labels").and_then(Value::as_object);
            Some(Volume {
                name: volume.get("Name")?.as_str()?.to_owned(),
                labels: labels
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                    .collect(),
                created: volume.get("CreatedAt").and_then(Value::as_str).unwrap_or_default().to_owned(),
            })
        })
        .collect())
}

/// The architecture of the engine's machine, in Go's words (`amd64`).
pub async fn architecture(tools: &Tools) -> Result<String> {
    let answer = tools.docker(&["version", "--format={{.Server.Arch}}"]).output().await?;
    if !answer.success {
        return Err(unreachable(&answer.stderr));
    }
    Ok(answer.text().trim().to_owned())
}

/// The architecture that this program is for, in the same words.
pub fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Where the engine keeps its data (`DockerRootDir`), on its machine.
pub async fn data_directory(tools: &Tools) -> Result<String> {
    let answer = tools.docker(&["info", "--format={{.DockerRootDir}}"]).output().await?;
    match answer.text().trim() {
        path if answer.success && path.starts_with('/') => Ok(path.to_owned()),
        _ => Err(unreachable(&answer.stderr)),
    }
}

/// What an image says of itself. It has no `Debug`: its variables may hold anything.
#[derive(Clone, Default)]
pub struct Image {
    /// The id (`sha256:…`).
    pub id: String,
    /// `USER`; empty for root.
    pub user: String,
    /// `ENTRYPOINT`, in its list form.
    pub entrypoint: Vec<String>,
    /// `CMD`, in its list form.
    pub command: Vec<String>,
    /// The test of `HEALTHCHECK`: `CMD` or `CMD-SHELL`, and words; empty when there is none.
    pub healthcheck: Vec<String>,
    /// `SHELL`: what runs the text of a `CMD-SHELL`; empty for `/bin/sh -c`.
    pub shell: Vec<String>,
    /// The whole answer.
    pub raw: Arc<Value>,
    pub(crate) names: Vec<String>,
}

/// The images of these names that are there, by name.
pub async fn images(tools: &Tools, names: &[String]) -> Result<BTreeMap<String, Image>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = tools.docker(&["image", "inspect"]).names(names).output().await?;
    let Some(Value::Array(list)) = answer.json() else {
        return Err(unreachable(&answer.stderr));
    };
    let found: Vec<Image> = list.into_iter().filter_map(image).collect();
    // The answer is in the order asked, so that it is complete when it is as long; else names tell which are missing.
    if found.len() == names.len() {
        return Ok(names.iter().cloned().zip(found).collect());
    }
    Ok(names
        .iter()
        .filter_map(|name| {
            let wanted = canonical(name);
            let found = found
                .iter()
                .find(|image| image.id == *name || image.names.iter().any(|n| canonical(n) == wanted));
            Some((name.clone(), found?.clone()))
        })
        .collect())
}

fn image(raw: Value) -> Option<Image> {
    let list = |path: &str| -> Vec<String> {
        let list = raw.pointer(path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    Some(Image {
        id: raw.get("Id")?.as_str()?.to_owned(),
        user: raw.pointer("/Config/User").and_then(Value::as_str).unwrap_or_default().to_owned(),
        entrypoint: list("/Config/Entrypoint"),
        command: list("/Config/Cmd"),
        healthcheck: list("/Config/Healthcheck/Test"),
        shell: list("/Config/Shell"),
        names: [list("/RepoTags"), list("/RepoDigests")].concat(),
        raw: Arc::new(raw),
    })
}

/// An image name with what `docker` leaves out: no default registry and library, and a tag.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    // `name:tag@digest` is looked up by its digest.
    if let Some((before, digest)) = name.split_once('@') {
        let untagged =
            before.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(before, |(n, _)| n);
        return format!("{untagged}@{digest}");
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// The error for an engine that does not answer, by what the client said.
pub fn unreachable(stderr: &str) -> Error {
    Error::new(Code::EngineUnreachable, format!("the Docker Engine does not answer: {stderr}")).hint(
        "Is the engine running, and may this user use its socket? `docker version` on the runner's host tells.",
    )
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("1.41") >= Some(OLDEST_API) && numbers("1.9") < Some(OLDEST_API));
        assert!(numbers("v2.40.3") > Some(OLDEST_COMPOSE) && numbers("2.9.0") < Some(OLDEST_COMPOSE));
        assert!(numbers("5.5.0") > Some(OLDEST_COMPOSE));
        assert_eq!(numbers("dev"), None);
    }

    #[test]
    fn image_names_are_compared_as_docker_completes_them() {
        for (a, b) in [
            ("debian", "docker.io/library/debian:latest"),
            ("ghcr.io:443/a/b", "ghcr.io:443/a/b:latest"),
            ("a/b:1@sha256:00", "a/b@sha256:00"),
        ] {
            assert_eq!(canonical(a), canonical(b));
        }
    }
}
