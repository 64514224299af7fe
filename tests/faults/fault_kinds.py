"""The faults: each does its harm to a running service, and brings back what it took away."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import psutil
from redis.exceptions import RedisError

from facetag.standalone.processes.process import ChildProcess
from tests.faults.fault_harness import FaultHarness

Fault = Callable[[FaultHarness, random.Random], None]
Hit = TypeVar("Hit")
PATIENCE_S = 60.0
"""How long there may be nothing to do harm to: what was killed before is on its way back."""


def kill_child(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGKILL to the process that holds a network, as the kernel does when memory is short."""
    _surely(lambda: _some_child(fault_harness, rng).kill())


def hang_child(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGSTOP beyond its lease: what it then finishes, it finishes late."""

    def suspend() -> psutil.Process:
        child = _some_child(fault_harness, rng)
        child.suspend()
        return child

    child = _surely(suspend)
    time.sleep(1.6 * fault_harness.harness.settings.lease_s)
    with suppress(psutil.NoSuchProcess):
        child.resume()


def kill_worker(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGKILL to a worker with all its processes, as when its machine goes."""
    _surely(lambda: _kill_group(rng.choice(fault_harness.workers)))


def kill_warming_worker(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGKILL to a worker, and to its successor while that loads its network."""
    worker = rng.choice(fault_harness.workers)
    before = _surely(lambda: _kill_group(worker))
    fault_harness.wait(
        lambda: worker.pid != before and bool(fault_harness.children(worker)), "it is back"
    )
    _surely(lambda: _kill_group(worker))


def kill_sweeper(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGKILL to the sweeper."""
    assert fault_harness.sweeper is not None
    sweeper = fault_harness.sweeper
    _surely(lambda: _kill_group(sweeper))


def restart_valkey_empty(fault_harness: FaultHarness, rng: random.Random) -> None:
    """Redis ends and comes back with nothing in it."""
    fault_harness.end(fault_harness.valkey)
    time.sleep(rng.uniform(0, 2))
    fault_harness.bring_back(fault_harness.valkey)


def pause_valkey(fault_harness: FaultHarness, rng: random.Random) -> None:
    """Redis takes commands and answers none for seconds."""
    pause_s = rng.uniform(1, 4)

    def pause() -> None:
        with fault_harness.redis as redis:
            redis.execute_command("CLIENT", "PAUSE", int(1000 * pause_s), "ALL")

    _surely(pause)
    time.sleep(pause_s)


def freeze_valkey(fault_harness: FaultHarness, rng: random.Random) -> None:
    """SIGSTOP to Redis for seconds: its connections stand, and nothing answers."""
    process = psutil.Process(fault_harness.valkey.child.pid)
    process.suspend()
    time.sleep(rng.uniform(1, 4))
    process.resume()


def restart_postgres(fault_harness: FaultHarness, rng: random.Random) -> None:
    """An immediate shutdown of PostgreSQL, which recovers from its log when it is back."""
    fault_harness.end(fault_harness.postgres, signal.SIGQUIT)
    time.sleep(rng.uniform(0, 1))
    fault_harness.bring_back(fault_harness.postgres)


def lose_storage(fault_harness: FaultHarness, rng: random.Random) -> None:
    """Object storage is gone for seconds."""
    fault_harness.end(fault_harness.seaweedfs)
    time.sleep(rng.uniform(1, 4))
    fault_harness.bring_back(fault_harness.seaweedfs)


KINDS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill_child,
        hang_child,
        kill_worker,
        kill_warming_worker,
        kill_sweeper,
        restart_valkey_empty,
        pause_valkey,
        freeze_valkey,
        restart_postgres,
        lose_storage,
    )
}


def plan_faults(number: int, rng: random.Random, kinds: Sequence[str] = tuple(KINDS)) -> list[str]:
    """Return as many faults of each kind as of any other (one more of some where it must be)."""
    plan = [kinds[index % len(kinds)] for index in range(number)]
    rng.shuffle(plan)
    return plan


def _surely(strike: Callable[[], Hit]) -> Hit:
    """Strike until something is hit: what was aimed at may have ended, or not be there yet."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return strike()
        except (psutil.NoSuchProcess, ProcessLookupError, RedisError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _some_child(fault_harness: FaultHarness, rng: random.Random) -> psutil.Process:
    children = [one for worker in fault_harness.workers for one in fault_harness.children(worker)]
    if not children:
        raise ProcessLookupError("no worker has a child")
    return rng.choice(children)


def _kill_group(process: ChildProcess) -> int:
    """Kill a process with all its own; returns its process id."""
    pid = process.pid
    if pid is None:
        raise ProcessLookupError(f"{process.command.name} does not run")
    os.killpg(pid, signal.SIGKILL)
    return pid
