"""A Slurm of one node on loopback, with settings, keys and daemons of a test's own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from clusters.shipped import free_ports, kill_marked, marked, wait_for
from processes import started

MARK = "SLURM_CONF"
"""Says to all programs of Slurm which one is meant, and so marks what belongs to it."""

PATH = f"{os.environ['PATH']}:/usr/sbin"
PARTITION = "tests"

SETTINGS = """
ClusterName=daskfer
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
# Jobs start as soon as they are there, and have little time to end.
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
KillWait=5
# Whatever the machine has, the node says that it has this.
SlurmdParameters=config_overrides
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16384
PartitionName={partition} Nodes=here MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A running Slurm.

    Attributes
    ----------
    folder : Path
        Where its settings, keys, state and logs are.
    environment : dict
        What a program needs to find it.
    """

    folder: Path
    environment: dict[str, str]

    def jobs(self, what: str = "%i %T") -> list[str]:
        """What squeue says of each job that waits, runs or is being ended."""
        return self._ask("squeue", "--noheader", "--format", what).splitlines()

    def cancel(self, *jobs: str) -> None:
        """End jobs, as their walltime would."""
        self._ask("scancel", *jobs)

    def _ask(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def processes_of_jobs(self) -> list[psutil.Process]:
        """All processes that Slurm has started in jobs."""
        return [found for found in self._processes() if _is_in_job(found)]

    def is_idle(self) -> bool:
        """Whether the node is there and has nothing to do; not so while Slurm starts."""
        try:
            return self._ask("sinfo", "--noheader", "--format", "%T").strip() == "idle"
        except subprocess.CalledProcessError:
            return False

    def _processes(self) -> list[psutil.Process]:
        return marked(MARK, self.environment[MARK])


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Start munged, slurmctld and slurmd; at its end nothing runs that they started.

    Parameters
    ----------
    folder : Path
        Of a short name, because that of a socket may have about 100 characters.
    """
    programs = {name: shutil.which(name, path=PATH) for name in ("munged", "slurmctld", "slurmd")}
    missing = sorted(name for name, path in programs.items() if path is None)
    if missing or shutil.which("sbatch") is None:
        pytest.skip("no Slurm here: apt-get install slurm-wlm munge")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_bytes(os.urandom(128))
    settings = folder / "slurm.conf"
    settings.write_text(
        SETTINGS.format(
            folder=folder,
            host=socket.gethostname().partition(".")[0],
            partition=PARTITION,
            ports=free_ports(2),
            user=getpass.getuser(),
        )
    )
    running = Slurm(folder, {MARK: str(settings)})
    environment = {**os.environ, **running.environment}
    munge = [programs["munged"], "--foreground", f"--socket={folder}/munge.socket"]
    munge += [f"--key-file={folder}/key", f"--pid-file={folder}/munge.pid"]
    munge += [f"--seed-file={folder}/munge.seed", f"--log-file={folder}/munge.log"]
    # The folder is closed to all others, where munged expects to serve them.
    munge += ["--force"]
    with ExitStack() as stack:
        stack.callback(kill_marked, MARK, settings)
        stack.enter_context(started(*munge, environment=environment, heard=False))
        wait_for((folder / "munge.socket").exists, "munged")
        for name, more in (("slurmctld", []), ("slurmd", ["-N", "here"])):
            daemon = (programs[name], "-D", "-f", settings, *more)
            stack.enter_context(started(*daemon, environment=environment, heard=False))
        wait_for(running.is_idle, f"Slurm's node (logs: {folder}/*.log)")
        yield running


def _is_in_job(process: psutil.Process) -> bool:
    try:
        return "SLURM_JOB_ID" in process.environ()
    except psutil.NoSuchProcess:
        return False
