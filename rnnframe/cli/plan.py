"""`rnnframe plan`."""

from typing import Any

import click

from rnnframe.calibration import Calibration
from rnnframe.cli.network import network_of, network_options
from rnnframe.cli.output import print_json, print_table
from rnnframe.engine import Engine
from rnnframe.errors import OptionError
from rnnframe.network import Network
from rnnframe.plan import Plan
from rnnframe.plugins import default_registry
from rnnframe.sizes import ByteSize, human_bytes
from rnnframe.specs import read_value, render

STORES = ("full-history", "checkpoint", "checkpoint:policy=revolve", "circular-queue")


@click.command("plan", short_help="Tell bytes and time of every strategy before anything runs.")
@network_options
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="samples")
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="length of the sequence"
)
@click.option("--chunk", type=click.IntRange(min=1), metavar="N", help="steps per chunk; by default 512 rows")
@click.option("--budget", metavar="BYTES", help="also what store auto would choose within so many bytes, such as 64MiB")
@click.option("--store", multiple=True, metavar="SPEC", help="plan these stores instead of the usual ones")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    batch: int, steps: int, chunk: int | None, budget: str | None, store: tuple[str, ...], as_json: bool, **of: Any
) -> None:
    """Tell what every strategy would hold and how long it would take, one row each.

    Bytes are those of tapes, snapshots, states and working arrays; parameters and gradients come on top and are told
    below the table. Times are predicted from a chunk that is measured on this machine.
    """
    network = network_of(**of)
    rows = _rows(
        network, [*(store or _usual()), *([f"auto:budget={_size(budget)}"] if budget else [])], chunk, steps, batch
    )
    parameters = network.parameters.nbytes
    if as_json:
        print_json({"steps": steps, "batch": batch, "parameter_bytes": parameters, "plans": rows})
        return
    print_table(
        ["store", "chunk", "bytes", "forward/T", "time", "gradient"],
        [
            [
                row["store"],
                str(row["chunk"]),
                human_bytes(row["predicted_bytes"]),
                f"{row['forward_steps'] / steps:.2f}",
                f"{row['predicted_seconds']:.3g} s",
                "exact" if row["exact"] else "truncated",
            ]
            for row in rows
        ],
    )
    click.echo(f"\nparameters {human_bytes(parameters)}, and as much again for gradients and each optimizer slot")


def _usual() -> list[str]:
    """Return the usual stores, and every further one that needs no options."""
    registry = default_registry()
    named = {spec.partition(":")[0] for spec in STORES} | {"auto"}
    return [*STORES, *(name for name in registry.names("store") if name not in named)]


def _size(text: str) -> ByteSize:
    try:
        size: ByteSize = read_value(text, ByteSize)
    except ValueError:
        raise OptionError(f"--budget {text!r} is out of place; expected {ByteSize.description}") from None
    return size


def _rows(network: Network, stores: list[str], chunk: int | None, steps: int, batch: int) -> list[dict[str, Any]]:
    calibration = Calibration(network)
    plans: list[tuple[str, Plan]] = [(spec, Engine(network, spec, chunk).plan(steps, batch)) for spec in stores]
    return [
        {
            "asked": spec,
            "store": render(plan.store),
            "exact": plan.store.exact,
            "chunk": plan.grid.longest,
            "predicted_bytes": plan.predicted_bytes,
            "forward_steps": plan.simulation.forward_steps,
            "tapes": plan.simulation.tapes,
            "snapshots": plan.simulation.snapshots,
            "predicted_seconds": calibration.seconds(plan),
        }
        for spec, plan in plans
    ]
