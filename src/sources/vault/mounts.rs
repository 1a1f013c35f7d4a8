//! What is mounted where: asked once for each mount, in a way that needs no right to list mounts and uses up no token.
//!
//! `sys/internal/ui/mounts/PATH` tells the mount of a path to everyone who may do anything below it, and to nobody else
//! (it is what Vault's own client asks before `vault kv get`).

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::login::Session;
use super::path;
use super::refusal::{fault, no_vault, nowhere};
use super::transport::{Question, Said, Transport, Trouble};
use crate::sources::{Refused, net};

/// What answers at a path.
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

/// Where a path leads.
#[derive(Clone)]
pub(super) enum Place {
    Known(Mount),
    /// The server does not say, and `kv-version` does.
    Set(Mount),
    /// The server does not say: there is no such mount, or no right below it. Vault answers both alike.
    Untold,
    Nowhere(Refused),
}

/// The mounts that are known.
#[derive(Default)]
pub(super) struct Mounts {
    known: Mutex<Vec<Mount>>,
}

impl Mounts {
    /// Where each path leads, in the same order.
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
        // One question for all paths with the same first part; where that was not the mount of them all, one for all
        // with the same two parts, and so on. No mount lies below another.
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
                // What is wrong with the server is wrong for every path that it has not told of.
                *place = self.known(path).map(Place::Known).or_else(|| wrong.clone());
            }
            depth += 1;
        }
        places.into_iter().map(|place| place.unwrap_or(Place::Untold)).collect()
    }

    /// Keeps what was found out about a mount.
    pub(super) fn remember(&self, mount: Mount) {
        let mut known = self.lock();
        if !known.contains(&mount) {
            known.push(mount);
        }
    }

    /// The mount of a path, when it was found out before.
    pub(super) fn known(&self, path: &str) -> Option<Mount> {
        self.lock().iter().find(|mount| holds(mount, path)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Mount>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether a token is still good for a mount that it was good for before; also a question that uses up nothing.
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

fn question(path: &str) -> Question {
    Question::get(format!("sys/internal/ui/mounts/{path}"))
}

/// The mount of a path; `None` where the server does not tell.
async fn one(
    id: &str,
    path: &str,
    transport: &Transport,
    session: &Session,
) -> Result<Option<Mount>, Refused> {
    let trouble = |trouble: Trouble| trouble.refused(id, transport);
    let said = transport.ask(&question(path), Some(&session.token)).await.map_err(trouble)?;
    match said.status {
        200 => match mount(&said).filter(|mount| holds(mount, path)) {
            Some(mount) => Ok(Some(mount)),
            None => Err(no_vault(id, &said, transport)),
        },
        404 if transport.namespace().is_some() && said.is_json() => Err(nowhere(id, path, transport)),
        // A proxy that keeps `sys/` from clients answers so as well.
        403..=405 => Ok(None),
        _ => Err(fault(id, &said, transport).await),
    }
}

fn mount(said: &Said) -> Option<Mount> {
    let path = said.text("/data/path")?.trim_matches('/').to_owned();
    let engine = match (said.text("/data/type")?, said.text("/data/options/version")) {
        ("kv", Some("2")) => Engine::Kv2,
        // `generic` is what the first version was called.
        ("kv" | "generic", _) => Engine::Kv1,
        _ => Engine::Other,
    };
    Some(Mount { path, engine })
}
