"""An authority that lives for one test run, and what it signed: the broker's certificate and a client's."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8


class Certificates:
    """Paths of PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.broker_with_key = folder / "broker.pem"
        self.client, self.client_key, self.client_password = folder / "client.pem", folder / "client.key", "sesame"

    def make(self) -> None:
        """Write the files."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("The tests' authority")
        self.authority.write_bytes(self._sign(self._name, self._key.public_key(), is_authority=True))
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
        self.broker_with_key.write_bytes(private + self._sign(_named("127.0.0.1"), key.public_key()))
        key = ec.generate_private_key(ec.SECP256R1())
        locked = serialization.BestAvailableEncryption(self.client_password.encode())
        self.client_key.write_bytes(key.private_bytes(_PEM, _PKCS8, locked))
        self.client.write_bytes(self._sign(_named("impuls"), key.public_key()))

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool = False) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        its = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(own, critical=False)
            .add_extension(its, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(_PEM)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
