//! The login method, from the settings and variables.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::certificate::Certificate;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;
use crate::sources::{Options, net};

/// The same on every virtual machine of Azure (learn.microsoft.com, "Azure Instance Metadata Service").
const METADATA_HOST: &str = "http://169.254.169.254";

/// An application in a tenant.
pub(super) struct Application {
    /// The tenant, by its id or one of its domains.
    pub(super) tenant: String,
    /// The application's client id.
    pub(super) client: String,
}

/// A login method.
pub(super) enum Login {
    /// As an application with its secret.
    Secret(Application, SecretValue),
    /// As an application with its certificate.
    Certificate(Application, Box<Certificate>),
    /// As an application that trusts the issuer of the token in a file, which may be renewed during the run.
    TokenFile(Application, PathBuf),
    /// As an application that trusts the workflow.
    Oidc(Application),
    /// As the machine: with its own identity, or with the assigned one that has this client ID.
    ManagedIdentity(Option<String>),
    /// There is none, and nothing names the source, so no login is tried.
    Nothing,
}

/// The values of `auth`, with their descriptions.
const WAYS: [(&str, &str); 5] = [
    ("client-secret", "the secret of an application"),
    ("client-certificate", "the certificate of an application"),
    ("federated-token-file", "a token in a file"),
    ("oidc", "the workflow's identity token (`id-token: write`)"),
    ("managed-identity", "the machine's own identity"),
];

impl Login {
    /// Chooses the login: `auth`, else the only credential that is set, else the workflow, if `client-id` and `tenant-id` are
    /// set, else the machine, if something names the source.
    ///
    /// # Errors
    /// `usage` if two credentials are set, if something is missing, or if the certificate cannot be used.
    pub(super) fn of(options: &Options, workspace: &Path) -> Result<Self> {
        let way = match options.text("auth") {
            Some(text) => said(options, text)?,
            None => match given(options).as_slice() {
                [] => inferred(options),
                [(way, _)] => way,
                several => return Err(several_given(options, several)),
            },
        };
        let application = || application(options, way);
        Ok(match way {
            "client-secret" => Self::Secret(application()?, secret(options)?),
            "client-certificate" => {
                Self::Certificate(application()?, Box::new(certificate(options, workspace)?))
            }
            "federated-token-file" => {
                let file = options
                    .text("federated-token-file")
                    .ok_or_else(|| missing(options, way, "`federated-token-file`"))?;
                Self::TokenFile(application()?, workspace.join(file))
            }
            "oidc" => Self::Oidc(application()?),
            "managed-identity" => Self::ManagedIdentity(options.text("client-id").map(str::to_owned)),
            _ => Self::Nothing,
        })
    }

    /// The principal, for messages.
    pub(super) fn who(&self) -> String {
        match (self.application(), self) {
            (Some(application), _) => format!("the application {}", application.client),
            (None, Self::ManagedIdentity(Some(client))) => format!("the identity {client}"),
            _ => "this machine's own identity".to_owned(),
        }
    }

    /// The principal, for commands that grant something: the client ID, or a command that prints it.
    pub(super) fn principal(&self) -> &str {
        match (self.application(), self) {
            (Some(application), _) => &application.client,
            (None, Self::ManagedIdentity(Some(client))) => client,
            _ => {
                "\"$(az vm identity show --name MACHINE --resource-group GROUP --query principalId --output tsv)\""
            }
        }
    }

    /// Whether [`Login::principal`] is a client id.
    pub(super) fn has_client_id(&self) -> bool {
        self.application().is_some() || matches!(self, Self::ManagedIdentity(Some(_)))
    }

    /// The application, if one logs in.
    pub(super) fn application(&self) -> Option<&Application> {
        match self {
            Self::Secret(application, _)
            | Self::Certificate(application, _)
            | Self::TokenFile(application, _)
            | Self::Oidc(application) => Some(application),
            Self::ManagedIdentity(_) | Self::Nothing => None,
        }
    }
}

fn said(options: &Options, text: &str) -> Result<&'static str> {
    WAYS.iter().map(|(way, _)| *way).find(|way| *way == text).ok_or_else(|| {
        let ways: Vec<String> = WAYS.iter().map(|(way, takes)| format!("`{way}` ({takes})")).collect();
        options
            .unusable("auth", "is not a known login method")
            .help(format!("Use one of {}.", ways.join(", ")))
    })
}

/// The credentials that are set, and where.
fn given(options: &Options) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if options.credential("CLIENT_SECRET").is_some() {
        all.push(("client-secret", format!("`{}`", options.variable("CLIENT_SECRET"))));
    }
    for setting in ["client-certificate", "federated-token-file"] {
        if options.text(setting).is_some() {
            all.push((setting, options.said_by(setting)));
        }
    }
    all
}

fn inferred(options: &Options) -> &'static str {
    match (options.text("client-id"), options.text("tenant-id")) {
        // Whether the workflow may request a token is found out by requesting it; the refusal says what is missing.
        (Some(_), Some(_)) => "oidc",
        (None, Some(_)) if options.named => "oidc",
        _ if options.named => "managed-identity",
        _ => "",
    }
}

fn several_given(options: &Options, several: &[(&'static str, String)]) -> Error {
    let given: Vec<&str> = several.iter().map(|(_, said_by)| said_by.as_str()).collect();
    let ways: Vec<String> = several.iter().map(|(way, _)| format!("`auth: {way}`")).collect();
    let fact = format!("{}: {} logins are configured: {}", options.id, several.len(), given.join(", "));
    Error::new(Code::Usage, fact).help(format!(
        "Choose one under `sources.{}` ({}), or remove the others.",
        options.id,
        ways.join(", ")
    ))
}

/// The address of the machine's metadata service.
///
/// # Errors
/// `usage` if `metadata-host` is not an address.
pub(super) fn metadata_host(options: &Options) -> Result<String> {
    let Some(text) = options.text("metadata-host") else { return Ok(METADATA_HOST.to_owned()) };
    let is_host =
        Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/");
    if is_host {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(options
        .unusable("metadata-host", "is not a valid host address")
        .help(format!("Write it like `{METADATA_HOST}`, or remove it.")))
}

/// The tenant becomes part of an address: an ID, or a domain.
fn application(options: &Options, way: &str) -> Result<Application> {
    let needed = |setting: &'static str| {
        let text = options.text(setting).ok_or_else(|| missing(options, way, &format!("`{setting}`")))?;
        if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
            return Ok(text.to_owned());
        }
        Err(options
            .unusable(setting, "is not a valid ID")
            .help(format!("A `{setting}` looks like 00000000-0000-0000-0000-000000000000.")))
    };
    Ok(Application { tenant: needed("tenant-id")?, client: needed("client-id")? })
}

fn secret(options: &Options) -> Result<SecretValue> {
    let variable = options.variable("CLIENT_SECRET");
    let secret = options
        .credential("CLIENT_SECRET")
        .ok_or_else(|| missing(options, "client-secret", &format!("`{variable}`")))?;
    if std::str::from_utf8(secret.expose()).is_ok_and(|text| !text.contains(char::is_control)) {
        return Ok(secret.clone());
    }
    Err(Error::new(
        Code::Usage,
        format!("`{variable}` contains a line break or another control character ({})", secret.shape()),
    )
    .help("Paste only the secret's value, without a line break."))
}

fn certificate(options: &Options, workspace: &Path) -> Result<Certificate> {
    let setting = "client-certificate";
    let text = options.text(setting).ok_or_else(|| missing(options, setting, "`client-certificate`"))?;
    let said_by = options.said_by(setting);
    options.refuse_key_in_manifest(setting, "a certificate with its key", "CLIENT_CERTIFICATE_PATH")?;
    let pem = SecretValue::new(net::pem(text, workspace, &said_by)?);
    Certificate::read(&pem).map_err(|fact| {
        Error::new(Code::Usage, format!("the file that {said_by} names {fact}")).help(
            "It must contain a certificate and its RSA key as PEM, the key without a passphrase. From a PFX file: `openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem`.",
        )
    })
}

fn missing(options: &Options, way: &str, what: &str) -> Error {
    let id = &options.id;
    let fact = format!("{id}: the login to Azure with `{way}` needs {what}");
    Error::new(Code::Usage, fact).help(match what {
        "`client-id`" => given_by(options, "client-id", "CLIENT_ID"),
        "`tenant-id`" => given_by(options, "tenant-id", "TENANT_ID"),
        _ => format!("Set it, or set `auth` under `sources.{id}` to another method."),
    })
}

/// How to set a setting. Inputs are for the source whose id is its kind.
fn given_by(options: &Options, setting: &str, end: &str) -> String {
    let (id, variable) = (&options.id, options.variable(end));
    let input = if id.as_str() == "azure" { format!("the input `azure-{setting}`, ") } else { String::new() };
    format!("Set {input}{variable}, or `{setting}` under `sources.{id}`.")
}
