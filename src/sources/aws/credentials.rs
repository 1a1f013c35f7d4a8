//! Logs in once a run: with the configured credentials or those that the SDK's own chain finds, and with the role that is
//! assumed with them or with the workflow's identity token. Nothing is written to disk.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::config::retry::RetryPartition;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::client::{self, RetryAfter};
use super::fault::{self, Fault, within};
use super::refusal::{Call, STS, why};
use super::setup::{Login, Role, Setup};
use crate::secret::SecretValue;
use crate::sources::SourceError;
use crate::sources::identity::{self, Identity};
use crate::sources::net::{Failure, Network, cause};
use crate::sources::subject;

/// How long a session lasts: the minimum of STS, which is longer than any run of the sources.
const SESSION_SECONDS: i32 = 900;

/// The login.
pub(super) struct Session {
    /// The source's own region.
    pub(super) region: String,
    config: SdkConfig,
    credentials: Credentials,
    endpoint: Option<String>,
    partition: RetryPartition,
    deadline: Instant,
}

impl Session {
    /// Logs in.
    pub(super) async fn start(
        setup: &Setup,
        network: &Network,
        identity: &Identity,
    ) -> Result<Self, SourceError> {
        let start = Start { setup, network, identity, partition: client::partition(setup) };
        let late = || {
            let failure = Failure::Deadline(network.timeout());
            SourceError::Failed(failure.refusal(&format!("{}: logging in", setup.id), "AWS"))
        };
        timeout_at(network.deadline(), start.session()).await.unwrap_or_else(|_| Err(late()))
    }

    /// The SDK's configuration for a region, with the login.
    pub(super) fn config(&self, region: &str) -> SdkConfig {
        let credentials = SharedCredentialsProvider::new(self.credentials.clone());
        let config = self.config.to_builder().region(Region::new(region.to_owned()));
        let config = config.credentials_provider(credentials);
        match &self.endpoint {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        }
    }

    /// The retry quota of this source.
    pub(super) fn partition(&self) -> RetryPartition {
        self.partition.clone()
    }

    /// What is retried besides what the SDK retries.
    pub(super) fn retry_after(&self) -> RetryAfter {
        RetryAfter { deadline: self.deadline }
    }
}

/// The input of a login.
struct Start<'a> {
    setup: &'a Setup,
    network: &'a Network,
    identity: &'a Identity,
    partition: RetryPartition,
}

impl Start<'_> {
    async fn session(self) -> Result<Session, SourceError> {
        let setup = self.setup;
        setup.check_files().map_err(SourceError::Failed)?;
        let mut loader = client::loader(setup, self.network).map_err(SourceError::no_client)?;
        if let Some(region) = &setup.region {
            loader = loader.region(Region::new(region.text.clone()));
        }
        match &setup.login {
            Login::Keys { credentials, .. } => loader = loader.credentials_provider(credentials.clone()),
            Login::Profile(name) => loader = loader.profile_name(name),
            Login::Ambient if self.by_workflow().is_some() => loader = loader.no_credentials(),
            _ => {}
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(ToString::to_string) else { return Err(no_region(setup)) };
        let credentials = self.credentials(&config, &region).await?;
        Ok(Session {
            region,
            config,
            credentials,
            endpoint: setup.endpoint.as_ref().map(|endpoint| endpoint.text.clone()),
            partition: self.partition,
            deadline: self.network.deadline(),
        })
    }

    /// The role that the workflow assumes with its identity token.
    fn by_workflow(&self) -> Option<&Role> {
        let nobody_else = matches!(self.setup.login, Login::Ambient) && self.identity.is_there();
        self.setup.role.as_ref().filter(|_| nobody_else)
    }

    async fn credentials(&self, config: &SdkConfig, region: &str) -> Result<Credentials, SourceError> {
        if let Some(role) = self.by_workflow() {
            return self.assume_by_token(role, config, region).await;
        }
        let base = self.named(config, region).await?;
        match &self.setup.role {
            Some(role) => self.assume(role, base, config, region).await,
            None => Ok(base),
        }
    }

    /// The first login.
    async fn named(&self, config: &SdkConfig, region: &str) -> Result<Credentials, SourceError> {
        let setup = self.setup;
        if let Login::Keys { credentials, .. } = &setup.login {
            return Ok(credentials.clone());
        }
        let Some(provider) = config.credentials_provider() else {
            return Err(self.without_credentials().await);
        };
        let credentials = match provider.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(CredentialsError::CredentialsNotLoaded(_)) => return Err(self.without_credentials().await),
            Err(error) => return Err(self.not_loaded(&error, region)),
        };
        // For a profile that does not exist, the SDK would try the next in its chain: the machine's own credentials.
        let by_profile = credentials
            .get_property::<Vec<AwsCredentialFeature>>()
            .is_some_and(|all| all.contains(&AwsCredentialFeature::CredentialsProfile));
        if matches!(setup.login, Login::Profile(_)) && !by_profile {
            return Err(self.without_credentials().await);
        }
        // Their expiry does not matter: this run uses them at once.
        Ok(Credentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key(),
            credentials.session_token().map(str::to_owned),
            None,
            "chain",
        ))
    }

    /// `sts:AssumeRoleWithWebIdentity` with the workflow's identity token.
    async fn assume_by_token(
        &self,
        role: &Role,
        config: &SdkConfig,
        region: &str,
    ) -> Result<Credentials, SourceError> {
        let token = self.identity.token(&role.audience).await;
        let token = token.map_err(|refusal| SourceError::Failed(refusal.about(self.setup.id.as_str())))?;
        let request = self
            .sts(config, None)
            .assume_role_with_web_identity()
            .role_arn(&role.arn)
            .role_session_name(&role.session)
            .web_identity_token(String::from_utf8_lossy(token.expose()))
            .duration_seconds(SESSION_SECONDS);
        let answer = within(self.network, request.send()).await;
        let answer = answer.map_err(|fault| self.not_assumed(&fault, role, region, Some(&token)))?;
        of_sts(answer.credentials.as_ref())
            .ok_or_else(|| self.not_assumed(&Fault::Garbled, role, region, Some(&token)))
    }

    /// `sts:AssumeRole` with other credentials.
    async fn assume(
        &self,
        role: &Role,
        base: Credentials,
        config: &SdkConfig,
        region: &str,
    ) -> Result<Credentials, SourceError> {
        let request = self
            .sts(config, Some(base))
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.session)
            .duration_seconds(SESSION_SECONDS);
        let answer = within(self.network, request.send()).await;
        let answer = answer.map_err(|fault| self.not_assumed(&fault, role, region, None))?;
        of_sts(answer.credentials.as_ref())
            .ok_or_else(|| self.not_assumed(&Fault::Garbled, role, region, None))
    }

    fn sts(&self, config: &SdkConfig, credentials: Option<Credentials>) -> aws_sdk_sts::Client {
        let mut config = aws_sdk_sts::config::Builder::from(config)
            .retry_partition(self.partition.clone())
            .retry_classifier(RetryAfter { deadline: self.network.deadline() });
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// There are no credentials.
    async fn without_credentials(&self) -> SourceError {
        let setup = self.setup;
        let id = &setup.id;
        match (&setup.login, &setup.role) {
            (Login::Profile(name), _) => SourceError::failed(
                format!("{id}: no shared profile `{name}` with credentials found"),
                "Correct its name, or the files: `AWS_CONFIG_FILE` (else ~/.aws/config) and `AWS_SHARED_CREDENTIALS_FILE` (else ~/.aws/credentials), as this program sees them: in the action's container the home directory is not the runner's. Profiles of IAM Identity Center (SSO) are not supported.",
            ),
            (Login::TokenFile, None) => SourceError::failed(
                format!("{id}: AWS_WEB_IDENTITY_TOKEN_FILE is set, but there is no role to assume with it"),
                "Set `AWS_ROLE_ARN`, or `role-arn`.",
            ),
            // The workflow may not request a token, and there are no other credentials: report the former.
            (_, Some(role)) => match self.identity.token(&role.audience).await {
                Err(refusal) => SourceError::failed(
                    format!("{id}: cannot assume the role of {}: {}", role.said_by, refusal.fact),
                    refusal.help.unwrap_or_default(),
                ),
                Ok(_) => self.no_credentials(),
            },
            _ => self.no_credentials(),
        }
    }

    fn no_credentials(&self) -> SourceError {
        SourceError::failed(
            format!("{}: no AWS credentials found", self.setup.id),
            "In a workflow: `aws-role-arn` with\npermissions:\n  id-token: write\n  contents: read\nElsewhere: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a shared profile (`profile`), or a role of the machine.",
        )
    }

    /// Credentials are configured, but the SDK could not log in with them.
    fn not_loaded(&self, error: &CredentialsError, region: &str) -> SourceError {
        let what = format!("{}: logging in with {}", self.setup.id, self.setup.login_said());
        let call = Call { setup: self.setup, region, what: &what, service: STS, elsewhere: false };
        if let Some(fault) = of_login(error) {
            return call.refused(&fault);
        }
        let tells_more = "Try `aws sts get-caller-identity` with the same variables and files for details.";
        if matches!(error, CredentialsError::ProviderTimedOut(_)) {
            return SourceError::Failed(
                Failure::Silent.refusal(&what, "the service that provides the credentials"),
            );
        }
        match (&self.setup.login, cause::<std::io::Error>(error)) {
            (Login::Profile(_), _) => SourceError::failed(
                format!("{what}: it provides no credentials"),
                format!(
                    "{tells_more} Profiles of IAM Identity Center (SSO) and `credential_source = Environment` are not supported."
                ),
            ),
            (Login::TokenFile, Some(reason)) => SourceError::failed(
                format!("{what}: the file cannot be read: {}", crate::error::plain_reason(reason)),
                "Correct the path; the action's container can only access the workspace.",
            ),
            _ => SourceError::failed(format!("{what}: no credentials were provided"), tells_more),
        }
    }

    /// Why the role could not be assumed; with the identity token, if it was used.
    fn not_assumed(
        &self,
        fault: &Fault,
        role: &Role,
        region: &str,
        token: Option<&SecretValue>,
    ) -> SourceError {
        let what = format!("{}: assuming the role {} ({})", self.setup.id, role.arn, role.said_by);
        let call = Call { setup: self.setup, region, what: &what, service: STS, elsewhere: false };
        let Fault::Code(coded) = fault else { return call.refused(fault) };
        let because = why(coded);
        match (coded.code.as_str(), token) {
            ("AccessDenied" | "AccessDeniedException", Some(token)) => SourceError::denied(
                format!("{what}: it does not trust this workflow {because}"),
                trust(role, token),
            ),
            ("AccessDenied" | "AccessDeniedException", None) => SourceError::denied(
                format!("{what}: {} is not allowed to assume it {because}", self.setup.login_said()),
                format!(
                    "Both sides must allow it: the role's trust policy must allow `sts:AssumeRole` for this login, and a policy of this login must have\n{{ \"Effect\": \"Allow\", \"Action\": \"sts:AssumeRole\", \"Resource\": \"{}\" }}\nIf these are already the role's credentials, remove `role-arn`.",
                    role.arn
                ),
            ),
            ("InvalidIdentityToken" | "InvalidIdentityTokenException" | "IDPRejectedClaim", _) => {
                SourceError::denied(
                    format!("{what}: the account does not accept the workflow's identity token {because}"),
                    format!(
                        "Register GitHub's issuer with this audience once in the account: `aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list {}`",
                        role.audience
                    ),
                )
            }
            ("ValidationError" | "ValidationErrorException", _) => SourceError::failed(
                format!("{what}: STS does not accept the role or the session name {because}"),
                "Compare it with `aws iam get-role --role-name NAME --query Role.Arn`.",
            ),
            _ => call.refused(fault),
        }
    }
}

/// The statement for the role's trust policy, to paste.
fn trust(role: &Role, token: &SecretValue) -> String {
    let claim = |name: &str| identity::claim(token, name);
    let subject = claim("sub").unwrap_or_else(|| "repo:OWNER/REPOSITORY:environment:NAME".to_owned());
    let provider = role.arn.split(":role/").next().unwrap_or_default();
    let compare = subject::other_form_said(token).map(|said| said + "\n").unwrap_or_default();
    // The ID is stable when the repository is renamed; AWS also requires the subject.
    let by_number = claim("repository_id").map(|number| {
        format!(",\n    \"token.actions.githubusercontent.com:repository_id\": {}", json!(number))
    });
    format!(
        "{compare}Allow this job in the role's trust policy:\n{{ \"Effect\": \"Allow\", \"Action\": \"sts:AssumeRoleWithWebIdentity\",\n  \"Principal\": {{ \"Federated\": \"{provider}:oidc-provider/token.actions.githubusercontent.com\" }},\n  \"Condition\": {{ \"StringEquals\": {{\n    \"token.actions.githubusercontent.com:aud\": {},\n    \"token.actions.githubusercontent.com:sub\": {}{} }} }} }}",
        json!(role.audience),
        json!(subject),
        by_number.unwrap_or_default()
    )
}

fn no_region(setup: &Setup) -> SourceError {
    SourceError::failed(
        format!("{}: no AWS region configured", setup.id),
        format!(
            "Set the input `aws-region`, `AWS_REGION`, or `sources: {{ {}: {{ region: eu-central-1 }} }}` in the manifest.",
            setup.id
        ),
    )
}

/// The refusal behind an error of the SDK's own chain, if it came from STS or from the network.
fn of_login(error: &CredentialsError) -> Option<Fault> {
    let by_token = cause::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>(error).map(Fault::of);
    let by_role = || cause::<SdkError<AssumeRoleError, HttpResponse>>(error).map(Fault::of);
    by_token.or_else(by_role).or_else(|| fault::of_chain(error))
}

fn of_sts(credentials: Option<&aws_sdk_sts::types::Credentials>) -> Option<Credentials> {
    let credentials = credentials?;
    Some(Credentials::new(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        Some(credentials.session_token.clone()),
        None,
        "role",
    ))
}
