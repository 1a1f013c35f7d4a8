//! Opens the source: from its settings to a server and a login. It makes no requests.

use std::path::Path;

use reqwest::Client;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::address::Address;
use super::method::{self, LoginContext};
use super::mounts::{Engine, Mounts};
use super::transport::Transport;
use super::{State, Vault};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;
use crate::sources::in_clear;
use crate::sources::net::{self, Network, Tls};
use crate::sources::{Options, SourceContext};

/// The mount of conventional references, and of Vault's own examples.
pub(in crate::sources) const MOUNT: &str = "secret";
/// Variables of Vault's own client that this source ignores, with the alternative.
const UNREAD: &[(&str, &str)] = &[
    ("SKIP_VERIFY", "TLS certificates are always verified. Add the server's CA to `ca-certificates`."),
    ("CAPATH", "Set `ca-certificates` to one file; it can contain several certificates."),
    ("TLS_SERVER_NAME", "Use the server name of the certificate in `addr`."),
    ("PROXY_ADDR", "Set a proxy in HTTPS_PROXY, and hosts that bypass it in NO_PROXY."),
    ("HTTP_PROXY", "Set a proxy in HTTPS_PROXY, and hosts that bypass it in NO_PROXY."),
];

/// Opens it; `None` if there is no address, or if only variables set a server and none sets a login.
///
/// # Errors
/// What is wrong with a setting or a credential, and where it was set.
pub(in crate::sources) fn open(options: Options, opening: &SourceContext) -> Result<Option<Vault>> {
    let Some(addr) = options.text("addr") else { return Ok(None) };
    let address = Address::parse(addr, &options.said_by("addr"))?;
    let workspace = &opening.settings.workspace;
    let around = LoginContext {
        has_identity: opening.identity.is_there(),
        actions: opening.settings.platform.actions,
        workspace,
        address: &address,
    };
    let Some(login) = method::choose(&options, &around)? else { return Ok(None) };
    let mount = mount(&options)?;
    let kv_version = kv_version(&options)?;
    let namespace = namespace(&options)?;
    let own = client(&options, &opening.network, workspace)?;
    let remarks = remarks(&options, &address);
    let transport = Transport::new(opening.network.clone(), own, address, namespace);
    Ok(Some(Vault {
        id: options.id,
        mount,
        kv_version,
        login,
        transport,
        identity: opening.identity.clone(),
        remarks,
        mounts: Mounts::default(),
        session: Mutex::new(State::Out),
        answers: std::sync::Mutex::default(),
    }))
}

fn mount(options: &Options) -> Result<String> {
    let mount = options.text("mount").unwrap_or(MOUNT).trim_matches('/');
    if mount.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(options
            .unusable("mount", "is not a valid mount path")
            .help("Write it as `secret` or `team/kv`."));
    }
    Ok(mount.to_owned())
}

fn kv_version(options: &Options) -> Result<Option<Engine>> {
    match options.text("kv-version") {
        None => Ok(None),
        Some("1") => Ok(Some(Engine::Kv1)),
        Some("2") => Ok(Some(Engine::Kv2)),
        Some(_) => Err(options
            .unusable("kv-version", "is neither 1 nor 2")
            .help("Set `1` or `2`, or remove it: most servers report it.")),
    }
}

fn namespace(options: &Options) -> Result<Option<HeaderValue>> {
    let Some(text) = options.text("namespace").map(|text| text.trim_matches('/')) else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    let good = text.chars().all(|c| c.is_ascii_graphic());
    match HeaderValue::from_str(text) {
        Ok(value) if good => Ok(Some(value)),
        _ => Err(options
            .unusable(
                "namespace",
                "is not a valid namespace: it contains a space, a line break or a non-ASCII letter",
            )
            .help("Write it as `team-a` or `org/team-a`.")),
    }
}

/// A client with the TLS settings of this server; `None` if there are none.
fn client(options: &Options, network: &Network, workspace: &Path) -> Result<Option<Client>> {
    let read = |setting: &str, read: fn(&str, &Path, &str) -> Result<Vec<u8>>| {
        let text = options.text(setting);
        text.map(|text| read(text, workspace, &options.said_by(setting))).transpose()
    };
    options.refuse_key_in_manifest("client-key", "a private key", "CLIENT_KEY")?;
    let certificates = read("ca-certificates", net::authorities)?;
    let identity = match (read("client-cert", net::pem)?, read("client-key", net::pem)?) {
        (Some(certificate), Some(key)) => {
            Some(SecretValue::new([certificate.as_slice(), b"\n", key.as_slice()].concat()))
        }
        (None, None) => None,
        (Some(_), None) => return Err(half(options, "client-cert", "client-key")),
        (None, Some(_)) => return Err(half(options, "client-key", "client-cert")),
    };
    if certificates.is_none() && identity.is_none() {
        return Ok(None);
    }
    network.client_with(&Tls { certificates, identity }).map(Some)
}

fn half(options: &Options, given: &str, other: &str) -> Error {
    let fact = format!("{} is set, but `{other}` is not", options.said_by(given));
    Error::new(Code::Usage, fact).help(format!("Set `{other}` as well."))
}

/// The warnings about the settings.
fn remarks(options: &Options, address: &Address) -> Vec<Diagnostic> {
    let unread = UNREAD.iter().filter_map(|(end, help)| {
        let name = options.variable(end);
        let text = options.environment().text(&name)?;
        let off = matches!(text.to_ascii_lowercase().as_str(), "0" | "f" | "false");
        (!off).then(|| Diagnostic::with_help(format!("{name} is ignored"), *help))
    });
    let is_plain = address.is_plain() && address.is_elsewhere();
    let plain = is_plain.then(|| in_clear(&options.id, &address.server(), "addr"));
    unread.chain(plain).collect()
}
