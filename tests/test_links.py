"""The model of the network: the bytes that are really sent, and times that can be worked out by hand."""

import numpy as np
import pytest
from rank_groups import each_rank

import rnnframe as rf
from rnnframe.contracts.reducer import FIRST
from rnnframe.errors import OptionError
from rnnframe.inspection.calibration import Calibration
from rnnframe.inspection.links import LATENCY, Link, sent_bytes
from rnnframe.inspection.ranks import plan_ranks
from rnnframe.plugin import Group


@pytest.mark.parametrize(
    ("text", "rate", "latency"),
    [
        ("10Gb", 1.25e9, LATENCY),
        ("100 Gb/s", 12.5e9, LATENCY),
        ("2.5Gbps:latency=5us", 0.3125e9, 5e-6),
        ("800Mb:latency=0.1ms", 1e8, 1e-4),
    ],
)
def test_a_link_is_read_as_networks_are_sold(text: str, rate: float, latency: float) -> None:
    assert Link.parse(text) == Link(rate=rate, latency=pytest.approx(latency))


@pytest.mark.parametrize("text", ["10GB", "fast", "0Gb", "10Gb:latency=3", "-1Gb", "1.2.3Gb"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is invalid; expected bits a second, such as 10Gb"):
        Link.parse(text)


def test_the_time_of_a_sum_is_what_can_be_worked_out_by_hand() -> None:
    link = Link(rate=1e9, latency=1e-5)
    # four ranks, 4 MB: twice three messages, twice three slices of 1 MB, three of four slices added
    assert link.sum_seconds(4, 4_000_000, adding=0.004) == pytest.approx(6e-5 + 6e-3 + 0.003)
    assert link.sum_seconds(1, 4_000_000, adding=0.004) == 0
    assert link.gather_seconds(3) == pytest.approx(2 * (1e-5 + FIRST / 1e9))


@pytest.mark.parametrize(("store", "updates", "asked"), [("full-history", 1, 1), ("circular-queue:k1=4,k2=8", 4, 5)])
def test_the_bytes_of_a_batch_are_those_that_ranks_send(store: str, updates: int, asked: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 8, 3), np.float32), rng.standard_normal((16, 8, 2), np.float32)

    def engine(group: Group | None, shards: int) -> rf.Engine:
        network = rf.Network(cells=["lstm:hidden=6"], head="mse:outputs=2", inputs=3)
        return rf.Engine(network, store, 4, shards, group=group, kernels="numpy")

    def work(group):
        group.sent_bytes = 0
        engine(group, 4).run(x, y, None, lambda *_: None)
        return group.sent_bytes

    whole, alone = engine(None, 4).run_plan(16, 8), engine(None, 1).run_plan(16, 8)
    planned = plan_ranks(whole, alone, 4, Link(rate=1e9), Calibration(engine(None, 1).running))
    told = 3 * FIRST * asked  # the losses, after windows once more for those that are left
    # A rank's slice is a number more or less where they do not come out even.
    assert each_rank(4, work) == pytest.approx([planned.sent_bytes + told] * 4, rel=0.005)
    assert planned.sent_bytes == updates * sent_bytes(4, engine(None, 1).network.parameters.nbytes)
    assert planned.predicted_bytes == whole.shards[0].predicted_bytes
    assert planned.seconds == planned.compute_seconds + planned.network_seconds
    assert planned.efficiency == planned.alone_seconds / planned.seconds / 4
