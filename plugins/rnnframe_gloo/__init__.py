"""The reducer `gloo`: training on the processes that `torchrun` has started, by torch.distributed (extra `torch`).

Only its messages from rank to rank are used; torch is imported when a group is joined and not before.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import attrs
import numpy as np
from attrs.validators import gt

from rnnframe.plugin import Array, Group, GroupError, Reducer, UsageError, hookimpl

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells its processes by the environment."""


@attrs.frozen(kw_only=True)
class Gloo(Reducer):
    """Train on the processes that torchrun has started, by the backend gloo of torch.distributed."""

    name: ClassVar[str] = "gloo"
    timeout: float = attrs.field(
        default=1800.0, validator=gt(0.0), metadata={"help": "seconds to wait for another rank before the job ends"}
    )

    def join(self) -> Group:
        """Return this process as a rank; raises `UsageError` without torch, or where torchrun has not started it."""
        if find_spec("torch") is None:
            raise UsageError("reducer 'gloo' needs torch, which is not installed; run: pip install \"rnnframe[torch]\"")
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if missing:
            raise UsageError(
                f"reducer 'gloo' finds no {', '.join(missing)} in the environment; start the processes with torchrun, "
                "as in: torchrun --nproc-per-node 2 -m rnnframe train --reducer gloo"
            )
        import torch.distributed

        try:
            torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=self.timeout))
        except (RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise GroupError(f"the processes of the job cannot reach each other ({reason}); see MASTER_ADDR") from None
        return Ranks(torch, self.timeout)


class Ranks(Group):
    """The processes of the default group of torch.distributed."""

    def __init__(self, torch: Any, timeout: float) -> None:
        self._torch, self._timeout = torch, timeout
        self._processes: list[int] = []
        super().__init__(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def exchange(self, sent: Sequence[Array | None], received: Sequence[Array | None]) -> None:
        """Post all receipts and sendings at once, and wait for one after the other."""
        works = []
        for post, arrays in ((self._torch.distributed.irecv, received), (self._torch.distributed.isend, sent)):
            for rank, array in enumerate(arrays):
                if array is not None and rank != self.rank:
                    works.append((rank, self._work(post, rank, array)))
        for rank, work in works:
            try:
                work.wait(timedelta(seconds=self._timeout))
            except RuntimeError as error:
                raise self._lost(rank, error) from None

    def _work(self, post: Any, rank: int, array: Array) -> Any:
        try:
            return post(self._torch.from_numpy(array.view(np.uint8)), rank)
        except RuntimeError as error:
            raise self._lost(rank, error) from None

    def _lost(self, rank: int, error: RuntimeError) -> GroupError:
        reason = str(error).partition("\n")[0]
        if "imed out" in reason:
            reason = f"no answer for {self._timeout:g} s (gloo:timeout={self._timeout:g})"
        return GroupError(f"{self.where(rank)} is lost: {reason}")

    def meet(self) -> None:
        """Tell each other the names of the machines and the numbers of the processes."""
        super().meet()
        self._processes = self.gather(os.getpid())

    def abort(self, code: int) -> NoReturn:
        """End this process and those that the same torchrun has started; the others are ended by theirs.

        A process that hangs is not left to torchrun, which would ask it to end and wait for half a minute.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        for process in _children(os.getppid()) & set(self._processes) - {os.getpid()}:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        os._exit(code)

    def close(self) -> None:
        """Leave the process group."""
        if not self.closed:
            super().close()
            self._torch.distributed.destroy_process_group()


def _children(parent: int) -> set[int]:
    """Return the processes that a process has started, where the system tells."""
    found = set()
    for file in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= set(map(int, file.read_text().split()))
    return found


@hookimpl
def rnnframe_reducers() -> Iterable[type[Reducer]]:
    """Return the reducer."""
    return [Gloo]
