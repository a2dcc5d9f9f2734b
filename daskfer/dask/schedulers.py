"""Running schedulers: a client of one, why one does not answer, and who else may reach it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import dask
from distributed import Client
from distributed.comm import CommClosedError

from daskfer.dask.dashboard import is_loopback
from daskfer.errors import SchedulerError, one_line

CONNECT_SECONDS = 10
WORKER_SECONDS = 20


def quiet_client() -> None:
    """Give the client's log the level of Dask's own, which its defaults set apart.

    A scheduler that goes away is an error of ours, in one line; the client would add a traceback.
    """
    level = dask.config.get("logging.distributed", None)
    if isinstance(level, str):
        logging.getLogger("distributed.client").setLevel(level.upper())


def exposure(client: Client) -> str:
    """A warning where others may reach the scheduler, and nothing keeps them out; else nothing."""
    address = client.scheduler.address
    host = urlsplit(address).hostname or ""
    if address.startswith(("tls://", "inproc://")) or is_loopback(host):
        return ""
    return (
        f"{address} is neither encrypted nor guarded: whoever reaches it can run code as its user "
        "(use tls:// with certificates: scripts/make_certificates.py and cluster_configs/tls.yaml)"
    )


def wait_for_worker(client: Client, address: str) -> None:
    """Wait until a scheduler has a worker.

    Raises
    ------
    SchedulerError
        When it has none for long.
    """
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        # Told nothing else, a worker listens on all of its machine's networks.
        host = " --host 127.0.0.1" if is_loopback(urlsplit(address).hostname or "") else ""
        raise SchedulerError(
            f"the scheduler at {address} has no workers after {WORKER_SECONDS} s: start some "
            f"with dask worker {address} --nthreads 1{host}"
        ) from None


def client_of_address(address: str, seconds: float | None = None) -> Client:
    """A client of a running scheduler.

    Raises
    ------
    SchedulerError
        When none answers, or it wants another certificate.
    """
    try:
        return Client(address, timeout=CONNECT_SECONDS if seconds is None else seconds)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        refused = _tls_reason(address, error)
        if refused is not None:
            raise SchedulerError(f"no scheduler answers us at {address}: {refused}") from error
        if isinstance(error, TypeError) or type(error) is RuntimeError:
            raise
        raise SchedulerError(
            f"no scheduler answers at {address} ({one_line(error)}): check the address, or run "
            "on this machine by --scheduler local (jobs need a scheduler)"
        ) from error


def _tls_reason(address: str, error: BaseException) -> str | None:
    """What is wrong with certificates or the protocol; None where it is something else."""
    said = " ".join(f"{type(one).__name__}: {one}" for one in _causes(error))
    where = "distributed.comm.tls in Dask's configuration, or a cluster file"
    if "TLS expects a `ssl_context`" in said:
        return f"TLS needs a certificate, and none is configured: name its files in {where}"
    if "encryption required" in said:
        return "require-encryption is set, which allows TLS (tls://HOST:PORT) only"
    if address.startswith("tcp://") and "ConnectionResetError" in said:
        return "it closes the connection, as one does that speaks TLS: try tls:// and a certificate"
    if not address.startswith("tls://"):
        return None
    if "WRONG_VERSION_NUMBER" in said or "cannot convert to SSL" in said:
        return "it does not speak TLS: try tcp:// where you trust the network"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"its certificate is not of the authority in ca-file: see {where}"
    if isinstance(error, CommClosedError):
        return f"it does not take our certificate, or is no scheduler: see client.cert in {where}"
    if isinstance(error, ssl.SSLError | FileNotFoundError | PermissionError):
        return f"the certificate's files cannot be read ({one_line(error)}): see {where}"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
