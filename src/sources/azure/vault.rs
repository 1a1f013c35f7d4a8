//! The vault, its cloud, and the host that issues tokens for it. A token is sent nowhere else.

use reqwest::Url;

use crate::error::{Code, Error, Result};
use crate::sources::Options;

/// A Microsoft cloud (learn.microsoft.com, "Azure Key Vault DNS suffixes", "National clouds").
struct Cloud {
    /// Our name for it, and that of the Azure CLI and `azure/login`.
    names: [&'static str; 2],
    /// The suffix of its vaults' hosts.
    suffix: &'static str,
    /// Its login hosts, the preferred one first.
    authorities: &'static [&'static str],
    /// The audience of identity tokens that are exchanged for its own.
    audience: &'static str,
}

const CLOUDS: [Cloud; 3] = [
    Cloud {
        names: ["public", "AzureCloud"],
        suffix: "vault.azure.net",
        authorities: &["login.microsoftonline.com", "login.windows.net"],
        audience: "api://AzureADTokenExchange",
    },
    Cloud {
        names: ["china", "AzureChinaCloud"],
        suffix: "vault.azure.cn",
        authorities: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
        audience: "api://AzureADTokenExchangeChina",
    },
    Cloud {
        names: ["usgov", "AzureUSGovernment"],
        suffix: "vault.usgovcloudapi.net",
        authorities: &["login.microsoftonline.us"],
        audience: "api://AzureADTokenExchangeUSGov",
    },
];

const PUBLIC: &Cloud = &CLOUDS[0];

/// One vault.
pub(super) struct Vault {
    /// Its name, as in the Azure CLI.
    pub(super) name: String,
    /// Its host.
    pub(super) host: String,
    /// The resource of a token, `https://vault.azure.net`.
    pub(super) resource: String,
    /// The host that issues tokens for it.
    pub(super) authority: String,
    /// The audience of identity tokens that are exchanged for its tokens.
    pub(super) audience: String,
}

impl Vault {
    /// The vault in the settings; `None` if there is none.
    ///
    /// # Errors
    /// `usage` for an address that is not a vault's, and for settings that contradict each other.
    pub(super) fn of(options: &Options) -> Result<Option<Self>> {
        let suffix = Suffix::wanted(options)?;
        let by_name = options.text("vault-name").map(|name| name_is_one(options, name)).transpose()?;
        let by_url = options.text("vault-url").map(|url| parsed(options, url)).transpose()?;
        let (name, suffix) = match (by_url, by_name) {
            (None, None) => return Ok(None),
            (None, Some(name)) => (name, suffix.unwrap_or(Suffix::Of(PUBLIC))),
            (Some((name, end)), None) => (name, matching(options, &end, suffix)?),
            (Some((name, end)), Some(other)) if name == other => (name, matching(options, &end, suffix)?),
            (Some(_), Some(_)) => {
                let (url, name) = (options.said_by("vault-url"), options.said_by("vault-name"));
                let fact = format!("{url} and {name} are two different vaults");
                return Err(Error::new(Code::Usage, fact).help("Set only one of the two."));
            }
        };
        let audience = options.text("audience").unwrap_or(suffix.cloud().unwrap_or(PUBLIC).audience);
        Ok(Some(Self {
            host: format!("{name}.{}", suffix.text()),
            name,
            resource: format!("https://{}", suffix.text()),
            authority: authority(options, &suffix)?,
            audience: audience.to_owned(),
        }))
    }

    /// An address in the vault. The segments must not need escapes.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.host)
    }

    /// Whether an address from the vault is of the vault itself. It includes the default port.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url.host_str() == Some(&self.host)
            && url.port_or_known_default() == Some(443)
    }
}

/// The suffix of a vault's host.
enum Suffix {
    /// That of a known cloud.
    Of(&'static Cloud),
    /// The one in `vault-suffix`.
    Own(String),
}

impl Suffix {
    /// The suffix from `cloud` or `vault-suffix`.
    fn wanted(options: &Options) -> Result<Option<Self>> {
        let cloud = options.text("cloud").map(|text| {
            let known = |cloud: &&Cloud| cloud.names.iter().any(|name| name.eq_ignore_ascii_case(text));
            CLOUDS.iter().find(known).map(Self::Of).ok_or_else(|| {
                options.unusable("cloud", "is not a known cloud")
                    .help("Use `public`, `china` or `usgov`. For another cloud, set `vault-suffix` and `authority-host`.")
            })
        });
        let own = options.text("vault-suffix").map(|text| {
            let text = text.trim_start_matches('.').to_ascii_lowercase();
            if is_host(&text) && text.contains('.') {
                Ok(Self::Own(text))
            } else {
                Err(options
                    .unusable("vault-suffix", "is not a valid host name suffix")
                    .help("Write what follows the vault's name and the dot, e.g. `vault.azure.net`."))
            }
        });
        match (cloud, own) {
            (Some(_), Some(_)) => {
                let (cloud, own) = (options.said_by("cloud"), options.said_by("vault-suffix"));
                Err(Error::new(
                    Code::Usage,
                    format!("{cloud} and {own} both set the suffix of the vault's host"),
                )
                .help("Set only one of the two."))
            }
            (cloud, own) => cloud.or(own).transpose(),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Of(cloud) => cloud.suffix,
            Self::Own(text) => text,
        }
    }

    fn cloud(&self) -> Option<&'static Cloud> {
        match self {
            Self::Of(cloud) => Some(cloud),
            Self::Own(_) => None,
        }
    }
}

/// The name and the suffix of the host in `vault-url`.
fn parsed(options: &Options, text: &str) -> Result<(String, String)> {
    let wrong = |what: &str| {
        options
            .unusable("vault-url", what)
            .help("Write the address that the portal shows as \"Vault URI\": `https://NAME.vault.azure.net`.")
    };
    let Ok(url) = Url::parse(text) else {
        return Err(wrong(if text.contains("://") {
            "is not a valid address"
        } else {
            "does not start with `https://`"
        }));
    };
    match url.scheme() {
        "https" => {}
        "http" => {
            return Err(wrong("starts with `http://`, which would send the token in clear text"));
        }
        _ => return Err(wrong("does not start with `https://`")),
    }
    if url.path().starts_with("/secrets") {
        return Err(options.unusable("vault-url", "is the address of a secret").help(format!(
            "Remove what follows the host; write the secret's name in a reference, `{}:NAME`.",
            options.id
        )));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.port().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("contains more than `https://` and a host"));
    }
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let (name, end) = host.split_once('.').ok_or_else(|| wrong("contains no vault name"))?;
    if !is_vault_name(name) {
        return Err(wrong("contains no vault name"));
    }
    Ok((name.to_owned(), end.to_owned()))
}

/// Compares the suffix of the host in `vault-url` with the clouds: a token must not be sent to an arbitrary host.
fn matching(options: &Options, end: &str, wanted: Option<Suffix>) -> Result<Suffix> {
    let actual = CLOUDS.iter().find(|cloud| cloud.suffix == end);
    match (wanted, actual) {
        (Some(wanted), _) if wanted.text() == end => Ok(wanted),
        (None, Some(cloud)) => Ok(Suffix::Of(cloud)),
        (Some(Suffix::Of(wanted)), Some(actual)) => {
            let (said_by, cloud) = (options.said_by("vault-url"), options.said_by("cloud"));
            let [wanted, actual] = [wanted, actual].map(|cloud| cloud.names[0]);
            let fact = format!("{said_by} is a vault of the cloud `{actual}`, but {cloud} is `{wanted}`");
            Err(Error::new(Code::Usage, fact).help(format!(
                "Correct the address, or set `cloud: {actual}` (or remove it: the address is enough)."
            )))
        }
        (Some(Suffix::Own(_)), _) => {
            let fact = format!("does not end with the suffix in {}", options.said_by("vault-suffix"));
            Err(options.unusable("vault-url", &fact).help("Correct one of the two."))
        }
        (_, None) => Err(foreign(options, end)),
    }
}

/// Why a host is not a vault's.
fn foreign(options: &Options, end: &str) -> Error {
    if end.starts_with("managedhsm.") {
        return options
            .unusable("vault-url", "is a managed HSM, which stores keys but no secrets")
            .help("Use a key vault: `https://NAME.vault.azure.net`.");
    }
    if end.split('.').any(|part| part == "privatelink" || part == "vaultcore") {
        return options.unusable("vault-url", "is the internal name of a private endpoint")
            .help("Use `https://NAME.vault.azure.net` with a private endpoint, too: the private DNS zone resolves it.");
    }
    let known: Vec<String> = CLOUDS.iter().map(|cloud| format!("`.{}`", cloud.suffix)).collect();
    let fact = "is not the address of a key vault, and the token would be sent to an unknown server: its host does not end with one of";
    options
        .unusable("vault-url", &format!("{fact} {}", known.join(", ")))
        .help("Correct the address. For another cloud, set `vault-suffix` and `authority-host`.")
}

/// The login host: the cloud's own, unless `authority-host` sets another one.
fn authority(options: &Options, suffix: &Suffix) -> Result<String> {
    let Some(text) = options.text("authority-host") else {
        return match suffix.cloud() {
            Some(cloud) => Ok(cloud.authorities[0].to_owned()),
            None => Err(Error::new(
                Code::Usage,
                format!("{} also needs `authority-host`", options.said_by("vault-suffix")),
            )
            .help("Set it to that cloud's login host, the equivalent of `login.microsoftonline.com`.")),
        };
    };
    // Microsoft's own libraries accept it with and without `https://`.
    let host = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/').to_ascii_lowercase();
    if !is_host(&host) {
        return Err(options
            .unusable("authority-host", "is not a valid host for `https://`")
            .help("Write only the host, e.g. `login.microsoftonline.com`."));
    }
    let its_cloud = CLOUDS.iter().find(|cloud| cloud.authorities.contains(&host.as_str()));
    if its_cloud.is_none() && options.is_in_manifest("authority-host") {
        refuse_stranger(options, &host)?;
    }
    if let (Some(own), Some(its)) = (suffix.cloud(), its_cloud)
        && own.suffix != its.suffix
    {
        let [own, its] = [own, its].map(|cloud| cloud.names[0]);
        let fact = format!(
            "the vault is in the cloud `{own}`, but {} belongs to `{its}`",
            options.said_by("authority-host")
        );
        return Err(Error::new(Code::Usage, fact).help("Remove `authority-host`, or correct the vault."));
    }
    Ok(host)
}

/// The login host gets the application's secret: a manifest cannot set one that is neither Microsoft's nor in the variables
/// with which the secret came.
fn refuse_stranger(options: &Options, host: &str) -> Result<()> {
    let variable = options.variable("AUTHORITY_HOST");
    let known = options.environment().text(&variable).map(|text| {
        text.trim().strip_prefix("https://").unwrap_or(text.trim()).trim_end_matches('/').to_ascii_lowercase()
    });
    let secret = options.credential("CLIENT_SECRET").is_some();
    let own = options.variable("") != "AZURE_";
    if !secret || own || known.as_deref() == Some(host) {
        return Ok(());
    }
    Err(Error::new(
        Code::Usage,
        format!("{} is not a Microsoft host, but would get the secret in `{}`", options.said_by("authority-host"), options.variable("CLIENT_SECRET")),
    )
    .help(format!(
        "If that is intended, set `{variable}` to the same host in the step's `env:`. Otherwise, give the source its own id, and so its own secret."
    )))
}

fn name_is_one(options: &Options, name: &str) -> Result<String> {
    if is_vault_name(name) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(options.unusable("vault-name", "is not a valid vault name").help(
        "A vault name consists of 3 to 24 letters, digits and single hyphens. For an address, use `vault-url`.",
    ))
}

/// 3 to 24 letters, digits and hyphens, no two hyphens in a row, a letter first, no hyphen last (learn.microsoft.com,
/// "Naming rules and restrictions for Azure resources", Microsoft.KeyVault).
fn is_vault_name(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--")
}

fn is_host(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    text.split('.').all(good)
}
