"""What the stand-in knows: tenants with their applications, vaults, tokens that were issued, sessions of clients."""

import threading

TENANT = "11111111-2222-3333-4444-555555555555"
# Knows the same applications, and no vault.
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"
SUBJECT = "repo:octo-org/octo-repo:environment:production"

APPLICATIONS = {
    "aaaaaaaa-0000-0000-0000-000000000001": {"secret": "the-client-secret", "subject": SUBJECT},
    "aaaaaaaa-0000-0000-0000-000000000002": {"secret": "the-expired-secret", "expired": True},
    "aaaaaaaa-0000-0000-0000-000000000003": {"secret": "the-client-secret", "disabled": True},
}

# Each cloud's login host, with the end of its vaults' names.
CLOUDS = {
    "login.microsoftonline.com": "vault.azure.net",
    "login.partner.microsoftonline.cn": "vault.azure.cn",
    "login.microsoftonline.us": "vault.usgovcloudapi.net",
    "login.sovereign.example": "vault.sovereign.example",
}


class Session:
    """One client: what goes wrong for it, and what it asked."""

    def __init__(self):
        self.delay = 0.0
        self.fault = None
        self.at = "vault"
        self.times = 0
        self.log = []

    def request_fault(self, kind):
        """The fault of this request, counted down."""
        if self.fault in (None, "reset") or self.at != kind or self.times == 0:
            return None
        self.times -= 1
        return self.fault

    def connection_fault(self, host):
        """The fault of this connection, counted down."""
        kind = "login" if host.startswith("login.") else "vault"
        if self.fault != "reset" or self.at != kind or self.times == 0:
            return None
        self.times -= 1
        return self.fault


class World:
    """All of it; `lock` is held while a request is answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.vaults = {}
        self.tokens = {}
        self.sessions = {}
        # Who the machine itself is: None is the system's own identity, others are client ids.
        self.identities = [None]
        # The certificate of the first application, in DER.
        self.application_certificate = None

    def session(self, name):
        return self.sessions.setdefault(name, Session())
