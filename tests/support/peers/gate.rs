//! A way from the engine's containers to a server that listens on this machine's loopback only: bytes are passed on as
//! they are.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An open gate. It closes when it is dropped.
pub struct Gate {
    /// Where it is.
    pub address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Gate {
    /// Opens one at an address of this machine that containers reach: their network's gateway.
    pub fn to(server: SocketAddr, at: IpAddr) -> Self {
        let listener = TcpListener::bind((at, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let seen = closed.clone();
        thread::spawn(move || {
            for inside in listener.incoming().map_while(Result::ok) {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                // A server that is gone: the connection ends at once, as it would by itself.
                if let Ok(outside) = TcpStream::connect(server) {
                    let (from_inside, from_outside) =
                        (inside.try_clone().unwrap(), outside.try_clone().unwrap());
                    thread::spawn(move || pass(from_inside, outside));
                    thread::spawn(move || pass(from_outside, inside));
                }
            }
        });
        Self { address, closed }
    }

    /// A URL or variable that leads to the server, changed to lead through the gate.
    pub fn through(&self, text: &str, server: SocketAddr) -> String {
        assert!(text.contains(&server.to_string()), "{text} does not lead to {server}");
        text.replace(&server.to_string(), &self.address.to_string())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // The listener waits for a connection; this is its last.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut part = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut part) {
        if length == 0 || to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
