//! `validate`: every stage up to delivery. Prints what a deployment would change, and changes nothing.

use crate::compose::images;
use crate::compose::program;
use crate::error::Result;
use crate::manifest::Secret;
use crate::report::Outcome;
use crate::report::plan::{self, Tense};
use crate::secret::SecretValue;
use crate::stages::foreseen;
use crate::stages::overriding;
use crate::stages::planning;
use crate::stages::proving;
use crate::stages::proving::Proof;
use crate::stages::ready::Ready;
use crate::stages::ready::ready;
use crate::stages::rows;
use crate::stages::run::Run;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let Ready { host, declared, resolution, tools, mut prepared } = ready(run).await?;
    if run.settings.source.is_some() {
        // Without what other sources have it cannot be said what a deployment would change.
        rows::granted(run, &prepared);
        run.check_strict()?;
        return Ok(Outcome::Validated);
    }
    let secrets: Vec<(&Secret, &SecretValue)> = resolution.available().collect();
    let declared_secrets = resolution.declared();
    rows::deployment_notes(run);
    let noted = prepared.record.as_ref().and_then(|record| record.compose.as_deref());
    program::check_versions(&tools, noted).await?;
    let services = planning::services_of(run, &prepared);
    let images =
        images::present(&tools, &prepared.project, &services, std::mem::take(&mut prepared.images)).await?;
    let containers = std::mem::take(&mut prepared.containers);
    let planned = planning::plan_delivery(run, &prepared, &secrets, &tools, &images, containers).await?;
    let parts = planned.parts(&images);
    let made =
        overriding::checked(run, &mut prepared, parts, &declared_secrets, &tools, &planned.stamp).await?;
    rows::outdated(run, &prepared, &planned);
    run.check_strict()?;

    run.begin_stage("What a deployment would change");
    let plan = {
        let (prepared, planned, resolution) = (&prepared, &planned, &resolution);
        let (tools, images, text) = (&tools, &images, Some(made.text.as_str()));
        foreseen::plan(run, foreseen::Foreseen { prepared, planned, resolution, tools, images, text }).await?
    };
    for line in plan::lines(&plan, Tense::Would) {
        run.console.line(&line);
    }
    run.report.changed = plan.changed();
    run.report.plan = Some(plan);
    rows::services(run, &prepared, &planned, &images, &planned.containers);
    if !planned.containers.is_empty() {
        let inputs = proving::inputs(run, &declared);
        let (prepared, planned, tools) = (&prepared, &planned, &tools);
        let proof = Proof { prepared, planned, tools, host: &host, images: &images, inputs: &inputs };
        proof.of(run, &planned.containers, true).await?;
    }
    Ok(Outcome::Validated)
}
