//! An image without anything in it, for containers that are never started: locks, and those through which volumes are
//! filled. It is ours, so that no image of another project is kept from being removed.

use zeroize::Zeroizing;

use super::command::{Output, Tools};
use super::engine;
use crate::delivery::volume::REVISION;
use crate::error::{Code, Error, Result};

/// Its name. No registry has it, and nothing pulls or pushes it.
pub const NAME: &str = "claude-secrets-empty:1";
/// Other projects that go may remove it between our making it and our using it.
const ATTEMPTS: u32 = 5;

/// Creates a container of it, with these options of `docker create`. The image is made when the engine does not have it. A
/// status other than 0 is no error here.
pub async fn create(tools: &Tools, options: &[(&'static str, &str)]) -> Result<Output> {
    let mut attempt = 1;
    loop {
        // Never started; an image without a command needs one all the same.
        let words =
            &["create", "--network=none", "--pull=never", "--entrypoint=/claude-secrets-never-started"];
        let call = tools.docker(words);
        let call = options.iter().fold(call, |call, (option, value)| call.option(option, value));
        let made = call.names([NAME]).output().await?;
        if made.success || attempt == ATTEMPTS {
            return Ok(made);
        }
        if !is_there(tools).await? {
            import(tools).await?;
        } else if !made.stderr.contains(NAME) {
            // Something else is wrong. An error of the image is over: another run has made it since.
            return Ok(made);
        }
        attempt += 1;
    }
}

/// Removes the image, unless a project that we deployed is still there. What another run uses just now stays too.
pub async fn remove_with_the_last_project(tools: &Tools) -> Result<()> {
    if engine::with_label(tools, REVISION).await?.is_empty() {
        // The engine refuses while a container is made of it.
        tools.docker(&["image", "rm"]).names([NAME]).output().await?;
    }
    Ok(())
}

async fn is_there(tools: &Tools) -> Result<bool> {
    Ok(tools.docker(&["image", "inspect", "--format={{.Id}}"]).names([NAME]).output().await?.success)
}

async fn import(tools: &Tools) -> Result<()> {
    let fault = |_| Error::new(Code::Internal, "the archive of the empty image could not be made");
    let archive = tar::Builder::new(Vec::new()).into_inner().map_err(fault)?;
    tools
        .docker(&["import"])
        .names(["-", NAME])
        .input(Zeroizing::new(archive))
        .output()
        .await?
        .or_fail(Code::DeliveryFailed, "cannot make the empty image that locks and volumes are made with")?;
    Ok(())
}
