"""A cluster that speaks TLS, on loopback: who gets in, and who is told why not."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from distributed import Client, Security
from processes import (
    Certificates,
    Cluster,
    daskfer,
    make_certificates,
    scheduler_with_workers,
    tls_scheduler_with_workers,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ONE_LINE = re.compile(r"error: [^\n]*\n")
PEOPLE = ("ca", "scheduler", "worker", "client")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates", "--host", "127.0.0.1")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority that the scheduler does not know."""
    return make_certificates(tmp_path_factory.mktemp("others") / "certificates")


@pytest.fixture(scope="module")
def cluster(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with tls_scheduler_with_workers(2, tmp_path_factory.mktemp("cluster"), certificates) as cluster:
        yield cluster


# The script that makes the certificates.


def loaded(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def test_what_is_in_the_certificates(tmp_path: Path) -> None:
    folder = make_certificates(
        tmp_path / "a b", "--host", "scheduler.example", "10.0.0.1", "--days", 3
    ).folder
    authority = loaded(folder, "ca")
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    for name in PEOPLE:
        certificate = loaded(folder, name)
        certificate.verify_directly_issued_by(authority)
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        assert isinstance(certificate.public_key().curve, ec.SECP256R1)
        days = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert days.days == 3
        assert (folder / f"{name}-key.pem").stat().st_mode & 0o777 == 0o600
        if name != "ca":
            hosts = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            assert hosts.value.get_values_for_type(x509.DNSName) == [
                "scheduler.example", "localhost",
            ]  # fmt: skip
            assert hosts.value.get_values_for_type(x509.IPAddress) == [
                ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("127.0.0.1"),
            ]  # fmt: skip
            basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            assert not basic.value.ca
        # The key is that of the certificate: ssl compares them.
        ssl.create_default_context().load_cert_chain(
            folder / f"{name}.pem", folder / f"{name}-key.pem"
        )


def test_the_cluster_file_names_what_is_there(tmp_path: Path) -> None:
    folder = make_certificates(tmp_path / "a b", "--host", "scheduler.example").folder
    content = yaml.safe_load((folder / "tls.yaml").read_text())
    assert content["scheduler"] == "tls://scheduler.example:8786"
    tls = content["dask"]["distributed"]["comm"]["tls"]
    assert tls.pop("ca-file") == str(folder / "ca.pem")
    for role, files in tls.items():
        assert files == {
            "cert": str(folder / f"{role}.pem"), "key": str(folder / f"{role}-key.pem"),
        }  # fmt: skip
    assert set(tls) == {"client", "scheduler", "worker"}


def test_certificates_are_not_overwritten(tmp_path: Path) -> None:
    folder = make_certificates(tmp_path / "certificates").folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(AssertionError, match=r"ca\.pem exists: choose another folder, or --force"):
        make_certificates(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    make_certificates(folder, "--force")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(after) == set(before)
    assert all(after[name] != before[name] for name in before if name.endswith(".pem"))
    for name in PEOPLE:
        assert (folder / f"{name}-key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["tls://scheduler.example", "scheduler:8786", "ä", ""])
def test_a_host_that_is_none(host: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="expected a name or an IP address"):
        make_certificates(tmp_path / "certificates", "--host", host)
    assert not (tmp_path / "certificates").exists()


# Who has a certificate of the authority works as on his own machine.


def test_labels_are_those_of_a_local_run(
    cluster: Cluster, faces: Path, changes: tuple[str, ...], local_labels: pa.Table, tmp_path: Path
) -> None:
    done = daskfer(
        "run", faces, *changes, "--out", tmp_path / "run", "--store", tmp_path / "store",
        "--scheduler", cluster.address, environment=cluster.environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "run" / "labels.parquet").equals(local_labels)


def test_the_cluster_file_is_enough(
    cluster: Cluster, certificates: Certificates, faces: Path, changes: tuple[str, ...],
    local_labels: pa.Table, tmp_path: Path, clean_environment: dict[str, str],
) -> None:  # fmt: skip
    """The file that the script wrote, with no setting in the environment; only the port differs."""
    file = tmp_path / "tls.yaml"
    text = (certificates.folder / "tls.yaml").read_text()
    file.write_text(text.replace("tls://127.0.0.1:8786", cluster.address))
    done = daskfer(
        "run", faces, *changes, "--out", tmp_path / "run", "--cluster", file,
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "run" / "labels.parquet").equals(local_labels)


# Who has none is told so, in one line.


def refusal(address: str, faces: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """A run that is not let in says why in one line, and nothing else."""
    done = daskfer(
        "run", faces, "--recipe", "hog", "--out", tmp_path / "run", "--store", tmp_path / "store",
        "--scheduler", address, environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert ONE_LINE.fullmatch(done.stderr), done.stderr
    assert address in done.stderr
    # In words of ours: Dask's "<TLS (closed) ...>" is in the way rather than a reason.
    assert re.search("certificate|(?<!<)TLS", done.stderr), done.stderr


def test_a_client_without_a_certificate(cluster: Cluster, faces: Path, tmp_path: Path) -> None:
    refusal(cluster.address, faces, tmp_path, dict(os.environ))


def test_a_client_of_another_authority(
    cluster: Cluster, others: Certificates, faces: Path, tmp_path: Path
) -> None:
    refusal(cluster.address, faces, tmp_path, others.environment())


def test_a_client_whom_only_the_scheduler_does_not_know(
    cluster: Cluster, certificates: Certificates, others: Certificates, faces: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """It trusts the scheduler's authority, which did not sign the client's certificate."""
    stranger = others.environment()
    stranger["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = str(certificates.folder / "ca.pem")
    refusal(cluster.address, faces, tmp_path, stranger)


def test_a_client_whose_certificate_is_not_there(
    cluster: Cluster, certificates: Certificates, faces: Path, tmp_path: Path
) -> None:
    environment = certificates.environment()
    environment["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"] = str(tmp_path / "none.pem")
    refusal(cluster.address, faces, tmp_path, environment)


@pytest.mark.parametrize("must_encrypt", [False, True])
def test_a_client_that_does_not_speak_tls(
    must_encrypt: bool, cluster: Cluster, faces: Path, tmp_path: Path
) -> None:
    address = cluster.address.replace("tls://", "tcp://")
    environment = cluster.environment if must_encrypt else dict(os.environ)
    refusal(address, faces, tmp_path, environment)


def test_a_scheduler_that_does_not_speak_tls(
    certificates: Certificates, faces: Path, tmp_path: Path
) -> None:
    with scheduler_with_workers(0, tmp_path) as address:
        address = address.replace("tcp://", "tls://")
        refusal(address, faces, tmp_path, certificates.environment())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("without a certificate", "TLS expects a `ssl_context`"),
        ("of another authority", "TLS certificate does not match"),
        ("by tcp", "CommClosedError"),
    ],
)
def test_a_worker_that_is_no_member(
    kind: str, reason: str, cluster: Cluster, certificates: Certificates, others: Certificates,
    tmp_path: Path,
) -> None:  # fmt: skip
    """It ends with an error, and the scheduler has the workers that it had."""
    own = "tcp://" if kind == "by tcp" else "tls://"
    address = cluster.address.replace("tls://", own)
    command = [address if part.startswith("tls://") else part for part in others.worker]
    if kind != "of another authority":
        command = [part for part in command if not part.startswith("--tls") and ".pem" not in part]
    done = subprocess.run(
        [*command, "--local-directory", str(tmp_path)],
        env=dict(os.environ), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert reason in done.stderr
    security = Security(
        require_encryption=True,
        tls_ca_file=str(certificates.folder / "ca.pem"),
        tls_client_cert=str(certificates.folder / "client.pem"),
        tls_client_key=str(certificates.folder / "client-key.pem"),
    )
    with Client(cluster.address, security=security, timeout=60) as client:
        client.wait_for_workers(len(cluster.nannies), timeout=60)
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == len(cluster.nannies)
