//! A wire in the middle: it passes bytes on to a server, counts them, and is slow or cut where a test says so.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The wire. Its connections end when it is dropped.
pub struct Tap {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// So many bytes were passed on, in both directions together.
    passed: AtomicU64,
    /// After so many it is cut; 0 for never.
    limit: AtomicU64,
    /// Whether nothing gets through any more once it was cut.
    for_good: AtomicBool,
    is_cut: AtomicBool,
    /// Whether a cut is one that nobody is told of: bytes vanish.
    in_silence: AtomicBool,
    delay: Mutex<Duration>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Tap {
    /// A wire before a server of this machine.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    let Ok(near) = stream else { return };
                    let shared = shared.clone();
                    thread::spawn(move || serve(&shared, near, server));
                }
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on a connection's first byte takes so long.
    pub fn delay(&self, time: Duration) {
        *self.shared.delay.lock().unwrap() = time;
    }

    /// So many bytes were passed on since the last cut.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// So many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Whether it has been cut since it was armed.
    pub fn was_cut(&self) -> bool {
        self.shared.is_cut.load(Ordering::SeqCst)
    }

    /// Counts from 0 again; after so many bytes all connections are reset, and with `for_good` none is let in any more.
    pub fn cut_after(&self, bytes: u64, for_good: bool) {
        self.mend();
        self.shared.for_good.store(for_good, Ordering::SeqCst);
        self.shared.limit.store(bytes, Ordering::SeqCst);
    }

    /// Counts from 0 again; after so many bytes nothing arrives any more on any connection, and none of them ends.
    pub fn silence_after(&self, bytes: u64) {
        self.mend();
        self.shared.in_silence.store(true, Ordering::SeqCst);
        self.shared.limit.store(bytes, Ordering::SeqCst);
    }

    /// Lets everything through again, on new connections.
    pub fn mend(&self) {
        self.shared.cut();
        self.shared.in_silence.store(false, Ordering::SeqCst);
        self.shared.limit.store(0, Ordering::SeqCst);
        self.shared.is_cut.store(false, Ordering::SeqCst);
        self.shared.for_good.store(false, Ordering::SeqCst);
        self.shared.passed.store(0, Ordering::SeqCst);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.cut();
    }
}

impl Shared {
    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn is_closed(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst) && self.for_good.load(Ordering::SeqCst)
    }
}

fn serve(shared: &Arc<Shared>, near: TcpStream, server: u16) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    if shared.is_closed() {
        return;
    }
    let wait = *shared.delay.lock().unwrap();
    thread::sleep(wait);
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
        shared.open.lock().unwrap().push(stream.try_clone().unwrap());
    }
    let (from, to, shared_back) = (far.try_clone().unwrap(), near.try_clone().unwrap(), shared.clone());
    let back = thread::spawn(move || pump(&shared_back, from, to));
    pump(shared, near, far);
    let _ = back.join();
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        let before = shared.passed.fetch_add(count as u64, Ordering::SeqCst);
        let limit = shared.limit.load(Ordering::SeqCst);
        let left = limit.saturating_sub(before);
        if limit > 0 && (count as u64) > left && shared.in_silence.load(Ordering::SeqCst) {
            continue;
        }
        if limit > 0 && (count as u64) > left && !shared.is_cut.swap(true, Ordering::SeqCst) {
            // In the middle of what is on its way.
            let _ = to.write_all(&bytes[..usize::try_from(left).unwrap().min(count)]);
            shared.cut();
            return;
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
