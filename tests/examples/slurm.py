"""A Slurm of one node for tests: munged, slurmctld and slurmd as processes of this user, with directories of their own.

Covers: starting, submitting, waiting, ending. Needs Debian's slurm-wlm and munge, or the like.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CONFIG = """
ClusterName=memo
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={place}/munge.socket
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ctld}
SlurmdPort={slurmd}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,requeue_setup_env_fail
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=30
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 RealMemory=100000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
_CGROUP = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"  # nothing here uses them, but slurmd wants the plugin
_REVOKED_SECONDS = 5.0  # after which slurmd takes a job again that it has ended


@dataclass(frozen=True)
class Slurm:
    """One that runs. environment: in which its commands find it; jobs inherit it."""

    place: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """What a command of Slurm's, or a script that calls them, prints."""
        done = subprocess.run(
            words, env=self.environment, cwd=self.place, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> dict[str, str]:
        """What scontrol shows of a job, the last of an array's tasks."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job).splitlines()[-1]
        return dict(part.split("=", 1) for part in shown.split() if "=" in part)

    def ended(self, job: str, *, seconds: float = 240) -> dict[str, str]:
        """The state of a job once it has ended; one that was queued again does not wait for two minutes."""
        until, queued_again = time.monotonic() + seconds, 0.0
        while (state := self.state(job))["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"):
            assert time.monotonic() < until, state
            if state["JobState"] == "PENDING" and state.get("Restarts", "0") != "0":
                queued_again = queued_again or time.monotonic()
                if time.monotonic() > queued_again + _REVOKED_SECONDS:
                    self.run("scontrol", "update", f"jobid={job}", "StartTime=now")
            time.sleep(0.5)
        return state


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in NEEDED if shutil.which(name, path=_PATH) is None]


@contextmanager
def running(place: Path, more: dict[str, str]) -> Iterator[Slurm]:
    """A Slurm in a directory, until the block ends.

    Args:
        more: of the environment of jobs.

    Raises:
        RuntimeError: it does not come up; with what it said.
    """
    for name in ("state", "spool"):
        (place / name).mkdir(parents=True)
    place.chmod(0o755)
    key = place / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    ctld, slurmd = _free_ports()
    host = socket.gethostname().split(".")[0]
    told = _CONFIG.format(host=host, place=place, user=getpass.getuser(), ctld=ctld, slurmd=slurmd)
    (place / "slurm.conf").write_text(told)
    (place / "cgroup.conf").write_text(_CGROUP)
    environment = {**os.environ, **more, "SLURM_CONF": str(place / "slurm.conf")}
    environment["PATH"] = f"{environment['PATH']}:/usr/sbin:/sbin"
    munged = [
        "munged",
        "--foreground",
        "--force",  # of directories that others may write, as /tmp
        f"--socket={place}/munge.socket",
        f"--key-file={key}",
        f"--pid-file={place}/munged.pid",
        f"--log-file={place}/munged.log",
        f"--seed-file={place}/munged.seed",
    ]
    with ExitStack() as ending:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            ending.enter_context(_daemon(command, place / f"{command[0]}.out", environment))
        slurm = Slurm(place, environment)
        until = time.monotonic() + 60
        while _node(environment) != "idle":
            if time.monotonic() > until:
                said = "\n".join(path.read_text(errors="replace")[-600:] for path in sorted(place.glob("*.out")))
                raise RuntimeError(said)
            time.sleep(0.5)
        yield slurm
        subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, check=False)
        time.sleep(1)


@contextmanager
def _daemon(command: list[str], out: Path, environment: dict[str, str]) -> Iterator[None]:
    with open(out, "wb") as handle:
        process = subprocess.Popen(
            [shutil.which(command[0], path=_PATH) or command[0], *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            env=environment,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _node(environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
