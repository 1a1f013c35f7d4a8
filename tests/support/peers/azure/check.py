"""Microsoft's own client (PyPI azure-keyvault-secrets and azure-identity, with their default settings) holds the
stand-in to the contract: whatever it does not accept, the stand-in has wrong.

usage: check.py PORT DIRECTORY   (HTTPS_PROXY and REQUESTS_CA_BUNDLE lead to the stand-in)
"""

import datetime
import json
import logging
import os
import sys
import urllib.request

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient

import machine
from world import OTHER_TENANT, TENANT

PORT, DIRECTORY = sys.argv[1:3]
CLIENT = "aaaaaaaa-0000-0000-0000-000000000001"
VAULT = "https://judged.vault.azure.net"
SCOPE = "https://vault.azure.net/.default"
YEAR_2020 = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
YEAR_2099 = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


def logged_in(tenant=TENANT):
    return ClientSecretCredential(tenant, CLIENT, "the-client-secret")


def client(credential=None, **settings):
    return SecretClient(VAULT, credential or logged_in(), **settings)


def identity_token(**claims):
    """An identity token, as a workflow gets one."""
    query = "&".join(f"{name}={value}" for name, value in {"audience": "api://AzureADTokenExchange", **claims}.items())
    url = f"http://127.0.0.1:{PORT}{machine.IDENTITY_TOKEN}?api-version=2.0&{query}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {machine.BEARER}"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["value"]


def federated(**claims):
    return client(ClientAssertionCredential(TENANT, CLIENT, lambda: identity_token(**claims)))


def refused(kind, status=None, inner=None, number=None):
    """What a check must end with: an exception of this kind, status, inner code and Entra's number."""

    def holds(error):
        codes = getattr(error, "error", None)
        actual = (getattr(codes, "innererror", None) or {}).get("code")
        return (
            type(error) is kind
            and status in (None, getattr(error, "status_code", None))
            and inner in (None, actual)
            and (number is None or f"AADSTS{number}" in str(error))
        )

    return holds


def secrets_are_set_and_read():
    first = client().set_secret("db-password", "one\ntwo ü", content_type="text/plain", tags={"for": "tests"})
    second = client().set_secret("db-password", "second")
    assert client().get_secret("db-password").value == "second"
    assert client().get_secret("DB-PASSWORD").properties.version == second.properties.version
    old = client().get_secret("db-password", first.properties.version)
    assert (old.value, old.properties.content_type, old.properties.tags) == (
        "one\ntwo ü",
        "text/plain",
        {"for": "tests"},
    )
    assert abs((old.properties.created_on - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 60
    versions = {p.version for p in client().list_properties_of_secret_versions("db-password")}
    assert versions == {first.properties.version, second.properties.version}


def lists_come_in_pages():
    for number in range(60):
        client().set_secret(f"paged-{number:03}", str(number))
    names = [p.name for p in client().list_properties_of_secrets() if p.name.startswith("paged-")]
    assert len(names) == 60 and names == sorted(names)
    pages = [len(list(page)) for page in client().list_properties_of_secrets(max_page_size=10).by_page()]
    assert pages[:-1] == [10] * (len(pages) - 1), pages


def an_expired_and_a_future_secret_are_still_read():
    client().set_secret("expired", "old", expires_on=YEAR_2020)
    client().set_secret("future", "new", not_before=YEAR_2099)
    assert client().get_secret("expired").properties.expires_on == YEAR_2020
    assert client().get_secret("future").properties.not_before == YEAR_2099


def a_secret_is_disabled_and_enabled():
    client().set_secret("switched", "x", enabled=False)
    must(lambda: client().get_secret("switched"), refused(HttpResponseError, 403, "SecretDisabled"))
    version = next(client().list_properties_of_secret_versions("switched")).version
    client().update_secret_properties("switched", version, enabled=True)
    assert client().get_secret("switched", version).value == "x"


def a_deleted_secret_is_not_found_until_it_is_recovered():
    client().set_secret("deleted", "x")
    assert client().begin_delete_secret("deleted").result().name == "deleted"
    must(lambda: client().get_secret("deleted"), refused(ResourceNotFoundError, 404))
    must(
        lambda: client().set_secret("deleted", "y"), refused(ResourceExistsError, 409, "ObjectIsDeletedButRecoverable")
    )
    client().begin_recover_deleted_secret("deleted").result()
    assert client().get_secret("deleted").value == "x"


def what_is_not_there_is_not_found():
    must(lambda: client().get_secret("nowhere"), refused(ResourceNotFoundError, 404))
    must(lambda: client().get_secret("db-password", "0" * 32), refused(ResourceNotFoundError, 404))


def a_role_that_is_missing_is_told():
    client().set_secret("denied-one", "x")
    must(lambda: client().get_secret("denied-one"), refused(HttpResponseError, 403, "ForbiddenByRbac"))


def names_and_values_are_checked():
    must(lambda: client().set_secret("a_b", "x"), refused(HttpResponseError, 400))
    must(lambda: client().set_secret("long", "x" * 25_601), refused(HttpResponseError, 400))


def older_versions_of_the_interface_are_served():
    assert client(api_version="7.4").get_secret("db-password").value == "second"


def a_certificate_logs_in():
    credential = CertificateCredential(TENANT, CLIENT, f"{DIRECTORY}/application.pem")
    assert client(credential).get_secret("db-password").value == "second"


def a_federated_token_logs_in():
    assert federated().get_secret("db-password").value == "second"
    by_ids = "repo:octo-org@65/octo-repo@74:environment:production"
    assert federated(subject=by_ids).get_secret("db-password").value == "second"


def federated_tokens_of_others_are_refused():
    for claims, number in [
        ({"subject": "repo:octo-org/octo-repo:ref:refs/heads/main"}, 700213),
        ({"subject": "repo:Octo-Org/octo-repo:environment:production"}, 7002138),
        ({"issuer": "https://token.example"}, 700211),
        ({"audience": "api://other"}, 700212),
        ({"lifetime": "-600"}, 700024),
    ]:
        read = lambda: federated(**claims).get_secret("db-password")
        must(read, refused(ClientAuthenticationError, number=number))


def wrong_logins_are_refused():
    for tenant, application, secret, number in [
        (TENANT, CLIENT, "wrong", 7000215),
        (TENANT, CLIENT.replace("1", "2"), "the-expired-secret", 7000222),
        (TENANT, CLIENT.replace("1", "3"), "the-client-secret", 7000112),
        (TENANT, CLIENT.replace("1", "9"), "x", 700016),
        (TENANT.replace("1", "7"), CLIENT, "x", 90002),
    ]:
        credential = ClientSecretCredential(tenant, application, secret)
        must(lambda: credential.get_token(SCOPE), refused(ClientAuthenticationError, number=number))
    must(
        lambda: logged_in().get_token("https://vault.azure.cn/.default"),
        refused(ClientAuthenticationError, number=500011),
    )


def a_token_of_another_tenant_is_refused():
    class Given:
        """The client itself would take the tenant from the vault's challenge."""

        def get_token(self, *_, **__):
            return logged_in(OTHER_TENANT).get_token(SCOPE)

    read = lambda: client(Given()).get_secret("db-password")
    must(read, lambda error: error.status_code == 401 and "AKV10032" in str(error))


def a_managed_identity_logs_in():
    assert client(ManagedIdentityCredential()).get_secret("db-password").value == "second"
    stranger = ManagedIdentityCredential(client_id="bbbbbbbb-0000-0000-0000-000000000001")
    must(lambda: client(stranger).get_secret("db-password"), refused(CredentialUnavailableError))


def throttling_is_waited_for():
    control("session", name="", fault="throttle", at="vault", times=2)
    assert client().get_secret("db-password").value == "second"
    requests = [entry for entry in control("log", name="")["requests"] if entry["kind"] == "vault"]
    assert len(requests) == 3, requests


def a_fault_of_the_service_is_tried_again():
    control("session", name="", fault="error", at="vault", times=1)
    assert client().get_secret("db-password").value == "second"


CHECKS = [
    secrets_are_set_and_read,
    lists_come_in_pages,
    an_expired_and_a_future_secret_are_still_read,
    a_secret_is_disabled_and_enabled,
    a_deleted_secret_is_not_found_until_it_is_recovered,
    what_is_not_there_is_not_found,
    a_role_that_is_missing_is_told,
    names_and_values_are_checked,
    older_versions_of_the_interface_are_served,
    a_certificate_logs_in,
    a_federated_token_logs_in,
    federated_tokens_of_others_are_refused,
    wrong_logins_are_refused,
    a_token_of_another_tenant_is_refused,
    a_managed_identity_logs_in,
    throttling_is_waited_for,
    a_fault_of_the_service_is_tried_again,
]


def must(call, holds):
    """The call must end with an error that holds."""
    try:
        call()
    except Exception as error:
        assert holds(error), f"{type(error).__name__} {getattr(error, 'status_code', '')} {error}"
        return
    raise AssertionError("it was accepted")


def control(what, **given):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/control/{what}", json.dumps(given).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def main():
    logging.disable()
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = f"http://127.0.0.1:{PORT}"
    control("vault", name="judged")
    failed = 0
    for check in CHECKS:
        control("session", name="", fault=None)
        control("log", name="", forget=True)
        try:
            check()
            print(f"passed {check.__name__}")
        except Exception as error:
            failed += 1
            print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
