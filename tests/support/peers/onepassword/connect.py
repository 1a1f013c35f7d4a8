"""A stand-in for a 1Password Connect server: the reading half of its REST API, version 1.7.

It answers as 1Password's description of the API says (github.com/1Password/connect, docs/openapi/spec.yaml), and
1Password's own client for Python, onepasswordconnectsdk, judges it. Started with a port and a directory: `vaults.json` in
there is what it keeps (read anew for every request), and it adds a line to `requests` for each request.
"""

import base64
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "connect-token"
ID = r"[\da-z]{26}"


class Refusal(Exception):
    """An answer with an error's status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Connect:
    """What the routes answer."""

    def __init__(self, directory):
        self.directory = directory

    def vaults(self):
        with open(os.path.join(self.directory, "vaults.json"), encoding="utf-8") as file:
            return json.load(file)["vaults"]

    def vault(self, identifier):
        for vault in self.vaults():
            if vault["id"] == identifier:
                if not vault.get("shared", True):
                    raise Refusal(403, f"vault {identifier} is not in scope")
                return vault
        raise Refusal(404, f"vault {identifier} not found")

    def item(self, vault, identifier):
        for item in vault["items"]:
            if item["id"] == identifier:
                return item
        raise Refusal(404, f"item {identifier} not found")

    def answer(self, path, query):
        """Takes a path below /v1 and its query, returns a body as bytes or as JSON."""
        wanted = filter_of(query)
        if path == "vaults":
            shared = [vault for vault in self.vaults() if vault.get("shared", True)]
            return [shown_vault(vault) for vault in shared if wanted in (None, vault["name"])]
        match = re.fullmatch(r"vaults/([^/]*)(?:/items(?:/([^/]*)(?:/files(?:/([^/]*)(/content)?)?)?)?)?", path)
        if not match:
            raise Refusal(404, "not found")
        vault_id, item_id, file_id, content = match.groups()
        for identifier, kind in ((vault_id, "Vault"), (item_id, "Item")):
            if identifier is not None and not re.fullmatch(ID, identifier):
                raise Refusal(400, f"Invalid {kind} UUID")
        vault = self.vault(vault_id)
        if item_id is None:
            if not path.endswith("/items"):
                return shown_vault(vault)
            return [summary(vault, item) for item in vault["items"] if wanted in (None, item["title"])]
        item = self.item(vault, item_id)
        if "/files" not in path:
            return whole(vault, item)
        files = [shown_file(vault, item, file) for file in item.get("files", [])]
        if file_id is None:
            return files
        for file, shown in zip(item.get("files", []), files):
            if file["id"] == file_id:
                return base64.b64decode(file["content"]) if content else shown
        raise Refusal(404, f"file {file_id} not found")


def filter_of(query):
    """The name that a SCIM filter asks for."""
    text = query.get("filter", [None])[0]
    if text is None:
        return None
    match = re.fullmatch(r'(?:name|title) eq "(.*)"', text)
    if not match:
        raise Refusal(400, "Invalid filter")
    return match[1]


def shown_vault(vault):
    return {
        "id": vault["id"],
        "name": vault["name"],
        "description": "",
        "attributeVersion": 1,
        "contentVersion": 1,
        "items": len(vault["items"]),
        "type": "USER_CREATED",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
    }


def summary(vault, item):
    shown = {
        "id": item["id"],
        "title": item["title"],
        "vault": {"id": vault["id"]},
        "category": item["category"],
        "urls": item.get("urls", []),
        "favorite": False,
        "tags": [],
        "version": item["version"],
        "createdAt": item["created_at"],
        "updatedAt": item["updated_at"],
        "lastEditedBy": "STANDIN",
    }
    if item.get("state"):
        shown["state"] = item["state"]
    return shown


def whole(vault, item):
    fields = []
    for field in item.get("fields", []):
        shown = {key: field[key] for key in ("id", "type", "purpose", "label", "value", "totp") if field.get(key)}
        fields.append(shown | ({"section": {"id": field["section"]}} if field.get("section") else {}))
    files = [shown_file(vault, item, file) for file in item.get("files", [])]
    return summary(vault, item) | {"sections": item.get("sections", []), "fields": fields, "files": files}


def shown_file(vault, item, file):
    shown = {
        "id": file["id"],
        "name": file["name"],
        "size": len(base64.b64decode(file["content"])),
        "content_path": f"/v1/vaults/{vault['id']}/items/{item['id']}/files/{file['id']}/content",
    }
    return shown | ({"section": {"id": file["section"]}} if file.get("section") else {})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name is the library's
        with open(os.path.join(self.server.connect.directory, "requests"), "a", encoding="utf-8") as log:
            log.write(self.path + "\n")
        url = urlsplit(self.path)
        try:
            body = self.routed(url)
            self.send(200, body)
        except Refusal as refusal:
            self.send(refusal.status, {"status": refusal.status, "message": str(refusal)})

    def routed(self, url):
        if url.path == "/heartbeat":
            return b"."
        if url.path == "/health":
            return {"name": "1Password Connect API", "version": "1.7.2", "dependencies": []}
        authorization = self.headers.get("Authorization") or ""
        if not authorization.startswith("Bearer "):
            raise Refusal(401, "Authentication: (Missing token), Authorization header required")
        if authorization.removeprefix("Bearer ") != TOKEN:
            raise Refusal(401, "Invalid token signature")
        if not url.path.startswith("/v1/"):
            raise Refusal(404, "not found")
        return self.server.connect.answer(url.path.removeprefix("/v1/").rstrip("/"), parse_qs(url.query))

    def send(self, status, body):
        is_file = isinstance(body, bytes)
        data = body if is_file else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if is_file else "application/json")
        self.send_header("1Password-Connect-Version", "1.7.2")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Paths hold names of items: nothing is printed."""


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.connect = Connect(sys.argv[2])
    server.serve_forever()


if __name__ == "__main__":
    main()
