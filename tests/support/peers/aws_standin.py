"""ministack, with what AWS has besides.

STS: conditions on those claims of a workflow's token that it takes from GitHub's issuer since January 2026
(docs.aws.amazon.com, "IAM and AWS STS condition context keys", keys for OIDC federation). ministack 1.5.33 knows `aud`,
`sub` and `amr` alone.

Systems Manager: reading many parameters needs the permission for each of them, and reading below a path the one for that
path (docs.aws.amazon.com, "Actions, resources, and condition keys for AWS Systems Manager"). ministack 1.5.33 asks for `*`."""

import json

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import cognito, ssm, sts

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


class Several(str):
    """The resource of a request that has several."""

    all = ()


_one_resource = iam_actions.extract_resource_arn
_enforce_one = iam_evaluator.enforce


def _parameter(name, region, account):
    name, _ = ssm._split_selector(name)
    if name.startswith("arn:"):
        return name
    return f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}"


def _resources(service, method, path, headers, body, query_params, region, account_id):
    if service == "ssm":
        request = json.loads(body or b"{}")
        names = request.get("Names") or [request[key] for key in ("Name", "Path") if key in request]
        if names:
            found = Several("*")
            found.all = [_parameter(name, region, account_id) for name in names]
            return found
    return _one_resource(service, method, path, headers, body, query_params, region, account_id)


def _enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    for one in getattr(resource_arn, "all", [resource_arn]):
        denied = _enforce_one(access_key_id, iam_action, service, region, resource_arn=one, service_context=service_context)
        if denied:
            return denied
    return None


iam_actions.extract_resource_arn = _resources
iam_evaluator.enforce = _enforce
main()
