"""A stand-in for 1Password's command line `op`, version 2.

What it prints and how it fails is as recorded from the real one (tests/onepassword/op-says.txt has the recordings), and
1Password's own wrapper, @1password/op-js, judges it. What the recordings show and a simpler stand-in would get wrong:

- `inject` takes its template from a file or from a pipe, not from a socket or a redirected file;
- it parses the whole template before it signs in, and fails as a whole at the first reference that is wrong;
- its output ends with a line end of its own, and holds no control characters but tab and the line ends; what is no UTF-8
  becomes U+FFFD. `read` into a pipe changes no byte.

Its state lies beside it: `vaults.json` (what is kept), `behaviour.json` (see BEHAVIOUR), `calls` (one line of JSON a call).
"""

import base64
import json
import os
import re
import stat
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# How it behaves, unless behaviour.json says something else.
BEHAVIOUR = {
    "version": "2.39.0",
    "signed in": False,  # as by the desktop app
    "hangs": 0,  # seconds
    "calls left": None,  # before the limit of the service account is reached
    "fails with": None,  # a text, whatever is asked
    "status": 1,  # of that failure; before 2.32.1 faults of the server ended with 0
}

SWITCHES = {"no-newline", "n", "force", "f", "no-color", "cache", "include-archive", "reveal", "version", "v", "raw"}
# The flags of every command, and those of each that a test or a page uses (1Password's command reference).
EVERYWHERE = {
    "account", "cache", "config", "debug", "encoding", "format", "iso-timestamps", "no-color", "session", "version", "v"
}
FLAGS = {
    ("inject",): {"in-file", "i", "out-file", "o", "file-mode", "force", "f"},
    ("read",): {"no-newline", "n", "out-file", "o", "file-mode", "force", "f"},
    ("item", "list"): {"vault", "categories", "favorite", "include-archive", "long", "tags"},
    ("item", "get"): {"vault", "fields", "include-archive", "otp", "reveal", "share-link"},
    ("vault", "list"): {"group", "permission", "user"},
    ("vault", "create"): {"allow-admins-to-manage", "description", "icon"},
    ("whoami",): set(),
    ("service-account", "create"): {"can-create-vaults", "expires-in", "raw", "vault"},
    ("service-account", "ratelimit"): set(),
    ("connect", "server", "create"): {"force", "f", "vaults"},
    ("connect", "token", "create"): {"expires-in", "server", "vault"},
}
NOT_SIGNED_IN = "You are not currently signed in. Please run `op signin --help` for instructions"
BAD_TOKEN = (
    "error initializing client: Validation: (failed to session.DecodeSACredentials), Server: (failed to "
    "DecodeSACredentials), illegal base64 data at input byte 12"
)
DELETED = (
    "error initializing client: Authentication: (failed to auth.LookupAuth), Network: (failed to "
    "request.DoUnencrypted), Server: (403) (Forbidden (Service Account Deleted)), The Service Account used in this "
    "integration has been deleted."
)
LIMITED = (
    "(429) Too Many Requests: You've reached the maximum number of this type of requests this service account is "
    "allowed to make. Please retry in 58 minutes or try other requests."
)


class Failure(Exception):
    """What ends the program, with its message."""


def beside(name):
    return os.path.join(HERE, name)


def stored(name, otherwise):
    try:
        with open(beside(name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def parse(arguments):
    """Splits words into a command and flags, as `--flag value`, `--flag=value` or a switch."""
    words, flags, rest = [], {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words.extend(rest)
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name not in SWITCHES:
            value = rest.pop(0) if rest else ""
        flags.setdefault(name, []).append(value)
    for command, known in FLAGS.items():
        if tuple(words[: len(command)]) == command:
            for name in flags:
                if name not in known | EVERYWHERE:
                    raise Failure(f"unknown flag: --{name}")
    return words, {name: values[-1] for name, values in flags.items()}


class Account:
    """What a signed-in program sees: the vaults that are shared with it."""

    def __init__(self, behaviour, calls):
        if not os.environ.get("OP_CONNECT_TOKEN"):
            token = os.environ.get("OP_SERVICE_ACCOUNT_TOKEN")
            if not token and not behaviour["signed in"]:
                raise Failure(NOT_SIGNED_IN)
            if token and not token.startswith("ops_"):
                raise Failure(BAD_TOKEN)
            if token == "ops_deleted":
                raise Failure(DELETED)
        if behaviour["calls left"] is not None and calls > behaviour["calls left"]:
            raise Failure(LIMITED)
        vaults = stored("vaults.json", {"vaults": []})["vaults"]
        self.vaults = [vault for vault in vaults if vault.get("shared", True)]

    def vault(self, name):
        for vault in self.vaults:
            if vault["id"] == name or same(vault["name"], name):
                return vault
        raise Failure(f'"{name}" isn\'t a vault in this account. Specify the vault with its ID or name.')

    def item(self, vault_name, name, missing):
        vault = self.vault(vault_name)
        found = [item for item in vault["items"] if item["id"] == name or same(item["title"], name)]
        if not found:
            raise Failure(missing(vault))
        if len(found) > 1:
            lines = "".join(
                f'\n\t* for the item "{item["title"]}" in vault {vault["name"]}: {item["id"]}' for item in found
            )
            raise Failure(f'More than one item matches "{name}". Try again and specify the item by its ID: {lines}')
        return found[0]


def same(one, other):
    return (one or "").casefold() == (other or "").casefold()


class Reference:
    """`op://vault/item/[section/]field[?attribute=…]`."""

    def __init__(self, text):
        self.text = text
        path, _, query = text.removeprefix("op://").partition("?")
        for character in path:
            if not re.fullmatch(r"[a-zA-Z0-9 \t_./-]", character):
                raise Failure(
                    f"invalid secret reference '{text}': invalid character in secret reference: '{character}'"
                )
        parts = path.split("/")
        if len(parts) < 3:
            raise Failure(
                f"invalid secret reference '{text}': too few '/': secret references should have at least vault, item "
                "and field specified"
            )
        if len(parts) > 4:
            raise Failure(
                f"invalid secret reference '{text}': too many '/': secret references should match "
                "op://<vault>/<item>[/<section>]/<field>"
            )
        self.vault, self.item, self.field = parts[0], parts[1], parts[-1]
        self.section = parts[2] if len(parts) == 4 else None
        self.query = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)

    def bytes(self, account, injected):
        """The bytes that it stands for."""
        plain = lambda vault: (
            f"could not get item {self.vault}/{self.item}: \"{self.item}\" isn't an item in the \"{self.vault}\" vault. "
            "Specify the item with its UUID, name, or domain."
        )
        resolved = lambda vault: (
            f"could not resolve item UUID for item {self.item}: could not find item {self.item} in vault {vault['id']}"
        )
        item = account.item(self.vault, self.item, resolved if injected else plain)
        section_ids = {
            section["id"]
            for section in item.get("sections", [])
            if self.section is not None and (section["id"] == self.section or same(section["label"], self.section))
        }
        in_section = lambda part: self.section is None or part.get("section") in section_ids
        for field in item.get("fields", []):
            if in_section(field) and (field["id"] == self.field or same(field["label"], self.field)):
                return self.of_field(field).encode()
        for file in item.get("files", []):
            if in_section(file) and (file["id"] == self.field or same(file["name"], self.field)):
                return base64.b64decode(file["content"])
        name = self.field if self.section is None else f"{self.section}.{self.field}"
        raise Failure(f"item '{self.vault}/{self.item}' does not have a field '{name}'")

    def of_field(self, field):
        attribute = self.query.get("attribute") or self.query.get("attr") or "value"
        if attribute == "otp":
            return field["totp"]
        if "ssh-format" in self.query:
            return field["openssh"]
        return field.get(attribute, "")


def template(text):
    """Splits a template into texts and references."""
    parts, at = [], 0
    for match in re.finditer(r"\{\{(.*?)\}\}|(?<![\w+\\.-])op://[\w ./?=-]+", text):
        if match[1] is None:
            reference = Reference(match[0])
        elif match[1].strip().startswith("op://"):
            reference = Reference(match[1].strip())
        else:
            before = text[: match.start()]
            place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
            raise Failure(
                f"parsing error at {place}: only secret references or quoted strings can be enclosed in unescaped "
                "{{ }}s"
            )
        parts += [text[at : match.start()], reference]
        at = match.end()
    return parts + [text[at:]]


def read(account, words, flags):
    reference = Reference(words[1])
    try:
        value = reference.bytes(account(), injected=False)
    except Failure as failure:
        raise Failure(f"could not read secret '{reference.text}': {failure}") from failure
    return value if "no-newline" in flags or "n" in flags else value + b"\n"


def inject(account, words, flags, given):
    parts = template(given.decode())
    account = account()
    text = ""
    for part in parts:
        text += part if isinstance(part, str) else part.bytes(account, injected=True).decode(errors="replace")
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "", text).encode() + b"\n"


def given_template(flags):
    """The template of `inject`; for all other commands nothing."""
    path = flags.get("in-file") or flags.get("i")
    if path and path != "/dev/stdin":
        with open(path, "rb") as file:
            return file.read()
    if not path and not stat.S_ISFIFO(os.fstat(0).st_mode):
        raise Failure("expected data on stdin but none found")
    return sys.stdin.buffer.read()


def summary(vault, item):
    """An item as `item list` shows it."""
    shown = {
        "id": item["id"],
        "title": item["title"],
        "version": item["version"],
        "vault": {"id": vault["id"], "name": vault["name"]},
        "category": item["category"],
        "last_edited_by": "STANDIN",
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }
    if item.get("urls"):
        shown["urls"] = item["urls"]
    if item.get("state"):
        shown["state"] = item["state"]
    return shown


def item_list(account, words, flags):
    vault = account().vault(flags["vault"])
    items = [item for item in vault["items"] if "include-archive" in flags or not item.get("state")]
    return as_json([summary(vault, item) for item in items])


def item_get(account, words, flags):
    if "vault" not in flags:
        raise Failure(
            "a vault query must be provided when this command is called by a service account. Please specify one "
            "through the --vault flag"
        )
    account, vault_name = account(), flags["vault"]
    missing = lambda vault: (
        f"\"{words[2]}\" isn't an item in the \"{vault_name}\" vault. Specify the item with its UUID, name, or domain."
    )
    item = account.item(vault_name, words[2], missing)
    vault, sections = account.vault(vault_name), {one["id"]: one for one in item.get("sections", [])}
    fields = []
    for field in item.get("fields", []):
        section = sections.get(field.get("section"))
        path = [vault["name"], item["title"]] + ([section["label"]] if section else []) + [field["label"]]
        shown = {key: field[key] for key in ("id", "type", "purpose", "label", "value") if key in field}
        fields.append(shown | ({"section": section} if section else {}) | {"reference": "op://" + "/".join(path)})
    return as_json(summary(vault, item) | {"sections": list(sections.values()), "fields": fields})


def vault_list(account, words, flags):
    shown = [{"id": vault["id"], "name": vault["name"], "content_version": 1} for vault in account().vaults]
    return as_json(shown)


def vault_create(account, words, flags):
    account()
    vaults = stored("vaults.json", {"vaults": []})
    vault = {"id": f"new{len(vaults['vaults']):0>23}", "name": words[2], "items": []}
    vaults["vaults"].append(vault)
    with open(beside("vaults.json"), "w", encoding="utf-8") as file:
        json.dump(vaults, file)
    return as_json({"id": vault["id"], "name": vault["name"]})


def service_account_create(account, words, flags):
    """Prints a token; its vaults must be there, its permissions known."""
    account = account()
    vault, _, permissions = flags["vault"].partition(":")
    account.vault(vault)
    if not set(permissions.split(",")) <= {"read_items", "write_items", "share_items"}:
        raise Failure(f"invalid vault permissions: {permissions}")
    return b"ops_of-a-new-account\n"


def connect_server_create(account, words, flags):
    account = account()
    for vault in flags["vaults"].split(","):
        account.vault(vault)
    return b"Set up a Connect server.\n"


def connect_token_create(account, words, flags):
    vault, _, permissions = flags["vault"].partition(",")
    account().vault(vault)
    if not set(permissions) <= {"r", "w"}:
        raise Failure(f"invalid vault permissions: {permissions}")
    return b"token-of-a-server\n"


def whoami(account, words, flags):
    account()
    return as_json({"URL": "https://example.1password.com", "ServiceAccountType": "SERVICE_ACCOUNT"})


def ratelimit(account, words, flags):
    account()
    limits = [("token", "read", 1000), ("token", "write", 100), ("account", "read_write", 1000)]
    shown = [
        {"type": kind, "action": action, "limit": limit, "used": 0, "remaining": limit, "reset": 0}
        for kind, action, limit in limits
    ]
    return as_json(shown)


def as_json(value):
    return json.dumps(value, indent=2).encode() + b"\n"


COMMANDS = {
    ("read",): read,
    ("item", "list"): item_list,
    ("item", "get"): item_get,
    ("vault", "list"): vault_list,
    ("vault", "create"): vault_create,
    ("whoami",): whoami,
    ("service-account", "create"): service_account_create,
    ("service-account", "ratelimit"): ratelimit,
    ("connect", "server", "create"): connect_server_create,
    ("connect", "token", "create"): connect_token_create,
}


def run(arguments):
    """Takes the words behind the program's name, returns what goes to the standard output."""
    words, flags = parse(arguments)
    behaviour = BEHAVIOUR | stored("behaviour.json", {})
    call = {"process": os.getpid(), "arguments": arguments, "environment": dict(os.environ), "template": None}
    injects = words[:1] == ["inject"] and not behaviour["version"].startswith("1.")
    given = given_template(flags) if injects else None
    if given is not None:
        call["template"] = given.decode()
    with open(beside("calls"), "a+", encoding="utf-8") as log:
        log.write(json.dumps(call) + "\n")
        log.seek(0)
        calls = sum(1 for _ in log)
    time.sleep(behaviour["hangs"])
    if "version" in flags or "v" in flags:
        return behaviour["version"].encode() + b"\n"
    if behaviour["fails with"]:
        raise Failure(behaviour["fails with"])
    account = lambda: Account(behaviour, calls)
    if injects:
        return inject(account, words, flags, given)
    for command, function in COMMANDS.items():
        if tuple(words[: len(command)]) == command and not behaviour["version"].startswith("1."):
            return function(account, words, flags)
    raise Failure(f'unknown command "{words[0] if words else ""}" for "op"')


def main():
    try:
        sys.stdout.buffer.write(run(sys.argv[1:]))
    except Failure as failure:
        sys.stderr.write(f"[ERROR] {time.strftime('%Y/%m/%d %H:%M:%S')} {failure}\n")
        return (BEHAVIOUR | stored("behaviour.json", {}))["status"]
    return 0


if __name__ == "__main__":
    sys.exit(main())
