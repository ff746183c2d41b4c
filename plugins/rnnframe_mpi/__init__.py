"""The reducer `mpi`: training on the processes that `mpiexec` or `srun` has started (extra `mpi`).

Messages go from rank to rank, without blocking, and are waited for in a loop that looks at the clock: so a rank that
does not answer is known by its number. The loop yields the processor and, after a while, sleeps, since ranks may share
cores. mpi4py is imported when a group is joined and not before: importing it starts MPI.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar, NoReturn

import attrs
from attrs.validators import gt

from rnnframe.plugin import Array, Group, GroupError, Reducer, UsageError, hookimpl

AWAKE_SECONDS = 0.02
"""Seconds for which a wait only yields the processor: about as long as slices of 10 million numbers travel."""
NAP_SECONDS = 1e-4
"""Seconds of a sleep after that."""
_yield_core: Callable[[], object] = getattr(os, "sched_yield", partial(time.sleep, 0))
"""Lets another process have the core; `time.sleep(0)` takes 70 us on Linux."""
STARTED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Where launchers tell their processes how many they are."""


@attrs.frozen(kw_only=True)
class MPI(Reducer):
    """Train on the processes that mpiexec or srun has started, by MPI."""

    name: ClassVar[str] = "mpi"
    timeout: float = attrs.field(
        default=1800.0, validator=gt(0.0), metadata={"help": "seconds to wait for another rank before the job ends"}
    )
    native: bool = attrs.field(
        default=False,
        metadata={"help": "add up by the Allreduce of the library: the last bits depend on the number of ranks"},
    )

    def join(self) -> Group:
        """Return this process as a rank of MPI_COMM_WORLD; raises `UsageError` where mpi4py or a library is missing."""
        if find_spec("mpi4py") is None:
            raise UsageError("reducer 'mpi' needs mpi4py, which is not installed; run: pip install \"rnnframe[mpi]\"")
        import mpi4py

        if "mpi4py.MPI" not in sys.modules:
            mpi4py.rc.thread_level = "serialized"  # batches are made in a thread beside
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"mpi4py found no MPI library ({reason}); load that of the site, or run: pip install mpich"
            ) from None
        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise UsageError(
                "MPI was started for one thread; import mpi4py after rnnframe, or set mpi4py.rc.thread_level to "
                "'serialized' before"
            )
        if MPI.COMM_WORLD.size == 1:
            check_alone(os.environ)
        return Ranks(MPI, self.timeout, native=self.native)


def check_alone(environ: Mapping[str, str]) -> None:
    """Raise `UsageError` where a launcher has started several processes, and MPI knows of one alone."""
    for name in STARTED:
        if environ.get(name, "").isdecimal() and int(environ[name]) > 1:
            raise UsageError(
                f"{environ[name]} processes were started ({name}), and MPI sees each as the only one: the launcher is "
                "not that of the MPI library; start them with the mpiexec beside the library, or see srun --mpi=list"
            )


class Ranks(Group):
    """The processes of MPI_COMM_WORLD."""

    def __init__(self, mpi: Any, timeout: float, *, native: bool) -> None:
        self._mpi, self._timeout, self._native = mpi, timeout, native
        self._world = mpi.COMM_WORLD.Dup()
        super().__init__(self._world.rank, self._world.size)

    def exchange(self, sent: Sequence[Array | None], received: Sequence[Array | None]) -> None:
        """Post all receipts and sendings at once, and wait until the last one is done."""
        requests, peers = [], []
        for post, arrays in ((self._world.Irecv, received), (self._world.Isend, sent)):
            for rank, array in enumerate(arrays):
                if array is not None and rank != self.rank:
                    requests.append(post([array, self._mpi.BYTE], rank))
                    peers.append(rank)
        self._wait(requests, lambda: [rank for rank, each in zip(peers, requests, strict=True) if not each.Test()])

    def sum(self, values: Array, ranks: int | None = None) -> None:
        """Add up in the tree of the base class, or by the library's own Allreduce where that was asked for."""
        if not self._native:
            super().sum(values, ranks)
            return
        if ranks is not None and self.rank >= ranks:
            values.fill(0)
        request = self._world.Iallreduce(self._mpi.IN_PLACE, values)
        self._wait([request], lambda: [rank for rank in range(self.size) if rank != self.rank])

    def abort(self, code: int) -> NoReturn:
        """End all processes by MPI_Abort."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._mpi.COMM_WORLD.Abort(code)
        os._exit(code)  # some libraries return, while the launcher ends the job

    def _wait(self, requests: list[Any], missing: Callable[[], list[int]]) -> None:
        begun = time.monotonic()
        try:
            while not self._mpi.Request.Testall(requests):
                waited = time.monotonic() - begun
                if waited > self._timeout:
                    break
                if waited < AWAKE_SECONDS:
                    _yield_core()
                else:
                    time.sleep(NAP_SECONDS)
            else:
                return
            ranks = sorted(set(missing()))
        except self._mpi.Exception as error:
            raise GroupError(f"MPI failed beside {self.where(self.rank)}: {error}") from None
        names = " and ".join(self.where(rank) for rank in ranks[:3]) + (" and others" if len(ranks) > 3 else "")
        raise GroupError(f"{names} did not answer for {self._timeout:g} s (mpi:timeout={self._timeout:g})")


@hookimpl
def rnnframe_reducers() -> Iterable[type[Reducer]]:
    """Return the reducer."""
    return [MPI]
