//! What a fault means to who reads the report: which of the four replies it is, a sentence, and what helps.

use super::fault::{Coded, Fault};
use super::item::Wanted;
use super::setup::Setup;
use crate::sources::net::Failure;
use crate::sources::{Listing, Refusal, Refused, Reply};

/// The service that hands credentials out.
pub(super) const STS: &str = "STS";
/// The service that this source is.
const STORE: &str = "Secrets Manager";

/// What was called, as the sentences name it.
pub(super) struct Call<'a> {
    pub(super) setup: &'a Setup,
    /// The region that was asked.
    pub(super) region: &'a str,
    /// What it was about: a reference, or what was done.
    pub(super) what: &'a str,
    /// Whom it was sent to, for people.
    pub(super) service: &'static str,
    /// Whether it goes to another address than Amazon's own.
    pub(super) elsewhere: bool,
}

/// The reply to the question for one secret (errors of `GetSecretValue` and `BatchGetSecretValue`, and those that all
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
        "InvalidRequestException" => Refused::failed(
            format!("{reference}: the secret is marked for deletion, so that its value is not handed out {why}"),
            format!(
                "Take it back: `aws secretsmanager restore-secret --region {region} --secret-id {id}`. Or, when it is meant to go, take the reference out."
            ),
        )
        .reply(),
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => Refused::denied(
            format!("{reference}: {} may not read it {why}", call.who()),
            format!(
                "Add to the policy of the user or role:\n{{ \"Effect\": \"Allow\", \"Action\": \"secretsmanager:GetSecretValue\", \"Resource\": \"{}\" }}\nWhen the secret is encrypted with a KMS key of your own, also `kms:Decrypt` on that key.",
                wanted.resource()
            ),
        )
        .reply(),
        "DecryptionFailure" => Refused::failed(
            format!("{reference}: Secrets Manager cannot decrypt it with its KMS key {why}"),
            "Allow `kms:Decrypt` on the secret's KMS key to who is logged in, in the key's policy too, and see that the key is enabled and not marked for deletion.",
        )
        .reply(),
        "InvalidParameterException" | "ValidationException" => Refused::failed(
            format!("{reference}: Secrets Manager takes this for no name or version of a secret {why}"),
            "Write the name as `aws secretsmanager list-secrets` shows it; a version is a stage such as `AWSPREVIOUS`, or a version's id.",
        )
        .reply(),
        _ => call.refused(fault).reply(),
    }
}

/// The reply to the question what there is.
pub(super) fn of_list(fault: &Fault, call: &Call) -> Listing {
    match fault {
        Fault::Code(coded) if coded.code.starts_with("AccessDenied") => Refused::denied(
            format!("{}: {} may not list secrets {}", call.what, call.who(), why(coded)),
            "Add to the policy of the user or role:\n{ \"Effect\": \"Allow\", \"Action\": \"secretsmanager:ListSecrets\", \"Resource\": \"*\" }\nOr name each secret instead of `*`.",
        )
        .listing(),
        fault => call.refused(fault).listing(),
    }
}

impl<'a> Call<'a> {
    /// A call of Secrets Manager.
    pub(super) fn of_store(setup: &'a Setup, region: &'a str, what: &'a str) -> Self {
        Self { setup, region, what, service: STORE, elsewhere: setup.endpoint.is_some() }
    }

    /// What any call may end with.
    pub(super) fn refused(&self, fault: &Fault) -> Refused {
        match fault {
            Fault::Code(coded) => self.coded(coded),
            Fault::Net(failure) => Refused::Failed(self.without_answer(failure)),
            Fault::NoHost(host) => Refused::failed(
                format!("{}: there is no host {host}", self.what),
                if self.elsewhere {
                    "Correct `endpoint-url`, or `AWS_ENDPOINT_URL`.".to_owned()
                } else {
                    format!(
                        "Is {} right? Otherwise this machine's name server does not know the world: a proxy is named by HTTPS_PROXY.",
                        self.region_said()
                    )
                },
            ),
            Fault::Status(status) => Refused::failed(
                format!(
                    "{}: {} answered with status {status} and none of AWS's codes",
                    self.what,
                    self.server()
                ),
                format!(
                    "Is it {} that answers there, or a proxy before it? Otherwise run this again.",
                    self.service
                ),
            ),
            Fault::Garbled => Refused::failed(
                format!("{}: what {} answered is no answer of AWS's", self.what, self.server()),
                format!("Is it {} that answers there, or a proxy before it?", self.service),
            ),
        }
    }

    /// The codes that all actions have in common (docs.aws.amazon.com, "Common Errors" of Secrets Manager and of STS).
    fn coded(&self, coded: &Coded) -> Refused {
        let (what, why, login) = (self.what, why(coded), self.who());
        match coded.code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Refused::denied(
                format!("{what}: the credentials have expired ({login}) {why}"),
                "Get new ones right before this step; better let the workflow log in by itself: `aws-role-arn` and `permissions: { id-token: write }`.",
            ),
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "AuthFailure"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidToken" => Refused::denied(
                format!("{what}: AWS does not know these credentials ({login}) {why}"),
                format!(
                    "Is the key active, of this account, and the session token (`AWS_SESSION_TOKEN`) the one that belongs to it? Is {} enabled in the account?",
                    self.region_said()
                ),
            ),
            "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "RequestTimeTooSkewed" => Refused::denied(
                format!("{what}: AWS does not accept the signature ({login}) {why}"),
                "Either the secret access key is not the one that belongs to the access key's id, or this machine's clock is wrong by more than five minutes.",
            ),
            "AccessDenied" | "AccessDeniedException" => Refused::denied(
                format!("{what}: AWS does not allow it {why}"),
                "Is the role's trust policy right for who assumes it, and do its own policies allow what is asked? See docs/sources/aws.md.",
            ),
            "OptInRequired" | "RegionDisabledException" | "NotAuthorized" => Refused::failed(
                format!("{what}: {} is not enabled in the account {why}", self.region_said()),
                "Enable the region in the account's settings, or name another one.",
            ),
            code if is_throttled(code) => Refused::failed(
                format!("{what}: {} takes no more requests for now {why}", self.server()),
                "Run this again in a while; `secretsmanager:BatchGetSecretValue` needs one request for twenty secrets instead of one for each.",
            ),
            "InternalFailure"
            | "InternalServiceError"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => Refused::failed(
                format!("{what}: {} has a fault of its own {why}", self.server()),
                "Run this again; if it stays so, look at health.aws.amazon.com.",
            ),
            _ => Refused::failed(
                format!("{what}: {} refused {why}", self.server()),
                "Look the code up in the API reference of the service; AWS's support can look the request's id up.",
            ),
        }
    }

    fn without_answer(&self, failure: &Failure) -> Refusal {
        let refusal = failure.refusal(self.what, &self.server());
        match failure {
            Failure::Connect(_) if !self.elsewhere => Refusal::new(
                refusal.fact,
                format!(
                    "Is {} right, and can this machine reach AWS? A proxy is named by HTTPS_PROXY, what goes past it by NO_PROXY.",
                    self.region_said()
                ),
            ),
            _ => refusal,
        }
    }

    /// Who asks: who logs in, or the role that was assumed by that.
    fn who(&self) -> String {
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

/// The code and the request's id, which AWS's own people ask for.
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
