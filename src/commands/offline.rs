//! `validate --offline`: what can be checked without any credential, source or engine, for pull requests from forks and
//! before a commit. Where Docker Compose is, its own `config` reads the project; nothing is asked for over a network.

use crate::compose::images::Images;
use crate::compose::program;
use crate::error::{Code, Result};
use crate::manifest::Secret;
use crate::report::Outcome;
use crate::sources;
use crate::stages::declared;
use crate::stages::overriding;
use crate::stages::programs;
use crate::stages::project;
use crate::stages::rows;
use crate::stages::run::Run;

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let declared = declared::declared(run)?;
    // No masks will come: no value is read.
    run.console.release();
    run.note(sources::check_names(&run.settings, &declared.manifest));
    let secrets: Vec<&Secret> = declared.manifest.secrets.iter().collect();
    rows::not_asked(run, &secrets);
    for import in &declared.manifest.imports {
        run.report
            .note(format!("{import}: what is there is known to its source alone, and was not looked at"));
    }
    let tools = programs::tools(run, &declared.files.directory, &secrets, None);
    match program::version(&tools).await {
        Err(error) if matches!(error.code, Code::ComposeMissing | Code::EngineUnreachable) => {
            run.report.note(
                "Docker Compose is not here: neither the project's model nor who gets what was looked at",
            );
            run.check_wrong()?;
        }
        Err(error) => return Err(error),
        Ok(_) => {
            let mut prepared = project::prepare(run, &declared, &secrets, None, &tools, None).await?;
            overriding::without_values(run, &mut prepared, &secrets, &tools, &Images::new()).await?;
            rows::granted(run, &prepared);
        }
    }
    run.check_strict()?;
    Ok(Outcome::Validated)
}
