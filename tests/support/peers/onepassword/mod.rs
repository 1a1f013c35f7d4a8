//! Our stand-ins for 1Password: an account with its vaults, the `op` program that reads it, a Connect server before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Peer, free_address, program};

/// The token that the Connect server takes.
pub const CONNECT_TOKEN: &str = "connect-token";
/// A token of a service account that `op` takes.
pub const SERVICE_ACCOUNT_TOKEN: &str = "ops_stand-in";
/// The token of a service account that was deleted.
pub const DELETED_TOKEN: &str = "ops_deleted";

/// Vaults with items, in a directory that the stand-ins read. It goes when it is dropped.
pub struct Account {
    directory: tempfile::TempDir,
    vaults: Mutex<Vec<Value>>,
}

/// An `op` program of its own, in a directory of its own.
pub struct Op {
    directory: tempfile::TempDir,
}

/// An item, while it is made.
pub struct Item(Value);

/// One call of `op`.
pub struct Call {
    /// Its process.
    pub process: u64,
    /// The words behind the program's name.
    pub arguments: Vec<String>,
    /// The template that it was given.
    pub template: Option<String>,
    /// Its variables.
    pub environment: Vec<(String, String)>,
}

/// A running Connect server.
pub struct Connect {
    peer: Peer,
    requests: PathBuf,
}

impl Account {
    /// An account without a vault.
    pub fn new() -> Self {
        let account = Self { directory: tempfile::tempdir().unwrap(), vaults: Mutex::default() };
        account.save(&[]);
        account
    }

    /// Adds a vault and returns its id.
    pub fn vault(&self, name: &str) -> String {
        self.add_vault(name, true)
    }

    /// Adds a vault that is not shared with who asks, and returns its id.
    pub fn vault_of_others(&self, name: &str) -> String {
        self.add_vault(name, false)
    }

    /// Puts an item into a vault, in place of one with the same id, and returns its id.
    pub fn put(&self, vault: &str, item: Item) -> String {
        let id = item.id();
        let mut vaults = self.vaults.lock().unwrap();
        let vault = vaults.iter_mut().find(|one| one["name"] == vault).expect("the vault was made");
        let items = vault["items"].as_array_mut().unwrap();
        items.retain(|other| other["id"] != id.as_str());
        items.push(item.0);
        self.save(&vaults);
        id
    }

    /// As [`Account::put`], into a vault that `op` has made.
    pub fn put_beside(&self, vault: &str, item: Item) -> String {
        let stored = std::fs::read_to_string(self.path("vaults.json")).unwrap();
        let stored: Value = serde_json::from_str(&stored).unwrap();
        self.vaults.lock().unwrap().clone_from(stored["vaults"].as_array().unwrap());
        self.put(vault, item)
    }

    /// Shares a vault with who asks, or no longer.
    pub fn share(&self, vault: &str, shared: bool) {
        let mut vaults = self.vaults.lock().unwrap();
        let vault = vaults.iter_mut().find(|one| one["name"] == vault).expect("the vault was made");
        vault["shared"] = shared.into();
        self.save(&vaults);
    }

    /// The ids of the items of a title.
    pub fn ids(&self, vault: &str, title: &str) -> Vec<String> {
        let vaults = self.vaults.lock().unwrap();
        let vault = vaults.iter().find(|one| one["name"] == vault).expect("the vault was made");
        let items = vault["items"].as_array().unwrap().iter().filter(|item| item["title"] == title);
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes an `op` program that reads this account.
    pub fn op(&self) -> Op {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink(self.path("vaults.json"), path("vaults.json")).unwrap();
        // The interpreter by its path: the program is to work with any PATH.
        let python = program("CLAUDE_SECRETS_CONNECT_SDK");
        std::fs::write(path("op.py"), format!("#!{}\n{}", python.display(), include_str!("op.py"))).unwrap();
        // By a process of its own: a program that this one holds open for writing while another thread starts a process
        // cannot be run ("text file busy").
        let installed =
            Command::new("install").args(["-m", "755"]).args([path("op.py"), path("op")]).status().unwrap();
        assert!(installed.success());
        Op { directory }
    }

    /// Starts a Connect server.
    pub fn connect(&self) -> Connect {
        let address = free_address();
        let home = tempfile::tempdir().unwrap();
        let script = home.path().join("connect.py");
        std::fs::write(&script, include_str!("connect.py")).unwrap();
        let mut command = Command::new(program("CLAUDE_SECRETS_CONNECT_SDK"));
        command.arg(script).arg(address.port().to_string()).arg(self.directory.path());
        Connect { peer: Peer::start(command, address, home), requests: self.path("requests") }
    }

    fn add_vault(&self, name: &str, shared: bool) -> String {
        let id = new_id();
        let mut vaults = self.vaults.lock().unwrap();
        vaults.push(json!({ "id": id, "name": name, "shared": shared, "items": [] }));
        self.save(&vaults);
        id
    }

    fn save(&self, vaults: &[Value]) {
        // In one step: a server may be reading it.
        let part = self.path("vaults.json.part");
        std::fs::write(&part, json!({ "vaults": vaults }).to_string()).unwrap();
        std::fs::rename(part, self.path("vaults.json")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Op {
    /// The program.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("op")
    }

    /// The directory in which it lies, for a PATH.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Says how it behaves: see BEHAVIOUR in op.py.
    pub fn behave(&self, behaviour: &Value) {
        std::fs::write(self.directory.path().join("behaviour.json"), behaviour.to_string()).unwrap();
    }

    /// Its calls so far.
    pub fn calls(&self) -> Vec<Call> {
        let log = std::fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default();
        log.lines().map(|line| Call::parse(&serde_json::from_str(line).unwrap())).collect()
    }
}

impl Item {
    /// An item without a field.
    pub fn new(title: &str) -> Self {
        Self(json!({
            "id": new_id(), "title": title, "category": "API_CREDENTIAL", "version": 1,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-02-01T00:00:00Z",
            "sections": [], "fields": [], "files": [],
        }))
    }

    /// An item with a field `credential`.
    pub fn credential(title: &str, value: &str) -> Self {
        Self::new(title).field("credential", value)
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.0["id"].as_str().unwrap().to_owned()
    }

    /// With an id that is known.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.0["id"] = id.into();
        self
    }

    /// With what else 1Password may say of it: `state`, `urls`, `version`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0[key] = value.into();
        self
    }

    /// With a field in no section. Its id is its label.
    #[must_use]
    pub fn field(self, label: &str, value: &str) -> Self {
        self.add_field(json!({ "id": label, "label": label, "type": "CONCEALED", "value": value }))
    }

    /// With a field in a section.
    #[must_use]
    pub fn field_in(mut self, section: &str, label: &str, value: &str) -> Self {
        let section = self.section(section);
        self.add_field(
            json!({ "id": new_id(), "label": label, "type": "CONCEALED", "value": value, "section": section }),
        )
    }

    /// With a field of a one-time password, and the code that it shows.
    #[must_use]
    pub fn one_time_password(self, label: &str, uri: &str, code: &str) -> Self {
        self.add_field(json!({ "id": new_id(), "label": label, "type": "OTP", "value": uri, "totp": code }))
    }

    /// With an attached file.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        let file = json!({ "id": new_id(), "name": name, "content": BASE64.encode(bytes) });
        self.0["files"].as_array_mut().unwrap().push(file);
        self
    }

    fn add_field(mut self, field: Value) -> Self {
        self.0["fields"].as_array_mut().unwrap().push(field);
        self
    }

    /// The id of the section of this name, which is added when it is not there.
    fn section(&mut self, label: &str) -> String {
        let sections = self.0["sections"].as_array_mut().unwrap();
        if let Some(known) = sections.iter().find(|section| section["label"] == label) {
            return known["id"].as_str().unwrap().to_owned();
        }
        let id = new_id();
        sections.push(json!({ "id": id, "label": label }));
        id
    }
}

impl Call {
    fn parse(call: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let environment = call["environment"].as_object().unwrap();
        Self {
            process: call["process"].as_u64().unwrap(),
            arguments: call["arguments"].as_array().unwrap().iter().map(text).collect(),
            template: call["template"].as_str().map(str::to_owned),
            environment: environment.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        }
    }

    /// The value of one of its variables.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl Connect {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    /// Its address as a setting has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    /// The paths, with queries, that were asked for so far.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.requests).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// An id as 1Password makes them: 26 lower-case letters and digits, another one each time.
fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("id{:0>24}", NEXT.fetch_add(1, Ordering::Relaxed))
}
