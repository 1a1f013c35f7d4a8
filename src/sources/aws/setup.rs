//! The settings of an AWS source, checked before any request: the region or endpoint, and the login.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;

use super::item::is_region;
use super::service::Service;
use crate::count::count;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result, plain_reason};
use crate::files::{self, LARGEST_SETTINGS};
use crate::manifest::SourceId;
use crate::settings::{Environment, Settings};
use crate::sources::{About, Options, host_of, net};

/// The audience that AWS documents for the workflow's identity tokens.
const AUDIENCE: &str = "sts.amazonaws.com";
/// The prefix of the vendor's own variables.
const VENDOR: &str = "AWS_";
/// Where the SDK finds the credentials of a container (ECS, EKS).
const CONTAINER: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
/// The suffixes of the hosts of Amazon's own services.
const AMAZON: [&str; 3] = ["amazonaws.com", "amazonaws.com.cn", "api.aws"];
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// The variables for the files that the SDK reads, with their defaults in the home directory.
const FILES: &[(&str, Option<&str>)] = &[
    ("AWS_CONFIG_FILE", Some(".aws/config")),
    ("AWS_SHARED_CREDENTIALS_FILE", Some(".aws/credentials")),
    (TOKEN_FILE, None),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", None),
];

/// The settings of one source. It has no `Debug`, because it contains credentials.
pub(super) struct Setup {
    pub(super) id: SourceId,
    /// What is asked.
    pub(super) service: &'static Service,
    /// Whether anything names this source; see [`Options::named`].
    pub(super) named: bool,
    /// The region of the service, and where it was set. `None`: that of the shared profile or the instance.
    pub(super) region: Option<SettingValue>,
    /// An address other than Amazon's.
    pub(super) endpoint: Option<SettingValue>,
    /// CA certificates as PEM, in addition to those of the run.
    pub(super) certificates: Option<Vec<u8>>,
    /// Who we are at first.
    pub(super) login: Login,
    /// The role to assume with it.
    pub(super) role: Option<Role>,
    /// The variables that the SDK's own chain of credentials reads.
    pub(super) variables: HashMap<String, String>,
}

/// A setting and where it was set.
pub(super) struct SettingValue {
    pub(super) text: String,
    pub(super) by: String,
}

impl SettingValue {
    /// Whether it is an address of another machine without TLS.
    pub(super) fn is_plain_and_far(&self) -> bool {
        reqwest::Url::parse(&self.text).is_ok_and(|url| url.scheme() == "http" && !net::is_this_machine(&url))
    }
}

/// Who we are at first.
pub(super) enum Login {
    /// The keys in these variables.
    Keys { credentials: Credentials, said_by: String },
    /// A shared profile.
    Profile(String),
    /// The token in this file, with a role.
    TokenFile,
    /// The container's credentials.
    Container,
    /// Not configured: the workflow's identity if it has one, else the machine's credentials.
    Ambient,
}

/// A role to assume.
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) said_by: String,
    pub(super) session: String,
    pub(super) audience: String,
}

impl Setup {
    /// Reads the settings. `None` if the source is not configured: nothing names it, and no variables set a login and a
    /// region.
    ///
    /// # Errors
    /// `usage` for an invalid setting.
    pub(super) fn of(
        options: &Options,
        settings: &Settings,
        has_identity: bool,
        service: &'static Service,
    ) -> Result<Option<Self>> {
        let reading = Reading { options, settings, service, own: options.variable("") == VENDOR };
        let login = reading.login()?;
        let role = reading.role(&login);
        let logs_in = !matches!(login, Login::Ambient) || (role.is_some() && has_identity);
        if !options.named && !logs_in {
            return Ok(None);
        }
        let region = reading.region()?;
        if !options.named && region.is_none() && !matches!(login, Login::Profile(_)) {
            return Ok(None);
        }
        let endpoint = reading.endpoint()?;
        endpoint.as_ref().map_or(Ok(()), |endpoint| reading.belongs_to(endpoint, &login))?;
        let mut role = role.map(|role| reading.checked(role)).transpose()?;
        let mut variables = reading.variables();
        if matches!(login, Login::TokenFile) {
            give_role_to_chain(&mut role, &mut variables);
        }
        if !options.named {
            // A machine's own identity does not configure this source, and requesting it takes seconds on other machines.
            variables.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        }
        Ok(Some(Self {
            id: options.id.clone(),
            service,
            named: options.named,
            region,
            endpoint,
            certificates: reading.certificates()?,
            login,
            role,
            variables,
        }))
    }

    /// Whether the workflow's own identity logs in.
    pub(super) fn is_by_workflow(&self, has_identity: bool) -> bool {
        matches!(self.login, Login::Ambient) && self.role.is_some() && has_identity
    }

    /// Where it is, and who it is asked as: names of variables, profiles and roles, and no value.
    pub(super) fn about(&self) -> About {
        let region = self.region.as_ref().map_or("REGION", |said| said.text.as_str());
        let ending = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = self.endpoint.as_ref().and_then(|said| reqwest::Url::parse(&said.text).ok());
        let mut hosts = vec![
            own.as_ref().map_or_else(|| format!("{}.{region}.{ending}:443", self.service.host), host_of),
        ];
        if own.is_none() && self.role.is_some() {
            hosts.push(format!("sts.{region}.{ending}:443"));
        }
        let login = match &self.login {
            Login::Keys { said_by, .. } => format!("the keys of {said_by}"),
            Login::Profile(name) => format!("the profile {name}"),
            Login::TokenFile => format!("the token of {TOKEN_FILE}"),
            Login::Container => "whom the container runs as".to_owned(),
            Login::Ambient if self.role.is_some() => "the workflow's identity, else the machine's".to_owned(),
            Login::Ambient => "whom the machine runs as".to_owned(),
        };
        let role = self.role.as_ref().map(|role| format!(", then {}", role.arn)).unwrap_or_default();
        About { place: format!("region {region}"), login: format!("{login}{role}"), hosts }
    }

    /// Looks at the files that the SDK is going to read by itself, whatever they are and however long.
    ///
    /// # Errors
    /// What one of them is instead of a file, and which variable names it.
    pub(super) fn check_files(&self) -> Result<(), Diagnostic> {
        for (name, below_home) in FILES {
            let path = match (self.variables.get(*name), self.variables.get("HOME"), below_home) {
                (Some(path), _, _) => PathBuf::from(path),
                (None, Some(home), Some(below_home)) => Path::new(home).join(below_home),
                _ => continue,
            };
            match files::check(&path, LARGEST_SETTINGS) {
                Err(error)
                    if error.kind() == ErrorKind::InvalidInput || error.kind() == ErrorKind::FileTooLarge =>
                {
                    let (id, reason) = (&self.id, plain_reason(&error));
                    return Err(Diagnostic::with_help(
                        format!("{id}: {} ({name}) cannot be read: {reason}", path.display()),
                        format!("Set {name} to a readable file, or unset it."),
                    ));
                }
                // The SDK itself reports that it does not exist or is not readable, if that matters.
                _ => {}
            }
        }
        Ok(())
    }

    /// The first login, for messages.
    pub(super) fn login_said(&self) -> String {
        match &self.login {
            Login::Keys { said_by, .. } => format!("the key in {said_by}"),
            Login::Profile(name) => format!("the shared profile `{name}`"),
            Login::TokenFile => "the token in `AWS_WEB_IDENTITY_TOKEN_FILE`".to_owned(),
            Login::Container => "the container's credentials".to_owned(),
            Login::Ambient => "the machine's credentials".to_owned(),
        }
    }
}

/// A token in a file needs a role: the SDK assumes the one in `AWS_ROLE_ARN`. Another one is assumed after that.
fn give_role_to_chain(role: &mut Option<Role>, variables: &mut HashMap<String, String>) {
    let of_chain = variables.get("AWS_ROLE_ARN");
    if role.as_ref().is_some_and(|role| of_chain.is_none_or(|arn| *arn == role.arn))
        && let Some(role) = role.take()
    {
        variables.insert("AWS_ROLE_ARN".to_owned(), role.arn);
        variables.insert("AWS_ROLE_SESSION_NAME".to_owned(), role.session);
    }
}

/// The settings while they are read.
struct Reading<'a> {
    options: &'a Options,
    settings: &'a Settings,
    service: &'static Service,
    /// Whether the source uses the vendor's own variables.
    own: bool,
}

impl Reading<'_> {
    fn environment(&self) -> &Environment {
        self.options.environment()
    }

    /// A setting of this source. If it does not set it, that of `aws` in an input or a variable: the usual reason for a second
    /// source is another service, region or role of the same account.
    fn said(&self, setting: &str, input: Option<&str>, variables: &[&str]) -> Option<SettingValue> {
        if let Some(text) = self.options.text(setting) {
            return Some(SettingValue { text: text.to_owned(), by: self.options.said_by(setting) });
        }
        let by_input = input.and_then(|input| {
            let text = self.settings.store_inputs.get(input)?;
            Some(SettingValue { text: text.trim().to_owned(), by: format!("the input `{input}`") })
        });
        by_input.or_else(|| {
            variables.iter().find_map(|name| {
                let text = self.environment().text(name)?.trim().to_owned();
                Some(SettingValue { text, by: format!("`{name}`") })
            })
        })
    }

    fn region(&self) -> Result<Option<SettingValue>> {
        let Some(region) = self.said("region", Some("aws-region"), &["AWS_REGION", "AWS_DEFAULT_REGION"])
        else {
            return Ok(None);
        };
        if !is_region(&region.text) {
            return Err(self.unusable(&region, "is not a valid region").help(
                "A region looks like `eu-central-1`; a city or a zone (`eu-central-1a`) is not a region. `aws ec2 describe-regions` lists them.",
            ));
        }
        Ok(Some(region))
    }

    fn endpoint(&self) -> Result<Option<SettingValue>> {
        let Some(endpoint) = self.said("endpoint-url", None, &self.service.endpoints) else {
            return Ok(None);
        };
        let url = reqwest::Url::parse(&endpoint.text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
        });
        if url.is_none() {
            let Service { name, host, .. } = self.service;
            return Err(self.unusable(&endpoint, "is not a server address").help(format!(
                "Write it with a scheme and nothing after the host, e.g. `https://vpce-….{host}.eu-central-1.vpce.amazonaws.com`, or remove it: the region determines the address of {name}.",
            )));
        }
        Ok(Some(endpoint))
    }

    /// A login that is not only this source's is for Amazon, or for the endpoint in the variables that it came with. A manifest
    /// must not send it to another server, which would get signed requests and the session token.
    fn belongs_to(&self, endpoint: &SettingValue, login: &Login) -> Result<()> {
        let keys = self.options.variable("ACCESS_KEY_ID");
        let own_keys =
            matches!(login, Login::Keys { said_by, .. } if !self.own && *said_by == format!("`{keys}`"));
        let url = reqwest::Url::parse(&endpoint.text).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let amazons = AMAZON.iter().any(|end| host.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')));
        let here = url.as_ref().is_some_and(net::is_this_machine);
        if !self.options.is_in_manifest("endpoint-url") || own_keys || amazons || here {
            return Ok(());
        }
        let origin = |text: &str| reqwest::Url::parse(text.trim()).ok().map(|url| url.origin());
        let mut named = self.service.endpoints.into_iter().filter_map(|name| self.environment().text(name));
        if named.any(|text| origin(text) == origin(&endpoint.text)) {
            return Ok(());
        }
        let id = &self.options.id;
        Err(Error::new(
            Code::Usage,
            format!("{id}: {} is not an Amazon address, but the login in the variables is for Amazon", endpoint.by),
        )
        .help(format!(
            "If this server should get the login, set `{}` to the same address in the step's `env:`. Otherwise, give the source its own id, and so its own keys: `other-aws: {{ kind: aws, endpoint-url: … }}` and `OTHER_AWS_ACCESS_KEY_ID`.",
            self.service.endpoints[0]
        )))
    }

    fn certificates(&self) -> Result<Option<Vec<u8>>> {
        let said = self.said("ca-certificates", None, &["AWS_CA_BUNDLE"]);
        said.map(|said| net::authorities(&said.text, &self.settings.workspace, &said.by)).transpose()
    }

    fn login(&self) -> Result<Login> {
        let profile = self.options.text("profile");
        let profile_by = self.options.said_by("profile");
        let by_variable = profile_by == format!("`{VENDOR}PROFILE`");
        let keys = self.keys(&self.options.variable(""))?;
        match (profile, keys) {
            // As in AWS's own tools: an explicit profile has priority over keys in variables, and these over a profile in a
            // variable.
            (Some(profile), None) => Ok(Login::Profile(profile.to_owned())),
            (Some(profile), Some(_)) if self.own && !by_variable => Ok(Login::Profile(profile.to_owned())),
            (Some(_), Some(Login::Keys { said_by, .. })) if !self.own => Err(Error::new(
                Code::Usage,
                format!("{}: two logins are configured, {profile_by} and {said_by}", self.options.id),
            )
            .help("Unset one of them.")),
            (_, Some(keys)) => Ok(keys),
            (None, None) => self.inherited_login(),
        }
    }

    /// The login of a source that has none of its own.
    fn inherited_login(&self) -> Result<Login> {
        if !self.own
            && let Some(keys) = self.keys(VENDOR)?
        {
            return Ok(keys);
        }
        let has = |name: &str| self.environment().value(name).is_some();
        if let Some(profile) = self.environment().text("AWS_PROFILE") {
            return Ok(Login::Profile(profile.to_owned()));
        }
        if has(TOKEN_FILE) {
            return Ok(Login::TokenFile);
        }
        Ok(if CONTAINER.into_iter().any(has) { Login::Container } else { Login::Ambient })
    }

    /// The keys in the variables with this prefix.
    fn keys(&self, prefix: &str) -> Result<Option<Login>> {
        let name = |end: &str| format!("{prefix}{end}");
        let key = |end: &str| -> Result<Option<String>> {
            let name = name(end);
            let Some(value) = self.environment().value(&name) else { return Ok(None) };
            let text = std::str::from_utf8(value.expose()).ok();
            // A header cannot contain such a text, and a signature made with it is never valid.
            match text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic())) {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(Error::new(
                    Code::Usage,
                    format!(
                        "{name} contains a space, a line break or another character that AWS keys do not have ({})",
                        value.shape()
                    ),
                )
                .help(
                    "Store it again without extra characters, such as a line break at its end.",
                )),
            }
        };
        let (id, secret, token) = (key("ACCESS_KEY_ID")?, key("SECRET_ACCESS_KEY")?, key("SESSION_TOKEN")?);
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some(Login::Keys {
                credentials: Credentials::new(id, secret, token, None, "variables"),
                said_by: format!("`{}`", name("ACCESS_KEY_ID")),
            })),
            (None, None) => Ok(None),
            (id, _) => {
                let (there, missing) = if id.is_some() {
                    (name("ACCESS_KEY_ID"), name("SECRET_ACCESS_KEY"))
                } else {
                    (name("SECRET_ACCESS_KEY"), name("ACCESS_KEY_ID"))
                };
                Err(Error::new(Code::Usage, format!("{there} is set, but {missing} is not set or is empty"))
                    .help(format!("Set both or neither. (A GitHub secret that does not exist arrives empty: check the one for {missing}.)")))
            }
        }
    }

    /// The role: for a source with its own login, only a setting of that source.
    fn role(&self, login: &Login) -> Option<SettingValue> {
        let own_login = match login {
            Login::Keys { said_by, .. } => *said_by != format!("`{VENDOR}ACCESS_KEY_ID`"),
            Login::Profile(_) => self.options.text("profile").is_some(),
            _ => false,
        };
        if own_login && !self.own {
            return self.said("role-arn", None, &[]);
        }
        self.said("role-arn", Some("aws-role-arn"), &["AWS_ROLE_ARN"])
    }

    fn checked(&self, role: SettingValue) -> Result<Role> {
        if !is_role(&role.text) {
            return Err(self.unusable(&role, "is not the ARN of a role").help(
                "A role's ARN is `arn:aws:iam::ACCOUNT:role/NAME`, as `aws iam get-role --role-name NAME --query Role.Arn` prints it.",
            ));
        }
        Ok(Role {
            arn: role.text,
            said_by: role.by,
            session: self.session_name()?,
            audience: self.options.text("audience").unwrap_or(AUDIENCE).to_owned(),
        })
    }

    /// The name that `CloudTrail` shows: the setting, else one that identifies the workflow run.
    fn session_name(&self) -> Result<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let Some(said) = self.said("role-session-name", None, &["AWS_ROLE_SESSION_NAME"]) else {
            let run = self.environment().text("GITHUB_RUN_ID").unwrap_or_default();
            let run: String = run.chars().filter(char::is_ascii_digit).take(20).collect();
            return Ok(if run.is_empty() {
                "claude-secrets".to_owned()
            } else {
                format!("claude-secrets-{run}")
            });
        };
        if !(2..=64).contains(&said.text.len()) || !said.text.chars().all(allowed) {
            return Err(self
                .unusable(&said, "is not a valid session name")
                .help("A session name consists of 2 to 64 letters, digits and `_+=,.@-`."));
        }
        Ok(said.text)
    }

    /// The variables for the SDK: AWS's own and the home directory. The keys are not included, because the login is chosen
    /// here.
    fn variables(&self) -> HashMap<String, String> {
        let keys =
            ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"].map(|end| format!("{VENDOR}{end}"));
        let vendors = self.environment().starting_with(VENDOR);
        let home = self.environment().text("HOME").map(|home| ("HOME", home));
        vendors
            .chain(home)
            .filter(|(name, _)| !keys.iter().any(|key| key == name))
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()
    }

    fn unusable(&self, said: &SettingValue, what: &str) -> Error {
        Error::new(
            Code::Usage,
            format!("{}: {} {what} ({})", self.options.id, said.by, count(said.text.len(), "character")),
        )
    }
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [start, partition, service, region, account, name] = parts.as_slice() else { return false };
    *start == "arn"
        && partition.starts_with("aws")
        && *service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.ends_with('/'))
        && name.chars().all(|c| c.is_ascii_graphic())
}
