"""The certificates: of an authority of the tests' own, of all hosts, and of an application that logs in by one."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from world import CLOUDS


def make(directory):
    """Writes ca.pem, server.pem and application.pem (each with its key, but for the first) and returns the
    application's certificate in DER."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("an authority of the tests", authority_key, None, None)
    hosts = [name for login, vaults in CLOUDS.items() for name in (login, f"*.{vaults}")]
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _certificate("stand-in", server_key, authority, authority_key, hosts)
    application_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    application = _certificate("an application", application_key, None, None)
    _write(f"{directory}/ca.pem", authority)
    _write(f"{directory}/server.pem", server, server_key)
    _write(f"{directory}/application.pem", application, application_key)
    return application.public_bytes(serialization.Encoding.DER)


def _certificate(name, key, issuer, issuer_key, hosts=()):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


def _write(path, certificate, key=None):
    text = certificate.public_bytes(serialization.Encoding.PEM)
    if key:
        text += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    with open(path, "wb") as file:
        file.write(text)
