"""What the tests tell the stand-in: which vaults and secrets there are, what goes wrong, and what was asked."""

import json

import tokens
from answer import Answer
from key_vault import Vault
from world import SUBJECTS, TENANT


def serve(world, _method, path, _query, _headers, body):
    """Answers `POST /control/WHAT` with a JSON object."""
    what = path.removeprefix("/control/")
    given = json.loads(body or b"{}")
    with world.lock:
        return Answer(200, _CALLS[what](world, **given))


def _vault(world, name, **settings):
    """Makes a vault, or changes one: `tenant`, `refuses`, `empty_page_first`, `next_host`."""
    vault = world.vaults.setdefault(name, Vault(TENANT))
    for setting, value in settings.items():
        setattr(vault, setting, value)
    return {}


def _put(world, vault, name, value, **rest):
    """Stores a secret: also what the service would refuse to store, or hands out only by other ways."""
    return {"version": world.vaults[vault].put(name, value, **rest)["version"]}


def _versions(world, vault, name):
    """The versions of a secret, the oldest first."""
    return {"versions": [made["version"] for made in world.vaults[vault].secrets[name]]}


def _delete(world, vault, name):
    """Deletes a secret; it stays recoverable."""
    world.vaults[vault].deleted[name] = world.vaults[vault].secrets.pop(name)
    return {}


def _session(world, name, **settings):
    """Says what goes wrong for a session: the fields of `Session`."""
    session = world.session(name)
    for setting, value in settings.items():
        setattr(session, setting, value)
    return {}


def _log(world, name, forget=False):
    """The requests of a session so far."""
    session = world.session(name)
    log = list(session.log)
    if forget:
        session.log = []
    return {"requests": log}


def _token(_world, audience, subject=SUBJECTS[0]):
    """An identity token, as something other than the runner hands one out."""
    return {"value": tokens.issue(audience, subject)}


def _identities(world, identities):
    """Who the machine itself is."""
    world.identities = identities
    return {}


_CALLS = {
    "vault": _vault,
    "put": _put,
    "versions": _versions,
    "delete": _delete,
    "session": _session,
    "log": _log,
    "identities": _identities,
    "token": _token,
}
