"""Make certificates with which the parts of a local server trust one another, and nobody else."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from facetag.standalone.credentials import write_private
from facetag.standalone.servers.ports import LOOPBACK

LIFE = datetime.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of an authority and of one certificate that it signed, with its key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Write new certificates for this machine's loopback address; only the owner may read the key.

    They are made at each start: no process needs those of an earlier one.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def begin(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("facetag"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + LIFE)
        )

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        begin("facetag", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName("localhost")]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        begin("facetag-local", key)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    made = Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    encoding = serialization.Encoding.PEM
    write_private(made.authority, authority.public_bytes(encoding).decode())
    write_private(made.certificate, certificate.public_bytes(encoding).decode())
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(made.key, private.decode())
    return made
