//! The stores that the tests run against, as processes of the tests' own: started on a free port of this machine, stopped
//! when they are dropped; and what stands before them.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test program uses its own part, and what fails here fails the test"
)]

pub mod authority;
pub mod aws;
pub mod azure;
pub mod bao;
pub mod gate;
pub mod github;
pub mod issuer;
pub mod listeners;
mod listening;
pub mod onepassword;
pub mod proxy;
pub mod tunnel;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A running server. Its output is in `log`.
pub struct Peer {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its directory, which goes with it.
    pub directory: tempfile::TempDir,
}

impl Peer {
    /// Starts `command` (which has been told to listen at `address`) and waits until a connection is accepted there.
    pub fn start(mut command: Command, address: SocketAddr, directory: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        // What it leaves behind when it is killed goes with its directory.
        command.env("TMPDIR", directory.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let start = Instant::now();
        while TcpStream::connect(connectable(address)).is_err() {
            let said = || std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{command:?} ended:\n{}", said());
            assert!(start.elapsed() < Duration::from_mins(1), "{command:?} does not listen:\n{}", said());
            std::thread::sleep(Duration::from_millis(30));
        }
        Self { child, address, directory }
    }

    /// What it has printed.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine that nobody listens at. Its port is below those that the system hands out by itself
/// (from 32768 on), which may be taken for a connection before the peer listens.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin far from each other.
    let first = 20_000 + u16::try_from(std::process::id() % 30).unwrap() * 400;
    // Some servers listen at the next port as well.
    (0..1000)
        .map(|_| first + NEXT.fetch_add(3, Ordering::Relaxed) % 400)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a port of this machine that is free")
}

/// The program that a variable names, which `scripts/test` sets.
pub fn program(variable: &str) -> PathBuf {
    let missing = || panic!("{variable} is not set: run `scripts/test`, which installs what it names");
    std::env::var_os(variable).map_or_else(missing, PathBuf::from)
}

fn connectable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address }
}
