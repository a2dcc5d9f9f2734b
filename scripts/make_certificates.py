#!/usr/bin/env python3
"""Make certificates for a Dask cluster that speaks TLS, and print how to use them.

DIR gets an authority (ca.pem), a certificate and a private key for scheduler, worker and client,
and tls.yaml for `daskfer run --cluster`. Copy ca.pem and the worker's two files to each worker,
ca.pem, the client's two files and tls.yaml to each client; ca-key.pem, which could sign more
certificates, belongs nowhere else.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TEMPLATE = Path(__file__).resolve().parents[1] / "cluster_configs" / "tls.yaml"
PORT = 8786
ALWAYS = ("localhost", "127.0.0.1")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
# The scheduler connects to workers and workers to each other: both sides of a connection.
USES = {"scheduler": [SERVER, CLIENT], "worker": [SERVER, CLIENT], "client": [CLIENT]}


class Signed(NamedTuple):
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def main(argv: Sequence[str] | None = None) -> None:
    """Make the certificates, write the files, print the commands."""
    parser = _parser()
    args = parser.parse_args(argv)
    folder = args.folder.absolute()
    try:
        hosts = list(dict.fromkeys([*args.host, *ALWAYS]))
        files = _files(folder, hosts, args.days)
        _write(folder, files, args.force)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(_usage(folder, hosts[0], args.days))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--host",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME_OR_IP",
        help="hosts that the certificates name, the scheduler's first; localhost and 127.0.0.1 "
        "are always among them",
    )
    parser.add_argument("--days", type=int, default=365, help="validity (default: %(default)s)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace the files in DIR; what the authority before signed is then refused",
    )
    return parser


def _files(folder: Path, hosts: list[str], days: int) -> dict[str, bytes]:
    """What goes into the folder, by name."""
    if days < 1:
        raise ValueError(f"--days {days}: expected at least 1")
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    authority = _authority(days)
    files = _pair("ca", authority)
    for role, uses in USES.items():
        files |= _pair(role, _sign(role, names, uses, authority, days))
    return files | {"tls.yaml": _cluster_file(folder, hosts[0]).encode()}


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not HOST_NAME.fullmatch(host):
        raise ValueError(f"--host {host}: expected a name or an IP address, without tls:// or port")
    return x509.DNSName(host)


def _authority(days: int) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own for each, so that OpenSSL tells authorities apart.
    serial = x509.random_serial_number()
    subject = _subject(f"daskfer authority {serial % 16**8:08x}")
    builder = _builder(subject, subject, key, serial, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return Signed(builder.sign(key, hashes.SHA256()), key)


def _sign(
    role: str,
    names: x509.SubjectAlternativeName,
    uses: list[x509.ObjectIdentifier],
    authority: Signed,
    days: int,
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    builder = _builder(_subject(f"daskfer {role}"), issuer, key, x509.random_serial_number(), days)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(names, critical=False)
        .add_extension(identifier, critical=False)
    )
    return Signed(builder.sign(authority.key, hashes.SHA256()), key)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    days: int,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        # Clocks of machines differ.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(name: str, signed: Signed) -> dict[str, bytes]:
    """The files of a certificate and its key."""
    key = signed.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = signed.certificate.public_bytes(serialization.Encoding.PEM)
    return {f"{name}.pem": certificate, f"{name}-key.pem": key}


def _cluster_file(folder: Path, host: str) -> str:
    """The template, comments and all, with the address and the files' places filled in."""
    text = TEMPLATE.read_text().replace(
        '"tls://scheduler.example:8786"', json.dumps(_address(host))
    )
    return re.sub(
        '"/path/to/certificates/([^"]+)"',
        lambda found: json.dumps(str(folder / found[1]), ensure_ascii=False),
        text,
    )


def _address(host: str) -> str:
    return f"tls://[{host}]:{PORT}" if ":" in host else f"tls://{host}:{PORT}"


def _write(folder: Path, files: dict[str, bytes], force: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise ValueError(f"{folder / there[0]} exists: choose another folder, or --force")
    for name, content in files.items():
        # Under another name first: a key is never readable by others, not even for a moment.
        mode = 0o600 if name.endswith("-key.pem") else 0o644
        written = folder / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        written.replace(folder / name)


def _usage(folder: Path, host: str, days: int) -> str:
    """The commands to type, ready for a shell."""

    def at(name: str) -> str:
        return str(folder / name)

    def tls(role: str) -> list[str]:
        files = {"ca-file": "ca.pem", "cert": f"{role}.pem", "key": f"{role}-key.pem"}
        return [part for key, name in files.items() for part in (f"--tls-{key}", at(name))]

    scheduler = ["dask", "scheduler", "--protocol", "tls", *tls("scheduler"), "--host", host]
    # Pages stay plain HTTP, whatever the protocol: on loopback only.
    scheduler += ["--dashboard-address", "127.0.0.1:8787"]
    worker = ["dask", "worker", _address(host), *tls("worker"), "--nthreads", "1"]
    worker += ["--dashboard-address", "127.0.0.1:0"]
    client = ["daskfer", "run", "faces.csv", "--cluster", at("tls.yaml")]
    return f"""\
Certificates of an authority of their own, valid for {days} days: {folder}

on the scheduler's machine, once:
{_shell(scheduler)}

on each machine that computes, once a core:
{_shell(worker)}

where you are:
{_shell(client)}"""


def _shell(command: list[str]) -> str:
    return shlex.join(command)


if __name__ == "__main__":
    main()
