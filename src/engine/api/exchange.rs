//! One request and its answer, within the limits that hold for everything whose answer is awaited: silence, length, and the
//! end of the run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::io::{InspectReader, InspectWriter};

use super::address::Address;
use super::answer::Answer;
use super::request::Request;
use super::{Take, wire};
use crate::engine::limits::{MOST_OUTPUT, MOST_SILENCE, Moves};
use crate::engine::tools::Tools;
use crate::error::plain_reason;
use crate::files::Gathered;

/// How long a program that held a connection may take to say why it broke.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why there is no answer.
pub(super) enum Fault {
    /// No connection.
    Closed(std::io::Error),
    /// The connection broke.
    Broken,
    /// What answers speaks something else.
    Foreign,
    /// Nothing came for too long.
    Silent,
    /// The answer is too long.
    TooLong,
    /// The program that holds the connection says why (redacted).
    Said(String),
    /// The run was stopped.
    Interrupted,
}

impl Fault {
    /// In words; `what` was asked.
    pub(super) fn text(&self, what: &str) -> String {
        match self {
            Self::Closed(error) => decapitalized(&plain_reason(error)),
            Self::Broken => format!("it closed the connection before the end of its answer to {what}"),
            Self::Foreign => "what answers there does not speak HTTP".to_owned(),
            Self::Silent => format!("it has not answered {what} for {} s", MOST_SILENCE.as_secs()),
            Self::TooLong => format!("its answer to {what} is longer than {} MiB", MOST_OUTPUT >> 20),
            Self::Said(text) => text.clone(),
            Self::Interrupted => "the run was stopped".to_owned(),
        }
    }
}

/// A sentence of the system as a part of one of ours.
fn decapitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

impl From<hyper::Error> for Fault {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Foreign } else { Self::Broken }
    }
}

/// Sends a request on a connection of its own and takes its answer.
pub(super) async fn exchange(
    tools: &Tools,
    address: &Address,
    prefix: &str,
    request: Request,
    take: Take<'_>,
) -> Result<Answer, Fault> {
    let moves = Moves::default();
    let has_begun = AtomicBool::new(false);
    let mut program = None;
    let work = async {
        let (stream, holder) = wire::open(tools, address).await.map_err(Fault::Closed)?;
        program = holder;
        let (reader, writer) = tokio::io::split(stream);
        let reader = InspectReader::new(reader, moves.noting());
        let writer = InspectWriter::new(writer, moves.noting());
        talk(tokio::io::join(reader, writer), tools, prefix, request, Taking { take, has_begun: &has_begun })
            .await
    };
    let silent = async {
        moves.end(MOST_SILENCE).await;
        if has_begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = silent => Err(Fault::Silent),
        () = tools.interrupt().wait() => Err(Fault::Interrupted),
    };
    match done {
        Err(fault @ (Fault::Broken | Fault::Foreign)) => {
            let Some(program) = program else { return Err(fault) };
            let words = tokio::time::timeout(LAST_WORDS, program.last_words()).await.ok().flatten();
            let said = words.map(|words| tools.console().redacted(&words));
            let said = said.map(|said| String::from_utf8_lossy(&said).trim_end().to_owned());
            Err(said.map_or(fault, Fault::Said))
        }
        done => done,
    }
}

/// What takes an answer, and whether one that may be silent has begun.
struct Taking<'t, 'b> {
    take: Take<'t>,
    has_begun: &'b AtomicBool,
}

async fn talk<S>(
    stream: S,
    tools: &Tools,
    prefix: &str,
    request: Request,
    taking: Taking<'_, '_>,
) -> Result<Answer, Fault>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let message = request.message(prefix).map_err(|_| Fault::Foreign)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async {
        let response = sender.send_request(message).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut take = match taking.take {
            Take::Pieces(take) if status.is_success() => Some(take),
            Take::Events(take) if status.is_success() => {
                taking.has_begun.store(true, Ordering::Relaxed);
                take(&[]);
                Some(take)
            }
            _ => None,
        };
        let mut gathered = Gathered::new(MOST_OUTPUT);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            match &mut take {
                Some(take) => take(&piece),
                None if !gathered.add(&piece) => return Err(Fault::TooLong),
                None => {}
            }
        }
        Ok(Answer::new(status, gathered.whole(), tools.console()))
    };
    tokio::pin!(asked, connection);
    let mut is_open = true;
    loop {
        tokio::select! {
            answer = &mut asked => return answer,
            // What has arrived by then is read to its end.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}
