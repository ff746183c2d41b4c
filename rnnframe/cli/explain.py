"""`rnnframe explain`: must the previous layers and weights be stored? The answer for one cell, from its own code."""

from typing import Any

import attrs
import click

from rnnframe.cli.output import print_json, print_table
from rnnframe.explain import Need, needs_of
from rnnframe.plugins import default_registry

FATES = {
    "input": ("read again", "read again", "read again"),
    "state": ("kept", "kept for k2 steps", "kept at the slots, recomputed elsewhere"),
    "tape": ("kept", "kept for k2 steps", "recomputed"),
    "parameter": ("one copy", "old ones only with weights=stored", "one copy"),
    "output": ("never stored", "never stored", "never stored"),
}
STORES = ("full-history", "circular-queue", "checkpoint")


@click.command("explain", short_help="Tell which arrays of the past the gradients of a cell need.")
@click.argument("cell", metavar="CELL")
@click.option("--inputs", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="inputs a step")
@click.option("--outputs", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="outputs o_t")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(cell: str, inputs: int, outputs: int, as_json: bool) -> None:
    """List every array that a step of CELL makes or reads: which gradients need it, and what each store does with it.

    Which gradient needs an array is found out, not declared: the array is spoilt, the step reversed, and the gradients
    that are spoilt with it are named. This works for any cell, from any plugin.
    """
    made = default_registry().cell(cell)
    hidden = made.hidden
    needs = [
        *(_with_readout(need) for need in needs_of(made, inputs)),
        Need("V", "parameter", hidden * outputs, ("dh_t",)),
        Need("o_t, do_t", "output", outputs, ("dV", "dc", "dh_t")),
    ]
    rows = [_row(need) for need in needs]
    if as_json:
        print_json({"cell": cell, "inputs": inputs, "arrays": rows})
        return
    print_table(
        ["array", "bytes", "needed by", *STORES],
        [
            [row["array"], f"{row['bytes']:,}", ", ".join(row["needed_by"]) or "-", *(row["stores"][s] for s in STORES)]
            for row in rows
        ],
    )
    click.echo(
        "\nBytes are float32, per step and sample (parameters: in all). Gradients are those of one step; dU, dW, dV and"
        "\nthe biases' are sums over time, one array each. What is not stored is recomputed from an earlier state."
    )


def _with_readout(need: Need) -> Need:
    """Add what the head needs: the output of the step, for V."""
    return attrs.evolve(need, gradients=("dV", *need.gradients)) if need.array == "h_t" else need


def _row(need: Need) -> dict[str, Any]:
    return {
        "array": need.array,
        "role": need.role,
        "bytes": 4 * need.values,
        "needed_by": list(need.gradients),
        "stores": dict(zip(STORES, FATES[need.role], strict=True)),
    }
