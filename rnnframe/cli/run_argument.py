"""The argument RUN of the commands that take a trained model: the newest run under `runs/` where none is named."""

import click

from rnnframe.runs.places import newest_run

RUN = click.argument("run", metavar="[RUN]", required=False)


def named_run(run: str | None) -> str:
    """Return the run that was named; otherwise the newest one, which is told on stderr. Raises `RunError`."""
    if run is not None:
        return run
    newest = str(newest_run())
    click.echo(f"rnnframe: no run is named; this is the newest one, {newest}", err=True)
    return newest
