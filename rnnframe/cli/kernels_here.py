"""What is said of a training whose kernels cannot be used on this machine."""

import os

import click

from rnnframe.contracts.kernels import AUTO, NUMPY
from rnnframe.errors import UsageError
from rnnframe.registry.registry import default_registry
from rnnframe.training.session import Training


def remark_on_numpy(training: Training, asked: str) -> None:
    """Say on stderr where a new training runs on numpy, and kernels that cannot be used here would be faster."""
    if asked != AUTO or os.environ.get("RNNFRAME_KERNELS", AUTO) not in ("", AUTO) or training.options.kernels != NUMPY:
        return
    registry, used = default_registry(), {cell.name for cell in training.model.network.cells}
    for kernels in map(registry.kernels, registry.names("kernels")):
        reason = kernels.missing()
        if reason and used & {cell.partition(":")[0] for cell in kernels.cells()}:
            click.echo(
                f"rnnframe: remark: this runs on numpy; {kernels.name} kernels would be faster, but {reason}", err=True
            )


def check_kernels(name: str, run: str) -> None:
    """Raise `UsageError` unless the kernels that a run began with can be used here."""
    registry = default_registry()
    reason = registry.kernels(name).missing() if name in registry.names("kernels") else ""
    if reason:
        raise UsageError(f"run {run!r} can continue on {name} kernels only, because others round differently; {reason}")
