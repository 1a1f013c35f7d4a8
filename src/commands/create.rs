//! `create-files` and `create-compose`: the files alone, for people who start the project themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::images::{self, Images};
use crate::compose::program;
use crate::delivery::plan::{Available, PlanInput, Users, lay_out, plan};
use crate::engine::objects;
use crate::error::Result;
use crate::manifest::Secret;
use crate::report::Outcome;
use crate::secret::SecretValue;
use crate::stages::applying::written_files;
use crate::stages::declared;
use crate::stages::locks::project_lock;
use crate::stages::overriding;
use crate::stages::overriding::Parts;
use crate::stages::planning;
use crate::stages::programs;
use crate::stages::project;
use crate::stages::ready::Ready;
use crate::stages::ready::ready;
use crate::stages::resolving;
use crate::stages::run::Run;

/// Writes the secret files; an override file that is there gets their revisions.
pub(super) async fn files(run: &mut Run) -> Result<Outcome> {
    let Ready { resolution, tools, mut prepared, .. } = ready(run).await?;
    let secrets: Vec<(&Secret, &SecretValue)> = resolution.available().collect();
    let declared_secrets = resolution.declared();
    let images = known_images(run, &prepared, &tools).await;
    let plans = plan(PlanInput {
        tools: &tools,
        project: &prepared.project,
        access: &prepared.access,
        available: secrets
            .iter()
            .map(|(secret, value)| (secret.name.clone(), Available { value, spec: &secret.file }))
            .collect(),
        own: &prepared.own,
        images: &images,
        kind: prepared.choice.kind,
        users: Users::new(),
    })
    .await?;
    let (mut files, paths) = lay_out(&plans, rustix::process::geteuid().is_root());
    files.extend(planning::launcher_file(&prepared)?);
    run.check_strict()?;

    run.begin_stage("Delivery");
    let _lock = project_lock(run, &prepared).await?;
    let there = prepared.override_file.read()?;
    let done = prepared.secrets_dir.write(&files)?;
    let written = done.new.len() + done.changed.len();
    run.console.line(&written_files(written, done.unchanged.len()));
    let touched = done.new.iter().chain(&done.changed);
    let names_of: BTreeSet<String> =
        touched.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    run.report.changed = secrets
        .iter()
        .filter(|(secret, _)| names_of.contains(&secret.file_name()))
        .map(|(secret, _)| secret.name.to_string())
        .collect();
    if let Some(bytes) = there {
        // What runs keeps its revision as long as its values are the same.
        let name = &prepared.project.model.name;
        let containers = objects::containers(&tools, name).await.unwrap_or_default();
        let revisions = crate::delivery::current::revisions(
            prepared.project.model.services.keys(),
            &plans,
            &containers,
            &[],
        )?;
        let labels = planning::labels(run, &prepared, &plans, &paths, &revisions)?;
        let none = BTreeMap::new();
        let stamp = planning::stamp(run, &labels, &none, &overriding::keys(&prepared, &plans, &paths));
        let parts = Parts { plans: &plans, paths: &paths, volumes: &none, labels: &labels, images: &images };
        let text =
            overriding::checked(run, &mut prepared, parts, &declared_secrets, &tools, &stamp).await?.text;
        if bytes != text.as_bytes() {
            prepared.override_file.write(text.as_bytes(), 0o644)?;
            run.console.line(&format!("{} has their revisions", run.settings.override_file.display()));
        }
    }
    Ok(Outcome::Created)
}

/// Writes the override file. No value is asked for, so it has no revisions.
pub(super) async fn compose(run: &mut Run) -> Result<Outcome> {
    let early = programs::early_tools(run);
    let host = programs::host_paths(run, &early).await?;
    let mut declared = declared::declared(run)?;
    resolving::imported(run, &mut declared, &early, &host).await?;
    // An optional secret without a file would be a mount of nothing, and the project could not start.
    let directory = declared.files.directory.join(&run.settings.secrets_dir);
    let there = |secret: &&Secret| {
        secret.required || secret.default.is_some() || directory.join(secret.file_name()).exists()
    };
    let names: Vec<&Secret> = declared.manifest.secrets.iter().filter(there).collect();
    run.console.release();
    let tools = programs::tools(run, &declared.files.directory, &names, None);
    let mut prepared = project::prepare(run, &declared, &names, None, &tools, Some(&host)).await?;
    let images = known_images(run, &prepared, &tools).await;
    program::version(&tools).await?;
    for (service, own) in prepared.access.services.iter().filter(|(_, own)| !own.in_clear().is_empty()) {
        let names = own.in_clear().into_keys().collect::<Vec<_>>().join(", ");
        run.warn(
            format!(
                "service {service} gets {names} by `deliver: env`: only `claude-secrets deploy` can start the project"
            ),
            Some("To start it yourself, use `deliver: variable` or `deliver: file`.".to_owned()),
        );
    }
    let made = overriding::without_values(run, &mut prepared, &names, &tools, &images).await?;
    for service in &made.incomplete {
        run.warn(
            format!("the override file is incomplete for {service}: its image is not here, and with it what it starts"),
            Some(format!(
                "Pull or build the image and run this again; or let the service read files: `deliver: file` for {service} \
                 in the manifest's `services:`."
            )),
        );
    }
    let text = made.text;
    run.check_strict()?;

    run.begin_stage("Delivery");
    let _lock = project_lock(run, &prepared).await?;
    prepared.override_file.write(text.as_bytes(), 0o644)?;
    run.console.line(&format!("{} written", run.settings.override_file.display()));
    Ok(Outcome::Created)
}

/// The images that the engine has; none when there is no engine, which these modes can do without.
async fn known_images(
    run: &Run,
    prepared: &project::Prepared,
    tools: &crate::engine::tools::Tools,
) -> Images {
    let services = planning::services_of(run, prepared);
    images::present(tools, &prepared.project, &services, Images::new()).await.unwrap_or_default()
}
