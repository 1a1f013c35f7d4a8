//! A server of the test's own that handles each connection in a thread. It stops when it is dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A port of this machine, before anybody handles its connections.
pub struct Port {
    listener: TcpListener,
    /// Where it is.
    pub address: SocketAddr,
}

/// The running server.
pub struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Port {
    /// Takes one that is free.
    pub fn take() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Begins to handle connections.
    pub fn serve(
        self,
        handle: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Listening {
        let Self { listener, address } = self;
        let (stopped, handle) = (Arc::new(AtomicBool::new(false)), Arc::new(handle));
        let is_over = stopped.clone();
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let handle = handle.clone();
                std::thread::spawn(move || stream.map(|stream| handle(stream)));
            }
        });
        Listening { address, stopped, server: Some(server) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        let _ = self.server.take().map(JoinHandle::join);
    }
}
