//! Which project it is, for modes that ask for no value and must do even where the manifest or a Compose file cannot be read.

use std::collections::BTreeSet;

use crate::compose::program;
use crate::compose::project::{Project, With, likely_name};
use crate::engine::api;
use crate::engine::call::Call;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::{Code, Result};
use crate::manifest::Secret;
use crate::stages::connecting;
use crate::stages::declared;
use crate::stages::programs;
use crate::stages::run::Run;

/// The project as far as it is known without a value.
pub(crate) struct Named {
    pub(crate) host: HostPaths,
    pub(crate) tools: Tools,
    /// Its directory, as this process sees it.
    pub(crate) directory: std::path::PathBuf,
    /// Its name.
    pub(crate) name: String,
    /// What a call of Compose for it begins with.
    pub(crate) call: Call,
    /// The project itself, where its Compose files can be read.
    pub(crate) project: Option<Project>,
    /// The names of the secrets, where the manifest can be read.
    pub(crate) declared: BTreeSet<String>,
}

/// Looks for it. `doing` is what is done with it, for warnings: `taken down`.
pub(crate) async fn named(run: &mut Run, doing: &str) -> Result<Named> {
    let early = programs::early_tools(run);
    let host = programs::host_paths(run, &early).await?;
    let declared::Found { files, profiles, name } = declared::find_project(&run.settings)?;
    // Which secrets there are is of no matter here, but `${NAME:?}` must pass.
    let read = declared::read_leniently(&run.settings, &files);
    let mut known = None;
    let tools = match read {
        Ok(manifest) => {
            run.declare(&manifest);
            run.console.release();
            let names: Vec<&Secret> = manifest.secrets.iter().collect();
            let tools = programs::tools(run, &files.directory, &names, None);
            known = Some(manifest);
            tools
        }
        // Nobody knows which variables are secrets: Compose gets those alone that it needs to reach the engine.
        Err(error) => {
            run.console.release();
            run.warn(format!("the project is {doing} without the manifest: {error}"), None);
            early.clone()
        }
    };
    Box::pin(connecting::connect(run, known.as_ref(), &files.directory, &early, &host)).await?;
    let tools = programs::for_engine(run, tools);
    programs::check_socket(&tools)?;
    let directory = files.directory.clone();
    api::check(&tools).await?;
    let told = run.settings.compose.name.clone().or(name);
    let likely = likely_name(told.as_deref(), &host.to_host(&directory)?);
    let (name, call, project) =
        match Project::load(&tools, &run.settings.compose, files, &host, &profiles).await {
            Ok(project) => {
                let call = project.call(&tools, With::NoOverride, &["*".to_owned()]);
                (project.model.name.clone(), call, Some(project))
            }
            // What a file needs to be read (`${IMAGE_TAG:?}`) is not needed to find what runs.
            Err(error) if error.code == Code::ComposeFileInvalid => {
                run.warn(format!("the project is {doing} by its name {likely}: {}", error.fact), None);
                (likely.clone(), program::compose(&tools, &[]).option("--project-name", &likely), None)
            }
            Err(error) => return Err(error),
        };
    run.report.project = Some(name.clone());
    let declared =
        known.into_iter().flat_map(|manifest| manifest.secrets).map(|secret| secret.name.to_string());
    Ok(Named { host, tools, directory, name, call, project, declared: declared.collect() })
}
