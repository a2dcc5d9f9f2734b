"""Keeping numerical libraries to one thread a worker."""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import WorkerPlugin

from daskfer.dask.plugins import name_of

NOT_CONVERGED = (
    "Number of distinct clusters|lbfgs failed to converge|Stochastic Optimizer: Maximum|"
    "Solver terminated early|Best performing initialization did not converge"
)
"""How the messages of scikit-learn's ConvergenceWarning begin, in the models used here."""


class OneThread(WorkerPlugin):
    """Keeps numerical libraries on a worker to one thread.

    Workers share the cores already; and sums that a library divides among its threads round
    differently on machines with other numbers of cores. Several runs may ask it of one worker:
    the last to go gives the threads back.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def setup(self, worker: Any) -> None:
        """Limit the threads, and remember how many there were."""
        with _LOCK:
            if not _ASKING:
                _LIMITS.append(prepare_numerics())
            _ASKING.add(self.name)

    def teardown(self, worker: Any) -> None:
        """Give the threads back: a scheduler may serve others after us."""
        with _LOCK:
            _ASKING.discard(self.name)
            if not _ASKING and _LIMITS:
                _LIMITS.pop().restore_original_limits()


_LOCK = threading.Lock()
_ASKING: set[str] = set()
_LIMITS: list[Any] = []
"""The plugins that ask this process for one thread, and how many threads there were before."""


def prepare_numerics() -> Any:
    """Limit this process's numerical libraries to one thread, and silence what is known.

    What is limited has to be loaded first. scikit-learn, which takes long to load, is left
    for later where the environment will limit it too. The filters are for the process, because
    warnings have no filters of a thread's own.
    """
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401

    if os.environ.get("OMP_NUM_THREADS") != "1":
        import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    # dask-ml divides 0 by 0 for the first batch of IncrementalPCA, and replaces the result.
    warnings.filterwarnings(
        "ignore", "invalid value encountered in divide", RuntimeWarning, "dask._task_spec"
    )
    # Fewer distinct points than clusters, or an optimizer at its limit: the scores tell.
    warnings.filterwarnings("ignore", NOT_CONVERGED, UserWarning)
    return threadpool_limits(1)


def one_thread(client: Client) -> None:
    """Limit the threads of all workers, also of those that come, until the client's plugins go."""
    client.register_plugin(OneThread(name_of("one-thread", client)))
