"""Azure Key Vault, the secrets of its data plane (Azure/azure-rest-api-specs, Secrets/stable/2025-07-01/secrets.json),
with the refusals that the real service was seen to give."""

import base64
import json
import re
import time
import uuid

from answer import Answer
from world import CLOUDS

_VERSIONS = {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"}
_PAGE = 25
_LONGEST_VALUE = 25 * 1024
_RECOVERABLE_DAYS = 90

_RBAC = (
    "Caller is not authorized to perform action on resource.\r\n"
    "If role assignments were changed recently, please observe propagation time.\r\n"
    "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nAssignment: (not found)\r\n"
)
_FORBIDDEN = {
    "ForbiddenByRbac": _RBAC,
    "AccessDenied": "The user, group or application does not have secrets get permission on key vault.",
    "ForbiddenByFirewall": "Client address is not authorized and caller is not a trusted service.",
    "ForbiddenByConnection": "Public network access is disabled and request is not from a trusted service.",
    "SecretDisabled": "Operation get is not allowed on a disabled secret.",
}


class Vault:
    """One vault: versions by the secret's name in lower case, newest last."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.secrets = {}
        self.deleted = {}
        # The inner code of a refusal that everything gets.
        self.refuses = None
        # Whether an empty page comes first, as the service may send one.
        self.empty_page_first = False
        # Where the links to further pages lead, when not to this vault.
        self.next_host = None

    def put(self, name, value, attributes=None, content_type=None, tags=None, managed=None, refuses=None):
        """Stores a version and returns it."""
        now = int(time.time())
        made = {
            "name": name,
            "version": uuid.uuid4().hex,
            "value": value,
            "contentType": content_type,
            "tags": tags,
            "managed": managed,
            "refuses": refuses or ("ForbiddenByRbac" if name.startswith("denied-") else None),
            "attributes": {
                "enabled": True,
                "created": now,
                "updated": now,
                "recoveryLevel": "Recoverable+Purgeable",
                "recoverableDays": _RECOVERABLE_DAYS,
                **(attributes or {}),
            },
        }
        self.secrets.setdefault(name.lower(), []).append(made)
        return made


class Request:
    """One request to a vault."""

    def __init__(self, world, host, vault, method, path, query, body):
        self.world, self.host, self.vault, self.method, self.query = world, host, vault, method, query
        self.parts = [part for part in path.split("/") if part]
        self.path = path
        self.body = body


def serve(world, host, method, path, query, headers, body):
    """Answers a request to a vault's host."""
    name, _, suffix = host.partition(".")
    vault = world.vaults.get(name)
    if vault is None or suffix not in CLOUDS.values():
        return Answer(404, "<html><body>no such host</body></html>", {"Content-Type": "text/html"})
    answer = _checked(Request(world, host, vault, method, path, query, body), headers, suffix)
    answer.headers.update(
        {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "x-ms-keyvault-region": "westeurope",
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-keyvault-service-version": "1.9.2784.1",
            "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": "max-age=31536000;includeSubDomains",
        }
    )
    return answer


def _checked(request, headers, suffix):
    login = next(login for login, end in CLOUDS.items() if end == suffix)
    authority = f"https://{login}/{request.vault.tenant}"
    challenge = {"WWW-Authenticate": f'Bearer authorization="{authority}", resource="https://{suffix}"'}
    scheme, _, text = (headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        return _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", headers=challenge)
    token = request.world.tokens.get(text)
    if token is None or token["until"] < time.time() or token["resource"] != f"https://{suffix}":
        return _error(401, "Unauthorized", "AKV10022: Invalid audience.", headers=challenge)
    if token["tenant"] != request.vault.tenant:
        issuer = "https://sts.windows.net"
        found = f"Expected one of {issuer}/{request.vault.tenant}/, found {issuer}/{token['tenant']}/."
        return _error(401, "Unauthorized", f"AKV10032: Invalid issuer. {found}", headers=challenge)
    version = request.query.get("api-version")
    if version is None:
        return _error(400, "BadParameter", "api-version must be specified")
    if version not in _VERSIONS:
        return _error(400, "BadParameter", f"The specified version ({version}) is not recognized.")
    if request.vault.refuses:
        return _forbidden(request.vault.refuses)
    return _routed(request)


def _routed(request):
    method, parts = request.method, request.parts
    if parts == ["secrets"] and method == "GET":
        newest = [
            _properties(request.host, versions[-1], False) for _, versions in sorted(request.vault.secrets.items())
        ]
        return _paged(request, newest)
    if len(parts) < 2 or parts[0] not in ("secrets", "deletedsecrets"):
        return _error(404, "ResourceNotFound", "The requested resource was not found.")
    if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", parts[1]):
        return _error(400, "BadParameter", f"The request URI contains an invalid name: {parts[1]}")
    if parts[0] == "deletedsecrets":
        return _deleted(request)
    if method == "PUT" and len(parts) == 2:
        return _set(request)
    if method == "PATCH" and len(parts) == 3:
        return _update(request)
    if method == "DELETE" and len(parts) == 2:
        return _delete(request)
    if method == "GET" and parts[2:] == ["versions"]:
        versions = request.vault.secrets.get(parts[1].lower(), [])
        return _paged(request, [_properties(request.host, version) for version in versions])
    if method == "GET" and len(parts) <= 3:
        return _get(request)
    return _error(405, "MethodNotAllowed", "The method is not allowed.")


def _get(request):
    found = _find(request)
    if found is None:
        return _not_found("/".join(request.parts[1:]))
    if found["refuses"]:
        return _forbidden(found["refuses"])
    if not found["attributes"]["enabled"]:
        return _forbidden("SecretDisabled")
    return _bundle(request.host, found)


def _find(request):
    name, wanted = request.parts[1].lower(), (request.parts[2:] or [None])[0]
    versions = [v for v in request.vault.secrets.get(name, []) if wanted in (None, v["version"])]
    return versions[-1] if versions else None


def _set(request):
    body = json.loads(request.body or b"{}")
    if not isinstance(body.get("value"), str):
        return _error(400, "BadParameter", "Property  has invalid value\r\n")
    if len(body["value"].encode()) > _LONGEST_VALUE:
        return _error(400, "BadParameter", f"Property  has invalid value: at most {_LONGEST_VALUE} bytes")
    if request.parts[1].lower() in request.vault.deleted:
        return _error(
            409, "Conflict", "Secret is currently in a deleted but recoverable state.", "ObjectIsDeletedButRecoverable"
        )
    made = request.vault.put(
        request.parts[1], body["value"], body.get("attributes"), body.get("contentType"), body.get("tags")
    )
    return _bundle(request.host, made)


def _update(request):
    found = _find(request)
    if found is None:
        return _not_found("/".join(request.parts[1:]))
    body = json.loads(request.body or b"{}")
    found["attributes"].update({**(body.get("attributes") or {}), "updated": int(time.time())})
    return Answer(200, _properties(request.host, found))


def _delete(request):
    name = request.parts[1].lower()
    if name not in request.vault.secrets:
        return _not_found(name)
    request.vault.deleted[name] = request.vault.secrets.pop(name)
    return Answer(200, _deleted_bundle(request.host, request.vault.deleted[name][-1]))


def _deleted(request):
    name = request.parts[1].lower()
    versions = request.vault.deleted.get(name)
    if versions is None:
        return _error(404, "SecretNotFound", f"Deleted Secret not found: {name}")
    if request.method == "POST" and request.parts[2:] == ["recover"]:
        request.vault.secrets[name] = request.vault.deleted.pop(name)
        return Answer(200, _properties(request.host, versions[-1]))
    return Answer(200, _deleted_bundle(request.host, versions[-1]))


def _paged(request, items):
    size = request.query.get("maxresults", str(_PAGE))
    if not size.isdigit() or not 1 <= int(size) <= _PAGE:
        return _error(400, "BadParameter", "invalid maxresults")
    token = request.query.get("$skiptoken")
    start = int(base64.urlsafe_b64decode(token).decode()) if token else 0
    end = start + int(size)
    if request.vault.empty_page_first and token is None:
        start = end = 0
    link = None
    if end < len(items) or (start == end and items):
        # The service writes the port, and a query of its own.
        token = base64.urlsafe_b64encode(str(end).encode()).decode()
        query = f"api-version={request.query['api-version']}&$skiptoken={token}&maxresults={size}"
        link = f"https://{request.vault.next_host or request.host}:443{request.path}?{query}"
    return Answer(200, {"value": items[start:end], "nextLink": link})


def _properties(host, secret, with_version=True):
    version = f"/{secret['version']}" if with_version else ""
    properties = {
        "contentType": secret["contentType"],
        "id": f"https://{host}/secrets/{secret['name']}{version}",
        "managed": secret["managed"],
        "attributes": secret["attributes"],
        "tags": secret["tags"] or {},
    }
    return {name: value for name, value in properties.items() if value is not None}


def _bundle(host, secret):
    return Answer(200, {"value": secret["value"], **_properties(host, secret)})


def _deleted_bundle(host, secret):
    now = int(time.time())
    return {
        "recoveryId": f"https://{host}/deletedsecrets/{secret['name']}",
        "deletedDate": now,
        "scheduledPurgeDate": now + _RECOVERABLE_DAYS * 86400,
        **_properties(host, secret),
    }


def _not_found(name):
    text = (
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be "
        "able to recover it using the correct recovery command."
    )
    return _error(404, "SecretNotFound", text)


def _forbidden(inner):
    return _error(403, "Forbidden", _FORBIDDEN[inner], inner)


def _error(status, code, message, inner=None, headers=None):
    error = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return Answer(status, {"error": error}, headers)
