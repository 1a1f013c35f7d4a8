"""What a server answers."""

import json


class Answer:
    """A status, a body (JSON unless it is a text already) and headers."""

    def __init__(self, status, body=None, headers=None):
        self.status = status
        self.headers = dict(headers or {})
        if isinstance(body, str):
            self.body = body.encode()
        elif body is None:
            self.body = b""
        else:
            self.body = json.dumps(body, separators=(",", ":")).encode()
            self.headers.setdefault("Content-Type", "application/json; charset=utf-8")
