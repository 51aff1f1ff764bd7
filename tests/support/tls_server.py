"""A server behind TLS with a certificate of its own, which may want one of its clients."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.raw_server import Answer, RawServer

_LOOPBACK = ipaddress.ip_address("127.0.0.1")


class TlsServer(RawServer):
    """Speaks TLS 1.3 as `127.0.0.1`; `ca` is what a client has to trust."""

    def __init__(self, answer: Answer, folder: Path, *, wants_certificate: bool = False) -> None:
        super().__init__(answer)
        self.url = self.url.replace("http:", "https:")
        self.ca = folder / "server.pem"
        self.ca.write_bytes(_self_signed())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_cert_chain(self.ca)
        if wants_certificate:
            self._context.verify_mode = ssl.CERT_REQUIRED

    def _talk(self, connection: socket.socket) -> None:
        try:
            super()._talk(self._context.wrap_socket(connection, server_side=True))
        except (ssl.SSLError, OSError):
            connection.close()


def _self_signed() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(_LOOPBACK)])
    today = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - what a certificate is dated by
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, form, serialization.NoEncryption()) + certificate.public_bytes(
        pem
    )
