//! A session with a server: one login, and over it as many connections to the engine's socket as are asked for.

mod certificate;
mod fault;
mod key;
mod known_hosts;
mod login;
mod probe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelStream, Disconnect};
use tokio::sync::Mutex;

pub use self::certificate::OwnKey;
pub(super) use self::key::{Identity, read, read_file};
pub(super) use self::known_hosts::Known;
use self::login::Client;
use super::relay::Line;
use crate::error::{Error, Result};
use crate::settings::Server;

/// A session that breaks is taken up again so often.
const MOST_LOGINS: u32 = 3;

/// What a session is made with.
#[derive(Clone)]
pub(super) struct Login {
    /// The server of the engine.
    pub(super) server: Server,
    /// Who logs in there.
    pub(super) identity: Identity,
    /// The servers on the way there, and who logs in on them.
    pub(super) jumps: Vec<(Server, Identity)>,
    /// Which servers are known.
    pub(super) known: Known,
    /// How long a login may take.
    pub(super) limit: Duration,
}

/// The session.
pub(super) struct Session {
    login: Login,
    state: Mutex<State>,
    /// Whether the server forbids forwarding, so that its own `docker` leads to the socket.
    by_program: AtomicBool,
}

struct State {
    handle: Arc<Handle<Client>>,
    logins: u32,
    /// Whether it broke: what was under way then has failed.
    broke: bool,
    /// What went wrong last.
    trouble: Option<Error>,
}

impl Session {
    /// Logs in, and finds the way to the engine's socket.
    ///
    /// # Errors
    /// Whatever is wrong, as one of a user's situations.
    pub(super) async fn open(login: Login) -> Result<Self> {
        let handle = login::new(&login).await?;
        let state = Mutex::new(State { handle: Arc::new(handle), logins: 1, broke: false, trouble: None });
        let this = Self { login, state, by_program: AtomicBool::new(false) };
        this.connection().await?;
        Ok(this)
    }

    /// What went wrong since the last time that this was asked.
    pub(super) async fn trouble(&self) -> Option<Error> {
        let mut state = self.state.lock().await;
        let broke = std::mem::take(&mut state.broke) || state.handle.is_closed();
        state.trouble.take().or_else(|| broke.then(|| self.broken()))
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        let handle = self.state.lock().await.handle.clone();
        let goodbye = handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }

    async fn connection(&self) -> Result<ChannelStream<Msg>> {
        let handle = self.handle().await?;
        let server = &self.login.server;
        if !self.by_program.load(Ordering::Relaxed) {
            if let Ok(channel) = handle.channel_open_direct_streamlocal(&server.socket).await {
                return Ok(channel.into_stream());
            }
            // A server that forbids it says the same as one that has no such socket.
            if handle.is_closed() {
                return Err(self.broken());
            }
        }
        let stream = probe::by_program(&handle, server).await?;
        self.by_program.store(true, Ordering::Relaxed);
        Ok(stream)
    }

    /// The session, taken up again if it broke: each connection is one command of Docker's client, and begins anew.
    async fn handle(&self) -> Result<Arc<Handle<Client>>> {
        let mut state = self.state.lock().await;
        if state.handle.is_closed() {
            if state.logins >= MOST_LOGINS {
                return Err(self.broken());
            }
            state.logins += 1;
            state.broke = true;
            let again = login::new(&self.login).await.map_err(|error| self.not_again(error))?;
            state.handle = Arc::new(again);
        }
        Ok(state.handle.clone())
    }

    fn broken(&self) -> Error {
        fault::broken(&self.login.server, None)
    }

    fn not_again(&self, why: Error) -> Error {
        fault::broken(&self.login.server, Some(why))
    }
}

impl Line for Session {
    type Stream = ChannelStream<Msg>;

    async fn open(&self) -> Option<Self::Stream> {
        match self.connection().await {
            Ok(stream) => Some(stream),
            Err(error) => {
                self.state.lock().await.trouble = Some(error);
                None
            }
        }
    }
}

/// The exit status of a command; `None` when the server does not say.
async fn status_of(handle: &Handle<Client>, command: &str) -> Option<u32> {
    let mut channel = handle.channel_open_session().await.ok()?;
    channel.exec(true, command).await.ok()?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => return None,
            _ => {}
        }
    }
    status
}
