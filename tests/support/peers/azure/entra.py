"""Microsoft Entra ID: tokens for applications, by secret, certificate or federated token, and its refusals by number
(learn.microsoft.com, "OAuth 2.0 client credentials flow" and "error codes"; the texts are our own but for their start).
"""

import base64
import hashlib
import re
import secrets
import time
import uuid
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import tokens
from answer import Answer
from world import APPLICATIONS, CLOUDS, OTHER_TENANT, TENANT

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_AUDIENCES = {
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
}


class Refused(Exception):
    """The token endpoint's refusal: status, OAuth's error, Entra's number, text."""


def serve(world, host, method, path, _query, headers, body):
    """Answers a request to a login host."""
    base = f"https://{host}"
    if path == "/common/discovery/instance":
        return Answer(
            200,
            {
                "tenant_discovery_endpoint": f"{base}/{TENANT}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            },
        )
    tenant = path.split("/")[1]
    if path.endswith("/v2.0/.well-known/openid-configuration"):
        return Answer(
            200,
            {
                "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
                "issuer": f"{base}/{tenant}/v2.0",
                "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
            },
        )
    if method != "POST" or path != f"/{tenant}/oauth2/v2.0/token":
        return Answer(404)
    if headers.get("Content-Type", "").split(";")[0] != "application/x-www-form-urlencoded":
        return _refusal(host, 400, "invalid_request", 900144, "The request body must be a form.")
    form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
    try:
        return _token(world, host, tenant, form)
    except Refused as refused:
        return _refusal(host, *refused.args)


def _token(world, host, tenant, form):
    if not re.fullmatch(r"[0-9a-fA-F-]{36}|[0-9a-zA-Z.-]+\.[a-z]+", tenant):
        raise Refused(
            400,
            "invalid_request",
            900023,
            f"Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
        )
    if tenant not in (TENANT, OTHER_TENANT):
        raise Refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    if form.get("grant_type") != "client_credentials":
        raise Refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    client = form.get("client_id")
    application = APPLICATIONS.get(client)
    if application is None:
        raise Refused(
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{client}' was not found in the directory.",
        )
    if application.get("disabled"):
        raise Refused(400, "unauthorized_client", 7000112, f"Application '{client}' is disabled.")
    if "client_assertion" in form:
        _check_assertion(world, host, tenant, client, application, form)
    elif "client_secret" not in form:
        raise Refused(
            401, "invalid_client", 7000218, "The request body must contain 'client_assertion' or 'client_secret'."
        )
    elif form["client_secret"] != application["secret"]:
        raise Refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
    elif application.get("expired"):
        raise Refused(
            401, "invalid_client", 7000222, f"The provided client secret keys for app '{client}' are expired."
        )
    resource = f"https://{CLOUDS[host]}"
    if form.get("scope") != f"{resource}/.default":
        raise Refused(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
    token = issue(world, tenant, resource)
    return Answer(
        200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}, _no_store()
    )


def issue(world, tenant, resource):
    """A new access token for a resource."""
    token = secrets.token_urlsafe(48)
    world.tokens[token] = {"tenant": tenant, "resource": resource, "until": time.time() + 3599}
    return token


def _check_assertion(world, host, tenant, client, application, form):
    if form.get("client_assertion_type") != _JWT_BEARER:
        raise Refused(401, "invalid_client", 7000218, "The request body must contain 'client_assertion_type'.")
    token = tokens.read(form["client_assertion"])
    if token is None:
        raise Refused(400, "invalid_request", 50027, "JWT token is invalid or malformed.")
    header, claims, signed_by_issuer = token
    if claims.get("iss") == client:
        endpoint = f"https://{host}/{tenant}/oauth2/v2.0/token"
        _check_own_assertion(world, client, endpoint, header, claims, form["client_assertion"])
    else:
        _check_federated(host, application, claims, signed_by_issuer)
    if not claims.get("nbf", 0) - 300 <= time.time() < claims.get("exp", 0) + 300:
        raise Refused(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")


def _check_own_assertion(world, client, endpoint, header, claims, assertion):
    """An assertion that the application signed with its certificate's key
    (learn.microsoft.com, "application authentication certificate credentials")."""
    certificate = world.application_certificate
    thumbprints = {
        "x5t": _encoded(hashlib.sha1(certificate).digest()),
        "x5t#S256": _encoded(hashlib.sha256(certificate).digest()),
    }
    # Microsoft's client leaves the padding on.
    if not any(header.get(name, "").rstrip("=") == thumbprint for name, thumbprint in thumbprints.items()):
        raise Refused(
            401, "invalid_client", 700027, "The key was not found. Thumbprint of key used by client is not known."
        )
    paddings = {
        "RS256": padding.PKCS1v15(),
        "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
    }
    text, signature = assertion.rsplit(".", 1)
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        key.verify(tokens.decode(signature), text.encode(), paddings[header.get("alg")], hashes.SHA256())
    except (InvalidSignature, KeyError):
        raise Refused(401, "invalid_client", 700027, "Client assertion failed signature validation.") from None
    if claims.get("sub") != client or claims.get("aud") != endpoint or not claims.get("jti"):
        raise Refused(401, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer.")


def _check_federated(host, application, claims, signed_by_issuer):
    subject, wanted = claims.get("sub"), application.get("subjects")
    audience = _AUDIENCES.get(host, "api://AzureADTokenExchange")
    if wanted is None:
        raise Refused(401, "invalid_client", 70025, "The client has no configured federated identity credentials.")
    if claims.get("iss") != tokens.ISSUER:
        raise Refused(
            401,
            "invalid_client",
            700211,
            f"No matching federated identity record found for presented assertion issuer '{claims.get('iss')}'.",
        )
    if claims.get("aud") != audience:
        raise Refused(
            401,
            "invalid_client",
            700212,
            f"No matching federated identity record found for presented assertion audience '{claims.get('aud')}'.",
        )
    if subject not in wanted and str(subject).lower() in (one.lower() for one in wanted):
        raise Refused(
            401,
            "invalid_client",
            7002138,
            f"No matching federated identity record found for presented assertion subject '{subject}'. The matching is case-sensitive.",
        )
    if subject not in wanted:
        raise Refused(
            401,
            "invalid_client",
            700213,
            f"No matching federated identity record found for presented assertion subject '{subject}'.",
        )
    if not signed_by_issuer:
        raise Refused(401, "invalid_client", 50013, "Assertion failed signature validation.")


def _refusal(host, status, error, number, text):
    trace, correlation = uuid.uuid4(), uuid.uuid4()
    now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return Answer(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
            "error_codes": [number],
            "timestamp": now,
            "trace_id": str(trace),
            "correlation_id": str(correlation),
            "error_uri": f"https://{host}/error?code={number}",
        },
        _no_store(),
    )


def _no_store():
    return {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "x-ms-request-id": str(uuid.uuid4())}


def _encoded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
