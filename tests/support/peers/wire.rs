//! HTTP/1.1 messages as bytes: where one ends and the next begins (RFC 9112), and nothing changed in between.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection, plain or TLS, as bytes.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One side of a connection, with what was read too far.
pub struct Wire {
    stream: Box<dyn Stream>,
    ahead: Vec<u8>,
}

/// The head of a message, as it came.
pub struct Head {
    /// All its bytes, with the empty line at the end.
    pub bytes: Vec<u8>,
    /// The parts of the first line.
    pub first: [String; 3],
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header's list of words holds one.
    pub fn says(&self, name: &str, word: &str) -> bool {
        let mut words = self.header(name).unwrap_or_default().split(',');
        words.any(|own| own.trim().eq_ignore_ascii_case(word))
    }

    fn parse(bytes: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
        let first = [(); 3].map(|()| words.next().unwrap_or_default());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Self { bytes, first, headers }
    }
}

impl Wire {
    /// Takes a connection.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next message's head; `None` when the other side has closed instead of sending one.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                return Ok(Some(Head::parse(self.ahead.drain(..end + 4).collect())));
            }
            if !self.more()? {
                return if self.ahead.is_empty() { Ok(None) } else { Err(cut_off()) };
            }
        }
    }

    /// The body that follows a head, as it came. `to_the_end`: it ends with the connection, when the head says no length.
    pub fn body(&mut self, head: &Head, to_the_end: bool) -> io::Result<Vec<u8>> {
        if head.says("transfer-encoding", "chunked") {
            return self.chunks();
        }
        if let Some(length) = head.header("content-length").and_then(|text| text.parse().ok()) {
            return self.exactly(length);
        }
        if to_the_end {
            while self.more()? {}
            return Ok(std::mem::take(&mut self.ahead));
        }
        Ok(Vec::new())
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = self.line()?;
            let digits = String::from_utf8_lossy(&line);
            let digits = digits.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| cut_off())?;
            all.extend(line);
            if size > 0 {
                all.extend(self.exactly(size + 2)?);
                continue;
            }
            // Trailers, up to the empty line.
            loop {
                let line = self.line()?;
                all.extend(&line);
                if line == b"\r\n" {
                    return Ok(all);
                }
            }
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                return Ok(self.ahead.drain(..end + 2).collect());
            }
            if !self.more()? {
                return Err(cut_off());
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if !self.more()? {
                return Err(cut_off());
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut part = [0; 16 * 1024];
        let count = self.stream.read(&mut part)?;
        self.ahead.extend_from_slice(&part[..count]);
        Ok(count > 0)
    }
}

/// Sends a whole request and returns the answer's status and data.
pub fn ask(server: SocketAddr, request: &str) -> (u16, Vec<u8>) {
    let mut wire = Wire::new(Box::new(TcpStream::connect(server).unwrap()));
    wire.send(request.as_bytes()).unwrap();
    let head = wire.head().unwrap().expect("an answer");
    let body = wire.body(&head, true).unwrap();
    (head.first[1].parse().unwrap(), data(&head, &body))
}

/// The data of a body as it came: without the sizes of its chunks.
pub fn data(head: &Head, body: &[u8]) -> Vec<u8> {
    if !head.says("transfer-encoding", "chunked") {
        return body.to_vec();
    }
    let (mut rest, mut all) = (body, Vec::new());
    while let Some(end) = find(rest, b"\r\n") {
        let digits = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size =
            usize::from_str_radix(digits.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        all.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    all
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn cut_off() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}
