"""What a training on several machines is predicted to take: chunks as measured here, and the network by a model."""

import attrs
import numpy as np

from rnnframe.engine.plan import Plan, RunPlan
from rnnframe.inspection.calibration import Calibration, usual_seconds
from rnnframe.inspection.links import Link, sent_bytes

TOLD = 2
"""Short values that all ranks tell each other at each update: their losses, and whether to stop."""


@attrs.frozen(kw_only=True)
class RanksPlan:
    """What one of several ranks holds, sends and takes for a batch.

    Parameters
    ----------
    ranks : int
        How many there are, each on a machine of its own.
    shards : int
        Parts of the batch that each runs in threads.
    predicted_bytes : int or None
        What the store holds on each rank; None without a bound.
    sent_bytes : float
        What each sends, and receives, for the sums of gradients of a batch.
    compute_seconds, network_seconds : float or None
        What its parts take, and what the sums take; None where the length is unknown.
    alone_seconds : float or None
        What one rank with as many threads would take for the whole batch.
    """

    ranks: int
    shards: int
    predicted_bytes: int | None
    sent_bytes: float
    compute_seconds: float | None
    network_seconds: float
    alone_seconds: float | None

    @property
    def seconds(self) -> float | None:
        """What a batch takes: chunks and sums; without the optimizer, and without waiting for the slowest rank."""
        return None if self.compute_seconds is None else self.compute_seconds + self.network_seconds

    @property
    def efficiency(self) -> float | None:
        """How much faster than one rank, divided by the number of ranks."""
        if self.seconds is None or self.alone_seconds is None:
            return None
        return self.alone_seconds / self.seconds / self.ranks


def plan_ranks(whole: RunPlan, alone: RunPlan, ranks: int, link: Link, calibration: Calibration) -> RanksPlan:
    """Return the prediction for a batch.

    Parameters
    ----------
    whole : RunPlan
        Of the parts of all ranks.
    alone : RunPlan
        Of one rank that runs the batch in as many parts as each rank has.
    ranks : int
        Ranks.
    link : Link
        What connects them.
    calibration : Calibration
        Measures chunks.
    """
    each = len(whole.shards) // ranks
    own = RunPlan(whole.shards[-each:])  # the largest parts are the last ones
    parameters = calibration.network.parameters.nbytes
    updates = max(1, own.largest.simulation.updates)
    told = TOLD * link.gather_seconds(ranks)
    adding = _adding_seconds(parameters) if ranks > 1 else 0.0
    return RanksPlan(
        ranks=ranks,
        shards=each,
        predicted_bytes=own.predicted_bytes,
        sent_bytes=updates * sent_bytes(ranks, parameters),
        compute_seconds=calibration.seconds(_in_threads(own)),
        network_seconds=updates * (link.sum_seconds(ranks, parameters, adding) + told) if ranks > 1 else 0.0,
        alone_seconds=calibration.seconds(_in_threads(alone)),
    )


def _in_threads(run: RunPlan) -> Plan:
    """Return the plan of the largest shard of a process that runs these, each in a thread."""
    plan = run.largest
    return attrs.evolve(plan, costs=attrs.evolve(plan.costs, shards=len(run.shards)))


def _adding_seconds(nbytes: int) -> float:
    """Return the seconds of adding a vector of so many bytes to another one here."""
    total, term = np.zeros(max(1, nbytes // 4), np.float32), np.zeros(max(1, nbytes // 4), np.float32)
    return usual_seconds(lambda: np.add(total, term, out=total))
