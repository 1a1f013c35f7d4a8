//! Reads one item: from the key/value engine with or without versions, or from another engine by its path.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;

use super::login::Session;
use super::mounts::{Engine, Mount};
use super::refusal::{fault, mount_not_found, no_vault};
use super::transport::{Request, RequestError, Response, Transport};
use crate::secret::SecretValue;
use crate::sources::field::wipe;
use crate::sources::{Found, SourceError};

/// The place of an item, regardless of how its reference is written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// The mount's path.
    pub(super) mount: String,
    /// The item below it.
    pub(super) item: String,
    pub(super) version: Option<u64>,
}

/// An item to read.
pub(super) struct Target {
    /// Its reference, for messages.
    pub(super) what: String,
    pub(super) at: At,
}

/// The result of reading an item.
#[derive(Clone)]
pub(super) enum Outcome {
    Found(Found),
    Absent,
    /// The server refuses this path; the reason is found out after all items were read.
    Forbidden {
        path: String,
    },
    SourceError(SourceError),
}

/// Reads from one server with one token.
pub(super) struct Reader<'a> {
    pub(super) transport: &'a Transport,
    pub(super) session: &'a Session,
}

/// The response for a path, interpreted as one version of the key/value engine.
struct Shape {
    said: Response,
    path: String,
}

impl Reader<'_> {
    /// Reads an item of a mount whose engine is known.
    pub(super) async fn read(&self, target: &Target, engine: Engine) -> Outcome {
        let done = match engine {
            Engine::Kv2 => self.versioned(target).await,
            Engine::Kv1 | Engine::Other => self.plain(target, engine).await,
        };
        done.unwrap_or_else(Outcome::SourceError)
    }

    /// Reads an item of a mount whose engine is only known from `kv-version`. Without versions, a path with `data/` in it is
    /// just another item, and its absence does not mean that the requested item is absent.
    pub(super) async fn read_as_set(&self, target: &Target, engine: Engine) -> Outcome {
        let outcome = self.read(target, engine).await;
        if !matches!((&outcome, engine), (Outcome::Absent, Engine::Kv2)) {
            return outcome;
        }
        match self.ask_plain(target).await {
            Ok(Shape { said, .. }) if said.is_good() => Outcome::SourceError(SourceError::failed(
                format!("{}: the mount `{}` does not keep versions", target.what, target.at.mount),
                "Set `kv-version: 1`, or remove it.",
            )),
            _ => outcome,
        }
    }

    /// Reads an item if the server does not report the engine: by the shape of the response. Also returns what was found out
    /// about the mount.
    pub(super) async fn read_by_shape(&self, target: &Target) -> (Outcome, Option<Mount>) {
        self.shaped(target).await.unwrap_or_else(|refused| (Outcome::SourceError(refused), None))
    }

    async fn versioned(&self, target: &Target) -> Result<Outcome, SourceError> {
        let Shape { said, path } = self.ask_versioned(target, target.at.version).await?;
        match said.status {
            403 => Ok(Outcome::Forbidden { path }),
            404 if said.is_nothing_there() => match target.at.version {
                Some(version) => self.without_version(target, version).await,
                None => Ok(Outcome::Absent),
            },
            200 | 404 if said.get("/data/metadata").is_some() => Ok(self.version(target, said)),
            404 => Err(mount_not_found(&target.what, &path, self.transport)),
            _ => Err(fault(&target.what, &said, self.transport).await),
        }
    }

    /// The requested version does not exist: whether the item exists distinguishes two mistakes.
    async fn without_version(&self, target: &Target, version: u64) -> Result<Outcome, SourceError> {
        let Shape { said, .. } = self.ask_versioned(target, None).await?;
        if said.is_nothing_there() {
            return Ok(Outcome::Absent);
        }
        let newest = said.number("/data/metadata/version");
        let newest = newest.map(|newest| format!("; the newest is {newest}")).unwrap_or_default();
        Err(SourceError::failed(
            format!("{}: there is no version {version}{newest}", target.what),
            "Correct the part after `@`, or remove it to get the newest version. (Vault deletes old versions beyond `max_versions`.)",
        ))
    }

    async fn plain(&self, target: &Target, engine: Engine) -> Result<Outcome, SourceError> {
        if target.at.version.is_some() {
            return Err(without_versions(target));
        }
        let Shape { said, path } = self.ask_plain(target).await?;
        match said.status {
            200 => Ok(self.content(target, said)),
            403 => Ok(Outcome::Forbidden { path }),
            404 if said.is_nothing_there() => Ok(Outcome::Absent),
            404 if is_of_other_version(&said) => Err(SourceError::failed(
                format!("{}: the mount `{}` keeps versions", target.what, target.at.mount),
                "Set `kv-version: 2`, or remove it.",
            )),
            404 => Err(mount_not_found(&target.what, &path, self.transport)),
            400 | 405 if engine == Engine::Other => Err(SourceError::failed(
                format!(
                    "{}: the engine at `{}` does not return that (status {})",
                    target.what, target.at.mount, said.status
                ),
                "Only paths that `vault read` can read are supported: check the path, and that the engine is configured.",
            )),
            _ => Err(fault(&target.what, &said, self.transport).await),
        }
    }

    async fn shaped(&self, target: &Target) -> Result<(Outcome, Option<Mount>), SourceError> {
        let learned = |engine| Some(Mount { path: target.at.mount.clone(), engine });
        let two = self.ask_versioned(target, target.at.version).await?;
        if two.said.get("/data/metadata/version").is_some() {
            return Ok((self.version(target, two.said), learned(Engine::Kv2)));
        }
        let one = self.ask_plain(target).await?;
        if is_of_other_version(&one.said) {
            return Ok((self.versioned(target).await?, learned(Engine::Kv2)));
        }
        match (two.said.status, one.said.status) {
            (_, 200) if target.at.version.is_some() => Err(without_versions(target)),
            (_, 200) => Ok((self.content(target, one.said), learned(Engine::Kv1))),
            (404, 404) if two.said.is_nothing_there() && one.said.is_nothing_there() => {
                Ok((Outcome::Absent, None))
            }
            (403, 403 | 404) => Ok((Outcome::Forbidden { path: two.path }, None)),
            // It may be there in the one version of the engine or not be there in the other.
            (404, 403) => Err(SourceError::failed(
                format!(
                    "{}: cannot determine whether the mount `{}` keeps versions",
                    target.what, target.at.mount
                ),
                "Set `kv-version: 2` or `kv-version: 1`. (Something in front of the server may block `sys/internal/ui/mounts`.)",
            )),
            (404, 404) => Err(mount_not_found(&target.what, &one.path, self.transport)),
            _ => Err(fault(&target.what, &two.said, self.transport).await),
        }
    }

    async fn ask_versioned(&self, target: &Target, version: Option<u64>) -> Result<Shape, SourceError> {
        let request =
            ReadSecretRequest { mount: target.at.mount.clone(), path: target.at.item.clone(), version };
        self.ask(Request::of(&request), target).await
    }

    async fn ask_plain(&self, target: &Target) -> Result<Shape, SourceError> {
        let request = GetSecretRequest { mount: target.at.mount.clone(), path: target.at.item.clone() };
        self.ask(Request::of(&request), target).await
    }

    async fn ask(
        &self,
        question: Result<Request, RequestError>,
        target: &Target,
    ) -> Result<Shape, SourceError> {
        let trouble = |trouble: RequestError| trouble.refused(&target.what, self.transport);
        let question = question.map_err(trouble)?;
        let said = self.transport.ask(&question, Some(&self.session.token)).await.map_err(trouble)?;
        if !said.is_json() {
            return Err(no_vault(&target.what, &said, self.transport));
        }
        Ok(Shape { said, path: question.path().to_owned() })
    }

    /// A version of an item: its data, or that it was deleted.
    fn version(&self, target: &Target, mut said: Response) -> Outcome {
        let number = said.number("/data/metadata/version");
        let changed = said.text("/data/metadata/created_time").and_then(time);
        let deletion = said.text("/data/metadata/deletion_time").and_then(time);
        let destroyed = said.get("/data/metadata/destroyed").and_then(Value::as_bool) == Some(true);
        match said.take_object("/data/data") {
            Some(value) => Outcome::Found(Found {
                value,
                place: target.at.place(number),
                version: number.map(|number| number.to_string()),
                changed,
                // `delete_version_after` sets it ahead.
                expires: deletion,
            }),
            None if destroyed || deletion.is_some() => {
                Outcome::SourceError(version_deleted(target, number, deletion.filter(|_| !destroyed)))
            }
            None => Outcome::SourceError(no_vault(&target.what, &said, self.transport)),
        }
    }

    /// The content of a path without versions.
    fn content(&self, target: &Target, mut said: Response) -> Outcome {
        // The first version of the key/value engine names a time and gives no lease.
        let leased = said.text("/lease_id").is_some();
        let lasts = said.number("/lease_duration").filter(|_| leased);
        let Some(value) = said.take_object("/data") else {
            return Outcome::SourceError(no_vault(&target.what, &said, self.transport));
        };
        if leased {
            self.session.has_leased();
        }
        let lease = lasts.and_then(|seconds| SystemTime::now().checked_add(Duration::from_secs(seconds)));
        // What was created with a token expires with it.
        let ends = self.session.ends.filter(|_| leased);
        let expires = lease.into_iter().chain(ends).min();
        Outcome::Found(Found { value, place: target.at.place(None), version: None, changed: None, expires })
    }
}

impl At {
    fn place(&self, version: Option<u64>) -> String {
        match version {
            Some(version) => format!("{}/{} version {version}", self.mount, self.item),
            None => format!("{}/{}", self.mount, self.item),
        }
    }
}

impl Response {
    /// An object of the response as JSON text, taken out of it.
    fn take_object(&mut self, pointer: &str) -> Option<SecretValue> {
        let mut value = self.take(pointer).filter(Value::is_object)?;
        let text = serde_json::to_vec(&value);
        wipe(&mut value);
        text.ok().map(SecretValue::new)
    }
}

/// The response of a mount with versions for a path without `data/`: nothing, and a warning.
fn is_of_other_version(said: &Response) -> bool {
    said.status == 404 && said.get("/errors").is_none() && said.get("/data").is_none()
}

fn without_versions(target: &Target) -> SourceError {
    SourceError::failed(
        format!("{}: the mount `{}` does not keep versions", target.what, target.at.mount),
        "Remove the part after `@`, or store the secret in a key/value engine of version 2.",
    )
}

/// This version was deleted, which is not the same as absent: another source may have the value that was replaced.
fn version_deleted(target: &Target, version: Option<u64>, deleted: Option<SystemTime>) -> SourceError {
    let Target { what, at: At { mount, item, .. } } = target;
    let number = version.map(|version| version.to_string()).unwrap_or_default();
    let remove = format!("`vault kv metadata delete -mount={mount} '{item}'`");
    match deleted {
        Some(at) => SourceError::failed(
            format!("{what}: version {number} was deleted on {}", humantime::format_rfc3339_seconds(at)),
            format!(
                "Restore it: `vault kv undelete -mount={mount} -versions={number} '{item}'`. If it should stay deleted, remove its metadata: {remove}."
            ),
        ),
        None => SourceError::failed(
            format!("{what}: version {number} was destroyed"),
            format!(
                "Write a new version: `vault kv put -mount={mount} '{item}' value=-`. If it should stay deleted, remove its metadata: {remove}."
            ),
        ),
    }
}

/// A time as Go writes it (RFC 3339, in UTC).
fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}
