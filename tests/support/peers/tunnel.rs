//! A proxy as `HTTPS_PROXY` names one: clients ask it by `CONNECT` for a way to a server (RFC 9110 section 9.3.6).

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wire::{Head, Wire};

/// A running proxy, on a free port of this machine. All ways that it gives lead to one server.
/// It runs as long as the test program.
pub struct Tunnel {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Head>>>,
}

impl Tunnel {
    /// Starts one that leads to this server, whatever name it is asked for.
    pub fn to(server: SocketAddr) -> Self {
        Self::start(Some(server))
    }

    /// Starts one that refuses everybody (407): it wants a login.
    pub fn shut() -> Self {
        Self::start(None)
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The servers that it was asked for, as `host:port`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|head| head.first[1].clone()).collect()
    }

    /// A header of the last request; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.asked.lock().unwrap().last()?.header(name).map(str::to_owned)
    }

    fn start(server: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Head>>>::default();
        thread::spawn({
            let asked = asked.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let asked = asked.clone();
                    // What goes wrong with a connection ends it, and its client sees that.
                    thread::spawn(move || lead(stream, server, &asked));
                }
            }
        });
        Self { address, asked }
    }
}

fn lead(client: TcpStream, server: Option<SocketAddr>, asked: &Mutex<Vec<Head>>) -> io::Result<()> {
    let mut wire = Wire::new(Box::new(client.try_clone()?));
    let Some(head) = wire.head()? else { return Ok(()) };
    let is_connect = head.first[0] == "CONNECT";
    asked.lock().unwrap().push(head);
    let Some(server) = server.filter(|_| is_connect) else {
        let refused = b"HTTP/1.1 407 Told\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return wire.send(refused);
    };
    let server = TcpStream::connect(server)?;
    wire.send(b"HTTP/1.1 200 Told\r\n\r\n")?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let there = thread::spawn(move || pass(from, to));
    pass(server, client)?;
    let _ = there.join();
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
