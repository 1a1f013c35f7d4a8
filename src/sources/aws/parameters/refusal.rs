//! What a fault means for the user: which of the four replies it is, a message, and a remedy.

use super::super::fault::Fault;
use super::super::refusal::{Call, why};
use super::super::setup::Setup;
use super::name::Wanted;
use crate::sources::{Listing, Reply, SourceError};

/// The reply for a parameter that is not there.
pub(super) fn absent(wanted: &Wanted) -> Reply {
    let missing =
        if wanted.version.is_some() { "no such parameter, version or label" } else { "no such parameter" };
    Reply::Absent(format!("{} in {} ({missing})", wanted.reference, wanted.region))
}

/// The reply for one parameter (errors of `GetParameter` and `GetParameters`, and those that all actions of AWS have in
/// common).
pub(super) fn of_read(fault: &Fault, wanted: &Wanted, setup: &Setup) -> Reply {
    let call = Call::of_store(setup, &wanted.region, &wanted.reference);
    let reference = &wanted.reference;
    let Fault::Code(coded) = fault else { return call.refused(fault).reply() };
    let why = why(coded);
    match coded.code.as_str() {
        "ParameterNotFound" | "ParameterVersionNotFound" => absent(wanted),
        "AccessDeniedException" | "AccessDenied" => SourceError::denied(
            format!("{reference}: {} is not allowed to read it {why}", call.who()),
            format!(
                "Add to the policy of the user or role:\n{{ \"Effect\": \"Allow\", \"Action\": [\"ssm:GetParameter\", \"ssm:GetParameters\"], \"Resource\": \"{}\" }}\nIf the parameter is encrypted with your own KMS key, also allow `kms:Decrypt` on that key.",
                wanted.resource()
            ),
        )
        .reply(),
        "InvalidKeyId" => SourceError::failed(
            format!("{reference}: Parameter Store cannot decrypt it with its KMS key {why}"),
            "Allow `kms:Decrypt` on the parameter's KMS key for this login, also in the key's policy, and check that the key is enabled and not scheduled for deletion.",
        )
        .reply(),
        "ValidationException" => SourceError::failed(
            format!("{reference}: Parameter Store does not accept this as the name or version of a parameter {why}"),
            "Write the name as `aws ssm describe-parameters` shows it; a version is a number, or a label.",
        )
        .reply(),
        _ => call.refused(fault).reply(),
    }
}

/// The reply for a list.
pub(super) fn of_list(fault: &Fault, call: &Call) -> Listing {
    match fault {
        Fault::Code(coded) if coded.code.starts_with("AccessDenied") => SourceError::denied(
            format!("{}: {} is not allowed to list parameters {}", call.what, call.who(), why(coded)),
            "Add to the policy of the user or role:\n{ \"Effect\": \"Allow\", \"Action\": \"ssm:DescribeParameters\", \"Resource\": \"*\" }\nOr declare each secret instead of using `*`.",
        )
        .listing(),
        fault => call.refused(fault).listing(),
    }
}
