//! 1Password, in one of two ways: the command line `op` with a service account (or the account that is signed in on this machine),
//! or a Connect server. A reference is 1Password's own: `op://vault/item/[section/]field`.

mod batch;
mod cli;
mod connect;
mod item;
mod kind;
mod policy;
mod reference;
mod refusal;
mod template;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderValue;

use self::cli::{Login, Op};
use self::connect::Connect;
pub(super) use self::kind::KIND;
use self::reference::{SecretReference, is_supported};
use super::{About, Item, Listing, Options, Reply, Source, SourceContext, conventional, net};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::sources::in_clear;

/// The field of an item that has one secret: that of the category "API Credential".
const FIELD: &str = "credential";

/// 1Password as a source.
pub(super) struct Onepassword {
    id: SourceId,
    vault: Option<String>,
    way: Way,
    remarks: Vec<Diagnostic>,
}

enum Way {
    Program(Op),
    Connect(Connect),
}

/// Opens the source if it is configured: a Connect server with its token, the token of a service account, or, outside of
/// GitHub Actions, an account that is signed in.
///
/// # Errors
/// `usage` if a Connect server is configured only in part, or if an address, a token or a vault's name is not valid.
fn open(options: Options, opening: &SourceContext) -> Result<Option<Onepassword>> {
    let connect = connect_server(&options)?;
    let service_account = token(&options, "SERVICE_ACCOUNT_TOKEN")?.cloned();
    let network = opening.network.clone();
    let mut remarks = Vec::new();
    let way = match (connect, service_account) {
        (Some((host, bearer)), other) => {
            if other.is_some() {
                remarks.push(both(&options));
            }
            if host.scheme() == "http" && !net::is_this_machine(&host) {
                let server = host.origin().ascii_serialization();
                remarks.push(in_clear(&options.id, &server, "connect-host"));
            }
            Way::Connect(Connect::new(host, bearer, options.variable("CONNECT_TOKEN"), network))
        }
        (None, service_account) => {
            let login = match (service_account, desktop_account(&options, opening)) {
                (Some(token), _) => Login::ServiceAccount(token),
                (None, Some(account)) => Login::Desktop(account),
                (None, None) => return Ok(None),
            };
            Way::Program(Op::new(login, &options, network, &opening.settings.workspace))
        }
    };
    let vault = options.text("vault").map(|vault| vault_name(vault, &options)).transpose()?;
    Ok(Some(Onepassword { id: options.id, vault, way, remarks }))
}

/// `op://claude-bot-production/api-key/credential`; `vault` is the setting, if there is one.
pub(super) fn conventional(
    id: &SourceId,
    vault: Option<&str>,
    name: &SecretName,
    scope: &Scope,
) -> Reference {
    let vault = vault_of(vault, scope);
    conventional::reference(id, format!("op://{vault}/{}/{FIELD}", conventional::hyphenated(name)), None)
}

/// The vault of conventional references: the setting, else the prefix, a hyphen and the environment. A `/` in them would
/// end the vault's name in a reference.
pub(super) fn vault_of(vault: Option<&str>, scope: &Scope) -> String {
    vault.map_or_else(|| conventional::path(scope).replace('/', "-"), str::to_owned)
}

#[async_trait]
impl Source for Onepassword {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.id, self.vault.as_deref(), name, scope)
    }

    /// Requests of a service account are metered; a Connect server answers from its cache.
    fn is_metered(&self) -> bool {
        matches!(self.way, Way::Program(_))
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        let parsed: Vec<_> = items.iter().map(|item| SecretReference::parse(&item.name)).collect();
        let wanted: Vec<SecretReference> = parsed.iter().flatten().cloned().collect();
        let mut replies = match &self.way {
            Way::Program(op) => batch::read(op, &wanted).await,
            Way::Connect(connect) => connect.read(&wanted).await,
        }
        .into_iter();
        let reply = |parsed| match parsed {
            Ok(_) => replies.next(),
            Err(refusal) => Some(Reply::Failed(refusal)),
        };
        parsed.into_iter().filter_map(reply).collect()
    }

    /// The items of a vault, `op://vault/*`, or those with a prefix of their titles; of each the field `credential`.
    async fn list(&self, prefix: &str) -> Listing {
        let parts = prefix.strip_prefix("op://").and_then(|rest| rest.split_once('/'));
        let Some((vault, start)) = parts.filter(|(vault, start)| !vault.is_empty() && !start.contains('/'))
        else {
            return Listing::Failed(Diagnostic::with_help(
                format!("{prefix}*: only the items of a vault can be listed"),
                format!("Write it as `{}:op://vault/*`.", self.id),
            ));
        };
        let titles = match &self.way {
            Way::Program(op) => batch::titles(op, vault).await,
            Way::Connect(connect) => connect.titles(vault).await,
        };
        match titles {
            Ok(Some(titles)) => Listing::Items(
                titles
                    .into_iter()
                    .filter(|(title, _)| title.starts_with(start))
                    .map(|(title, id)| format!("op://{vault}/{}/{FIELD}", self.part(title, id)))
                    .collect(),
            ),
            Ok(None) => Listing::Denied(refusal::hidden_vault(&format!("{prefix}*"), vault)),
            Err(refused) => refused.listing(),
        }
    }

    fn naming_part<'i>(&self, item: &'i str) -> &'i str {
        item.strip_suffix(FIELD).and_then(|item| item.strip_suffix('/')).unwrap_or(item)
    }

    fn about(&self) -> About {
        match &self.way {
            Way::Connect(connect) => About {
                place: connect.server(),
                login: format!("the token of {}", connect.token_variable()),
                hosts: vec![connect.host()],
            },
            Way::Program(op) => About {
                place: "the program `op`".to_owned(),
                login: op.login_in_words(),
                hosts: vec!["*.1password.com:443".to_owned()],
            },
        }
    }

    fn remarks(&self, _: &[Item]) -> Vec<Diagnostic> {
        self.remarks.clone()
    }
}

impl Onepassword {
    /// An item as a part of a reference: its title, or its ID if the title cannot be in a reference.
    fn part(&self, title: String, id: String) -> String {
        let fits = match &self.way {
            Way::Program(_) => title.chars().all(is_supported),
            Way::Connect(_) => !title.contains(['/', '?']),
        };
        if fits && !title.trim().is_empty() { title } else { id }
    }
}

/// The Connect server's address and its token, if both are set.
fn connect_server(options: &Options) -> Result<Option<(Url, HeaderValue)>> {
    let variable = options.variable("CONNECT_TOKEN");
    match (options.text("connect-host"), token(options, "CONNECT_TOKEN")?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::new(
            Code::Usage,
            format!("{} is set to a Connect server, but {variable} is not set", options.said_by("connect-host")),
        )
        .help(format!("Set {variable} to its token in the step's `env:`, or remove the server's address."))),
        (None, Some(_)) => Err(Error::new(
            Code::Usage,
            format!("{variable} is set, but no Connect server is configured"),
        )
        .help(format!(
            "Set its address: `{}`, or `sources: {{ {}: {{ connect-host: https://… }} }}`; or remove {variable}.",
            options.variable("CONNECT_HOST"),
            options.id
        ))),
        (Some(text), Some(token)) => {
            let host = address(text).ok_or_else(|| {
                options
                    .unusable("connect-host", "is not a valid address of a Connect server")
                    .help("Write it as `https://connect.example.com`, with its port if it has one.")
            })?;
            let origin = |text: &str| address(text).map(|url| url.origin());
            let example = "`other-team: { kind: onepassword, connect-host: … }` and `OTHER_TEAM_CONNECT_TOKEN`";
            options.refuse_login_of_another("connect-host", "CONNECT_HOST", example, |one, other| {
                origin(one) == origin(other)
            })?;
            let bearer = net::bearer(token).ok_or_else(|| unusable(&variable, token))?;
            Ok(Some((host, bearer)))
        }
    }
}

/// An address with only a scheme, a host and a path. The API's own `/v1` is removed.
fn address(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
    url.set_path(&path);
    Some(url)
}

/// A token, which is a single word.
fn token<'o>(options: &'o Options, end: &str) -> Result<Option<&'o SecretValue>> {
    let Some(token) = options.credential(end) else { return Ok(None) };
    if token.expose().iter().all(u8::is_ascii_graphic) {
        return Ok(Some(token));
    }
    Err(unusable(&options.variable(end), token))
}

fn unusable(variable: &str, token: &SecretValue) -> Error {
    Error::new(
        Code::Usage,
        format!(
            "{variable} is not a valid token: it contains a space, a newline or the like ({})",
            token.shape()
        ),
    )
    .help("Store only the token, as 1Password shows it; `printf %s` adds no newline.")
}

/// The account that is signed in on this machine: only if it is configured, and never on a runner, which has none.
fn desktop_account(options: &Options, opening: &SourceContext) -> Option<String> {
    let account = options.text("account").filter(|account| !account.is_empty())?;
    (options.named && !opening.settings.platform.actions).then(|| account.to_owned())
}

fn vault_name(vault: &str, options: &Options) -> Result<String> {
    if !vault.is_empty() && !vault.contains(['/', '?']) {
        return Ok(vault.to_owned());
    }
    Err(Error::new(
        Code::Usage,
        format!(
            "{} is not a valid vault name: it is empty, or contains a `/` or `?`",
            options.said_by("vault")
        ),
    )
    .help("Use only the vault's name, or its ID (`op vault list`)."))
}

/// A warning with 1Password's own rule (its documentation, "Use service accounts with 1Password CLI").
fn both(options: &Options) -> Diagnostic {
    let (server, account) = (options.said_by("connect-host"), options.variable("SERVICE_ACCOUNT_TOKEN"));
    Diagnostic::with_help(
        format!(
            "{}: using the Connect server of {server} and ignoring {account}, like 1Password's own tools",
            options.id
        ),
        format!("Set only one of the two: remove {account}, or the server and its token."),
    )
}
