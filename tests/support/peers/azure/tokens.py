"""JSON web tokens: those that GitHub's stand-in issues, and what is read of those that clients present."""

import base64
import hashlib
import hmac
import json
import time

ISSUER = "https://token.actions.githubusercontent.com"
# Entra checks signatures with the issuer's public keys; issuer and checker are one program here.
_KEY = b"the key of the stand-in for the issuer"


def issue(audience, subject, lifetime=300, issuer=ISSUER):
    """A token as GitHub issues it."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": now + lifetime}
    claims |= {"repository_id": "74", "repository_owner_id": "65"}
    text = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
    return f"{text}.{_bytes(_signature(text))}"


def read(token):
    """The header and claims of a token, and whether the stand-in for GitHub signed it; None when it is no token."""
    try:
        text, signature = token.rsplit(".", 1)
        header, claims = (json.loads(decode(part)) for part in text.split("."))
        return header, claims, hmac.compare_digest(_signature(text), decode(signature))
    except (ValueError, TypeError):
        return None


def decode(part):
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _signature(text):
    return hmac.new(_KEY, text.encode(), hashlib.sha256).digest()


def _encode(value):
    return _bytes(json.dumps(value, separators=(",", ":")).encode())


def _bytes(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
