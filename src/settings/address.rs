//! Where an engine is: what `docker-host` says.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Code, Error, Result};

/// The socket of an engine on a server that says nothing else.
const SOCKET: &str = "/var/run/docker.sock";
/// The port of SSH (RFC 4253).
const SSH_PORT: u16 = 22;
/// The port of an engine with TLS.
const TLS_PORT: u16 = 2376;

/// Where an engine is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// Another machine, reached by TLS.
    Tls {
        /// Its name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Another machine, reached by SSH.
    Ssh(Server),
}

/// A server that is logged in to by SSH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// The user; `None` where it was not said.
    pub user: Option<String>,
    /// Its name or address, without brackets.
    pub host: String,
    /// The port; `None` where it was not said.
    pub port: Option<u16>,
    /// The socket of the engine there.
    pub socket: String,
}

impl Address {
    /// Reads the text of the input `name`.
    ///
    /// # Errors
    /// [`Code::Usage`] for another form, and for plain TCP: who reaches that port is root on the machine.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("ssh", rest)) => Ok(Self::Ssh(Server::parse(name, rest)?)),
            Some(("tcp" | "https", rest)) => {
                let (host, port) =
                    host_and_port(rest.trim_end_matches('/')).ok_or_else(|| malformed(name))?;
                Ok(Self::Tls { host, port: port.unwrap_or(TLS_PORT) })
            }
            Some(("http", _)) => {
                let fact = format!(
                    "{name}: plain HTTP is not used: whoever reaches that port is root on the machine"
                );
                Err(Error::new(Code::Usage, fact)
                    .help("Use `ssh://user@host`, or `tcp://host:2376` with TLS."))
            }
            _ => Err(malformed(name)),
        }
    }

    /// Whether the engine is on another machine.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Unix(_))
    }
}

impl Server {
    /// Reads `[user@]host[:port][/path/of/the/socket]`, as the input `name` has it.
    ///
    /// # Errors
    /// [`Code::Usage`].
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let (machine, socket) = match text.find('/') {
            Some(at) if text.len() > at + 1 => (&text[..at], &text[at..]),
            Some(at) => (&text[..at], SOCKET),
            None => (text, SOCKET),
        };
        let (user, machine) = match machine.rsplit_once('@') {
            Some((user, machine)) => (Some(user), machine),
            None => (None, machine),
        };
        // A password in an address is a secret in a log.
        if user.is_some_and(|user| user.contains(':')) {
            let fact = format!("{name}: there is a password in the address, and logins are by key alone");
            return Err(Error::new(Code::Usage, fact)
                .help("Write `user@host`, give the key as SSH_PRIVATE_KEY, and change that password."));
        }
        let is_user =
            |user: &str| !user.is_empty() && !user.starts_with('-') && !user.contains(char::is_whitespace);
        let (host, port) = host_and_port(machine).ok_or_else(|| malformed(name))?;
        if user.is_some_and(|user| !is_user(user)) {
            return Err(malformed(name));
        }
        Ok(Self { user: user.map(str::to_owned), host, port, socket: socket.to_owned() })
    }

    /// The port, as given or the usual one.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(SSH_PORT)
    }

    /// The name by which `known_hosts` has it: with its port, where that is another one.
    pub fn known_as(&self) -> String {
        match self.port() {
            SSH_PORT => self.host.to_lowercase(),
            port => format!("[{}]:{port}", self.host.to_lowercase()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tls { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Ssh(server) => write!(f, "ssh://{server}"),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}", bracketed(&self.host))?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The name and the port; an address of IPv6 is in brackets.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            inner.split_once(']').filter(|(host, _)| host.parse::<std::net::Ipv6Addr>().is_ok())?
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(is_name) {
        return None;
    }
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((host.to_owned(), port))
}

fn malformed(name: &str) -> Error {
    let expected = match name {
        "docker-host" => "`ssh://user@host[:port]`, `tcp://host:2376` or `unix:///path`",
        _ => "`user@host[:port]`",
    };
    Error::new(Code::Usage, format!("{name}: expected {expected}, got something else"))
        .help(format!("Correct the input `{name}`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address> {
        Address::parse("docker-host", text)
    }

    #[test]
    fn every_form_is_read_and_written_alike() {
        for (text, written) in [
            ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
            ("ssh://deploy@example.com", "ssh://deploy@example.com"),
            ("ssh://example.com:2222", "ssh://example.com:2222"),
            ("ssh://a@[::1]:2222", "ssh://a@[::1]:2222"),
            ("tcp://10.0.0.1", "tcp://10.0.0.1:2376"),
            ("tcp://example.com:1234/", "tcp://example.com:1234"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), written);
        }
        let Address::Ssh(server) = read("ssh://u@h:2222/run/user/1/docker.sock").unwrap() else { panic!() };
        assert_eq!(
            (server.socket.as_str(), server.known_as()),
            ("/run/user/1/docker.sock", "[h]:2222".into())
        );
        let Address::Ssh(server) = read("ssh://u@H").unwrap() else { panic!() };
        assert_eq!((server.socket.as_str(), server.known_as()), (SOCKET, "h".into()));
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "hunter2",
            "ssh://",
            "ssh://@h",
            "ssh://-oProxyCommand=hunter2",
            "ssh://-l@h",
            "ssh://u@h:hunter2",
            "ssh://u@h:0",
            "ssh://u:hunter2@h",
            "ssh://u@::1",
            "tcp://",
            "tcp://h:99999",
            "http://h:2375",
            "unix://hunter2",
            "npipe:////./pipe/hunter2",
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.code, Code::Usage);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
