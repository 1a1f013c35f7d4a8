//! What the Docker Engine knows: its version, the project's containers, images and volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::api::{self, Request};
pub use super::api::{endpoint, unreachable};
use super::helpers;
use super::tools::Tools;
use crate::error::{Code, Result};
use crate::labels;

/// A container as `docker inspect` shows it. It has no `Debug`: its variables may hold anything.
#[derive(Clone)]
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

impl Volume {
    fn from(told: &Value) -> Option<Self> {
        let labels = told.get("Labels").and_then(Value::as_object).into_iter().flatten();
        let text = |(name, text): (&String, &Value)| Some((name.clone(), text.as_str()?.to_owned()));
        Some(Self {
            name: told.get("Name")?.as_str()?.to_owned(),
            labels: labels.filter_map(text).collect(),
            created: told.get("CreatedAt").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    }
}

impl Container {
    pub(crate) fn from(raw: Value) -> Option<Self> {
        let id = raw.get("Id")?.as_str()?.to_owned();
        let name = raw.get("Name")?.as_str()?.trim_start_matches('/').to_owned();
        let mut this = Self { id, name, service: String::new(), raw };
        this.service = this.label(labels::COMPOSE_SERVICE).unwrap_or_default().to_owned();
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

/// The project's containers, stopped ones too.
pub async fn containers(tools: &Tools, project: &str) -> Result<Vec<Container>> {
    let all = with_label(tools, &labels::with(labels::COMPOSE_PROJECT, project)).await?;
    Ok(services_own(all))
}

/// The project's containers, and the images that they were made from by the names that they were given: both asked for at
/// the same time.
pub async fn containers_and_images(
    tools: &Tools,
    project: &str,
) -> Result<(Vec<Container>, BTreeMap<String, Image>)> {
    let listed = list(tools, &labels::with(labels::COMPOSE_PROJECT, project)).await?;
    let (ids, names): (Vec<String>, BTreeSet<String>) = listed.into_iter().unzip();
    let names: Vec<String> = names.into_iter().collect();
    let (containers, images) = tokio::try_join!(inspect(tools, &ids), images(tools, &names))?;
    Ok((services_own(containers), images))
}

/// Containers with the project's label that [`containers`] leaves out: what `docker compose run` started, and what was made
/// by hand. Our own are not among them. `known` are those of services, which are not looked at again.
pub async fn beside_services(tools: &Tools, project: &str, known: &[Container]) -> Result<Vec<Container>> {
    let listed = list(tools, &labels::with(labels::COMPOSE_PROJECT, project)).await?;
    let ids = listed.into_iter().map(|(id, _)| id);
    let others: Vec<String> = ids.filter(|id| !known.iter().any(|container| container.id == *id)).collect();
    let mut all = inspect(tools, &others).await?;
    all.retain(|container| !is_of_service(container) && !helpers::is_ours(container));
    Ok(all)
}

fn services_own(mut all: Vec<Container>) -> Vec<Container> {
    // What `docker compose run` started belongs to no service. And images that Compose built carry the labels of their
    // project and service on to every container made from them, our locks and helpers too: as Compose does, only those
    // that have the hash of a definition count.
    all.retain(is_of_service);
    all
}

fn is_of_service(container: &Container) -> bool {
    container.label(labels::COMPOSE_ONEOFF) != Some("True")
        && container.label(labels::COMPOSE_CONFIG_HASH).is_some()
}

/// All containers with a label (`name` or `name=value`), stopped ones too.
pub async fn with_label(tools: &Tools, label: &str) -> Result<Vec<Container>> {
    let ids: Vec<String> = list(tools, label).await?.into_iter().map(|(id, _)| id).collect();
    inspect(tools, &ids).await
}

/// Something of the Docker host that a container of some Compose project mounts.
pub struct MountOfProject {
    /// The project.
    pub project: String,
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub target: String,
}

/// What all containers with a label (`name` or `name=value`) mount of the Docker host, stopped ones too.
pub async fn mounts_with_label(tools: &Tools, label: &str) -> Result<Vec<MountOfProject>> {
    let listed = listed(tools, label).await?;
    let text = |one: &Value, key: &str| Some(one.get(key)?.as_str()?.to_owned());
    let mut all = Vec::new();
    for container in &listed {
        let project = container.pointer("/Labels/com.docker.compose.project").and_then(Value::as_str);
        let mounts = container.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        let binds = mounts.filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("bind"));
        all.extend(binds.filter_map(|mount| {
            let (source, target) = (text(mount, "Source")?, text(mount, "Destination")?);
            Some(MountOfProject { project: project?.to_owned(), source, target })
        }));
    }
    Ok(all)
}

/// Ids of all containers with a label, with the name of the image that each was made from (an id, when the name has moved
/// on to another image).
async fn list(tools: &Tools, label: &str) -> Result<Vec<(String, String)>> {
    let text = |one: &Value, key: &str| Some(one.get(key)?.as_str()?.to_owned());
    let list = listed(tools, label).await?;
    Ok(list.iter().filter_map(|one| Some((text(one, "Id")?, text(one, "Image")?))).collect())
}

/// The engine's list of all containers with a label.
async fn listed(tools: &Tools, label: &str) -> Result<Vec<Value>> {
    let request = Request::get(&["containers", "json"]).query("all", "true");
    let listed = request.query("filters", &with(label)).send(tools).await?.found()?;
    Ok(listed.and_then(|list| list.as_array().cloned()).unwrap_or_default())
}

/// Ids of the containers that run.
pub async fn running(tools: &Tools) -> Result<Vec<String>> {
    let listed = Request::get(&["containers", "json"]).send(tools).await?.found()?;
    let list = listed.as_ref().and_then(Value::as_array).into_iter().flatten();
    Ok(list.filter_map(|one| Some(one.get("Id")?.as_str()?.to_owned())).collect())
}

/// The engine's filter for what has a label (`name` or `name=value`).
fn with(label: &str) -> String {
    serde_json::json!({ "label": [label] }).to_string()
}

/// The containers with these ids or names; those that are gone are left out.
pub async fn inspect(tools: &Tools, ids: &[String]) -> Result<Vec<Container>> {
    let questions = ids
        .iter()
        .map(|id| async move { Request::get(&["containers", id, "json"]).send(tools).await?.found() });
    Ok(api::each(questions).await?.into_iter().flatten().filter_map(Container::from).collect())
}

/// The volumes with a label (`name` or `name=value`).
pub async fn volumes(tools: &Tools, label: &str) -> Result<Vec<Volume>> {
    let answer = Request::get(&["volumes"]).query("filters", &with(label)).send(tools).await?;
    let told = answer.or_fail(Code::DeliveryFailed, "cannot list volumes")?.found()?;
    let list = told.as_ref().and_then(|told| told.get("Volumes")?.as_array());
    Ok(list.into_iter().flatten().filter_map(Volume::from).collect())
}

/// The volumes of these names; those that are not there are left out.
pub async fn volumes_named(tools: &Tools, names: &[String]) -> Result<Vec<Volume>> {
    let questions = names.iter().map(|name| volume(tools, name));
    Ok(api::each(questions).await?.iter().flatten().filter_map(Volume::from).collect())
}

/// What the engine says of a volume; `None` when there is none of this name.
pub async fn volume(tools: &Tools, name: &str) -> Result<Option<Value>> {
    Request::get(&["volumes", name]).send(tools).await?.found()
}

/// The architecture of the engine's machine, in Go's words (`amd64`).
pub async fn architecture(tools: &Tools) -> Result<String> {
    let version = api::version(tools).await?;
    Ok(version.get("Arch").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// The architecture that this program is for, in the same words.
pub fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What the engine says of its machine (`docker info`).
pub async fn info(tools: &Tools) -> Result<Value> {
    let told = Request::get(&["info"]).send(tools).await?.found()?;
    told.ok_or_else(|| unreachable("it says nothing of itself"))
}

/// Where the engine keeps its data (`DockerRootDir`), on its machine.
pub async fn data_directory(tools: &Tools) -> Result<String> {
    let info = info(tools).await?;
    let path = info.get("DockerRootDir").and_then(Value::as_str).filter(|path| path.starts_with('/'));
    path.map(str::to_owned).ok_or_else(|| unreachable("it does not say where its data is"))
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
}

/// The images of these names that are there, by name.
pub async fn images(tools: &Tools, names: &[String]) -> Result<BTreeMap<String, Image>> {
    let questions = names
        .iter()
        .map(|name| async move { Request::get(&["images", name, "json"]).send(tools).await?.found() });
    let found = names.iter().zip(api::each(questions).await?);
    Ok(found.filter_map(|(name, raw)| Some((name.clone(), image(raw?)?))).collect())
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
        raw: Arc::new(raw),
    })
}
