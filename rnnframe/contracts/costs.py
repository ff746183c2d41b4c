"""`Costs`: the bytes that a store plans with."""

import attrs

from rnnframe.schedules.simulation import Simulation


@attrs.frozen(kw_only=True)
class Costs:
    """The sizes that a store plans with: bytes of RAM of one shard.

    Parameters
    ----------
    snapshot : int
        Bytes of a saved state in RAM.
    tape : int
        Bytes of the tape of one chunk.
    far : int
        Bytes of RAM of a saved state in the store's medium.
    weights : int
        Bytes of one version of the weights.
    fixed : int
        Bytes that are always held: the current state, the final one and the gradient of the first one, the last two
        also as the caller gets them, the working arrays of one chunk, and the arrays of all steps between the stages
        of a network of two directions.
    shards : int
        The number of shards, each of which holds as much.
    """

    snapshot: int
    tape: int
    far: int = 0
    weights: int = 0
    fixed: int = 0
    shards: int = 1

    @property
    def unit(self) -> int:
        """The bytes that room for snapshots is counted in: those of a snapshot, of a tape where there is no state."""
        return self.snapshot or self.tape

    @property
    def alpha(self) -> int:
        """How many units of room a tape takes, rounded up."""
        return -(-self.tape // self.unit)

    def share(self, budget: int) -> int:
        """Return the bytes of a run's budget that one shard may hold."""
        return budget // self.shards

    def arena(self, simulation: Simulation) -> int:
        """Return the bytes in which the tapes and snapshots of a simulated schedule have room."""
        return max((tapes * self.tape + states * self.snapshot for tapes, states in simulation.peaks), default=0)

    def held(self, simulation: Simulation) -> int:
        """Return the bytes of everything that a simulated schedule holds at its peak."""
        apart = simulation.far_snapshots * self.far + simulation.versions * self.weights
        return self.fixed + self.arena(simulation) + simulation.beside + apart
