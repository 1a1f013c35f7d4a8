//! A connection to the engine.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStderr};
use zeroize::Zeroizing;

use super::address::Address;
use crate::engine::call::Call;
use crate::engine::tools::Tools;
use crate::files;

/// What is kept of what the program says.
const MOST_WORDS: usize = 64 * 1024;

/// What can be read from and written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The program that holds a connection, and what it says.
pub(super) struct Holder {
    child: Child,
    words: Option<ChildStderr>,
}

/// Opens a connection, which a program holds where `docker` is what knows the way.
///
/// # Errors
/// The system's; what is wrong with the program.
pub(super) async fn open(tools: &Tools, address: &Address) -> Result<(Box<dyn Stream>, Option<Holder>)> {
    Ok(match address {
        Address::Socket(path) => (Box::new(UnixStream::connect(path).await?), None),
        Address::Port(place) => (Box::new(TcpStream::connect(place.as_str()).await?), None),
        Address::Program(_) => {
            let call = Call::docker(tools, &["system", "dial-stdio"]).input(Zeroizing::default());
            let mut child = call.begin().map_err(|error| Error::other(error.fact))?;
            let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(ErrorKind::BrokenPipe.into());
            };
            let words = child.stderr.take();
            (Box::new(tokio::io::join(output, input)), Some(Holder { child, words }))
        }
    })
}

impl Holder {
    /// Why it ended without an answer, in its own words, as they are.
    pub(super) async fn last_words(mut self) -> Option<Zeroizing<Vec<u8>>> {
        let words = files::beginning_of(self.words?, MOST_WORDS).await.ok()?;
        let ended = self.child.wait().await.ok()?;
        (!ended.success() && !words.is_empty()).then_some(words)
    }
}
