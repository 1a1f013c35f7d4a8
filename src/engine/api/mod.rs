//! The Docker Engine's API: one small client for everything that is asked of the engine.
//!
//! It uses hyper and not the crate bollard, whose models drop the fields that they do not know: the proof searches
//! everything that the engine says of a container. Nor does that crate hand out the answer as it came, or bound its length.
//!
//! Each request has a connection of its own. On a socket of this machine one costs microseconds, and none is left over that
//! the engine or a proxy before it may have closed.

mod address;
mod answer;
mod exchange;
mod request;
#[cfg(test)]
mod tests;
mod wire;

use std::future::Future;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::Method;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};

use self::address::Address;
pub use self::address::endpoint;
pub use self::answer::Answer;
use self::exchange::Fault;
pub use self::request::Request;
use super::tools::Tools;
use crate::error::{Code, Error, Result};

/// The oldest API that is supported: Docker 20.10.
const OLDEST: (u32, u32) = (1, 41);
/// The newest one whose answers are known: Docker 28. A newer engine is asked for this form.
const NEWEST: (u32, u32) = (1, 51);
/// How many requests are under way at once: each may be a session of one SSH connection, of which servers allow ten.
const AT_ONCE: usize = 8;

/// What is known of the engine that a run speaks to. It is found out when it is first needed, and kept.
pub(super) struct Link {
    address: OnceCell<Address>,
    server: OnceCell<Server>,
    turns: Semaphore,
    /// Which Docker Compose it is, for the record of a deployment: its version and its program.
    pub(super) compose: OnceCell<String>,
}

impl Default for Link {
    fn default() -> Self {
        let (address, server, compose) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { address, server, turns: Semaphore::new(AT_ONCE), compose }
    }
}

/// What the engine says of itself.
struct Server {
    told: Value,
    /// What the paths of its API begin with (`/v1.45`); `None` when it is too old.
    prefix: Option<String>,
}

/// What the engine says of itself (`/version`), also one that is too old.
///
/// # Errors
/// [`Code::EngineUnreachable`]; [`Code::Interrupted`].
pub async fn version(tools: &Tools) -> Result<&Value> {
    Ok(&server(tools).await?.told)
}

/// Checks that the engine answers and is new enough.
///
/// # Errors
/// [`Code::EngineUnreachable`]; [`Code::EngineTooOld`]; [`Code::Interrupted`].
pub async fn check(tools: &Tools) -> Result<()> {
    prefix(tools).await.map(|_| ())
}

/// Asks for several things at the same time. The answers are in the order of the questions.
///
/// # Errors
/// The first one.
pub async fn each<T, F>(questions: impl IntoIterator<Item = F>) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>>,
{
    stream::iter(questions).buffered(AT_ONCE).try_collect().await
}

/// The error for an engine that does not answer, by what was seen of it.
pub fn unreachable(seen: &str) -> Error {
    Error::new(Code::EngineUnreachable, format!("the Docker Engine does not answer: {seen}")).help(
        "Is the engine running, and may this user use its socket? `docker version` on the runner's host tells.",
    )
}

/// What the path of each request begins with.
async fn prefix(tools: &Tools) -> Result<&str> {
    let server = server(tools).await?;
    server.prefix.as_deref().ok_or_else(|| {
        let version = server.told.get("ApiVersion").and_then(Value::as_str).unwrap_or_default();
        Error::new(
            Code::EngineTooOld,
            format!("the Docker Engine speaks API {version}, 1.41 or newer is needed"),
        )
        .help("Update the Docker Engine to 20.10 or newer: https://docs.docker.com/engine/install/")
    })
}

async fn server(tools: &Tools) -> Result<&Server> {
    let ask = async {
        let answer = send(tools, "", Request::new(Method::GET, &["version"]), Take::Whole).await?;
        let told = answer.json().filter(|_| answer.is_success());
        let api = |told: &Value| numbers(told.get("ApiVersion")?.as_str()?);
        let Some((told, newest)) = told.and_then(|told| api(&told).map(|newest| (told, newest))) else {
            let place = address(tools)?.to_string();
            return Err(unreachable(&format!("what answers at {place} is no Docker Engine")));
        };
        let oldest = told.get("MinAPIVersion").and_then(Value::as_str).and_then(numbers);
        Ok(Server { prefix: chosen(oldest, newest).map(|(a, b)| format!("/v{a}.{b}")), told })
    };
    tools.link().server.get_or_try_init(|| ask).await
}

/// The version to speak with an engine that knows those between two.
fn chosen(oldest: Option<(u32, u32)>, newest: (u32, u32)) -> Option<(u32, u32)> {
    (newest >= OLDEST).then(|| newest.min(NEWEST).max(oldest.unwrap_or(OLDEST)))
}

fn address(tools: &Tools) -> Result<&Address> {
    if let Some(address) = tools.link().address.get() {
        return Ok(address);
    }
    let found = Address::of(tools)?;
    // Another question may have found it meanwhile: the same.
    let _ = tools.link().address.set(found);
    tools.link().address.get().ok_or_else(|| Error::new(Code::Internal, "the engine's address was lost"))
}

/// What becomes of the pieces of an answer as they come. Those of a failure are gathered in any case.
enum Take<'t> {
    /// They are gathered.
    Whole,
    /// They are taken.
    Pieces(&'t mut (dyn FnMut(&[u8]) + Send)),
    /// The same for an answer that has no end and may be silent. The first call, when it begins, has no bytes.
    Events(&'t mut (dyn FnMut(&[u8]) + Send)),
}

async fn send(tools: &Tools, prefix: &str, request: Request, take: Take<'_>) -> Result<Answer> {
    let address = address(tools)?;
    let what = request.shown();
    // It is never closed, so that there is always a turn.
    let _turn = tools.link().turns.acquire().await;
    tracing::debug!(request = %what, "ask the engine");
    match Box::pin(exchange::exchange(tools, address, prefix, request, take)).await {
        Ok(answer) => Ok(answer),
        Err(Fault::Interrupted) => Err(tools.interrupt().error()),
        Err(fault) => Err(unreachable(&format!("{address}: {}", fault.text(&what)))),
    }
}

/// The first two numbers of a version.
pub fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
