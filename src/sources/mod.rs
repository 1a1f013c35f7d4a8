//! Places that may have secrets, behind one interface: it takes a batch of items, and returns one of four replies for each.

pub mod aws;
pub mod azure;
mod calls;
mod context;
mod conventional;
pub mod docker_secrets;
pub mod dotenv;
pub mod env;
pub mod field;
pub mod identity;
mod kind;
pub mod net;
pub mod onepassword;
mod opening;
mod options;
mod policies;
mod policy;
mod registry;
mod source_error;
mod subject;
pub mod vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use self::calls::counted;
use self::context::SourceContext;
pub use self::kind::{Setting, SourceKind};
pub use self::opening::{check_names, credential_variables, open, without_credentials};
pub use self::options::Options;
pub use self::policies::policies;
pub use self::policy::Policy;
pub use self::registry::{Known, SOURCES, known};
use self::source_error::SourceError;
use crate::diagnostic::Diagnostic;
use crate::error::plain_reason;
use crate::files::{self, LARGEST_SETTINGS, LARGEST_VALUES};
use crate::manifest::{Reference, Scope, SourceId};
use crate::nearest::slip;
use crate::secret::{SecretName, SecretValue};

/// From 1970 to the end of the year 9999: later times cannot be written as a date.
pub const DATES: Duration = Duration::from_hours(70_389_528);

/// What is read from a source: an item, and its version. The caller selects a field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Item {
    /// The item, as in the reference.
    pub name: String,
    /// The version; `None` for the newest.
    pub version: Option<String>,
}

/// A source's reply for one item. Only after [`Reply::Absent`] can a source of lower priority win (design rule 1).
#[derive(Clone)]
pub enum Reply {
    /// It has the item.
    Found(Found),
    /// It does not have it; with the place where it looked.
    Absent(String),
    /// It refused to say.
    Denied(Diagnostic),
    /// It could not be asked, or its answer was no good.
    Failed(Diagnostic),
}

/// A found item.
#[derive(Clone)]
pub struct Found {
    /// The value, byte for byte.
    pub value: SecretValue,
    /// Where exactly it was, e.g. `API_KEY_FILE` or `.env line 3`; never a value.
    pub place: String,
    /// The version in the store.
    pub version: Option<String>,
    /// When this value was written, if the store knows it.
    pub changed: Option<SystemTime>,
    /// When it expires, if the store knows it.
    pub expires: Option<SystemTime>,
}

/// A source's reply for the list of items below a prefix.
pub enum Listing {
    /// Their names, as in references.
    Items(Vec<String>),
    /// It refused to say.
    Denied(Diagnostic),
    /// It could not be asked, or cannot list.
    Failed(Diagnostic),
}

/// A public key of SSH that is to be signed.
pub struct SshKey {
    /// The key, as OpenSSH writes it.
    pub public: String,
    /// Its type, for people.
    pub kind: String,
    /// The users that the certificate is to be for.
    pub users: Vec<String>,
}

/// What a source says to the question for a certificate.
pub enum Signing {
    /// The certificate, as OpenSSH writes it.
    Signed(String),
    /// It refuses.
    Denied(Diagnostic),
    /// It could not be asked, or signs no keys.
    Failed(Diagnostic),
}

/// Where a source is and who it is asked as, in words for people and without any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Where it is: an address, a directory, files.
    pub place: String,
    /// Who logs in, and by what; empty where nobody does.
    pub login: String,
    /// The hosts that are contacted, with their ports.
    pub hosts: Vec<String>,
}

/// A place that may hold secrets.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its id in references and in the report.
    fn id(&self) -> &SourceId;

    /// The conventional reference: where it looks up a secret that has no reference.
    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference;

    /// Whether it is a file on this machine: if it wins over a store that has a different value, it is an outdated copy, and
    /// an error (design rule 2).
    fn is_local_file(&self) -> bool {
        false
    }

    /// Whether it has only ambient credentials: variables that may have another purpose (a registry login). Such a source is
    /// skipped with a warning if it denies everything (design rule 1). Variables that are only set for this source
    /// (`VAULT_ADDR`) are not ambient: a source of lower priority may be outdated.
    fn is_ambient(&self) -> bool {
        false
    }

    /// Whether reads are metered: it is asked only for what no source of higher priority had (design rule 2).
    fn is_metered(&self) -> bool {
        false
    }

    /// The field that a reference without `#field` means. `None`: the whole item. A source whose items are sets of fields
    /// returns each as a JSON object.
    fn default_field(&self) -> Option<&str> {
        None
    }

    /// Asks for all items at once and answers each, in the same order. Dropping the future stops it.
    async fn read(&self, items: &[Item]) -> Vec<Reply>;

    /// The items whose names start with `prefix`, for a reference that ends in `*`.
    async fn list(&self, prefix: &str) -> Listing {
        let _ = prefix;
        Listing::Failed(Diagnostic::with_help(
            format!("{} cannot list its secrets", self.id()),
            "Declare each secret: `NAME = source:item`.",
        ))
    }

    /// The part of a listed item from which a secret's name is made. A source whose references always end the same way omits
    /// that end.
    fn naming_part<'i>(&self, item: &'i str) -> &'i str {
        item
    }

    /// Asks for a certificate of this public key of SSH; `item` is the part of a reference that says who signs.
    async fn sign(&self, item: &str, key: &SshKey) -> Signing {
        let _ = (item, key);
        Signing::Failed(Diagnostic::with_help(
            format!("{} signs no SSH keys", self.id()),
            "Name the SSH engine of a Vault or OpenBao: `vault:ssh-client-signer/sign/deploy`.",
        ))
    }

    /// Called when nothing more is asked of it, perhaps twice: gives back what it was lent for this run, such as the token
    /// of a login. It takes a moment at most, whatever the store does.
    async fn close(&self) {}

    /// Where it is, and who it is asked as. Asks nothing.
    fn about(&self) -> About {
        About::default()
    }

    /// Things worth a warning that came up when it was opened, or about the items that were asked.
    fn remarks(&self, asked: &[Item]) -> Vec<Diagnostic> {
        let _ = asked;
        Vec::new()
    }
}

/// The project's directory and our own files in it, for sources that read files.
pub struct ProjectDirs<'a> {
    /// The project directory.
    pub project: &'a Path,
    /// Our own `secrets-dir`: never read as a source (design rule 7).
    pub secrets_dir: &'a Path,
    /// Directories of the Docker host that this process does not see, with their files: read through the engine.
    pub host_directories: &'a BTreeMap<PathBuf, BTreeMap<String, SecretValue>>,
}

impl Item {
    /// The reference that asks this of a source.
    fn reference(&self, source: &SourceId) -> Reference {
        Reference {
            source: source.clone(),
            item: self.name.clone(),
            field: None,
            version: self.version.clone(),
        }
    }
}

/// The remark that the connection to a server on another machine has no TLS. `setting` is the one with its address.
fn in_clear(id: &SourceId, server: &str, setting: &str) -> Diagnostic {
    Diagnostic::with_help(
        format!(
            "{id}: the connection to {server} does not use TLS: the token and all secrets can be read in transit"
        ),
        format!("Enable TLS on the server, and use `https://` in `{setting}`."),
    )
}

impl ProjectDirs<'_> {
    /// Whether a path is or is in our own output.
    fn is_own_output(&self, path: &Path) -> bool {
        let own = self.project.join(self.secrets_dir);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        real(path).starts_with(real(&own))
    }
}

/// Reads a file that contains one secret. Shared by the sources that read files. `own_output` is a directory that is not
/// read.
async fn read_file(path: &Path, own_output: &Path) -> std::io::Result<(SecretValue, Option<SystemTime>)> {
    let real = path.canonicalize()?;
    if own_output.canonicalize().is_ok_and(|own| real.starts_with(own)) {
        return Err(std::io::Error::other("it is this program's own output"));
    }
    let contents = files::read_aside(path.to_owned(), LARGEST_VALUES).await?;
    Ok((contents.value, contents.changed))
}

/// Reads a file with a token to log in with, without whitespace around it.
async fn read_token(path: &Path) -> std::io::Result<SecretValue> {
    let contents = files::read_aside(path.to_owned(), LARGEST_SETTINGS).await?;
    Ok(SecretValue::new(contents.value.expose().trim_ascii().to_vec()))
}

/// The reply of a source if the file `path`, which `named` (a variable or an entry) points to, cannot be read: never absent,
/// because using a source of lower priority would be a guess.
fn unreadable(named: &str, at: &str, path: &Path, error: &std::io::Error) -> Reply {
    // A path that does not exist may be the secret itself, in the wrong variable.
    let which = match path.symlink_metadata() {
        Ok(_) => format!("a file that cannot be read, {}", path.display()),
        Err(_) => "a file that cannot be read".to_owned(),
    };
    let fact = format!("{named}{at} names {which}: {}", plain_reason(error));
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return Reply::Denied(Diagnostic::with_help(
            fact,
            format!("Give this user read access to the file (chown or chmod), or unset {named}."),
        ));
    }
    Reply::Failed(Diagnostic::with_help(fact, format!("Correct the path in {named}, or unset it.")))
}

/// The hint of a source without `name` about a similar name, which may be a typo.
fn beside<'n>(id: &SourceId, name: &str, others: impl Iterator<Item = &'n str>) -> String {
    match slip(name, others) {
        Some(other) => format!(" ({other} exists; did you mean it? `{name} = {id}:{other}`)"),
        None => String::new(),
    }
}

/// The host of an address with its port, for people: no user, password or path.
fn host_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The directory that holds the project's secrets, absolute.
fn absolute(around: &ProjectDirs, path: &Path) -> PathBuf {
    around.project.join(path)
}
