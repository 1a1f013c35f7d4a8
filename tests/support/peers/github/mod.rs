//! GitHub's REST API: a stand-in that keeps repositories, behind Prism, which holds every request and every answer against
//! GitHub's own published description and turns what breaks it into an error (422, 500).

pub mod shapes;
pub mod standin;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

pub use self::shapes::OWNER;
pub use self::standin::{Repository, Standin, Token};
use super::{Peer, free_address, program};

/// A running stand-in, and Prism before it.
pub struct Github {
    /// What it keeps.
    pub standin: Standin,
    prism: Peer,
}

impl Github {
    /// The one of this test program. It runs as long as a test has it: Prism takes seconds to start.
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Github>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(github) = running.upgrade() {
            return github;
        }
        let github = Arc::new(Self::start());
        *running = Arc::downgrade(&github);
        github
    }

    fn start() -> Self {
        let standin = Standin::start();
        let (address, directory) = (free_address(), tempfile::tempdir().unwrap());
        let description = directory.path().join("github.json");
        let whole = program("CLAUDE_SECRETS_GITHUB_API");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/peers/github/describe.js");
        let done = Command::new("node").args([&script, &whole, &description]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut command = prism();
        command.args(["proxy", "--errors", "--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.arg(&description).arg(format!("http://{}", standin.address));
        Self { standin, prism: Peer::start(command, address, directory) }
    }

    /// Where Prism listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.prism.address
    }

    /// What Prism has said, for tests that fail.
    pub fn said(&self) -> String {
        self.prism.said()
    }
}

fn prism() -> Command {
    let modules: PathBuf = program("CLAUDE_SECRETS_PRISM");
    let mut command = Command::new("node");
    command.arg(modules.join("@stoplight/prism-cli/dist/index.js")).stdin(Stdio::null());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(name);
    }
    command
}
