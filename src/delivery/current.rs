//! Which services are up to date: they run with exactly what they need, as the engine alone tells.
//!
//! The workspace is wiped by the next checkout, so that nothing in it is believed (design rule 11).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::TARGET;
use super::choose::Kind;
use super::plan::{ServicePlan, Users};
use super::revision::{Content, Revision, Salt};
use crate::compose::images::Images;
use crate::compose::service::Service;
use crate::deployment::health::restarts;
use crate::engine::host_paths::HostPath;
use crate::engine::objects::{Container, State, Volume};
use crate::error::{Code, Error, Result};
use crate::labels;

/// The revision of a service's secrets.
pub struct ServiceRevision {
    /// The revision.
    pub revision: Revision,
    /// Whether the engine knows it already.
    pub known: bool,
    /// Its volume, when there is one already.
    pub volume: Option<String>,
}

/// Digests that are computed at the same time: each takes 7 MiB.
const AT_ONCE: usize = 2;

/// A service whose revision is looked for: what its revision covers, and what the engine has of it, label and volume.
struct Sought<'a> {
    service: &'a String,
    content: &'a Content,
    standing: Vec<(&'a str, Option<String>)>,
    tried: usize,
}

/// The revision of each service: the one that the engine knows, if the values are still the same, else a new one.
/// `plans` may lack services that get nothing; they have a revision of nothing, which seals their definitions.
/// `volumes` may be left empty as long as every service's containers know its revision ([`all_known`]).
pub fn revisions<'a>(
    services: impl IntoIterator<Item = &'a String>,
    plans: &BTreeMap<String, ServicePlan>,
    containers: &[Container],
    volumes: &[Volume],
) -> Result<BTreeMap<String, ServiceRevision>> {
    let nothing = Content::default();
    let mut sought: Vec<Sought> = services
        .into_iter()
        .map(|service| Sought {
            service,
            content: plans.get(service).map_or(&nothing, |plan| &plan.content),
            standing: standing(service, containers, volumes),
            tried: 0,
        })
        .collect();
    let mut all = BTreeMap::new();
    while !sought.is_empty() {
        // The newest label of each service first; nearly always it is the right one, and one round is enough.
        let (next, new): (Vec<Sought>, Vec<Sought>) =
            sought.into_iter().partition(|s| s.tried < s.standing.len());
        let fresh = Salt::fresh()?;
        let salt = |s: &Sought| Salt::of_label(s.standing[s.tried].0).unwrap_or(fresh);
        let digests =
            digests(next.iter().map(|s| (s.content, salt(s))).chain(new.iter().map(|s| (s.content, fresh))))?;
        let mut digests = digests.into_iter();
        sought = Vec::new();
        for (mut one, revision) in next.into_iter().zip(&mut digests) {
            if one.standing[one.tried].0 == revision.label() {
                let same = one.standing.iter().filter(|(label, _)| *label == revision.label());
                let volume = same.clone().find_map(|(_, volume)| volume.clone());
                all.insert(one.service.clone(), ServiceRevision { revision, known: true, volume });
            } else {
                one.tried += 1;
                sought.push(one);
            }
        }
        for (one, revision) in new.into_iter().zip(&mut digests) {
            all.insert(one.service.clone(), ServiceRevision { revision, known: false, volume: None });
        }
    }
    Ok(all)
}

/// Whether the engine knows the revision of every service that gets something, and its volume where it needs one.
pub fn all_known(
    kind: Kind,
    plans: &BTreeMap<String, ServicePlan>,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> bool {
    plans.keys().all(|service| {
        revisions.get(service).is_some_and(|found| found.known && (kind.in_files() || found.volume.is_some()))
    })
}

/// What the engine has of a service: label and volume of its containers, then of volumes that none mounts (yet, or any
/// more).
fn standing<'a>(
    service: &str,
    containers: &'a [Container],
    volumes: &'a [Volume],
) -> Vec<(&'a str, Option<String>)> {
    let of_containers = containers.iter().filter(|c| c.service == service).filter_map(|container| {
        let volume =
            container.mounts().into_iter().find(|(kind, _, target)| *kind == "volume" && *target == TARGET);
        Some((container.label(labels::REVISION)?, volume.map(|(_, name, _)| name.to_owned())))
    });
    let of_volumes = volumes
        .iter()
        .filter(|volume| volume.labels.get(labels::SERVICE).is_some_and(|name| name == service))
        .filter_map(|volume| {
            Some((volume.labels.get(labels::REVISION)?.as_str(), Some(volume.name.clone())))
        });
    let mut all: Vec<(&str, Option<String>)> = Vec::new();
    for (label, volume) in of_containers.chain(of_volumes) {
        // Replicas have one label; each is tried once, and keeps the volume that any of them mounts.
        match all.iter_mut().find(|(other, _)| *other == label) {
            Some((_, known)) => *known = known.take().or(volume),
            None => all.push((label, volume)),
        }
    }
    all
}

/// The revision of each content under its salt, in order. What comes more than once is computed once.
fn digests<'a>(wanted: impl Iterator<Item = (&'a Content, Salt)>) -> Result<Vec<Revision>> {
    let mut distinct: Vec<(&Content, Salt)> = Vec::new();
    let mut places = Vec::new();
    for pair in wanted {
        let place = distinct.iter().position(|other| *other == pair);
        places.push(place.unwrap_or(distinct.len()));
        if place.is_none() {
            distinct.push(pair);
        }
    }
    let part = |first: usize| -> Result<Vec<Revision>> {
        distinct
            .iter()
            .skip(first)
            .step_by(AT_ONCE)
            .map(|(content, salt)| Revision::of(content, *salt))
            .collect()
    };
    let (even, odd) = std::thread::scope(|scope| {
        let odd = (distinct.len() > 1).then(|| scope.spawn(|| part(1)));
        let even = part(0);
        let fault = |_| Error::new(Code::Internal, "the revisions could not be computed");
        let odd = odd.map_or_else(|| Ok(Vec::new()), |thread| thread.join().map_err(fault)?);
        Ok::<_, Error>((even?, odd?))
    })?;
    Ok(places.into_iter().map(|place| if place % 2 == 0 { &even } else { &odd }[place / 2].clone()).collect())
}

/// What a service needs to be up to date.
pub struct DesiredService<'a> {
    /// The service.
    pub service: &'a Service,
    /// Labels that its containers must have, exactly.
    pub labels: &'a BTreeMap<String, String>,
    /// What must be mounted below `/run/secrets`: target and source (a host path or a volume's name).
    pub mounts: BTreeMap<String, String>,
}

/// Why a service is brought up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It has no container.
    NoContainer,
    /// It has another number of containers than the project asks for.
    Count,
    /// Its secrets are others, or it has none of ours.
    Secrets,
    /// What makes its container what it is changed.
    Definition,
    /// A file that it mounts has other content.
    File,
    /// Its image is another one.
    Image,
    /// Its secrets are mounted from another place.
    Place,
    /// Its container has ended.
    Ended,
    /// Its container was made and never started.
    NotStarted,
    /// The user asks for it.
    Forced,
    /// It shares something with a service whose container is replaced.
    Follows,
    /// A service that it depends on by `restart: true` is replaced.
    RestartsWith,
    /// A service that it follows is started again with the same container.
    Beside,
    /// A service that depends on it changes; a provider manages it.
    Needed,
    /// A provider manages it, and no service depends on it.
    Provider,
}

impl Why {
    /// The reason in words, as it follows a service's name.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoContainer => "it has no container",
            Self::Count => "the number of its containers differs",
            Self::Secrets => "its secrets changed",
            Self::Definition => "its definition changed",
            Self::File => "a file that it mounts changed",
            Self::Image => "its image changed",
            Self::Place => "its secrets come from another place",
            Self::Ended => "it has ended",
            Self::NotStarted => "it was not started",
            Self::Forced => "force-recreate",
            Self::Follows | Self::RestartsWith | Self::Beside => "it follows a service that changes",
            Self::Needed => "a service that depends on it changes",
            Self::Provider => "its provider is asked in every run",
        }
    }

    /// Whether its containers are replaced by others.
    pub fn replaces(self) -> bool {
        use Why::{Definition, File, Follows, Forced, Image, Place, Secrets};
        matches!(self, Secrets | Definition | File | Image | Place | Forced | Follows)
    }
}

/// Why a service must be brought up again; `None` when it is up to date.
pub fn difference(wanted: &DesiredService, containers: &[Container], images: &Images) -> Option<Why> {
    let own: Vec<&Container> = containers.iter().filter(|c| c.service == wanted.service.name).collect();
    let all: Vec<Why> = own.iter().filter_map(|container| differs(wanted, container, images)).collect();
    let differs = all.iter().find(|why| why.replaces()).or(all.first()).copied();
    if own.len() as u64 != wanted.service.replicas {
        return Some(match differs.filter(|why| why.replaces()) {
            _ if own.is_empty() => Why::NoContainer,
            Some(why) if wanted.service.replicas > 0 => why,
            _ => Why::Count,
        });
    }
    differs
}

fn differs(wanted: &DesiredService, container: &Container, images: &Images) -> Option<Why> {
    let label_differs = |name: &str| container.label(name) != wanted.labels.get(name).map(String::as_str);
    if label_differs(labels::REVISION) {
        return Some(Why::Secrets);
    }
    if label_differs(labels::CONFIG) || label_differs(labels::ENVIRONMENT) {
        return Some(Why::Definition);
    }
    if label_differs(labels::FILES) {
        return Some(Why::File);
    }
    if images.get(&wanted.service.image).is_some_and(|image| image.id != container.image_id()) {
        return Some(Why::Image);
    }
    let mounted: BTreeMap<String, String> = container
        .mounts()
        .into_iter()
        .map(|(_, source, target)| (target.to_owned(), source.to_owned()))
        .collect();
    if wanted.mounts.iter().any(|(target, source)| mounted.get(target) != Some(source)) {
        return Some(Why::Place);
    }
    match container.state() {
        // A service that is up and not well is for the health gate to tell, not for a restart to hide.
        State::Running(_) | State::Restarting => None,
        State::Exited(0) if !restarts(container) => None,
        State::Exited(_) => Some(Why::Ended),
        State::Other => Some(Why::NotStarted),
    }
}

/// The services that run with other secrets than they would get now, among those that have got some from us before.
pub fn outdated(
    services: impl IntoIterator<Item = String>,
    revisions: &BTreeMap<String, ServiceRevision>,
    containers: &[Container],
) -> BTreeSet<String> {
    let runs_older = |service: &String| {
        let wanted = revisions.get(service).map(|found| found.revision.label());
        containers.iter().filter(|container| container.service == *service).any(|container| {
            let runs = matches!(container.state(), State::Running(_) | State::Restarting);
            runs && container.label(labels::REVISION).is_some_and(|label| Some(label) != wanted)
        })
    };
    services.into_iter().filter(runs_older).collect()
}

/// Who the users are whose names stand in images, as far as containers of the same images tell.
pub fn known_users(containers: &[Container]) -> Users {
    containers
        .iter()
        .filter_map(|container| {
            let (name, ids) = container.label(labels::USER)?.rsplit_once('=')?;
            let (uid, gid) = ids.split_once(':')?;
            let key = (container.image_id().to_owned(), name.to_owned());
            Some((key, Some((uid.parse().ok()?, gid.parse().ok()?))))
        })
        .collect()
}

/// What must be mounted in a service's containers, for [`DesiredService::mounts`].
pub fn mounts(
    kind: Kind,
    service: &str,
    plan: Option<&ServicePlan>,
    secrets_dir: &HostPath,
    paths: &BTreeMap<(String, String), PathBuf>,
    volume: Option<&String>,
) -> BTreeMap<String, String> {
    let Some(plan) = plan else { return BTreeMap::new() };
    match kind {
        Kind::Volume => volume.map(|name| (TARGET.to_owned(), name.clone())).into_iter().collect(),
        Kind::File => plan
            .files
            .iter()
            .filter_map(|file| {
                let path = paths.get(&(service.to_owned(), file.file.clone()))?;
                Some((file.target(), secrets_dir.join(path).to_string()))
            })
            .collect(),
    }
}

/// Adds the services that must be brought up together with those in `stale`: those that share something with one, or that
/// Compose restarts with it. Only those in `among` count.
pub fn add_followers(
    services: &BTreeMap<String, Service>,
    among: &BTreeSet<String>,
    stale: &mut BTreeMap<String, Why>,
) {
    loop {
        let follows = |service: &&Service| {
            let is_replaced =
                |name: &String| stale.get(name).is_some_and(|why| why.replaces() || *why == Why::NoContainer);
            let why = if service.shares_with.iter().any(is_replaced) {
                Why::Follows
            } else if service.restarts_with.iter().any(is_replaced) {
                Why::RestartsWith
            } else if service.shares_with.iter().chain(&service.restarts_with).any(|n| stale.contains_key(n))
            {
                Why::Beside
            } else {
                return None;
            };
            let known = stale.get(&service.name);
            // What is only started again is replaced when something that it shares is.
            let is_more = known
                .is_none_or(|known| why == Why::Follows && !known.replaces() && *known != Why::NoContainer);
            is_more.then(|| (service.name.clone(), why))
        };
        let among =
            services.values().filter(|service| among.contains(&service.name) && service.provider.is_none());
        let more: Vec<(String, Why)> = among.filter_map(|service| follows(&service)).collect();
        if more.is_empty() {
            return;
        }
        stale.extend(more);
    }
}
