"""A stand-in for the parts of Azure that the source talks to: Entra's token endpoint, Key Vaults, the metadata service
of a virtual machine; and for GitHub's endpoint of identity tokens.

usage: standin.py PORT DIRECTORY

It listens at 127.0.0.1:PORT as an HTTP proxy. `CONNECT host:443` ends here, in TLS with a certificate for that host, so
that unmodified clients talk to https://NAME.vault.azure.net and https://login.microsoftonline.com by these names
(HTTPS_PROXY and the authority in DIRECTORY/ca.pem are all they need) and nothing leaves this machine. What is asked
without CONNECT is the metadata service, the identity tokens, and the tests' own control of all this (control.py).

The proxy's user is the session: faults, delays and the log of requests are each session's own.
"""

import base64
import socket
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import certificates
import control
import entra
import key_vault
import machine
from answer import Answer
from world import World


class Handler(BaseHTTPRequestHandler):
    """One connection, which CONNECT turns into one to the host that it names."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    host = None
    session = ""

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.session = _user(self.headers.get("Proxy-Authorization"))
        self.host = self.path.rsplit(":", 1)[0].lower()
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        try:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            # The client does not trust us, which is what some tests are about.
            self.close_connection = True
            return
        self.setup()
        # Some clients ask for the tunnel in HTTP/1.0, where a connection ends with its answer.
        self.close_connection = False

    def _answer(self):
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        world, session = self.server.world, self.server.world.session(self.session)
        if self.host is None:
            serve = control.serve if url.path.startswith("/control/") else machine.serve
            return self._send(serve(world, self.command, url.path, query, self.headers, body))
        kind = "login" if self.host.startswith("login.") else "vault"
        with world.lock:
            session.log.append({"kind": kind, "method": self.command, "host": self.host, "path": url.path})
            fault = session.request_fault(kind)
        time.sleep(session.delay)
        if fault == "hang":
            time.sleep(600)
        if fault == "reset":
            # Closed like this, the system tells the client that the connection was reset.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self._cut_off()
        if fault in FAULTS:
            return self._send(FAULTS[fault])
        with world.lock:
            serve = entra.serve if kind == "login" else key_vault.serve
            answer = serve(world, self.host, self.command, url.path, query, self.headers, body)
        return self._send(answer, whole=fault != "truncate")

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

    def _send(self, answer, whole=True):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        correlation = self.headers.get("x-ms-client-request-id")
        if correlation:
            self.send_header("x-ms-client-request-id", correlation)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body if whole else answer.body[: len(answer.body) // 2])
        if not whole:
            self._cut_off()

    def _cut_off(self):
        self.wfile.flush()
        self.close_connection = True
        self.request.close()


FAULTS = {
    "error": Answer(500, {"error": {"code": "InternalServerError", "message": "An error occurred."}}),
    "throttle": Answer(
        429,
        {
            "error": {
                "code": "Throttled",
                "message": "Request was not processed because too many requests were received.",
            }
        },
        {"Retry-After": "1"},
    ),
    "gateway": Answer(404, "<html><body>no such page</body></html>", {"Content-Type": "text/html"}),
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        # Clients that give up in the middle are what some tests are about.
        pass


def _user(authorization):
    kind, _, text = (authorization or "").partition(" ")
    return base64.b64decode(text).decode().split(":")[0] if kind == "Basic" else ""


def main():
    port, directory = int(sys.argv[1]), sys.argv[2]
    world = World()
    world.application_certificate = certificates.make(directory)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{directory}/server.pem")
    tls.set_alpn_protocols(["http/1.1"])
    threading.stack_size(256 * 1024)
    server = Server(("127.0.0.1", port), Handler)
    server.world, server.tls = world, tls
    server.serve_forever()


if __name__ == "__main__":
    main()
