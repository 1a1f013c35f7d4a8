//! `down`: stops the project, removes what is ours, and proves that it is gone. Everything else stays.

use super::deploy::{LOCK_WAIT, lock_directory};
use super::{Run, connecting, gather};
use crate::delivery::override_file::OverrideFile;
use crate::delivery::volume::PROJECT;
use crate::delivery::{ProjectFile, SecretsDir};
use crate::docker::command::{Call, Tools};
use crate::docker::empty_image;
use crate::docker::engine;
use crate::docker::lock::{EngineLock, HOLDER, Holder};
use crate::docker::project::{Project, With, likely_name};
use crate::docker::up;
use crate::error::{Code, Error, Problem, Result};
use crate::manifest::Secret;
use crate::release;
use crate::report::Outcome;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let early = gather::early_tools(run);
    let host = gather::host_paths(run, &early).await?;
    let gather::Found { files, profiles, name } = gather::find_project(&run.settings)?;
    // Which secrets there are is of no matter here, but `${NAME:?}` must pass.
    let read = gather::read_leniently(&run.settings, &files);
    let mut known = None;
    let tools = match read {
        Ok(manifest) => {
            run.declare(&manifest);
            run.console.release();
            let names: Vec<&Secret> = manifest.secrets.iter().collect();
            let tools = gather::tools(run, &files.directory, &names, None);
            known = Some(manifest);
            tools
        }
        // Nobody knows which variables are secrets: Compose gets those alone that it needs to reach the engine.
        Err(error) => {
            run.console.release();
            run.warn(format!("the project is taken down without the manifest: {error}"), None);
            early.clone()
        }
    };
    Box::pin(connecting::connect(run, known.as_ref(), &files.directory, &early, &host)).await?;
    let tools = connecting::for_engine(run, tools);
    gather::check_socket(&tools)?;
    let directory = files.directory.clone();
    let secrets_dir = SecretsDir::open(&directory, &run.settings.secrets_dir)?;
    let override_file = ProjectFile::open(&directory, &run.settings.override_file)?;
    engine::check_engine(&tools).await?;
    let told = run.settings.compose.name.clone().or(name);
    let likely = likely_name(told.as_deref(), &host.to_host(&directory)?);
    let (name, call) = match Project::load(&tools, &run.settings.compose, files, &host, &profiles).await {
        Ok(project) => {
            let call = project.call(&tools, With::NoOverride, &["*".to_owned()]);
            (project.model.name, call)
        }
        // What a file needs to be read (`${IMAGE_TAG:?}`) is not needed to stop what runs.
        Err(error) if error.code == Code::ComposeFileInvalid => {
            run.warn(format!("the project is taken down by its name {likely}: {}", error.fact), None);
            (likely.clone(), tools.compose(&[]).option("--project-name", &likely))
        }
        Err(error) => return Err(error),
    };
    run.report.project = Some(name.clone());

    run.begin_stage("Down");
    let _lock = lock_directory(run, &directory).await?;
    let holder = Holder::me(host.own_id.as_deref());
    let lock = EngineLock::take(&tools, &name, &holder, LOCK_WAIT).await?;
    let result = take_down(run, &tools, &name, call, &secrets_dir, &override_file).await;
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
    secrets_dir: &SecretsDir,
    override_file: &ProjectFile,
) -> Result<Outcome> {
    up::down(call).await?;
    remove_from_engine(tools, name).await?;
    for path in secrets_dir.remove()? {
        run.console.line(&format!("removed {}", path.display()));
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
    let label = format!("{PROJECT}={project}");
    for container in engine::with_label(tools, &label).await?.iter().filter(|c| c.label(HOLDER).is_none()) {
        tools.docker(&["rm", "--force", "--volumes"]).names([&container.id]).output().await?;
    }
    let volumes: Vec<String> =
        engine::volumes(tools, &label).await?.into_iter().map(|volume| volume.name).collect();
    if !volumes.is_empty() {
        tools.docker(&["volume", "rm"]).names(&volumes).output().await?;
    }
    Ok(())
}

async fn left_over(tools: &Tools, project: &str) -> Result<Vec<Problem>> {
    let label = format!("{PROJECT}={project}");
    let (containers, ours, volumes) = tokio::try_join!(
        engine::containers(tools, project),
        engine::with_label(tools, &label),
        engine::volumes(tools, &label),
    )?;
    let ours = ours.iter().filter(|container| container.label(HOLDER).is_none());
    let containers = containers.iter().chain(ours).map(|container| {
        Problem::new(format!("the container {} is still there", container.name))
            .remedy(format!("docker rm --force {}", container.name))
    });
    let volumes = volumes.iter().map(|volume| {
        Problem::new(format!("the volume {} is still there: something uses it", volume.name))
            .remedy(format!("docker ps -a --filter volume={0}; docker volume rm {0}", volume.name))
    });
    Ok(containers.chain(volumes).collect())
}
