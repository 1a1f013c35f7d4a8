//! The other way to the engine's socket, for servers that forbid forwarding: the `docker` program there; and, where there is
//! none, what is wrong.

use std::time::Duration;

use russh::ChannelStream;
use russh::client::{Handle, Msg};

use super::login::Client;
use super::{fault, status_of};
use crate::error::Result;
use crate::settings::Server;
use crate::shell::quoted;

/// How long a command on the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket is there and may be used.
pub(super) const OPEN: u32 = 0;
/// There is no socket.
pub(super) const ABSENT: u32 = 43;
/// The user may not use the socket.
pub(super) const DENIED: u32 = 44;

/// A connection by `docker system dial-stdio` on the server.
///
/// # Errors
/// [`crate::error::Code::EngineUnreachable`] with what is wrong there.
pub(super) async fn by_program(handle: &Handle<Client>, server: &Server) -> Result<ChannelStream<Msg>> {
    let socket = quoted(&server.socket);
    let ask = |command: String| async move {
        tokio::time::timeout(PATIENCE, status_of(handle, &command)).await.ok().flatten()
    };
    let state = ask(format!(
        "sh -c '[ -S \"$0\" ] || exit {ABSENT}; [ -r \"$0\" ] && [ -w \"$0\" ] || exit {DENIED}' {socket}"
    ))
    .await;
    let has_docker = state == Some(OPEN) && ask("command -v docker >/dev/null".to_owned()).await == Some(0);
    if !has_docker {
        return Err(fault::socket(state, server));
    }
    let channel = handle.channel_open_session().await;
    let channel = channel.map_err(|error| fault::Fault::Ssh(error).error(server))?;
    let command = format!("docker --host unix://{socket} system dial-stdio");
    channel.exec(false, command).await.map_err(|error| fault::Fault::Ssh(error).error(server))?;
    Ok(channel.into_stream())
}
