"""`rnnframe plan`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rnnframe.cli.network import KERNELS, SHARDS, network_of, network_options
from rnnframe.cli.output import human_seconds, print_json, print_table, print_text
from rnnframe.cli.picture import plot_option
from rnnframe.cli.plan_ranks import about_ranks, add_ranks, shards_of_ranks
from rnnframe.cli.usual_stores import plans_of, usual_plans
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import RunPlan
from rnnframe.engine.stages import forward_steps_below, held_bytes
from rnnframe.engine.threads import usual_shards
from rnnframe.errors import OptionError, UsageError
from rnnframe.inspection.calibration import Calibration
from rnnframe.inspection.links import Link
from rnnframe.network.network import Network
from rnnframe.registry.kernels import kernels_used
from rnnframe.registry.specs import read_value, render
from rnnframe.sizes import ByteSize, human_bytes


@click.command("plan", short_help="Predict the memory and time of every strategy.")
@network_options
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="samples in the batch"
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="steps of the sequence"
)
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    metavar="N",
    help="steps per chunk; by default 512 rows or more, 256 where it saves",
)
@SHARDS
@KERNELS
@click.option("--budget", metavar="BYTES", help="memory limit, such as 64MiB: adds the store that auto would choose")
@click.option(
    "--store", multiple=True, metavar="SPEC", help="plan this store instead of the usual ones; may be repeated"
)
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="machines that share the batch with one process each; --shards counts the threads of all",
)
@click.option(
    "--network",
    "link",
    default="10Gb",
    show_default=True,
    metavar="RATE",
    help="what connects them: bits a second, with the time of a message where it is known, as in 100Gb:latency=2us",
)
@plot_option("memory and time of the strategies, and the schedule of one of them")
@click.option(
    "--draw",
    metavar="SPEC",
    help="store whose schedule --plot draws; by default that of the budget, the first --store, or checkpoint",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    batch: int,
    steps: int,
    chunk: int | None,
    shards: int | None,
    kernels: str,
    budget: str | None,
    store: tuple[str, ...],
    ranks: int,
    link: str,
    plot: Path | None,
    draw: str | None,
    as_json: bool,
    **of: Any,
) -> None:
    """Predict the memory and the time of every strategy, one row each.

    The memory is that of tapes, snapshots, states and working arrays of all threads. A line below the table adds the
    parameters and gradients. The time is predicted from one chunk, which is measured on this machine with the same
    number of threads and with BLAS on one, and from a state written to the store's medium and read back.

    With --ranks, memory and time are those of each of N machines like this one, with a process each, and the time of
    the sums of gradients is predicted by an alpha-beta model of the network. The efficiency compares with one of them.
    """
    between = Link.parse(link)
    if draw is not None and plot is None:
        raise UsageError("--draw names the schedule in a picture; give --plot FILE too")
    network = network_of(**of)
    within = None if budget is None else _size(budget)
    chosen = [f"auto:budget={within}"] if within else []
    shown = draw or [*chosen, *store, "checkpoint"][0]
    shards = shards_of_ranks(batch, shards, ranks) if ranks > 1 else shards
    shards = min(batch, shards or usual_shards(batch, network.recurrent_work))

    def plan(spec: str, threads: int = shards) -> RunPlan:
        return Engine(network, spec, chunk, threads, kernels=kernels).run_plan(steps, batch)

    plans = [*(plans_of(plan, store) if store else usual_plans(plan, network.both_ways)), *plans_of(plan, chosen)]
    drawn = plan(shown) if plot else None
    running = Engine(network, kernels=kernels).running
    calibration = Calibration(running)
    rows = _rows(plans, calibration, forward_steps_below(running, steps))
    if ranks > 1:
        add_ranks(rows, plans, lambda spec: plan(spec, shards // ranks), ranks, between, calibration)
    if as_json:
        about = {"steps": steps, "batch": batch, "shards": shards, "kernels": running.kernels}
        print_json(
            {**about, **_between(running, steps, batch), "parameter_bytes": network.parameters.nbytes, "plans": rows}
        )
    else:
        _print(rows, running, (steps, batch), shards)
        if ranks > 1:
            print_text(about_ranks(rows, ranks, shards, link))
    if within and not as_json:
        print_text(_reason(rows, chosen[0], within))
    if plot is not None and drawn is not None:
        from rnnframe.cli.plan_picture import draw_plans

        draw_plans(plot, plan, [*(made for _, made in plans), *([drawn] if draw else [])], drawn, within, calibration)


def _between(running: Network, steps: int, batch: int) -> dict[str, int]:
    """Return how many stages a network has, and the bytes between them; nothing for one that runs in one sweep."""
    if not running.stages:
        return {}
    return {"stages": len(running.stages), "held_bytes": held_bytes(running, steps, batch)}


def _print(rows: list[dict[str, Any]], running: Network, size: tuple[int, int], shards: int) -> None:
    steps, batch = size
    print_table(
        ["store", "chunk", "bytes", "forward/T", "time", "gradient", *(["efficiency"] if "ranks" in rows[0] else [])],
        [
            [
                row["store"],
                str(row["chunk"]),
                human_bytes(row["predicted_bytes"]),
                f"{row['forward_steps'] / steps:.2f}",
                human_seconds(row["predicted_seconds"]),
                row["gradient"],
                *([f"{row['efficiency']:.0%}"] if "ranks" in row else []),
            ]
            for row in rows
        ],
    )
    single = [row["store"] for row in rows if row["chunks"] == 1]
    if single:
        click.echo()
        print_text(
            f"one chunk is the whole sequence for {', '.join(single)}: "
            "no state inside it is saved, and none recomputed; --chunk N makes shorter ones"
        )
    each = "each thread's gradients" if shards > 1 else "gradients"
    parameters = human_bytes(running.parameters.nbytes)
    click.echo(f"\nkernels: {kernels_used(running.kernels)}")
    print_text(f"parameters {parameters}; as much for {each} and each optimizer slot")
    if running.stages:
        held = human_bytes(held_bytes(running, steps, batch))
        print_text(f"{len(running.stages)} stages, each by the same schedule; {held} between them in every row")


def _reason(rows: list[dict[str, Any]], asked: str, budget: int) -> str:
    """Return why the budget's choice was made: what of the rest is too large, and what takes longer."""
    choice = next(row for row in rows if row["asked"] == asked)
    others = [
        row for row in rows if row["exact"] and (row["store"], row["chunk"]) != (choice["store"], choice["chunk"])
    ]
    large = [
        f"{row['store']} ({human_bytes(row['predicted_bytes'])})" for row in others if row["predicted_bytes"] > budget
    ]
    slower = [
        f"{row['store']} ({human_seconds(row['predicted_seconds'])})"
        for row in others
        if row["predicted_bytes"] <= budget
    ]
    reasons = [f"too large: {', '.join(large)}"] * bool(large) + [f"beside it: {', '.join(slower)}"] * bool(slower)
    chosen = f"within {human_bytes(budget)} the least work is {choice['store']}"
    return "; ".join([chosen, *reasons])


def _size(text: str) -> ByteSize:
    try:
        size: ByteSize = read_value(text, ByteSize)
    except ValueError:
        raise OptionError(f"--budget {text!r} is invalid; expected {ByteSize.description}") from None
    return size


def _rows(plans: Sequence[tuple[str, RunPlan]], calibration: Calibration, below: int) -> list[dict[str, Any]]:
    return [
        {
            "asked": spec,
            "store": render(plan.store),
            "exact": plan.exact,
            "gradient": "exact" if plan.exact else "rounded" if plan.store.exact else "truncated",
            "chunk": plan.grid.longest,
            "chunks": plan.grid.chunks,
            "predicted_bytes": run.predicted_bytes,
            "forward_steps": plan.simulation.forward_steps + below,
            "tapes": plan.simulation.tapes,
            "snapshots": plan.simulation.snapshots,
            "predicted_seconds": calibration.seconds(plan),
        }
        for spec, run, plan in ((spec, run, run.largest) for spec, run in plans)
    ]
