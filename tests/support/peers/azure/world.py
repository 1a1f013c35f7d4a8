"""What the stand-in knows: tenants with their applications, vaults, tokens that were issued, sessions of clients."""

import threading

TENANT = "11111111-2222-3333-4444-555555555555"
# Knows the same applications, and no vault.
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"
# In the two forms that GitHub writes (docs.github.com, "OpenID Connect reference", "Immutable subject claims").
SUBJECTS = [
    "repo:octo-org/octo-repo:environment:production",
    "repo:octo-org@65/octo-repo@74:environment:production",
]

APPLICATIONS = {
    "aaaaaaaa-0000-0000-0000-000000000001": {"secret": "the-client-secret", "subjects": SUBJECTS},
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
        # How long each answer takes, in seconds.
        self.delay = 0.0
        # What goes wrong (`FAULTS` of standin.py, or `hang`, `reset`, `truncate`), where (`login`, `vault` or `all`),
        # for how many requests, and after how many that go well.
        self.fault = None
        self.at = "all"
        self.times = 0
        self.after = 0
        self.log = []

    def request_fault(self, kind):
        """The fault of this request, counted down."""
        if self.fault is None or self.at not in ("all", kind):
            return None
        if self.after > 0:
            self.after -= 1
            return None
        if self.times == 0:
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
