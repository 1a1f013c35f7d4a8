"""What a machine offers to what runs on it: the metadata service of an Azure virtual machine (learn.microsoft.com,
"How to use managed identities to acquire an access token"), and the runner's endpoint of GitHub's identity tokens."""

import time

import entra
import tokens
from answer import Answer
from world import SUBJECTS, TENANT

METADATA = "/metadata/identity/oauth2/token"
IDENTITY_TOKEN = "/identity-token"
BEARER = "the-runner-token"


def serve(world, method, path, query, headers, _body):
    """Answers what is asked of the machine."""
    if method == "GET" and path == METADATA:
        with world.lock:
            return _managed_identity(world, query, headers)
    if method == "GET" and path == IDENTITY_TOKEN:
        return _identity_token(query, headers)
    return Answer(404, "not found", {"Content-Type": "text/plain"})


def _managed_identity(world, query, headers):
    if headers.get("Metadata") != "true" or headers.get("X-Forwarded-For"):
        return _bad("Required metadata header not specified")
    if not query.get("api-version") or not query.get("resource"):
        return _bad("Required query variables are missing")
    if query.get("client_id") not in world.identities:
        return _bad("Identity not found")
    token = entra.issue(world, TENANT, query["resource"])
    until = int(time.time()) + 86399
    return Answer(
        200,
        {
            "access_token": token,
            "client_id": query.get("client_id", "the system's own"),
            "expires_in": "86399",
            "expires_on": str(until),
            "ext_expires_in": "86399",
            "not_before": str(int(time.time())),
            "resource": query["resource"],
            "token_type": "Bearer",
        },
    )


def _identity_token(query, headers):
    """GitHub's endpoint. `subject`, `issuer` and `lifetime` in the URL say what the token holds."""
    if headers.get("Authorization") != f"Bearer {BEARER}":
        return Answer(401, {"message": "Unauthorized"})
    token = tokens.issue(
        query.get("audience", "https://github.com/octo-org"),
        query.get("subject", SUBJECTS[0]),
        int(query.get("lifetime", 300)),
        query.get("issuer", tokens.ISSUER),
    )
    return Answer(200, {"count": len(token), "value": token})


def _bad(text):
    return Answer(400, {"error": "invalid_request", "error_description": text})
