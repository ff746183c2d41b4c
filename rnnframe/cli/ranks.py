"""A command on several processes: the group that `--reducer` joins, and how one failing rank ends the whole job."""

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs

from rnnframe.contracts.reducer import Group
from rnnframe.engine.ranks import ALONE
from rnnframe.errors import GroupError, UsageError
from rnnframe.registry.registry import default_registry

LAUNCHED = {"mpi": ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"), "gloo": ("WORLD_SIZE",)}
"""Reducer -> where a launcher tells its processes how many they are. A batch script of Slurm has no tasks of a step."""
BEHIND_SECONDS = 0.5
"""Seconds for which a failing rank lets rank 0 speak first: where all fail alike, one line ends the job. A rank that
has lost another one waits for twice as long more, since the other one knows the reason and may be about to tell it."""


@attrs.define
class Job:
    """The ranks of a command, and the run folder that they can go on with, as soon as there is one."""

    group: Group
    run: str | None = None

    @property
    def first(self) -> bool:
        """Whether this is rank 0, to which the run folder, the metrics and the lines of progress belong."""
        return self.group.rank == 0


def check_alone(environ: Mapping[str, str]) -> None:
    """Raise `UsageError` where a launcher has started several processes, which would each train by themselves."""
    for reducer, names in LAUNCHED.items():
        for name in names:
            if environ.get(name, "").isdecimal() and int(environ[name]) > 1:
                raise UsageError(
                    f"{environ[name]} processes were started ({name}), and each would train by itself; "
                    f"give --reducer {reducer} to train one network together"
                )


@contextmanager
def job(reducer: str | None) -> Iterator[Job]:
    """Join the group of a reducer, or check that there is one process. An error within ends all processes at exit."""
    if reducer is None:
        check_alone(os.environ)
        yield Job(ALONE)
        return
    joined = Job(default_registry().reducer(reducer).open())
    group = joined.group
    try:
        yield joined
    except BaseException as error:
        if group.size > 1:
            again = f"; go on with --resume {joined.run}" if joined.run else ""
            error.add_note(f"{group.where(group.rank)} of {group.size}{again}")
            time.sleep(BEHIND_SECONDS * ((not joined.first) + 2 * isinstance(error, GroupError)))
            atexit.register(group.abort, getattr(error, "exit_code", 1))  # after the line of the error
        raise
    group.close()
