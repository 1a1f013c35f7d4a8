//! Answers references: finds each item's place, reads each item once, and explains refusals at the end.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use futures_util::future::join;

use super::Vault;
use super::explain::{Forbidden, explain};
use super::list::NoList;
use super::login::Session;
use super::mounts::{Engine, Mount, Place};
use super::path;
use super::read::{At, Outcome, Reader, Target};
use crate::sources::{Item, Reply, SourceError, net};

/// An item, as in its reference.
struct Asked<'a> {
    what: String,
    path: &'a str,
    version: Option<u64>,
}

/// What was read before the server said what is mounted there.
#[derive(Default)]
struct Early {
    /// What was assumed.
    mount: Option<Mount>,
    outcomes: BTreeMap<At, Outcome>,
}

impl Early {
    /// The outcome for an item, if what was assumed is true.
    fn take(&mut self, (target, place): &(Target, Place)) -> Option<Outcome> {
        let is_true =
            matches!(place, Place::Known(mount) | Place::Set(mount) if self.mount.as_ref() == Some(mount));
        self.outcomes.remove(&target.at).filter(|_| is_true)
    }
}

impl Vault {
    /// The answers to all items, in the same order.
    pub(super) async fn ask(&self, items: &[Item]) -> Vec<Reply> {
        let asked: Vec<Result<Asked, SourceError>> = items.iter().map(|item| self.asked(item)).collect();
        if asked.iter().all(Result::is_err) {
            return asked.into_iter().filter_map(Result::err).map(SourceError::reply).collect();
        }
        let session = match self.session().await {
            Ok(session) => session,
            Err(refused) => {
                return asked
                    .into_iter()
                    .map(|asked| asked.err().unwrap_or_else(|| refused.clone()).reply())
                    .collect();
            }
        };
        let sound: Vec<&Asked> = asked.iter().flatten().collect();
        let paths: Vec<&str> = sound.iter().map(|asked| asked.path).collect();
        let (places, early) = join(
            self.mounts.of(self.id.as_str(), &paths, &self.transport, &session),
            self.read_early(&sound, &session),
        )
        .await;
        let mut places = places.into_iter();
        let targets: Vec<Result<(Target, Place), SourceError>> = asked
            .into_iter()
            .map(|asked| asked.and_then(|asked| self.target(asked, places.next().unwrap_or(Place::Untold))))
            .collect();
        let good: Vec<&(Target, Place)> = targets.iter().flatten().collect();
        self.read_new(&good, early, &session).await;
        let answers = self.answers();
        targets
            .iter()
            .map(|target| match target {
                Ok((target, _)) => reply(answers.get(&target.at), target),
                Err(refused) => refused.clone().reply(),
            })
            .collect()
    }

    /// The items whose references start with `prefix`, written as it is.
    pub(super) async fn below(&self, prefix: &str) -> Result<Vec<String>, SourceError> {
        let what = format!("{}:{prefix}*", self.id);
        let path = path::parse_prefix(&what, prefix)?;
        let session = self.session().await?;
        let whole = path.trim_end_matches('/');
        let places = self.mounts.of(self.id.as_str(), &[whole], &self.transport, &session).await;
        let (mount, told) = match (places.into_iter().next(), self.kv_version) {
            (Some(Place::Known(mount)), _) => (mount, true),
            (Some(Place::Nowhere(refused)), _) => return Err(refused),
            (_, Some(engine)) => (Mount { path: self.guess(path).to_owned(), engine }, false),
            (_, None) => {
                let mount = self.guess(whole);
                let folder = path::below(whole, mount).map(|folder| format!("/{folder}")).unwrap_or_default();
                return Err(self.why(&what, &format!("{mount}/metadata{folder}"), None, &session).await);
            }
        };
        let start = path::below(path, &mount.path).unwrap_or_default();
        let start = start.strip_prefix("data/").filter(|_| mount.engine == Engine::Kv2).unwrap_or(start);
        let reader = Reader { transport: &self.transport, session: &session };
        match reader.items_below(&what, &mount, start).await {
            Ok(items) => {
                let name = |item: &String| format!("{prefix}{}", item.get(start.len()..).unwrap_or_default());
                Ok(items.iter().map(name).collect())
            }
            Err(NoList::SourceError(refused)) => Err(refused),
            Err(NoList::Forbidden { path }) => {
                Err(self.why(&what, &path, Some(mount.path).filter(|_| told), &session).await)
            }
        }
    }

    async fn why(&self, what: &str, path: &str, mount: Option<String>, session: &Session) -> SourceError {
        let path = format!("{}/*", path.trim_end_matches('/'));
        let forbidden = Forbidden { what: what.to_owned(), path, capability: "list", mount };
        let mut reasons = explain(&[forbidden], &self.transport, session).await;
        reasons.pop().unwrap_or_else(|| SourceError::denied(what, "Allow it in a policy."))
    }

    fn asked<'a>(&self, item: &'a Item) -> Result<Asked<'a>, SourceError> {
        let what = item.reference(&self.id).to_string();
        let path = path::parse(&what, &item.name)?;
        let version = match item.version.as_deref().map(str::parse::<u64>) {
            None => None,
            Some(Ok(number)) if number > 0 => Some(number),
            Some(_) => {
                return Err(SourceError::failed(
                    format!("{what}: a version must be a positive number"),
                    "Correct the part after `@`, or remove it to get the newest version.",
                ));
            }
        };
        Ok(Asked { what, path, version })
    }

    /// The place of an item.
    fn target(&self, asked: Asked, place: Place) -> Result<(Target, Place), SourceError> {
        let place = match (place, self.kv_version) {
            (Place::Nowhere(refused), _) => return Err(refused),
            (Place::Untold, Some(engine)) => {
                Place::Set(Mount { path: self.guess(asked.path).to_owned(), engine })
            }
            (place, _) => place,
        };
        let (mount, engine) = match &place {
            Place::Known(mount) | Place::Set(mount) => (mount.path.as_str(), Some(mount.engine)),
            _ => (self.guess(asked.path), None),
        };
        let Some(item) = path::below(asked.path, mount) else {
            return Err(SourceError::failed(
                format!("{}: that is a mount, not an item in it", asked.what),
                format!("Add the item's path: `{mount}/claude-bot/anthropic`."),
            ));
        };
        // Written like in the API.
        let habit =
            item.strip_prefix("data/").filter(|_| !matches!(engine, Some(Engine::Kv1 | Engine::Other)));
        let at =
            At { mount: mount.to_owned(), item: habit.unwrap_or(item).to_owned(), version: asked.version };
        Ok((Target { what: asked.what, at }, place))
    }

    /// The mount of a path, if the server does not report it: the setting, else the first part.
    fn guess<'p>(&'p self, path: &'p str) -> &'p str {
        let own = path::below(path, &self.mount).map(|_| self.mount.as_str());
        own.unwrap_or_else(|| path::head(path, 1))
    }

    /// Reads items of the conventional mount while the server is still being asked what is mounted there, as if that were what
    /// nearly all are: the key/value engine with versions, or what `kv-version` says. Where it is something else, these
    /// answers mean nothing. So nothing is guessed with a token that may allow few requests.
    async fn read_early(&self, asked: &[&Asked<'_>], session: &Session) -> Early {
        let is_unlimited = session.is_own && session.uses.is_none();
        if !is_unlimited {
            return Early::default();
        }
        let engine = self.kv_version.unwrap_or(Engine::Kv2);
        let mount = Mount { path: self.mount.clone(), engine };
        if self.mounts.known(&mount.path).is_some() {
            return Early::default();
        }
        let below = asked.iter().filter(|asked| path::below(asked.path, &mount.path).is_some());
        let targets = below.filter_map(|asked| {
            let asked = Asked { what: asked.what.clone(), path: asked.path, version: asked.version };
            Some(self.target(asked, Place::Known(mount.clone())).ok()?.0)
        });
        let new: BTreeMap<At, Target> = {
            let answers = self.answers();
            let unread = targets.filter(|target| !answers.contains_key(&target.at));
            unread.map(|target| (target.at.clone(), target)).take(net::CONCURRENCY).collect()
        };
        let reader = Reader { transport: &self.transport, session };
        let outcomes = net::each(new.values().map(|target| reader.read(target, engine))).await;
        Early { mount: Some(mount), outcomes: new.into_keys().zip(outcomes).collect() }
    }

    /// Reads everything that was not read before, and then finds out the reasons of refusals.
    async fn read_new(&self, targets: &[&(Target, Place)], mut early: Early, session: &Session) {
        let mut new: BTreeMap<&At, &(Target, Place)> = BTreeMap::new();
        {
            let answers = self.answers();
            let unread = targets.iter().filter(|(target, _)| !answers.contains_key(&target.at));
            new.extend(unread.map(|both| (&both.0.at, *both)));
        }
        let reader = Reader { transport: &self.transport, session };
        let reading: Vec<_> = new
            .values()
            .map(|both| {
                let early = early.take(both);
                let reader = &reader;
                async move {
                    match early {
                        Some(outcome) => outcome,
                        None => self.read_one(reader, &both.0, &both.1).await,
                    }
                }
            })
            .collect();
        let mut outcomes = net::each(reading).await;
        let mut refused = Vec::new();
        for ((target, place), outcome) in new.values().zip(&outcomes) {
            if let Outcome::Forbidden { path } = outcome {
                let mount = match place {
                    Place::Known(mount) => Some(mount.path.clone()),
                    _ => None,
                };
                let (what, path) = (target.what.clone(), path.clone());
                refused.push(Forbidden { what, path, capability: "read", mount });
            }
        }
        let mut reasons = explain(&refused, &self.transport, session).await.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::Forbidden { .. })) {
            reasons.next().into_iter().for_each(|refused| *outcome = Outcome::SourceError(refused));
        }
        self.answers().extend(new.into_keys().cloned().zip(outcomes));
    }

    async fn read_one(&self, reader: &Reader<'_>, target: &Target, place: &Place) -> Outcome {
        let engine = match place {
            Place::Set(mount) => return reader.read_as_set(target, mount.engine).await,
            Place::Known(mount) => Some(mount.engine),
            // Another item may have told it meanwhile.
            _ => self.mounts.known(&target.at.mount).map(|mount| mount.engine),
        };
        if let Some(engine) = engine {
            return reader.read(target, engine).await;
        }
        let (outcome, learned) = reader.read_by_shape(target).await;
        if let Some(mount) = learned {
            self.mounts.remember(mount);
        }
        outcome
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<At, Outcome>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply(outcome: Option<&Outcome>, target: &Target) -> Reply {
    match outcome {
        Some(Outcome::Found(found)) => Reply::Found(found.clone()),
        Some(Outcome::Absent) => Reply::Absent(target.what.clone()),
        Some(Outcome::SourceError(refused)) => refused.clone().reply(),
        // Every target was read, and every refusal explained.
        Some(Outcome::Forbidden { .. }) | None => {
            SourceError::failed(format!("{}: it was not read", target.what), "Run this again.").reply()
        }
    }
}
