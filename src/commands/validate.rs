//! `validate`: every stage up to delivery. Prints what a deployment would change, and changes nothing.

use super::proving::{self, Proof};
use super::ready::{Ready, ready};
use super::{Run, overriding, planning, reporting};
use crate::delivery::choose::Kind;
use crate::docker::{engine, images};
use crate::error::Result;
use crate::manifest::Secret;
use crate::report::Outcome;
use crate::secret::SecretValue;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let Ready { host, declared, resolution, tools, mut prepared } = ready(run).await?;
    if run.settings.source.is_some() {
        // Without what other sources have it cannot be said what a deployment would change.
        reporting::granted(run, &prepared);
        run.check_strict()?;
        return Ok(Outcome::Validated);
    }
    let secrets: Vec<(&Secret, &SecretValue)> = resolution.available().collect();
    let declared_secrets = resolution.declared();
    reporting::deployment_notes(run);
    engine::check_versions(&tools).await?;
    let services = planning::services_of(run, &prepared);
    let images =
        images::present(&tools, &prepared.project, &services, std::mem::take(&mut prepared.images)).await?;
    let containers = std::mem::take(&mut prepared.containers);
    let planned = planning::plan_delivery(run, &prepared, &secrets, &tools, &images, containers).await?;
    let parts = planned.parts(&images);
    overriding::checked(run, &mut prepared, parts, &declared_secrets, &tools, &planned.stamp).await?;
    reporting::outdated(run, &prepared, &planned);
    run.check_strict()?;

    run.begin_stage("What a deployment would change");
    for service in prepared.project.model.services.values().filter(|s| services.contains(&s.name)) {
        if service.provider.is_none() && !images.contains_key(&service.image) {
            let verb = if service.build { "build" } else { "pull" };
            run.console.line(&format!("{verb} the image {} of {}", service.image, service.name));
        }
    }
    if prepared.choice.kind == Kind::File {
        let difference = prepared.secrets_dir.compare(&planned.files)?;
        for (verb, paths) in
            [("write", &difference.new), ("replace", &difference.changed), ("remove", &difference.stale)]
        {
            for path in paths {
                run.console.line(&format!("{verb} {}", run.settings.secrets_dir.join(path).display()));
            }
        }
    }
    for (service, name) in &planned.volumes {
        if planned.revisions.get(service).is_some_and(|revision| revision.volume.is_none()) {
            run.console.line(&format!("create the volume {name}"));
        }
    }
    if !planning::override_is_current(&prepared, &planned)? {
        run.console.line(&format!("write {}", run.settings.override_file.display()));
    }
    for (service, why) in &planned.stale {
        run.console.line(&format!("bring up {service}: {why}"));
    }
    if planned.stale.is_empty() {
        run.console.line("restart nothing");
    }
    run.report.changed = planning::changed(&planned, &prepared, &secrets);
    reporting::services(run, &prepared, &planned, &planned.containers);
    if !planned.containers.is_empty() {
        let inputs = proving::inputs(run, &declared);
        let (prepared, planned, tools) = (&prepared, &planned, &tools);
        let proof = Proof { prepared, planned, tools, host: &host, images: &images, inputs: &inputs };
        proof.of(run, &planned.containers, true).await?;
    }
    Ok(Outcome::Validated)
}
