//! An image without anything in it, for containers that are never started: locks, and those through which volumes are
//! filled. It is ours, so that no image of another project is kept from being removed.

use zeroize::Zeroizing;

use super::api::{Answer, Request};
use super::containers::{self, NeverStarted};
use super::objects;
use super::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::labels;

/// Its name. No registry has it, and nothing pulls or pushes it.
pub const NAME: &str = "claude-secrets-empty:1";
/// Other projects that go may remove it between our making it and our using it.
const ATTEMPTS: u32 = 5;

/// Creates a container of it. The image is made when the engine does not have it. A failure is no error here.
pub async fn create(tools: &Tools, new: &NeverStarted<'_>) -> Result<Answer> {
    let mut attempt = 1;
    loop {
        let made = containers::create(tools, NAME, new).await?;
        if made.is_success() || attempt == ATTEMPTS {
            return Ok(made);
        }
        if !is_there(tools).await? {
            import(tools).await?;
        } else if !made.message.contains(NAME) {
            // Something else is wrong. An error of the image is over: another run has made it since.
            return Ok(made);
        }
        attempt += 1;
    }
}

/// Removes the image, unless a project that we deployed is still there. What another run uses just now stays too.
pub async fn remove_with_the_last_project(tools: &Tools) -> Result<()> {
    if objects::with_label(tools, labels::REVISION).await?.is_empty() {
        // The engine refuses while a container is made of it.
        Request::delete(&["images", NAME]).send(tools).await?;
    }
    Ok(())
}

async fn is_there(tools: &Tools) -> Result<bool> {
    Ok(Request::get(&["images", NAME, "json"]).send(tools).await?.is_success())
}

async fn import(tools: &Tools) -> Result<()> {
    const DOING: &str = "cannot make the empty image that locks and volumes are made with";
    let fault = |_| Error::new(Code::Internal, "the archive of the empty image could not be made");
    let archive = tar::Builder::new(Vec::new()).into_inner().map_err(fault)?;
    let request = Request::post(&["images", "create"]).query("fromSrc", "-").query("repo", NAME);
    let answer = request.archive(Zeroizing::new(archive)).send(tools).await?;
    answer.or_fail(Code::DeliveryFailed, DOING)?;
    // What goes wrong on the way is in the answer's text; what counts is that the image is there.
    if is_there(tools).await? {
        return Ok(());
    }
    Err(Error::new(Code::DeliveryFailed, format!("{DOING}: the engine has no image afterwards")))
}
