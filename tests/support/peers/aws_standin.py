"""ministack, with what AWS STS has besides: conditions on those claims of a workflow's token that it takes from GitHub's
issuer since January 2026 (docs.aws.amazon.com, "IAM and AWS STS condition context keys", keys for OIDC federation).
ministack 1.5.33 knows `aud`, `sub` and `amr` alone."""

from ministack.app import main
from ministack.services import cognito, sts

GITHUB = "token.actions.githubusercontent.com"
CLAIMS = (
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "workflow",
)

_of_every_issuer = sts._web_identity_principal


def _with_githubs(token, provider_id, role_arn):
    principal, keys = _of_every_issuer(token, provider_id, role_arn)
    if principal.endswith(f"/{GITHUB}"):
        claims = cognito._decode_id_token_unverified(token)
        keys |= {f"{GITHUB}:{name}": claims[name] for name in CLAIMS if name in claims}
    return principal, keys


sts._web_identity_principal = _with_githubs
main()
