//! A real OpenSSH server of the test's own, on a port of its own, with keys of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait_until;

/// The user that has no rights but those that every user has.
pub const NOBODY: &str = "nobody";

/// The server. It is stopped on drop.
pub struct Sshd {
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Sshd {
    /// Starts one with these further lines of `sshd_config`.
    pub fn start(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("css-").tempdir_in("/var/tmp").unwrap();
        // The server reads keys as the user who logs in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "client", "stranger"] {
            keygen(&path(key), "");
        }
        // As docs/remote.md recommends it.
        let allowed = fs::read_to_string(path("client.pub")).unwrap();
        fs::write(path("authorized_keys"), format!("restrict,port-forwarding {allowed}")).unwrap();
        // People's shells are none that a test could rely on.
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let users: Vec<&str> = users
            .lines()
            .map(|line| match line.strip_prefix("nobody:") {
                Some(_) => "nobody:x:65534:65534:nobody:/nonexistent:/bin/sh",
                None => line,
            })
            .collect();
        fs::write(path("passwd"), users.join("\n") + "\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shown = folder.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             LogLevel VERBOSE\n{more}\n"
        );
        fs::write(path("config"), config).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--", "sh", "-c", "mount --bind \"$0/passwd\" /etc/passwd && exec /usr/sbin/sshd -D -f \"$0/config\" -E \"$0/log\""])
            .arg(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let this = Self { folder, child, port };
        wait_until("the SSH server answers", 20, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        this
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file of it: the private keys `client`, which may log in, and `stranger`, which may not; `host`; `log`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file's text.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Its line of `known_hosts`, with a key from this file.
    pub fn known_hosts(&self, key: &str) -> String {
        self.known_hosts_at("127.0.0.1", key)
    }

    /// The same for another of its addresses.
    pub fn known_hosts_at(&self, address: &str, key: &str) -> String {
        let text = self.text(&format!("{key}.pub"));
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        format!("[{address}]:{} {}", self.port, words.join(" "))
    }

    /// The fingerprint of a key.
    pub fn fingerprint(&self, key: &str) -> String {
        let output =
            Command::new("ssh-keygen").arg("-lf").arg(self.path(&format!("{key}.pub"))).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    /// How many logins there were.
    pub fn logins(&self) -> usize {
        self.text("log").lines().filter(|line| line.contains("Accepted publickey")).count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key of the type ed25519.
pub fn keygen(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen starts");
    assert!(made.success());
}
