//! What a report says of secrets, services and waits: its rows, from what the stages found.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::{Form, ServiceAccess};
use crate::compose::images::Images;
use crate::deployment::health::{Awaited, Watch};
use crate::diagnostic::Diagnostic;
use crate::engine::objects::{Container, Health, State};
use crate::manifest::Secret;
use crate::report::{
    self, SecretRow, SecretState, ServiceRow, ServiceState, Shadowed, SourceRow, VariableForm, VariableRow,
    WaitRow, WaitedFor, Waits,
};
use crate::resolve::{self, Resolution};
use crate::settings::DeliveryChoice;
use crate::stages::applying::by_service;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// More secrets than this have no line of their own as soon as they are resolved.
const MOST_LINES: usize = 500;

/// The rows of the secrets, once they are resolved.
pub(crate) fn secrets(run: &mut Run, resolution: &Resolution) {
    run.report.secrets = resolution.secrets.iter().map(secret_row).collect();
    let missing = resolution.secrets.iter().filter(|resolved| resolved.state == resolve::State::Missing);
    run.report.missing = missing.map(|resolved| resolved.secret.name.to_string()).collect();
    run.report.sources = resolution.asked.iter().map(source_row).collect();
    for row in run.report.secrets.iter().take(MOST_LINES) {
        let place = row.reference.as_deref().unwrap_or("-");
        run.console.line(&format!("{}: {} {place}", row.name, row.state));
    }
    if let Some(more) = run.report.secrets.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        run.console.line(&format!(
            "… and {more} more: the end of the log has those to look at, the JSON report all"
        ));
    }
}

fn source_row(asked: &resolve::Asked) -> SourceRow {
    SourceRow {
        id: asked.source.to_string(),
        asked: asked.items,
        found: asked.found,
        calls: asked.calls,
        milliseconds: u64::try_from(asked.time.as_millis()).unwrap_or(u64::MAX),
    }
}

fn secret_row(resolved: &resolve::Resolved) -> SecretRow {
    let time = |at| humantime::format_rfc3339_seconds(at).to_string();
    let origin = resolved.origin.as_ref();
    let composed = resolved.secret.template.as_ref().filter(|_| resolved.value.is_some());
    SecretRow {
        description: resolved.secret.description.clone(),
        state: match resolved.state {
            resolve::State::Found => SecretState::Found,
            resolve::State::Default => SecretState::Default,
            resolve::State::Absent => SecretState::Absent,
            resolve::State::Missing => SecretState::Missing,
            resolve::State::Denied => SecretState::Denied,
            resolve::State::Failed => SecretState::Failed,
            resolve::State::Invalid => SecretState::Invalid,
        },
        source: match composed {
            Some(_) => Some(resolve::TEMPLATE.to_owned()),
            None => origin.map(|origin| origin.source.to_string()),
        },
        reference: match composed {
            Some(template) => Some(template.to_string()),
            None => origin.map(|origin| origin.reference.to_string()),
        },
        version: origin.and_then(|origin| origin.version.clone()),
        changed_at: origin.and_then(|origin| origin.changed).map(time),
        expires_at: origin.and_then(|origin| origin.expires).map(time),
        shadowed: resolved
            .shadowed
            .iter()
            .map(|shadowed| Shadowed { source: shadowed.source.to_string(), differs: shadowed.differs })
            .collect(),
        sensitive: resolved.secret.sensitive,
        file: resolved.secret.file_name(),
        ..SecretRow::new(&resolved.secret.name)
    }
}

/// The rows of the secrets, where no source is asked: those that `source` may have, or all.
pub(crate) fn not_asked(run: &mut Run, secrets: &[&Secret]) {
    for secret in secrets {
        let mut shown = (*secret).clone();
        if run.settings.source.as_deref().is_some_and(|only| !super::resolving::narrow(&mut shown, only)) {
            continue;
        }
        let first = shown.from.iter().flatten().next();
        run.report.secrets.push(SecretRow {
            description: secret.description.clone(),
            state: SecretState::Unasked,
            source: first.map(|reference| reference.source.to_string()),
            reference: first.map(ToString::to_string),
            sensitive: secret.sensitive,
            file: secret.file_name(),
            ..SecretRow::new(&secret.name)
        });
    }
}

/// The rows of the services, of which only is known what they are granted.
pub(crate) fn granted(run: &mut Run, prepared: &Prepared) {
    let rows = prepared.access.services.iter().map(|(name, access)| {
        let user = prepared.project.model.services.get(name).map(|service| service.user.clone());
        ServiceRow {
            secrets: access.secrets.iter().map(|granted| granted.name.to_string()).collect(),
            user: user.filter(|user| !user.is_empty()),
            ..ServiceRow::new(name)
        }
    });
    run.report.services = rows.collect();
}

/// The rows of the services, by their containers before (`planned`) and now.
pub(crate) fn services(
    run: &mut Run,
    prepared: &Prepared,
    planned: &Planned,
    images: &Images,
    now: &[Container],
) {
    let (before, after) = (by_service(&planned.containers), by_service(now));
    let ids = |containers: Option<&Vec<&Container>>| -> BTreeSet<String> {
        containers.into_iter().flatten().map(|container| container.id.clone()).collect()
    };
    let mut rows = Vec::new();
    let model = &prepared.project.model;
    let has_containers =
        |name: &String| model.services.get(name).is_some_and(|service| service.provider.is_none());
    for (name, access) in prepared.access.services.iter().filter(|(name, _)| has_containers(name)) {
        let (old, new) = (before.get(name.as_str()), after.get(name.as_str()));
        let (old_ids, new_ids) = (ids(old), ids(new));
        let state = if planned.outdated.contains(name) {
            ServiceState::Stale
        } else if new_ids.is_empty() {
            ServiceState::NotStarted
        } else if old_ids.is_empty() {
            ServiceState::Created
        } else if old_ids != new_ids && (old_ids.is_subset(&new_ids) || new_ids.is_subset(&old_ids)) {
            ServiceState::Scaled
        } else if old_ids != new_ids {
            ServiceState::Recreated
        } else if started_at(old) != started_at(new) {
            ServiceState::Started
        } else {
            ServiceState::Unchanged
        };
        let made = matches!(state, ServiceState::Created | ServiceState::Recreated);
        let trouble = new.into_iter().flatten().find_map(|container| trouble(container));
        rows.push(ServiceRow {
            name: name.clone(),
            secrets: access.secrets.iter().map(|granted| granted.name.to_string()).collect(),
            variables: variables(access),
            state: trouble.unwrap_or(state),
            // Why it was brought up says nothing of how it ended.
            detail: planned.stale.get(name).filter(|_| trouble.is_none()).map(|why| why.text().to_owned()),
            user: user_of(prepared, images, name),
        });
        if made && !run.report.recreated.contains(name) {
            run.report.recreated.push(name.clone());
        }
        if state == ServiceState::Created && !run.report.created.contains(name) {
            run.report.created.push(name.clone());
        }
    }
    run.report.services = rows;
}

/// Whom a service runs as: what the manifest, the Compose file or the image says, in this order. An image that says nothing
/// runs as root; of one that is not here nothing is known.
fn user_of(prepared: &Prepared, images: &Images, name: &str) -> Option<String> {
    let access = prepared.access.services.get(name);
    if let Some(uid) = access.and_then(|own| own.uid) {
        return Some(format!("{uid}:{}", access.and_then(|own| own.gid).unwrap_or(uid)));
    }
    let service = prepared.project.model.services.get(name)?;
    if !service.user.is_empty() {
        return Some(service.user.clone());
    }
    let user = images.get(&service.image)?.user.clone();
    Some(if user.is_empty() { "root".to_owned() } else { user })
}

/// How a service's program gets its variables.
fn variables(access: &ServiceAccess) -> Vec<VariableRow> {
    let forms = [
        (Form::AtStart, VariableForm::Variable),
        (Form::File, VariableForm::File),
        (Form::InClear, VariableForm::Env),
        (Form::Plain, VariableForm::Plain),
    ];
    let of_form = |(form, shown)| {
        let names = access.delivered(form).into_keys();
        names.map(move |name| VariableRow { name: name.to_owned(), form: shown }).collect::<Vec<_>>()
    };
    let mut rows: Vec<VariableRow> = forms.into_iter().flat_map(of_form).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// Warns of the services that go on running with older secrets, with the line that has them started.
pub(crate) fn outdated(run: &mut Run, prepared: &Prepared, planned: &Planned) {
    for name in &planned.outdated {
        let chosen = &run.settings.compose.services;
        let profile = prepared.project.model.services.get(name).and_then(|service| service.profiles.first());
        let line = if let Some(profile) = profile.filter(|_| chosen.is_empty()) {
            ("profiles", prepared.profiles.iter().chain([profile]).cloned().collect::<Vec<_>>())
        } else {
            ("services", chosen.iter().chain([name]).cloned().collect())
        };
        let help = Some(format!("To have it recreated, start it too: `{}: {}`.", line.0, line.1.join(",")));
        run.warn(format!("service {name} still runs with older secrets: this run does not start it"), help);
    }
}

/// What was waited for at the health gate.
pub(crate) fn waits(run: &mut Run, stable_for: Duration, watch: &Watch) {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let row = |(service, what, time): (&str, Awaited, Duration)| WaitRow {
        service: service.to_owned(),
        waited_for: match what {
            Awaited::Health => WaitedFor::Health,
            Awaited::StaysUp => WaitedFor::StaysUp,
            Awaited::End => WaitedFor::End,
        },
        milliseconds: milliseconds(time),
    };
    run.report.waits = Some(Waits {
        stable_for: milliseconds(stable_for),
        milliseconds: milliseconds(watch.time()),
        services: watch.waited().map(row).collect(),
    });
}

fn started_at(containers: Option<&Vec<&Container>>) -> BTreeSet<String> {
    let all = containers.into_iter().flatten();
    all.filter_map(|container| Some(container.raw.pointer("/State/StartedAt")?.as_str()?.to_owned()))
        .collect()
}

fn trouble(container: &Container) -> Option<ServiceState> {
    match container.state() {
        State::Running(Health::Unhealthy) => Some(ServiceState::Unhealthy),
        State::Exited(0) => Some(ServiceState::Completed),
        State::Exited(_) | State::Restarting => Some(ServiceState::Exited),
        _ => None,
    }
}

/// What must be said plainly of a deployment: how long it lives.
pub(crate) fn deployment_notes(run: &mut Run) {
    let platform = &run.settings.platform;
    if platform.actions && platform.runner_environment.as_deref() == Some("github-hosted") {
        run.report.note(report::notes::hosted_runner());
    }
    let kept = platform.actions && platform.runner_environment.as_deref() == Some("self-hosted");
    if kept && run.settings.delivery == DeliveryChoice::File {
        run.report.warn(
            Diagnostic::new("the next checkout wipes the secret files from this self-hosted runner's workspace, and a service that then restarts stays down")
                .help("Leave `delivery` out, or set it to `volume`."),
        );
    }
}
