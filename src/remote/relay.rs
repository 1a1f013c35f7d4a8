//! A private socket of ours, by which Docker's programs reach the engine: each connection to it goes on over the one session
//! with the engine's machine.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::error::{Code, Error, Result};

/// The longest path of a socket (unix(7)), less the name of ours.
const LONGEST: usize = 80;

/// What connections are handed on to.
pub(super) trait Line: Send + Sync + 'static {
    /// A connection to the engine.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Opens one; `None` when there is no way any more. Why is kept by the line.
    fn open(&self) -> impl Future<Output = Option<Self::Stream>> + Send;
}

/// The socket. It is gone, with everything that goes over it, when this is dropped.
pub(super) struct Relay {
    socket: PathBuf,
    listening: JoinHandle<()>,
    _directory: TempDir,
}

impl Relay {
    /// Listens in a directory of its own below `temporary`, that only this user can enter.
    pub(super) fn start<L: Line>(line: Arc<L>, temporary: &Path) -> Result<Self> {
        let below = if temporary.as_os_str().len() < LONGEST { temporary } else { Path::new("/tmp") };
        let failed = |path: &Path, error: &std::io::Error| {
            Error::io(Code::NotWritable, "make a socket in", path, error)
        };
        let directory = tempfile::Builder::new()
            .prefix("claude-secrets-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(below)
            .map_err(|error| failed(below, &error))?;
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).map_err(|error| failed(directory.path(), &error))?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failed(directory.path(), &error))?;
        let listening = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let line = line.clone();
                tokio::spawn(async move {
                    if let Some(mut far) = line.open().await {
                        // Either side may break off; the program at this end says so by itself.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Ok(Self { socket, listening, _directory: directory })
    }

    /// The socket's path.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    struct Echo;

    impl Line for Echo {
        type Stream = tokio::io::DuplexStream;

        async fn open(&self) -> Option<Self::Stream> {
            let (near, far) = tokio::io::duplex(64);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(far);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
            Some(near)
        }
    }

    #[tokio::test]
    async fn each_connection_is_handed_on_and_only_this_user_can_make_one() {
        let directory = tempfile::tempdir().unwrap();
        let relay = Relay::start(Arc::new(Echo), directory.path()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(relay.socket()), 0o600);
        assert_eq!(mode(relay.socket().parent().unwrap()), 0o700);
        for text in ["one", "two"] {
            let mut stream = UnixStream::connect(relay.socket()).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, text);
        }
        let socket = relay.socket().to_owned();
        drop(relay);
        assert!(!socket.exists());
    }
}
