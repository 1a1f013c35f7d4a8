//! The stages that modes with values have in common, up to a project that could be delivered to.
//!
//! A stage that finds something wrong does not hide what a later one would find: the run goes on with what can still be
//! checked, and ends, before anything is changed, with all of it.

use crate::engine::empty_image;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::manifest::Secret;
use crate::resolve::Resolution;
use crate::settings::Mode;
use crate::stages::connecting;
use crate::stages::declared;
use crate::stages::github;
use crate::stages::programs;
use crate::stages::project;
use crate::stages::project::Prepared;
use crate::stages::resolving;
use crate::stages::run::Run;

/// What is known once nothing is wrong.
pub(crate) struct Ready {
    pub(crate) host: HostPaths,
    pub(crate) declared: declared::Declared,
    pub(crate) resolution: Resolution,
    pub(crate) tools: Tools,
    pub(crate) prepared: Prepared,
}

/// Runs the stages.
///
/// # Errors
/// Everything that is wrong, as far as one run can see it.
pub(crate) async fn ready(run: &mut Run) -> Result<Ready> {
    let early = programs::early_tools(run);
    let host = programs::host_paths(run, &early).await;
    let mut host = run.note(host);
    let mut declared = declared::declared(run)?;
    // Whatever else is asked meanwhile, GitHub answers beside it.
    let mut asking = github::begin(run);
    let is_connected = match &host {
        Some(host) => {
            let directory = &declared.files.directory;
            let connecting = connecting::connect(run, Some(&declared.manifest), directory, &early, host);
            let connected = Box::pin(connecting).await;
            run.note(connected).is_some()
        }
        None => false,
    };
    if run.remote.is_some()
        && let Some(host) = &mut host
    {
        host.own_image = Some(empty_image::NAME.to_owned());
    }
    let early = programs::for_engine(run, early);
    let resolution = match &host {
        Some(host) if declared.soundness.askable => {
            let resolved = resolving::resolved(run, &mut declared, &early, host, &mut asking).await;
            run.note(resolved)
        }
        // Where it is not known who hears us, no mask may be printed, and so no value be asked for.
        _ => None,
    };
    if let Some(asking) = asking.take() {
        github::end(run, asking).await?;
    }
    let resolution = resolution.unwrap_or_default();
    let secrets: Vec<&Secret> = declared.manifest.secrets.iter().collect();
    let tools = programs::tools(run, &declared.files.directory, &secrets, Some(&resolution));
    if run.settings.mode == Mode::Deploy && is_connected {
        run.note(programs::check_socket(&tools));
    }
    // One that has no value though it should is handed out in the run after this one: what of it can be checked, is.
    let absent = resolution.absent_names();
    let secrets: Vec<&Secret> = secrets.into_iter().filter(|secret| !absent.contains(&secret.name)).collect();
    let prepared = project::prepare(
        run,
        &declared,
        &secrets,
        Some(&resolution),
        &tools,
        host.as_ref().filter(|_| is_connected),
    )
    .await?;
    let host = host.unwrap_or_else(HostPaths::without_engine);
    Ok(Ready { host, declared, resolution, tools, prepared })
}
