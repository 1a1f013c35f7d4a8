//! `drift`: what runs, held against what the last deployment left. Asks no source, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::compose::project::Project;
use crate::count::count;
use crate::delivery::TARGET;
use crate::delivery::record::{self, Left, Record};
use crate::delivery::revision::{Revision, Salt};
use crate::delivery::volume::{self};
use crate::delivery::{Held, SecretsDir};
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPath;
use crate::engine::objects::{self, Container, State};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::report::{DriftKind, DriftRow, Outcome};
use crate::stages::former;
use crate::stages::named::Named;
use crate::stages::named::named;
use crate::stages::run::Run;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let Named { host, tools, directory, name, mut project, declared, .. } = named(run, "looked at").await?;
    run.begin_stage("Drift");
    let (containers, record) =
        tokio::try_join!(objects::containers(&tools, &name), record::read(&tools, &name))?;
    let Some(record) = record else { return Err(not_deployed(&name)) };
    run.console.line(&format!("the last deployment of {name} ended at {}", record.at));
    let known = known(project.as_mut(), declared, &record, &containers, &tools).await?;
    let mut rows = of_containers(&record, &containers, &known);
    rows.extend(of_volumes(&record, &tools).await?);
    rows.extend(of_secrets(&containers, &tools).await?);
    if record.delivery == "file" {
        let held = SecretsDir::open(&directory, &run.settings.secrets_dir)?.held()?;
        let here = host.to_host(&directory)?.join(&run.settings.secrets_dir);
        rows.extend(of_files(&record, &containers, &held, &here)?);
    }
    for row in &rows {
        run.console.line(&format!("{}: {}", row.kind, row.detail));
    }
    run.report.drift = rows;
    if run.report.drift.is_empty() {
        return Ok(Outcome::InSync);
    }
    let problems = run.report.drift.iter().map(|row| {
        let problem = Diagnostic::new(row.detail.clone());
        match help(row.kind) {
            Some(help) => problem.help(help),
            None => problem,
        }
    });
    Err(Error::new(Code::Drift, format!("{name} is not as the last deployment left it, at {}", record.at))
        .problems(problems.collect())
        .help("`deploy` puts right what it finds; with `force-recreate` it makes every container anew."))
}

fn not_deployed(name: &str) -> Error {
    Error::new(Code::NotDeployed, format!("nothing is noted of a deployment of {name} on this engine"))
        .help("Deploy it once: each deployment that succeeds notes what it leaves.")
}

fn help(kind: DriftKind) -> Option<&'static str> {
    match kind {
        DriftKind::Recreated | DriftKind::Variables | DriftKind::Networks => {
            Some("Deploy with `force-recreate`, unless this was meant.")
        }
        DriftKind::Stale => Some("Start it with the next deployment: `services` or `profiles` say which."),
        DriftKind::Added => Some("Deploy with `remove-orphans`, or remove the container by hand."),
        DriftKind::VolumeGone | DriftKind::VolumeReplaced => {
            Some("If it held data, put the data back from your backup.")
        }
        DriftKind::SecretsChanged => Some(
            "Rotate the secrets if you do not know who did this. Values that differ get a new volume; else remove the \
             service's container and this volume, and deploy.",
        ),
        DriftKind::Missing
        | DriftKind::WithoutSecrets
        | DriftKind::Stopped
        | DriftKind::FilesChanged
        | DriftKind::FilesGone => None,
    }
}

/// The variables that the project itself names: those of secrets, and those under `environment`. What an env file has may be
/// a part of a value where it should be a name.
async fn known(
    project: Option<&mut Project>,
    declared: BTreeSet<String>,
    record: &Record,
    containers: &[Container],
    tools: &Tools,
) -> Result<BTreeSet<String>> {
    let mut known = declared;
    known.extend(record.secrets.keys().cloned());
    // Only of a container that was not left there variables are told.
    let is_new = |container: &Container| {
        record.services.get(&container.service).is_some_and(|left| !left.containers.contains(&container.id))
    };
    if let Some(project) = project.filter(|_| containers.iter().any(is_new)) {
        project.read_as_written(tools).await?;
        let services = project.model.services.values();
        known.extend(services.flat_map(|service| service.written.environment.keys().cloned()));
    }
    Ok(known)
}

/// What is not as it was left with the containers. `known` are the variables that the project names.
fn of_containers(record: &Record, containers: &[Container], known: &BTreeSet<String>) -> Vec<DriftRow> {
    let mut rows = Vec::new();
    let of = |service: &str| -> Vec<&Container> {
        containers.iter().filter(|container| container.service == service).collect()
    };
    for (service, left) in &record.services {
        rows.extend(of_service(service, left, &of(service), known));
    }
    let was_there = |container: &&Container| record.services.contains_key(&container.service);
    let added: BTreeSet<&str> =
        containers.iter().filter(|container| !was_there(container)).map(|c| c.service.as_str()).collect();
    rows.extend(added.into_iter().map(|service| {
        row(DriftKind::Added, service, format!("service {service} has a container, and had none"))
    }));
    rows
}

fn row(kind: DriftKind, service: &str, detail: String) -> DriftRow {
    DriftRow { kind, service: Some(service.to_owned()), detail }
}

/// Names of variables of a container that somebody may have made by hand, where anything may be a name: a value, too. Told
/// are those that the project has, and that are names by their look; the others are counted.
fn told(names: &[String], known: &BTreeSet<String>) -> String {
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let told: Vec<&str> =
        names.iter().filter(|name| known.contains(*name) && is_name(name)).map(String::as_str).collect();
    let others = names.len() - told.len();
    match (told.join(", "), others) {
        (told, 0) => told,
        (told, _) if told.is_empty() => format!("{others} that the project does not name"),
        (told, _) => format!("{told} and {others} that the project does not name"),
    }
}

fn of_service(service: &str, left: &Left, now: &[&Container], known: &BTreeSet<String>) -> Vec<DriftRow> {
    let mut rows = Vec::new();
    let mut tell =
        |kind, detail: String| rows.push(row(kind, service, format!("service {service} {detail}")));
    let (kept, new): (Vec<&Container>, Vec<&Container>) =
        now.iter().copied().partition(|container| left.containers.contains(&container.id));
    let gone = left.containers.len() - kept.len();
    match new.first() {
        None if gone > 0 && kept.is_empty() => {
            tell(DriftKind::Missing, "has no container any more".to_owned());
        }
        None if gone > 0 => tell(DriftKind::Missing, format!("has lost {}", count(gone, "container"))),
        None => {}
        Some(first) if first.label(labels::REVISION).is_none() => tell(
            DriftKind::WithoutSecrets,
            format!("was started without the override file, as {}: it has no secrets", first.name),
        ),
        Some(first) if gone > 0 => {
            tell(DriftKind::Recreated, format!("has another container, {}", first.name));
        }
        Some(_) => tell(DriftKind::Added, format!("has {} more", count(new.len(), "container"))),
    }
    if let Some(first) = new.first()
        && first.label(labels::REVISION).is_some()
        && !left.variables.is_empty()
    {
        let now = record::variables(first);
        let only = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|name| !b.contains(name)).cloned().collect()
        };
        let (more, less) = (only(&now, &left.variables), only(&left.variables, &now));
        if !more.is_empty() {
            tell(DriftKind::Variables, format!("has variables that it did not have: {}", told(&more, known)));
        }
        if !less.is_empty() {
            tell(DriftKind::Variables, format!("lacks variables that it had: {}", told(&less, known)));
        }
    }
    let up = kept.iter().filter(|container| record::is_up(container)).count();
    if new.is_empty() && up + gone < left.running {
        let idle = kept.iter().find(|container| !record::is_up(container));
        tell(DriftKind::Stopped, format!("does not run: {}", idle.map_or_else(String::new, |c| doing(c))));
    }
    for container in &kept {
        let now = record::networks(container);
        if now != left.networks {
            let (now, before) = (in_words(&now), in_words(&left.networks));
            tell(DriftKind::Networks, format!("is in {now}, and was in {before}"));
            break;
        }
    }
    if left.stale {
        tell(DriftKind::Stale, "runs with older secrets: the last deployment did not start it".to_owned());
    }
    rows
}

/// What a container does that does not run.
fn doing(container: &Container) -> String {
    if let State::Exited(status) = container.state() {
        return format!("{} has ended with status {status}", container.name);
    }
    let status = container.raw.pointer("/State/Status").and_then(|status| status.as_str());
    format!("{} is {}", container.name, status.unwrap_or("in a state that the engine does not tell"))
}

fn in_words(networks: &[String]) -> String {
    if networks.is_empty() { "no network".to_owned() } else { networks.join(", ") }
}

async fn of_volumes(record: &Record, tools: &Tools) -> Result<Vec<DriftRow>> {
    let names: Vec<String> = record.volumes.keys().cloned().collect();
    let now = objects::volumes_named(tools, &names).await?;
    let row = |kind, detail| Some(DriftRow { kind, service: None, detail });
    let of = |(name, created): (&String, &String)| match now.iter().find(|volume| volume.name == *name) {
        None => row(DriftKind::VolumeGone, format!("the volume {name} is gone")),
        Some(volume) if volume.created != *created => row(
            DriftKind::VolumeReplaced,
            format!("the volume {name} is another one: it was made at {}, not at {created}", volume.created),
        ),
        Some(_) => None,
    };
    Ok(record.volumes.iter().filter_map(of).collect())
}

/// Whether each volume of secrets that a container mounts holds what was put there.
async fn of_secrets(containers: &[Container], tools: &Tools) -> Result<Vec<DriftRow>> {
    let mut mounted: BTreeMap<String, &Container> = BTreeMap::new();
    for container in containers {
        let own =
            container.mounts().into_iter().find(|(kind, _, target)| *kind == "volume" && *target == TARGET);
        if let Some((_, name, _)) = own {
            mounted.entry(name.to_owned()).or_insert(container);
        }
    }
    let names: Vec<String> = mounted.keys().cloned().collect();
    let mut rows = Vec::new();
    for found in objects::volumes_named(tools, &names).await? {
        let (Some(sum), Some(label), Some(container)) =
            (found.labels.get(labels::SUM), found.labels.get(labels::REVISION), mounted.get(&found.name))
        else {
            continue;
        };
        let (Some(salt), Some(held)) = (Salt::of_label(label), volume::held(tools, &container.id).await?)
        else {
            continue;
        };
        let content = volume::sum_of(
            held.iter().map(|file| (file.name.as_str(), file.mode, file.uid, file.gid, &file.value)),
        );
        if Revision::of(&content, salt)?.digest() != sum {
            let service = &container.service;
            rows.push(row(
                DriftKind::SecretsChanged,
                service,
                format!(
                    "the secrets of service {service} are not those that were put into the volume {}",
                    found.name
                ),
            ));
        }
    }
    Ok(rows)
}

/// Whether the secret files are those that were written; only where containers mount them from this directory (`here`).
fn of_files(
    record: &Record,
    containers: &[Container],
    held: &[Held],
    here: &HostPath,
) -> Result<Vec<DriftRow>> {
    let mounts = containers.iter().flat_map(Container::mounts);
    let is_ours = |target: &str| target.starts_with(TARGET);
    let mut sources = mounts.filter(|(_, _, target)| is_ours(target)).map(|(_, source, _)| source);
    if !sources.any(|source| std::path::Path::new(source).starts_with(here.as_path())) {
        return Ok(Vec::new());
    }
    let row = |kind, detail| Ok(vec![DriftRow { kind, service: None, detail }]);
    if held.is_empty() {
        return row(
            DriftKind::FilesGone,
            format!("the secret files in {here} are gone: a service that restarts stays down"),
        );
    }
    if former::is_as_left(held, record.files.as_deref())? {
        return Ok(Vec::new());
    }
    let at = humantime::parse_rfc3339(&record.at).unwrap_or(SystemTime::UNIX_EPOCH);
    let later: Vec<String> =
        held.iter().filter(|file| file.modified > at).map(|file| file.path.display().to_string()).collect();
    let which =
        if later.is_empty() { String::new() } else { format!("; written since: {}", later.join(", ")) };
    row(DriftKind::FilesChanged, format!("the secret files in {here} are not those that were written{which}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(service: &str, id: &str, labels: &[&str], status: &str) -> Container {
        let labels: serde_json::Map<_, _> =
            labels.iter().map(|label| ((*label).to_owned(), json!("salt.digest"))).collect();
        Container {
            id: id.to_owned(),
            name: format!("p-{service}-1"),
            service: service.to_owned(),
            raw: json!({
                "Config": { "Labels": labels, "Env": ["PATH=/bin", "MODE=x"] },
                "State": { "Status": status, "ExitCode": 137 },
                "NetworkSettings": { "Networks": { "p_default": {} } },
            }),
        }
    }

    fn kinds(now: &[Container]) -> Vec<(DriftKind, String)> {
        let left = container("web", "1", &[labels::REVISION], "running");
        let record = Record {
            services: BTreeMap::from([("web".to_owned(), Left::of(&[&left], vec!["KEY".into()]))]),
            ..Record::default()
        };
        let known = BTreeSet::from(["DEBUG".to_owned(), "a b".to_owned()]);
        of_containers(&record, now, &known).into_iter().map(|row| (row.kind, row.detail)).collect()
    }

    #[test]
    fn containers_that_are_as_they_were_left_are_no_drift_and_every_other_one_is() {
        let with = |change: fn(&mut serde_json::Value)| {
            let mut other = container("web", "1", &[labels::REVISION], "running");
            change(&mut other.raw);
            other
        };
        let anew = |labels: &[&str], env: serde_json::Value| {
            let mut other = container("web", "2", labels, "running");
            other.raw["Config"]["Env"] = env;
            other
        };
        for (now, expected) in [
            (vec![with(|_| ())], vec![]),
            (vec![], vec![DriftKind::Missing]),
            (vec![container("web", "2", &[], "running")], vec![DriftKind::WithoutSecrets]),
            (vec![anew(&[labels::REVISION], json!(["PATH=/bin", "MODE=y"]))], vec![DriftKind::Recreated]),
            (
                vec![anew(&[labels::REVISION], json!(["PATH=/bin", "DEBUG=1"]))],
                vec![DriftKind::Recreated, DriftKind::Variables, DriftKind::Variables],
            ),
            (vec![with(|raw| raw["State"]["Status"] = json!("exited"))], vec![DriftKind::Stopped]),
            (vec![with(|raw| raw["State"]["Status"] = json!("paused"))], vec![DriftKind::Stopped]),
            (vec![with(|raw| raw["NetworkSettings"] = json!({}))], vec![DriftKind::Networks]),
            (vec![with(|_| ()), container("db", "3", &[], "running")], vec![DriftKind::Added]),
            (
                vec![with(|_| ()), container("web", "3", &[labels::REVISION], "running")],
                vec![DriftKind::Added],
            ),
        ] {
            let found = kinds(&now);
            assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), expected, "{found:?}");
        }
    }

    #[test]
    fn of_variables_that_were_set_by_hand_only_names_of_the_project_are_told() {
        for (set, expected) in [
            (json!(["MODE=x", "PATH=/", "DEBUG=1"]), "DEBUG"),
            (json!(["MODE=x", "PATH=/", "sk-Zk39dkQpw82LmxT="]), "1 that the project does not name"),
            (json!(["MODE=x", "PATH=/", "a b=1", "Zk39dkQpw82LmxT=1"]), "2 that the project does not name"),
            (
                json!(["MODE=x", "PATH=/", "DEBUG=1", "EV\n::warning::pwn=1"]),
                "DEBUG and 1 that the project does not name",
            ),
        ] {
            let mut other = container("web", "2", &[labels::REVISION], "running");
            other.raw["Config"]["Env"] = set;
            let found = kinds(&[other]);
            let expected = format!("service web has variables that it did not have: {expected}");
            assert!(found.contains(&(DriftKind::Variables, expected)), "{found:?}");
        }
    }
}
