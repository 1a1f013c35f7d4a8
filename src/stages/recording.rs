//! Notes in the engine what a deployment left, for the plans and the search for drift that come after it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::compose::program;
use crate::delivery::Held;
use crate::delivery::record::{self, Delivered, Left, Record};
use crate::delivery::revision::{Revision, Salt};
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::resolve::Resolution;
use crate::secret::SecretName;
use crate::stages::applying::by_service;
use crate::stages::foreseen::origin_of;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// What a record is made of.
#[derive(Clone, Copy)]
pub(crate) struct Deployed<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) planned: &'a Planned,
    pub(crate) resolution: &'a Resolution,
    pub(crate) tools: &'a Tools,
    /// The project's containers as they are now.
    pub(crate) now: &'a [Container],
}

/// Notes it, unless the same is noted already. What the engine does not take is told, and fails nothing.
pub(crate) async fn note(run: &mut Run, basis: Deployed<'_>) {
    let noted = write(run, basis).await;
    let why = match noted {
        Ok(true) => return,
        Ok(false) => "a name in it holds the value of a secret".to_owned(),
        Err(error) => error.fact,
    };
    run.report.note(format!(
        "what this deployment left is not noted in the engine, so that `drift` cannot compare with it: {why}"
    ));
}

async fn write(run: &Run, basis: Deployed<'_>) -> Result<bool> {
    let Deployed { prepared, tools, now, .. } = basis;
    let before = prepared.record.as_ref();
    let mut record = of(basis);
    if before.is_some_and(|before| before.is_like(&record)) {
        return Ok(true);
    }
    record.at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    record.volumes = record::volumes(tools, now).await?;
    if prepared.choice.kind.in_files() {
        let held = prepared.secrets_dir.held()?;
        record.files = Some(Revision::of(&Held::content(&held), Salt::fresh()?)?.label().to_owned());
    }
    let is_secret = |text: &str| !run.console.secrets_in(text.as_bytes()).is_empty();
    record::write(tools, &prepared.project.model.name, &record, &is_secret).await
}

fn of(basis: Deployed) -> Record {
    let Deployed { prepared, planned, resolution, tools, now } = basis;
    let secrets = resolution.secrets.iter().filter_map(|resolved| {
        let origin = origin_of(resolved)?;
        let delivered =
            Delivered { source: origin.source, reference: origin.reference, version: origin.version };
        Some((resolved.secret.name.to_string(), delivered))
    });
    let before = |service: &str| prepared.record.as_ref()?.services.get(service);
    let available: BTreeSet<&SecretName> = resolution.available().map(|(secret, _)| &secret.name).collect();
    let services = by_service(now).into_iter().map(|(service, containers)| {
        let granted = prepared.access.services.get(service).into_iter().flat_map(|own| &own.secrets);
        let is_stale = planned.outdated.contains(service);
        let mut names: Vec<String> = if is_stale {
            before(service).map(|left| left.secrets.clone()).unwrap_or_default()
        } else {
            granted.filter(|one| available.contains(&one.name)).map(|one| one.name.to_string()).collect()
        };
        names.sort();
        (service.to_owned(), Left { stale: is_stale, ..Left::of(&containers, names) })
    });
    Record {
        delivery: prepared.choice.kind.name().to_owned(),
        secrets_dir: (prepared.choice.kind.in_files()).then(|| prepared.secrets_dir.relative()),
        secrets: secrets.collect(),
        services: services.collect::<BTreeMap<_, _>>(),
        compose: program::noted(tools).or_else(|| prepared.record.as_ref()?.compose.clone()),
        ..Record::default()
    }
}
