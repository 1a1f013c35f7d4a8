//! What is mounted where: requested once for each mount, in a way that needs no permission to list mounts and does not count
//! as a use of the token.
//!
//! `sys/internal/ui/mounts/PATH` reports the mount of a path to every token that has any permission below it (Vault's own
//! client uses it for `vault kv get`).

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::login::Session;
use super::path;
use super::refusal::{fault, mount_not_found, no_vault};
use super::transport::{Request, RequestError, Response, Transport};
use crate::sources::{SourceError, net};

/// The engine at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    /// The key/value engine without versions.
    Kv1,
    /// The key/value engine with versions.
    Kv2,
    /// Another one.
    Other,
}

/// A mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mount {
    /// Its path, without a slash at the end.
    pub(super) path: String,
    pub(super) engine: Engine,
}

/// The mount of a path.
#[derive(Clone)]
pub(super) enum Place {
    Known(Mount),
    /// The server does not report it, but `kv-version` is set.
    Set(Mount),
    /// The server does not report it: there is no such mount, or no permission below it. Vault's answer is the same.
    Untold,
    Nowhere(SourceError),
}

/// The known mounts.
#[derive(Default)]
pub(super) struct Mounts {
    known: Mutex<Vec<Mount>>,
}

impl Mounts {
    /// The mount of each path, in the same order.
    pub(super) async fn of(
        &self,
        id: &str,
        paths: &[&str],
        transport: &Transport,
        session: &Session,
    ) -> Vec<Place> {
        let mut places: Vec<Option<Place>> =
            paths.iter().map(|path| self.known(path).map(Place::Known)).collect();
        let mut depth = 1;
        // One request for all paths with the same first part; if that is not the mount of them all, one for all
        // with the same two parts, and so on. Mounts are never nested.
        while places.iter().any(Option::is_none) {
            let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
            for (at, path) in paths.iter().enumerate().filter(|(at, _)| places[*at].is_none()) {
                asked.entry(path::head(path, depth)).or_insert(at);
            }
            let questions: Vec<_> =
                asked.values().map(|at| one(id, paths[*at], transport, session)).collect();
            let answers = net::each(questions).await;
            let mut wrong = None;
            for (at, answer) in asked.into_values().zip(answers) {
                match answer {
                    Ok(Some(mount)) => {
                        self.remember(mount.clone());
                        places[at] = Some(Place::Known(mount));
                    }
                    Ok(None) => places[at] = Some(Place::Untold),
                    Err(refused) => wrong = Some(Place::Nowhere(refused)),
                }
            }
            for (place, path) in places.iter_mut().zip(paths).filter(|(place, _)| place.is_none()) {
                // A problem with the server affects every path that it has not reported yet.
                *place = self.known(path).map(Place::Known).or_else(|| wrong.clone());
            }
            depth += 1;
        }
        places.into_iter().map(|place| place.unwrap_or(Place::Untold)).collect()
    }

    /// Remembers a mount.
    pub(super) fn remember(&self, mount: Mount) {
        let mut known = self.lock();
        if !known.contains(&mount) {
            known.push(mount);
        }
    }

    /// The mount of a path, if it is known.
    pub(super) fn known(&self, path: &str) -> Option<Mount> {
        self.lock().iter().find(|mount| holds(mount, path)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Mount>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether a token is still valid for a mount that it was valid for before; this does not count as a use, either.
pub(super) async fn is_open(mount: &str, transport: &Transport, session: &Session) -> Option<bool> {
    let question = question(mount);
    let said = transport.ask_plainly(&question, Some(&session.token)).await.ok()?;
    match said.status {
        200 => Some(true),
        403 if said.is_json() => Some(false),
        _ => None,
    }
}

fn holds(mount: &Mount, path: &str) -> bool {
    mount.path == path || path::below(path, &mount.path).is_some()
}

fn question(path: &str) -> Request {
    Request::get(format!("sys/internal/ui/mounts/{path}"))
}

/// The mount of a path; `None` if the server does not report it.
async fn one(
    id: &str,
    path: &str,
    transport: &Transport,
    session: &Session,
) -> Result<Option<Mount>, SourceError> {
    let trouble = |trouble: RequestError| trouble.refused(id, transport);
    let said = transport.ask(&question(path), Some(&session.token)).await.map_err(trouble)?;
    match said.status {
        200 => match mount(&said).filter(|mount| holds(mount, path)) {
            Some(mount) => Ok(Some(mount)),
            None => Err(no_vault(id, &said, transport)),
        },
        404 if transport.namespace().is_some() && said.is_json() => Err(mount_not_found(id, path, transport)),
        // A proxy that blocks `sys/` has the same response.
        403..=405 => Ok(None),
        _ => Err(fault(id, &said, transport).await),
    }
}

fn mount(said: &Response) -> Option<Mount> {
    let path = said.text("/data/path")?.trim_matches('/').to_owned();
    let engine = match (said.text("/data/type")?, said.text("/data/options/version")) {
        ("kv", Some("2")) => Engine::Kv2,
        // `generic` is the old name of version 1.
        ("kv" | "generic", _) => Engine::Kv1,
        _ => Engine::Other,
    };
    Some(Mount { path, engine })
}
