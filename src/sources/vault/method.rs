//! Chooses the auth method: the setting `auth`, else the credentials that are set. It makes no requests.

use std::fmt;
use std::path::{Path, PathBuf};

use super::address::Address;
use crate::error::{Code, Error, Result, plain_reason};
use crate::files::{self, LARGEST_SETTINGS};
use crate::secret::SecretValue;
use crate::sources::Options;

/// The path of the token of a pod's service account in Kubernetes.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where `vault login` stores its token, in the user's home.
const TOKEN_FILE: &str = ".vault-token";

/// How to log in.
pub(super) struct Login {
    pub(super) method: Method,
    /// The mount of the method, below `auth/`.
    pub(super) mount: String,
}

/// An auth method, with its credentials.
pub(super) enum Method {
    Token { value: SecretValue, said_by: String },
    AppRole { role_id: SecretValue, secret_id: SecretId },
    Jwt { role: Option<String>, token: Jwt },
    Userpass { username: String, password: SecretValue },
    Kubernetes { role: String, token_file: PathBuf },
}

/// The second half of an `AppRole`.
pub(super) enum SecretId {
    /// The role does not need one.
    None,
    Plain(SecretValue),
    /// A token in exchange for which the server returns it, once.
    Wrapped(SecretValue),
}

/// The token of a JWT login.
pub(super) enum Jwt {
    Given(SecretValue),
    /// The workflow's own, for this audience.
    OfWorkflow(Option<String>),
}

impl Login {
    /// Whether the workflow's own identity logs in.
    pub(super) fn is_of_workflow(&self) -> bool {
        matches!(self.method, Method::Jwt { token: Jwt::OfWorkflow(_), .. })
    }

    /// Who logs in, in words: names of variables and roles, and no value.
    pub(super) fn in_words(&self) -> String {
        let role =
            |role: &Option<String>| role.as_ref().map(|role| format!(" as role {role}")).unwrap_or_default();
        match &self.method {
            Method::Token { said_by, .. } => format!("a token, {said_by}"),
            Method::AppRole { .. } => "an AppRole".to_owned(),
            Method::Jwt { role: named, token: Jwt::Given(_) } => format!("a JWT{}", role(named)),
            Method::Jwt { role: named, token: Jwt::OfWorkflow(_) } => {
                format!("the workflow's identity{}", role(named))
            }
            Method::Userpass { .. } => "a user's name and password".to_owned(),
            Method::Kubernetes { role: named, .. } => {
                format!("the pod's service account{}", role(&Some(named.clone())))
            }
        }
    }
}

/// What surrounds the choice.
pub(super) struct LoginContext<'a> {
    /// Whether the workflow may request identity tokens.
    pub(super) has_identity: bool,
    /// Whether this runs under GitHub Actions.
    pub(super) actions: bool,
    /// The base of relative paths.
    pub(super) workspace: &'a Path,
    pub(super) address: &'a Address,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Token,
    AppRole,
    Jwt,
    Userpass,
    Kubernetes,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Token, "token"),
    (Kind::AppRole, "approle"),
    (Kind::Jwt, "jwt"),
    (Kind::Userpass, "userpass"),
    (Kind::Kubernetes, "kubernetes"),
];

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// Chooses the login from `options`; `None` if nothing configures one and nothing names the source.
///
/// # Errors
/// `usage` for an unknown `auth`, two logins at once, or a login with a missing or malformed part; `source-unknown` if no
/// login is configured, with the lines to add.
pub(super) fn choose(options: &Options, around: &LoginContext) -> Result<Option<Login>> {
    let given = given(options, around);
    let kind = match (options.text("auth"), given.as_slice()) {
        (Some(text), _) => named(text, options)?,
        (None, [(kind, _)]) => *kind,
        (None, []) if !options.named => return Ok(None),
        (None, []) => return Err(nothing(options)),
        (None, several) => return Err(ambiguous(options, several)),
    };
    let method = match kind {
        Kind::Token => token(options, around)?,
        Kind::AppRole => approle(options)?,
        Kind::Jwt => Method::Jwt {
            role: options.text("role").map(str::to_owned),
            token: match credential(options, "JWT")? {
                Some(token) => Jwt::Given(token),
                None => Jwt::OfWorkflow(audience(options)),
            },
        },
        Kind::Userpass => Method::Userpass {
            username: username(options)?,
            password: credential(options, "PASSWORD")?
                .ok_or_else(|| lacks(options, kind, &options.variable("PASSWORD")))?,
        },
        Kind::Kubernetes => Method::Kubernetes {
            role: options.text("role").ok_or_else(|| lacks(options, kind, "role"))?.to_owned(),
            token_file: around.workspace.join(options.text("kubernetes-token-file").unwrap_or(POD_TOKEN)),
        },
    };
    belongs_here(options, around.address, &method)?;
    let mount = options.text("auth-mount").map(|text| text.trim_matches('/')).unwrap_or_default();
    let mount = mount.strip_prefix("auth/").unwrap_or(mount);
    let mount = if mount.is_empty() { kind.name() } else { mount };
    Ok(Some(Login { method, mount: mount.to_owned() }))
}

/// Every login that is at least partly configured, and where.
fn given(options: &Options, around: &LoginContext) -> Vec<(Kind, String)> {
    let variable = |end: &str| options.credential(end).map(|_| format!("`{}`", options.variable(end)));
    let setting = |name: &str| options.text(name).map(|_| options.said_by(name));
    let pod = setting("kubernetes-token-file");
    let workflow = || {
        // A role without an identity is still for the workflow's: only the permission is missing.
        let role = setting("role").filter(|_| around.has_identity || around.actions)?;
        Some(format!("{role} with the workflow's identity"))
    };
    let jwt = variable("JWT").or_else(|| if pod.is_some() { None } else { workflow() });
    let approle = ["ROLE_ID", "SECRET_ID", "WRAPPED_SECRET_ID"].into_iter().find_map(variable);
    let mut all: Vec<(Kind, String)> = [
        (Kind::Token, variable("TOKEN")),
        (Kind::AppRole, approle),
        (Kind::Jwt, jwt),
        (Kind::Userpass, variable("PASSWORD").or_else(|| setting("username"))),
        (Kind::Kubernetes, pod),
    ]
    .into_iter()
    .filter_map(|(kind, said)| Some((kind, said?)))
    .collect();
    if all.is_empty() && token_file(options, around).is_some() {
        all.push((Kind::Token, format!("`~/{TOKEN_FILE}`")));
    }
    all
}

fn named(text: &str, options: &Options) -> Result<Kind> {
    if let Some((kind, _)) = KINDS.iter().find(|(_, name)| *name == text) {
        return Ok(*kind);
    }
    let names: Vec<String> = KINDS.iter().map(|(_, name)| format!("`{name}`")).collect();
    let error = options.unusable("auth", "is not a supported auth method");
    Err(match text {
        "oidc" | "github-oidc" => {
            error.help("For the workflow's identity token, use `jwt`; for another mount, set `auth-mount`.")
        }
        "ldap" | "okta" | "radius" => {
            error.help(format!("It works like `userpass`: set `auth: userpass` and `auth-mount: {text}`."))
        }
        _ => error.help(format!("Use one of {}.", names.join(", "))),
    })
}

fn token(options: &Options, around: &LoginContext) -> Result<Method> {
    if let Some(value) = credential(options, "TOKEN")? {
        return Ok(Method::Token { value, said_by: format!("`{}`", options.variable("TOKEN")) });
    }
    let Some(path) = token_file(options, around) else {
        return Err(lacks(options, Kind::Token, &options.variable("TOKEN")));
    };
    let contents = files::read(&path, LARGEST_SETTINGS).map_err(|error| {
        Error::new(Code::Usage, format!("~/{TOKEN_FILE} cannot be read: {}", plain_reason(&error)))
            .help("Log in again (`vault login`), or remove it.")
    })?;
    // Editors add a newline at the end of a file.
    let said_by = format!("`~/{TOKEN_FILE}`");
    let token = contents.value.expose().trim_ascii_end().to_vec();
    let value = clean(SecretValue::new(token), &said_by)?;
    Ok(Method::Token { value, said_by })
}

/// The token that `vault login` stored. It belongs to the server of `VAULT_ADDR` and to this machine's user: it is not used
/// in a workflow, or for a server from a manifest.
fn token_file(options: &Options, around: &LoginContext) -> Option<PathBuf> {
    let address = options.environment().text("VAULT_ADDR")?;
    let own = options.variable("ADDR") == "VAULT_ADDR" && around.address.is_also(address.trim());
    let home = options.environment().text("HOME").filter(|_| own && !around.actions)?;
    Some(Path::new(home).join(TOKEN_FILE)).filter(|path| path.is_file())
}

fn approle(options: &Options) -> Result<Method> {
    let role_id = credential(options, "ROLE_ID")?
        .ok_or_else(|| lacks(options, Kind::AppRole, &options.variable("ROLE_ID")))?;
    let secret_id = match (credential(options, "SECRET_ID")?, credential(options, "WRAPPED_SECRET_ID")?) {
        (None, None) => SecretId::None,
        (Some(plain), None) => SecretId::Plain(plain),
        (None, Some(wrapped)) => SecretId::Wrapped(wrapped),
        (Some(_), Some(_)) => {
            let (plain, wrapped) = (options.variable("SECRET_ID"), options.variable("WRAPPED_SECRET_ID"));
            return Err(Error::new(
                Code::Usage,
                format!("{}: both `{plain}` and `{wrapped}` are set", options.id),
            )
            .help("Remove one of them."));
        }
    };
    Ok(Method::AppRole { role_id, secret_id })
}

fn username(options: &Options) -> Result<String> {
    let name = options.text("username").ok_or_else(|| lacks(options, Kind::Userpass, "username"))?;
    // It becomes part of the request's path.
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(options
            .unusable("username", "is not a valid user name")
            .help("A user name contains no slash."));
    }
    Ok(name.to_owned())
}

/// The audience of the workflow's token: GitHub's default if none is set (docs.github.com, "`OpenID` Connect
/// reference": the address of the repository's owner).
fn audience(options: &Options) -> Option<String> {
    if let Some(named) = options.text("jwt-audience") {
        return Some(named.to_owned());
    }
    let owner = options.environment().text("GITHUB_REPOSITORY_OWNER")?;
    let server = options.environment().text("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    Some(format!("{}/{owner}", server.trim_end_matches('/')))
}

/// A valid credential.
fn credential(options: &Options, end: &str) -> Result<Option<SecretValue>> {
    let Some(value) = options.credential(end).cloned() else { return Ok(None) };
    if end == "PASSWORD" {
        return text(value, &format!("`{}`", options.variable(end))).map(Some);
    }
    clean(value, &format!("`{}`", options.variable(end))).map(Some)
}

/// A token or ID: it can be in a header, and has no spaces or line breaks.
fn clean(value: SecretValue, said_by: &str) -> Result<SecretValue> {
    let bytes = value.expose();
    let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_graphic()) else {
        return if bytes.is_empty() { Err(malformed(said_by, "is empty", &value)) } else { Ok(value) };
    };
    let what = match bytes[at] {
        b'\n' | b'\r' => "a line break",
        b' ' | b'\t' => "a space",
        _ => "a character that is not printable ASCII",
    };
    Err(malformed(said_by, &format!("contains {what} at character {}", at + 1), &value))
}

/// A password: any text.
fn text(value: SecretValue, said_by: &str) -> Result<SecretValue> {
    if std::str::from_utf8(value.expose()).is_err() {
        return Err(malformed(said_by, "is not text", &value));
    }
    Ok(value)
}

fn malformed(said_by: &str, what: &str, value: &SecretValue) -> Error {
    Error::new(Code::Usage, format!("{said_by} {what} ({})", value.shape()))
        .help("Store it again as it was printed, without a line break at its end (`printf %s`, not `echo`).")
}

/// Credentials in variables belong to the server in the variables.
fn belongs_here(options: &Options, address: &Address, method: &Method) -> Result<()> {
    if matches!(method, Method::Jwt { token: Jwt::OfWorkflow(_), .. } | Method::Kubernetes { .. }) {
        return Ok(());
    }
    let example = "`old-vault: { kind: vault, addr: … }` and `OLD_VAULT_TOKEN`";
    options.refuse_login_of_another("addr", "ADDR", example, |_, other| address.is_also(other))
}

fn lacks(options: &Options, kind: Kind, what: &str) -> Error {
    Error::new(
        Code::Usage,
        format!("{}: the auth method `{}` needs `{what}`, which is not set", options.id, kind.name()),
    )
    .help(format!("Set `{what}`, or choose another method with `auth`."))
}

fn ambiguous(options: &Options, several: &[(Kind, String)]) -> Error {
    let each: Vec<String> =
        several.iter().map(|(kind, said)| format!("`{}` from {said}", kind.name())).collect();
    Error::new(
        Code::Usage,
        format!("{}: more than one login is configured: {}", options.id, each.join(" and ")),
    )
    .help(format!(
        "Remove one of them, or choose one: `sources: {{ {}: {{ auth: {} }} }}`.",
        options.id,
        several.first().map_or("", |(kind, _)| kind.name())
    ))
}

fn nothing(options: &Options) -> Error {
    let id = &options.id;
    let (token, role_id, secret_id) =
        (options.variable("TOKEN"), options.variable("ROLE_ID"), options.variable("SECRET_ID"));
    Error::new(Code::SourceUnknown, format!("{id}: no login configured"))
        .help(format!(
            "With the workflow's identity, without a stored secret:\npermissions:\n  id-token: write\n  contents: read\nand the role in the manifest: `sources: {{ {id}: {{ role: … }} }}`{}",
            if id.as_str() == "vault" { ", or `vault-role: …` under `with:`." } else { "." }
        ))
        .help(format!(
            "Or a login in the step's `env:`: `{token}`, or `{role_id}` and `{secret_id}`. docs/sources/vault.md lists all methods."
        ))
}

impl fmt::Display for Login {
    /// The method and where it is mounted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.method {
            Method::Token { .. } => Kind::Token,
            Method::AppRole { .. } => Kind::AppRole,
            Method::Jwt { .. } => Kind::Jwt,
            Method::Userpass { .. } => Kind::Userpass,
            Method::Kubernetes { .. } => Kind::Kubernetes,
        };
        write!(f, "the login with `{}` at `auth/{}`", kind.name(), self.mount)
    }
}
