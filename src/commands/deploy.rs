//! `deploy`: all stages. The project runs with its secrets, and only what changed was touched.

use std::collections::BTreeMap;

use crate::compose::images::{self, BuildSecrets, Images};
use crate::compose::program;
use crate::compose::shown::check_builds;
use crate::engine::logins::Logins;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::manifest::Secret;
use crate::report::Outcome;
use crate::secret::SecretValue;
use crate::stages::applying::Deployment;
use crate::stages::at_github;
use crate::stages::foreseen;
use crate::stages::locks::project_lock;
use crate::stages::overriding;
use crate::stages::planning;
use crate::stages::project::Prepared;
use crate::stages::proving;
use crate::stages::ready::Ready;
use crate::stages::ready::ready;
use crate::stages::rows;
use crate::stages::run::Run;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let Ready { host, declared, resolution, tools, mut prepared } = ready(run).await?;
    let secrets: Vec<(&Secret, &SecretValue)> = resolution.available().collect();
    let declared_secrets = resolution.declared();
    rows::deployment_notes(run);

    tidy_up(run, &prepared).await?;
    let before = present_images(run, &mut prepared, &tools).await?;
    let images = images(run, &prepared, &secrets, &tools, before.clone()).await?;
    let containers = std::mem::take(&mut prepared.containers);
    let mut planned = planning::plan_delivery(run, &prepared, &secrets, &tools, &images, containers).await?;
    rows::outdated(run, &prepared, &planned);
    run.check_strict()?;
    at_github::begin(run).await?;
    let is_up_to_date = foreseen::is_up_to_date(run, &prepared, &planned);
    if !is_up_to_date || !planning::override_is_current(&prepared, &planned)? {
        let noted = prepared.record.as_ref().and_then(|record| record.compose.as_deref());
        program::check_versions(&tools, noted).await?;
        let parts = planned.parts(&images);
        let made =
            overriding::checked(run, &mut prepared, parts, &declared_secrets, &tools, &planned.stamp).await?;
        planned.override_text = Some(made.text);
    }
    let inputs = proving::inputs(run, &declared);
    let deployment = Deployment {
        prepared: &prepared,
        secrets: &secrets,
        tools: &tools,
        resolution: &resolution,
        host: &host,
        before: &before,
        images: &images,
        inputs: &inputs,
        stable_for: declared.stable_for,
    };
    deployment.foresee(run, &planned).await?;
    if is_up_to_date {
        return deployment.refresh(run, &planned).await;
    }
    deployment.deploy(run, planned).await
}

/// Finishes or undoes what a killed run left beside the secrets directory, before a build could copy it.
async fn tidy_up(run: &Run, prepared: &Prepared) -> Result<()> {
    if prepared.secrets_dir.has_leftovers()? && prepared.secrets_dir.of_another()?.is_none() {
        let _lock = project_lock(run, prepared).await?;
        prepared.secrets_dir.recover()?;
    }
    Ok(())
}

/// The images that the engine has.
async fn present_images(run: &Run, prepared: &mut Prepared, tools: &Tools) -> Result<Images> {
    let services = planning::services_of(run, prepared);
    images::present(tools, &prepared.project, &services, std::mem::take(&mut prepared.images)).await
}

/// The images, pulled or built first: nothing that runs is touched by that. `present` are those that are there.
async fn images(
    run: &mut Run,
    prepared: &Prepared,
    secrets: &[(&Secret, &SecretValue)],
    tools: &Tools,
    present: Images,
) -> Result<Images> {
    let services = planning::services_of(run, prepared);
    let settings = &run.settings.compose;
    let (build, pull) = images::missing(&prepared.project, settings, &services, &present);
    if build.is_empty() && pull.is_empty() {
        return Ok(present);
    }
    let secrets_in = |text: &str| run.console.secrets_in(text.as_bytes());
    check_builds(&prepared.project.model, &build, &prepared.project.search(&secrets_in))?;
    let values: BTreeMap<_, _> = secrets.iter().map(|(secret, value)| (&secret.name, *value)).collect();
    let granted = prepared.access.services.values().flat_map(|own| &own.build);
    let granted = granted.filter_map(|(key, name)| Some((key.clone(), (*values.get(name)?).clone())));
    let secrets = BuildSecrets(granted.collect());
    let settings = settings.clone();
    run.begin_stage("Images");
    let logins = Logins::new(tools, &run.settings.registries).await?;
    let tools = logins.as_ref().map_or_else(|| tools.clone(), |logins| logins.tools(tools));
    images::ensure(&tools, &prepared.project, &settings, &services, present, &secrets).await
}
