"""The conformance suite of state stores, and what only the author knows."""

import rnnframe as rf
from rnnframe import testing
from rnnframe.plugin import Costs, Grid


class TestExample(testing.StateStoreTests):
    """Every check of the suite."""

    store = "example:every=3"


def test_it_holds_one_state_and_one_run_of_tapes_at_a_time() -> None:
    """Of twelve chunks in runs of three: four states, three tapes, and every chunk runs twice."""
    grid = Grid(steps=120, pattern=(10,))
    simulation = rf.simulate(rf.store("example:every=3").schedule(grid, Costs(snapshot=1, tape=10)), grid)
    assert (simulation.snapshots, simulation.tapes, simulation.forward_chunks) == (4, 3, 24)
