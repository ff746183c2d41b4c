"""`rnnframe compare`."""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np

from rnnframe.arrays import Array
from rnnframe.cli.network import KERNELS, PRECISION, SHARDS, network_of, network_options
from rnnframe.cli.output import human_seconds, print_json, print_table
from rnnframe.cli.picture import plot_option
from rnnframe.cli.usual_stores import plans_of, usual_plans
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import RunPlan
from rnnframe.engine.threads import usual_shards
from rnnframe.inspection.calibration import Calibration
from rnnframe.inspection.comparison import Job, Measured, difference, measure_apart
from rnnframe.registry.kernels import kernels_used
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import render
from rnnframe.sizes import human_bytes

REFERENCE = "full-history"
"""The store whose gradient the others are compared with."""
COLUMNS = [
    "store",
    "predicted",
    "held",
    "above idle",
    "predicted time",
    "time",
    "forward/T",
    "gradient, beside full history",
]


@click.command("compare", short_help="Run the strategies on one batch; measure memory, time and gradients.")
@network_options
@PRECISION
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="samples in the batch"
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=500, show_default=True, metavar="N", help="steps of the sequence"
)
@click.option(
    "--chunk", type=click.IntRange(min=1), metavar="N", help="steps per chunk of all stores; by default the fewest"
)
@SHARDS
@KERNELS
@click.option(
    "--store", multiple=True, metavar="SPEC", help="compare this store instead of the usual ones; may be repeated"
)
@plot_option("predicted and measured bytes and times")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    batch: int,
    steps: int,
    chunk: int | None,
    shards: int | None,
    kernels: str,
    store: tuple[str, ...],
    plot: Path | None,
    as_json: bool,
    **of: Any,
) -> None:
    """Run full history and each store on the same random batch, each in its own process.

    By default the stores are those of `rnnframe plan`, and so are the predictions. "held" is the memory of the buffers,
    "above idle" how far the resident set of the process rises during the run. The gradient is compared with that of
    full history at the same chunk length: by default the shortest that an exact store among them takes.
    """
    network = network_of(**of)
    running = Engine(network, kernels=kernels).running
    shards = min(batch, shards or usual_shards(batch, network.recurrent_work))

    def plan(spec: str) -> RunPlan:
        return Engine(network, spec, chunk, shards, kernels=kernels).run_plan(steps, batch)

    plans = plans_of(plan, dict.fromkeys(store)) if store else usual_plans(plan, network.both_ways)
    length = chunk or min(made.largest.chunk for _, made in [*plans_of(plan, [REFERENCE]), *plans] if made.exact)
    job = partial(
        Job,
        cells=[render(cell) for cell in network.cells],
        head=render(network.head),
        inputs=network.inputs,
        dtype=str(network.dtype),
        precision=network.precision,
        steps=steps,
        batch=batch,
        chunk=length,
        shards=shards,
        kernels=kernels,
        plugins=default_registry().sources(),
    )

    def plan_alike(spec: str) -> RunPlan:
        return Engine(network, spec, length, shards, kernels=kernels).run_plan(steps, batch)

    rows = _measured(job, dict.fromkeys((REFERENCE, *(spec for spec, _ in plans))), Calibration(running), plan_alike)
    if as_json:
        about: dict[str, Any] = {"steps": steps, "batch": batch, "chunk": length, "shards": shards}
        about |= {"kernels": running.kernels, "precision": running.precision}
        print_json({**about, "stores": rows})
    else:
        print_table(COLUMNS, [_cells(row, steps) for row in rows])
        click.echo(f"\nkernels: {kernels_used(running.kernels, running.precision)}")
    if plot is not None:
        _draw(plot, rows, f"{steps:,} steps in chunks of {length:,}, batch {batch:,}, threads: {shards}")


def _measured(
    job: Callable[..., Job], stores: Iterable[str], calibration: Calibration, plan: Callable[[str], RunPlan]
) -> list[dict[str, Any]]:
    """Run full history and each store in a process of its own, and return a row for each of `stores`."""
    with tempfile.TemporaryDirectory() as folder:

        def run(spec: str) -> tuple[Measured, Array]:
            file = Path(folder) / "gradient.npy"
            return measure_apart(job(store=spec, gradient=str(file))), np.load(file, allow_pickle=False)

        reference, exact = run(REFERENCE)
        rows = []
        for spec in stores:
            measured, gradient = (reference, exact) if spec == REFERENCE else run(spec)
            error, cosine = difference(gradient, exact)
            compared = {
                "predicted_seconds": calibration.seconds(plan(spec).largest),
                "bit_identical": bool(np.array_equal(gradient, exact)),
                "relative_error": error,
                "cosine": cosine,
            }
            rows.append(attrs.asdict(measured) | compared)
    return rows


def _draw(path: Path, rows: list[dict[str, Any]], note: str) -> None:
    from rnnframe.drawing.comparison import Compared, comparison_figure
    from rnnframe.drawing.style import save

    names = [field.name for field in attrs.fields(Compared) if field.name != "difference"]
    compared = [Compared(**{name: row[name] for name in names}, difference=_said(row)) for row in rows]
    save(comparison_figure(compared, note), path)


def _said(row: dict[str, Any]) -> str:
    if row["bit_identical"]:
        return "bit-identical"
    return f"relative error {row['relative_error']:.2g}, cosine {row['cosine']:.4f}"


def _cells(row: dict[str, Any], steps: int) -> list[str]:
    return [
        row["store"],
        human_bytes(row["predicted_bytes"]),
        human_bytes(row["held_bytes"]),
        "?" if row["above_idle_bytes"] is None else human_bytes(row["above_idle_bytes"]),
        human_seconds(row["predicted_seconds"]),
        human_seconds(row["seconds"]),
        f"{row['forward_steps'] / steps:.2f}",
        _said(row),
    ]
