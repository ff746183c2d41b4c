"""`rnnframe explain`: must the previous layers and weights be stored? The answer for one cell, from its own code."""

from pathlib import Path
from typing import Any

import attrs
import click

from rnnframe.cli.output import print_json, print_table
from rnnframe.cli.picture import plot_option
from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.engine import Engine
from rnnframe.inspection.array_storage import ScheduleSummary
from rnnframe.inspection.needs import Dependency, dependencies_of
from rnnframe.network.network import Network
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import default_registry

BYTES = 4  # float32
NOTE = "Bytes are float32, per step and sample (parameters: in all)."
STORES = ("full-history", "states", "circular-queue", "checkpoint")


@click.command("explain", short_help="Show which arrays of the past the gradients of a cell need.")
@click.argument("cell", metavar="CELL")
@click.option(
    "--inputs", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="inputs per step"
)
@click.option("--outputs", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="outputs o_t")
@click.option(
    "--store",
    multiple=True,
    default=STORES,
    metavar="SPEC",
    help="show this store instead of the usual ones; may be repeated",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="steps of the sequence"
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="samples in the batch"
)
@click.option(
    "--kernels",
    default=NUMPY,
    show_default=True,
    metavar="NAME",
    help="kernels to examine: numpy for the cell as it is written, or those that replace it, such as compiled",
)
@plot_option("which gradient needs which array")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    cell: str,
    inputs: int,
    outputs: int,
    store: tuple[str, ...],
    steps: int,
    batch: int,
    kernels: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """List the arrays of a step of CELL, the gradients that need each, and what each store does with it.

    To find the gradients that need an array, the command corrupts the array, reverses the step and looks which
    gradients change. What a store does follows from its schedule for --steps steps of --batch samples. Both work for
    any cell and any store of a plugin.
    """
    made, chosen = default_registry().cell(cell), choose(kernels, default_registry())
    needs = _with_head(dependencies_of(made, inputs, chosen), made.width(inputs) * outputs, outputs, made.readout)
    network = Network(cells=[made], head=f"mse:outputs={outputs},at=last", inputs=inputs).on(chosen)
    if made.both_ways and store == STORES:
        store = tuple(spec for spec in STORES if default_registry().store(spec).exact)
    habits = {
        spec: ScheduleSummary.of(Engine(network, spec, shards=1, kernels=NUMPY).plan(steps, batch), made, inputs)
        for spec in store
    }
    fates = {spec: [of.fate(need) for need in needs] for spec, of in habits.items()}
    rows = [
        {
            "array": need.array,
            "role": need.role,
            "bytes": BYTES * need.values,
            "needed_by": list(need.gradients),
            "stores": {spec: column[n].words for spec, column in fates.items()},
        }
        for n, need in enumerate(needs)
    ]
    if as_json:
        about = {"cell": cell, "inputs": inputs, "steps": steps, "batch": batch, "kernels": network.kernels}
        print_json({**about, "arrays": rows})
    else:
        _print(rows, list(fates), steps, batch)
    if plot is not None:
        from rnnframe.drawing.needs import needs_figure
        from rnnframe.drawing.style import save

        note = f"{NOTE} Stores: {steps:,} steps, batch {batch:,}."
        save(needs_figure(cell, needs, BYTES, fates, note), plot)


def _print(rows: list[dict[str, Any]], stores: list[str], steps: int, batch: int) -> None:
    print_table(
        ["array", "bytes", "needed by", *stores],
        [
            [row["array"], f"{row['bytes']:,}", ", ".join(row["needed_by"]) or "-", *(row["stores"][s] for s in stores)]
            for row in rows
        ],
    )
    halves = " Kept in bfloat16: half of them." if any("bfloat16" in str(row["stores"]) for row in rows) else ""
    click.echo(
        f"\n{NOTE}{halves}"
        "\nGradients are those of one step; dU, dW, dV and the biases' are sums over time,\none array each."
        f"\nWhat a store does is told for {steps:,} steps and batch {batch:,}."
        "\nRebuilt: from what is kept of the same chunk. Recomputed: by running forward\nagain from an earlier state."
    )


def _with_head(needs: list[Dependency], size: int, outputs: int, tied: str) -> list[Dependency]:
    """Add what the head needs: the output of the step for V, and V or, where they are tied, U."""
    last = Dependency("o_t, do_t", "output", outputs, ("dU" if tied else "dV", "dc", "dh_t"))
    if tied:
        return [*(_needed_by(need, "U", "dh_t") for need in needs), last]
    return [*(_needed_by(need, "h_t", "dV") for need in needs), Dependency("V", "parameter", size, ("dh_t",)), last]


def _needed_by(need: Dependency, array: str, gradient: str) -> Dependency:
    return attrs.evolve(need, gradients=(gradient, *need.gradients)) if need.array == array else need
