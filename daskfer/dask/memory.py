"""What memory the client and its workers take, stage by stage."""

from __future__ import annotations

from distributed import Client
from distributed.system import MEMORY_LIMIT

from daskfer.errors import SchedulerError

LEAST_MEMORY = 300 << 20
"""Bytes that a worker takes which has imported what it needs, and computed nothing."""


class PeakMemory:
    """The largest resident memory that this process or any worker's had in each stage.

    Where the system cannot forget a peak (it is Linux's that can), a stage's is the largest since
    the process began. Of workers that others use at the same time, it is theirs too.

    Attributes
    ----------
    stages : dict
        Bytes by the name of the stage.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.stages: dict[str, int] = {}
        self._largest = 0
        # What was before is no stage's.
        self._take()

    def note(self, stage: str) -> None:
        """Take down a stage that ends now; what comes after counts for the next."""
        self.stages[stage] = max(self._take(), self.stages.get(stage, 0))

    def largest(self) -> int:
        """The largest of all, up to now."""
        self._take()
        return self._largest

    def _take(self) -> int:
        # This process first: workers that are its threads forget its peak too.
        found = [taken_peak()]
        answers = self._client.run(taken_peak, on_error="ignore").values()
        found += [value for value in answers if isinstance(value, int)]
        self._largest = max(self._largest, *found)
        return max(found)


def checked_limit(client: Client) -> int | None:
    """What `smallest_limit` gives, unless no worker could work with it.

    Raises
    ------
    SchedulerError
    """
    limit = smallest_limit(client)
    if limit is not None and limit < LEAST_MEMORY:
        raise SchedulerError(
            f"the smallest worker may use {limit / 2**20:,.0f} MiB of memory: expected "
            f"{LEAST_MEMORY >> 20} at least, which Python and its libraries take; start workers "
            "with a higher --memory-limit"
        )
    return limit


def smallest_limit(client: Client) -> int | None:
    """The smallest memory limit among the workers, in bytes; None where none has a limit.

    Worker threads of this process have none of their own: they share the machine's memory, or
    what its container may use.
    """
    limits = []
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        shared = MEMORY_LIMIT if address.startswith("inproc://") else 0
        limits.append(worker["memory_limit"] or shared)
    return min((limit for limit in limits if limit), default=None)


def taken_peak() -> int:
    """The largest resident memory of this process since this was last asked, in bytes."""
    peak = process_peak()
    try:
        # See proc(5): 5 makes the peak what is resident now.
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak


def process_peak() -> int:
    """The largest resident memory that this process has had, in bytes."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource
    import sys

    # Kilobytes on Linux, bytes on macOS. Where there is a choice, not this: a process counts as
    # its own what its parent had when it was forked.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
