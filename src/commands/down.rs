//! `down`: stops the project, removes what is ours, and proves that it is gone. Everything else stays.

use super::Run;
use crate::delivery::override_file::OverrideFile;
use crate::delivery::{ProjectFile, SecretsDir, record};
use crate::deployment::up;
use crate::diagnostic::Diagnostic;
use crate::engine::call::Call;
use crate::engine::containers;
use crate::engine::empty_image;
use crate::engine::helpers;
use crate::engine::lock::{EngineLock, Holder};
use crate::engine::objects;
use crate::engine::tools::Tools;
use crate::engine::volumes;
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::release;
use crate::report::Outcome;
use crate::stages::locks::LOCK_WAIT;
use crate::stages::locks::lock_directory;
use crate::stages::named::Named;
use crate::stages::named::named;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    // What cannot be removed must be told before anything is.
    let Named { host, tools, directory, name, call, .. } = named(run, "taken down").await?;
    let secrets_dir = SecretsDir::open(&directory, &run.settings.secrets_dir)?.of_project(&name);
    // What is noted only helps: a directory that it does not tell stays, as one that was never ours.
    let record = record::read(&tools, &name).await.unwrap_or_default();
    let former = record.and_then(|record| record.former_dir(&directory, &secrets_dir.relative(), &name));
    let secrets_dirs: Vec<SecretsDir> = [secrets_dir].into_iter().chain(former).collect();
    let override_file = ProjectFile::open(&directory, &run.settings.override_file)?;

    run.begin_stage("Down");
    let _lock = lock_directory(run, &directory).await?;
    let holder = Holder::current(host.own_id.as_deref());
    let lock = EngineLock::take(&tools, &name, &holder, LOCK_WAIT).await?;
    let result = take_down(run, &tools, &name, call, &secrets_dirs, &override_file).await;
    lock.release(&tools).await;
    if result.is_ok() {
        empty_image::remove_with_the_last_project(&tools).await?;
    }
    result
}

async fn take_down(
    run: &mut Run,
    tools: &Tools,
    name: &str,
    call: Call,
    secrets_dirs: &[SecretsDir],
    override_file: &ProjectFile,
) -> Result<Outcome> {
    up::down(call).await?;
    remove_from_engine(tools, name).await?;
    for secrets_dir in secrets_dirs {
        if let Some(other) = secrets_dir.of_another()? {
            let directory = secrets_dir.relative();
            let directory = directory.display();
            run.console.line(&format!("{directory} has the files of the project {other} and stays"));
            continue;
        }
        for path in secrets_dir.remove()? {
            run.console.line(&format!("removed {}", path.display()));
        }
    }
    if override_file.read()?.is_some_and(|bytes| OverrideFile::is_ours(&bytes)) {
        override_file.remove()?;
        run.console.line(&format!("removed {}", run.settings.override_file.display()));
    }

    run.begin_stage("Proof");
    let left = left_over(tools, name).await?;
    if !left.is_empty() {
        return Err(Error::new(Code::RemovalIncomplete, format!("the project {name} is not wholly gone"))
            .problems(left));
    }
    for volume in release::states(tools, name).await? {
        run.console
            .line(&format!("the volume {volume} has data of a service and stays: docker volume rm {volume}"));
    }
    run.console.line(&format!("no container and no volume of ours is left of {name}"));
    Ok(Outcome::Removed)
}

/// Our volumes, and what a killed run may have left: locks and containers that fill volumes.
async fn remove_from_engine(tools: &Tools, project: &str) -> Result<()> {
    let label = labels::with(labels::PROJECT, project);
    for container in
        helpers::of_project(tools, project).await?.iter().filter(|c| c.label(labels::LOCK).is_none())
    {
        containers::remove(tools, &container.id).await?;
    }
    let ours: Vec<String> =
        objects::volumes(tools, &label).await?.into_iter().map(|volume| volume.name).collect();
    volumes::remove(tools, &ours).await
}

async fn left_over(tools: &Tools, project: &str) -> Result<Vec<Diagnostic>> {
    let label = labels::with(labels::PROJECT, project);
    let (containers, ours, volumes) = tokio::try_join!(
        objects::containers(tools, project),
        helpers::of_project(tools, project),
        objects::volumes(tools, &label),
    )?;
    let ours = ours.iter().filter(|container| container.label(labels::LOCK).is_none());
    let containers = containers.iter().chain(ours).map(|container| {
        Diagnostic::new(format!("the container {} is still there", container.name))
            .help(format!("docker rm --force {}", container.name))
    });
    let volumes = volumes.iter().map(|volume| {
        Diagnostic::new(format!("the volume {} is still there: something uses it", volume.name))
            .help(format!("docker ps -a --filter volume={0}; docker volume rm {0}", volume.name))
    });
    Ok(containers.chain(volumes).collect())
}
