//! What a fault means for the user: which of the four replies it is, a message, and a remedy.

use super::fault::{Coded, Fault};
use super::item::Wanted;
use super::setup::Setup;
use crate::diagnostic::Diagnostic;
use crate::sources::net::Failure;
use crate::sources::{Listing, Reply, SourceError};

/// The service that provides credentials.
pub(super) const STS: &str = "STS";

/// The called service, for messages.
pub(super) struct Call<'a> {
    pub(super) setup: &'a Setup,
    /// The region of the request.
    pub(super) region: &'a str,
    /// The subject: a reference, or an action.
    pub(super) what: &'a str,
    /// The server, for messages.
    pub(super) service: &'static str,
    /// Whether the address is not Amazon's own.
    pub(super) elsewhere: bool,
}

/// The reply for one secret (errors of `GetSecretValue` and `BatchGetSecretValue`, and those that all
/// actions of AWS have in common).
pub(super) fn of_read(fault: &Fault, wanted: &Wanted, setup: &Setup) -> Reply {
    let call = Call::of_store(setup, &wanted.region, &wanted.reference);
    let Wanted { reference, region, id, .. } = wanted;
    let Fault::Code(coded) = fault else { return call.refused(fault).reply() };
    let why = why(coded);
    match coded.code.as_str() {
        "ResourceNotFoundException" => {
            Reply::Absent(format!("{reference} in {region} (no such secret, or one without a value)"))
        }
        "InvalidRequestException" => SourceError::failed(
            format!("{reference}: the secret is scheduled for deletion, so its value cannot be read {why}"),
            format!(
                "Restore it: `aws secretsmanager restore-secret --region {region} --secret-id {id}`. Or, if it should be deleted, remove the reference."
            ),
        )
        .reply(),
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => SourceError::denied(
            format!("{reference}: {} is not allowed to read it {why}", call.who()),
            format!(
                "Add to the policy of the user or role:\n{{ \"Effect\": \"Allow\", \"Action\": \"secretsmanager:GetSecretValue\", \"Resource\": \"{}\" }}\nIf the secret is encrypted with your own KMS key, also allow `kms:Decrypt` on that key.",
                wanted.resource()
            ),
        )
        .reply(),
        "DecryptionFailure" => SourceError::failed(
            format!("{reference}: Secrets Manager cannot decrypt it with its KMS key {why}"),
            "Allow `kms:Decrypt` on the secret's KMS key for this login, also in the key's policy, and check that the key is enabled and not scheduled for deletion.",
        )
        .reply(),
        "InvalidParameterException" | "ValidationException" => SourceError::failed(
            format!("{reference}: Secrets Manager does not accept this as the name or version of a secret {why}"),
            "Write the name as `aws secretsmanager list-secrets` shows it; a version is a stage such as `AWSPREVIOUS`, or a version's id.",
        )
        .reply(),
        _ => call.refused(fault).reply(),
    }
}

/// The reply for a list.
pub(super) fn of_list(fault: &Fault, call: &Call) -> Listing {
    match fault {
        Fault::Code(coded) if coded.code.starts_with("AccessDenied") => SourceError::denied(
            format!("{}: {} is not allowed to list secrets {}", call.what, call.who(), why(coded)),
            "Add to the policy of the user or role:\n{ \"Effect\": \"Allow\", \"Action\": \"secretsmanager:ListSecrets\", \"Resource\": \"*\" }\nOr declare each secret instead of using `*`.",
        )
        .listing(),
        fault => call.refused(fault).listing(),
    }
}

impl<'a> Call<'a> {
    /// A call of the source's own service.
    pub(super) fn of_store(setup: &'a Setup, region: &'a str, what: &'a str) -> Self {
        Self { setup, region, what, service: setup.service.name, elsewhere: setup.endpoint.is_some() }
    }

    /// The errors of any call.
    pub(super) fn refused(&self, fault: &Fault) -> SourceError {
        match fault {
            Fault::Code(coded) => self.coded(coded),
            Fault::Net(failure) => SourceError::Failed(self.without_answer(failure)),
            Fault::NoHost(host) => SourceError::failed(
                format!("{}: unknown host {host}", self.what),
                if self.elsewhere {
                    "Correct `endpoint-url`, or `AWS_ENDPOINT_URL`.".to_owned()
                } else {
                    format!(
                        "Check {}. If it is correct, this machine's DNS does not resolve public names: set a proxy in HTTPS_PROXY.",
                        self.region_said()
                    )
                },
            ),
            Fault::Status(status) => SourceError::failed(
                format!(
                    "{}: {} answered with status {status} and without an AWS error code",
                    self.what,
                    self.server()
                ),
                format!(
                    "Check whether {} answers there, or a proxy in front of it. Otherwise, run this again.",
                    self.service
                ),
            ),
            Fault::Garbled => SourceError::failed(
                format!("{}: the response of {} is not an AWS response", self.what, self.server()),
                format!("Check whether {} answers there, or a proxy in front of it.", self.service),
            ),
        }
    }

    /// The codes that all actions have in common (docs.aws.amazon.com, "Common Errors" of Secrets Manager, Systems Manager and STS).
    fn coded(&self, coded: &Coded) -> SourceError {
        let (what, why, login) = (self.what, why(coded), self.who());
        match coded.code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => SourceError::denied(
                format!("{what}: the credentials have expired ({login}) {why}"),
                "Get new ones right before this step, or better, let the workflow log in by itself: `aws-role-arn` and `permissions: { id-token: write }`.",
            ),
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "AuthFailure"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidToken" => SourceError::denied(
                format!("{what}: AWS does not know these credentials ({login}) {why}"),
                format!(
                    "Check that the key is active and belongs to this account, that the session token (`AWS_SESSION_TOKEN`) belongs to the key, and that {} is enabled in the account.",
                    self.region_said()
                ),
            ),
            "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "RequestTimeTooSkewed" => SourceError::denied(
                format!("{what}: AWS does not accept the signature ({login}) {why}"),
                "Either the secret access key does not belong to the access key ID, or this machine's clock is off by more than five minutes.",
            ),
            "AccessDenied" | "AccessDeniedException" => SourceError::denied(
                format!("{what}: AWS does not allow it {why}"),
                "Check that the role's trust policy allows this login to assume it, and that its own policies allow the request. See docs/sources/aws.md.",
            ),
            "OptInRequired" | "RegionDisabledException" | "NotAuthorized" => SourceError::failed(
                format!("{what}: {} is not enabled in the account {why}", self.region_said()),
                "Enable the region in the account's settings, or use another one.",
            ),
            code if is_throttled(code) => SourceError::failed(
                format!("{what}: {} is throttling requests {why}", self.server()),
                format!("Run this again later. {}", self.setup.service.fewer_requests),
            ),
            "InternalFailure"
            | "InternalServiceError"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => SourceError::failed(
                format!("{what}: {} reported an internal error {why}", self.server()),
                "Run this again; if the error persists, check health.aws.amazon.com.",
            ),
            _ => SourceError::failed(
                format!("{what}: {} refused the request {why}", self.server()),
                "Look up the code in the service's API reference; AWS Support can look up the request ID.",
            ),
        }
    }

    fn without_answer(&self, failure: &Failure) -> Diagnostic {
        let refusal = failure.refusal(self.what, &self.server());
        match failure {
            Failure::Connect(_) if !self.elsewhere => Diagnostic::with_help(
                refusal.fact,
                format!(
                    "Check {}, and that this machine can reach AWS. Set a proxy in HTTPS_PROXY, and hosts that bypass it in NO_PROXY.",
                    self.region_said()
                ),
            ),
            _ => refusal,
        }
    }

    /// The principal of the request: the login, or the role that it assumed.
    pub(super) fn who(&self) -> String {
        match &self.setup.role {
            Some(role) if self.service != STS => format!("the role {}", role.arn),
            _ => self.setup.login_said(),
        }
    }

    fn server(&self) -> String {
        match &self.setup.endpoint {
            Some(endpoint) if self.service != STS => format!("{} at {}", self.service, endpoint.text),
            _ => format!("{} in {}", self.service, self.region),
        }
    }

    fn region_said(&self) -> String {
        match &self.setup.region {
            Some(said) if said.text == self.region => format!("the region {} ({})", self.region, said.by),
            _ => format!("the region {}", self.region),
        }
    }
}

/// The code and the request ID, which AWS Support asks for.
pub(super) fn why(coded: &Coded) -> String {
    match &coded.request {
        Some(request) => format!("({}, request {request})", coded.code),
        None => format!("({})", coded.code),
    }
}

fn is_throttled(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "SlowDown"
    )
}
