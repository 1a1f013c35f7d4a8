//! Places that may hold secrets, behind one interface: a batch of items in, one of four replies for each out.

pub mod aws;
pub mod azure;
mod calls;
mod catalog;
mod conventional;
pub mod docker_secrets;
pub mod dotenv;
pub mod env;
pub mod field;
pub mod identity;
pub mod net;
pub mod onepassword;
mod opening;
mod options;
mod policy;
mod refused;
mod subject;
pub mod vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use self::calls::counted;
pub use self::catalog::{Known, SOURCES, Setting, SourceKind, known};
use self::opening::Opening;
pub use self::opening::{check_names, credential_variables, open, without_credentials};
pub use self::options::Options;
pub use self::policy::{Policy, policies};
use self::refused::Refused;
use crate::error::plain_reason;
use crate::files::{self, LARGEST_SETTINGS, LARGEST_VALUES};
use crate::manifest::{Reference, Scope, SourceId};
use crate::nearest::slip;
use crate::secret::{SecretName, SecretValue};

/// From 1970 to the end of the year 9999: what comes after cannot be written as a date.
pub const DATES: Duration = Duration::from_hours(70_389_528);

/// What is asked of a source: an item, and which version of it. A field is picked by the caller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Item {
    /// The item, as the reference has it.
    pub name: String,
    /// The version; the newest when there is none.
    pub version: Option<String>,
}

/// What a source says to one question. Only [`Reply::Absent`] lets a lower source win (design rule 1).
#[derive(Clone)]
pub enum Reply {
    /// It has the item.
    Found(Found),
    /// It surely does not have it; says where it looked.
    Absent(String),
    /// It refused to say.
    Denied(Refusal),
    /// It could not be asked, or its answer was no good.
    Failed(Refusal),
}

/// A found item.
#[derive(Clone)]
pub struct Found {
    /// The value, byte for byte.
    pub value: SecretValue,
    /// Where exactly it was, e.g. `API_KEY_FILE` or `.env line 3`; never a value.
    pub place: String,
    /// The version that the store names.
    pub version: Option<String>,
    /// When this value was written, as the store knows it.
    pub changed: Option<SystemTime>,
    /// When it expires, as the store knows it.
    pub expires: Option<SystemTime>,
}

/// Why an item was not handed out.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The fact.
    pub fact: String,
    /// The remedy, best as text to paste.
    pub remedy: String,
}

/// What a source says to the question which items lie below a prefix.
pub enum Listing {
    /// Their names, as references have them.
    Items(Vec<String>),
    /// It refused to say.
    Denied(Refusal),
    /// It could not be asked, or has no such list.
    Failed(Refusal),
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
    Denied(Refusal),
    /// It could not be asked, or signs no keys.
    Failed(Refusal),
}

/// What a source has to say about itself, once a run.
#[derive(Clone, Debug)]
pub struct Remark {
    /// The fact.
    pub text: String,
    /// The remedy.
    pub remedy: Option<String>,
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

    /// Where it looks for a secret that has no reference: the conventional one.
    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference;

    /// Whether it is a file on this machine: what wins here while a store has something else is an old copy, and an
    /// error (design rule 2).
    fn is_local_file(&self) -> bool {
        false
    }

    /// Whether only variables speak of it that may be somebody else's (an earlier login to a registry). Such a source
    /// that denies everything is passed over with a warning (design rule 1). Variables that nobody sets but for this
    /// source (`VAULT_ADDR`) make it no such one: what lies below may be stale.
    fn is_ambient(&self) -> bool {
        false
    }

    /// Whether reads are counted against a quota: it is asked only for what nothing above it had (design rule 2).
    fn is_metered(&self) -> bool {
        false
    }

    /// The field that a reference without `#field` means. `None`: the whole item. A source whose items are sets of fields
    /// hands each out as a JSON object.
    fn default_field(&self) -> Option<&str> {
        None
    }

    /// Asks for all items at once and answers each, in the same order. Dropping the future stops it.
    async fn read(&self, items: &[Item]) -> Vec<Reply>;

    /// The items whose names start with `prefix`, for a reference that ends in `*`.
    async fn list(&self, prefix: &str) -> Listing {
        let _ = prefix;
        Listing::Failed(Refusal {
            fact: format!("{} cannot list what it has", self.id()),
            remedy: "Name each secret: `NAME = source:item`.".to_owned(),
        })
    }

    /// The part of a listed item that the name of a secret is made of. A source whose references end in something that is
    /// always the same leaves that out.
    fn naming_part<'i>(&self, item: &'i str) -> &'i str {
        item
    }

    /// Asks for a certificate of this public key of SSH; `item` is the part of a reference that says who signs.
    async fn sign(&self, item: &str, key: &SshKey) -> Signing {
        let _ = (item, key);
        Signing::Failed(Refusal {
            fact: format!("{} signs no SSH keys", self.id()),
            remedy: "Name the SSH engine of a Vault or OpenBao: `vault:ssh-client-signer/sign/deploy`."
                .to_owned(),
        })
    }

    /// Called when nothing more is asked of it, perhaps twice: gives back what it was lent for this run, such as the token
    /// of a login. It takes a moment at most, whatever the store does.
    async fn close(&self) {}

    /// Where it is, and who it is asked as. Asks nothing.
    fn about(&self) -> About {
        About::default()
    }

    /// Things worth a warning that came up when it was opened, or about the items that were asked.
    fn remarks(&self, asked: &[Item]) -> Vec<Remark> {
        let _ = asked;
        Vec::new()
    }
}

/// The project's directory and what of it is ours, for sources that read files.
pub struct Surroundings<'a> {
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

impl Refusal {
    /// A refusal with its fact and remedy.
    pub fn new(fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fact: fact.into(), remedy: remedy.into() }
    }
}

impl Remark {
    /// That a server on another machine is reached without TLS. `setting` holds its address.
    fn in_clear(id: &SourceId, server: &str, setting: &str) -> Self {
        Self {
            text: format!(
                "{id}: {server} is reached without TLS: the token and all secrets can be read on the way"
            ),
            remedy: Some(format!("Give the server a certificate, and `{setting}` the scheme `https://`.")),
        }
    }
}

impl Surroundings<'_> {
    /// Whether a path is our own output, or lies in it.
    fn is_own_output(&self, path: &Path) -> bool {
        let own = self.project.join(self.secrets_dir);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        real(path).starts_with(real(&own))
    }
}

/// Reads a file that holds one secret. Shared by the sources that read files. `own_output` is a directory that is no
/// source.
async fn read_file(path: &Path, own_output: &Path) -> std::io::Result<(SecretValue, Option<SystemTime>)> {
    let real = path.canonicalize()?;
    if own_output.canonicalize().is_ok_and(|own| real.starts_with(own)) {
        return Err(std::io::Error::other("it is our own output, which is never read back"));
    }
    let contents = files::read_aside(path.to_owned(), LARGEST_VALUES).await?;
    Ok((contents.value, contents.changed))
}

/// Reads a file that holds a token to log in with, without blanks and line breaks around it.
async fn read_token(path: &Path) -> std::io::Result<SecretValue> {
    let contents = files::read_aside(path.to_owned(), LARGEST_SETTINGS).await?;
    Ok(SecretValue::new(contents.value.expose().trim_ascii().to_vec()))
}

/// The reply of a source that says by `named` (a variable or an entry) that a secret is in the file `path`, and that
/// cannot be read: never absent, or a lower source would be a guess.
fn unreadable(named: &str, at: &str, path: &Path, error: &std::io::Error) -> Reply {
    // A path where there is nothing may be the secret itself, put into the wrong variable.
    let which = match path.symlink_metadata() {
        Ok(_) => format!("a file that cannot be read, {}", path.display()),
        Err(_) => "a file that cannot be read".to_owned(),
    };
    let fact = format!("{named}{at} names {which}: {}", plain_reason(error));
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return Reply::Denied(Refusal::new(
            fact,
            format!("Let this user read the file (chown or chmod), or unset {named}."),
        ));
    }
    Reply::Failed(Refusal::new(fact, format!("Correct the path in {named}, or unset it.")))
}

/// What a source that does not have `name` says of a name beside it, which may be a slip of the pen.
fn beside<'n>(id: &SourceId, name: &str, others: impl Iterator<Item = &'n str>) -> String {
    match slip(name, others) {
        Some(other) => format!(" ({other} is there: did you mean that? `{name} = {id}:{other}`)"),
        None => String::new(),
    }
}

/// The host of an address with its port, for people: no user, password or path.
fn host_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The directory that holds the project's secrets, absolute.
fn absolute(around: &Surroundings, path: &Path) -> PathBuf {
    around.project.join(path)
}
