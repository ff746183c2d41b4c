"""What `rnnframe plan --ranks` says of a batch that several machines share."""

from collections.abc import Callable, Sequence
from typing import Any

from rnnframe.cli.output import human_seconds
from rnnframe.engine.plan import RunPlan
from rnnframe.errors import OptionError
from rnnframe.inspection.calibration import Calibration
from rnnframe.inspection.links import Link
from rnnframe.inspection.ranks import plan_ranks
from rnnframe.sizes import human_bytes


def shards_of_ranks(batch: int, shards: int | None, ranks: int) -> int:
    """Return the threads of all ranks, one of each by default; raises `OptionError` where ranks cannot share them."""
    shards = shards or ranks
    each, rest = divmod(shards, ranks)
    if rest or each & (each - 1):
        fit = ", ".join(str(ranks << power) for power in range(3))
        raise OptionError(f"--shards {shards} cannot be shared by {ranks} ranks; expected {fit}, ...")
    if shards > batch:
        raise OptionError(f"--batch {batch} has no sample for each of {shards} threads; give at least --batch {shards}")
    return shards


def add_ranks(
    rows: Sequence[dict[str, Any]],
    plans: Sequence[tuple[str, RunPlan]],
    plan_alone: Callable[[str], RunPlan],
    ranks: int,
    link: Link,
    calibration: Calibration,
) -> None:
    """Make the bytes and seconds of rows those of each rank, and add what the network costs.

    `plan_alone` plans the batch with the threads of one rank.
    """
    for row, (spec, whole) in zip(rows, plans, strict=True):
        made = plan_ranks(whole, plan_alone(spec), ranks, link, calibration)
        row |= {
            "predicted_bytes": made.predicted_bytes,
            "predicted_seconds": made.seconds,
            "ranks": ranks,
            "sent_bytes": made.sent_bytes,
            "network_seconds": made.network_seconds,
            "alone_seconds": made.alone_seconds,
            "efficiency": made.efficiency,
        }


def about_ranks(rows: Sequence[dict[str, Any]], ranks: int, shards: int, link: str) -> str:
    """Return what the figures of the table are of, and what the network takes."""
    costs = sorted({(row["sent_bytes"], row["network_seconds"]) for row in rows})
    sent = " or ".join(dict.fromkeys(human_bytes(round(each)) for each, _ in costs))
    seconds = " or ".join(dict.fromkeys(human_seconds(each) for _, each in costs))
    return (
        f"predicted for {ranks} machines like this one, {shards // ranks} of {shards} threads each: bytes and time are "
        f"those of each; for the sums of gradients it sends {sent} in {seconds} over {link}; without the optimizer, "
        "evaluation, and waiting for the slowest machine"
    )
