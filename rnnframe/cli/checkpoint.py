"""The option that says which weights of a run are meant."""

import click

from rnnframe.runs.loading import BEST

CHECKPOINT = click.option(
    "--checkpoint",
    default=BEST,
    show_default=True,
    metavar="NAME",
    help="weights to use: best (by validation), last, or the number of a checkpoint",
)
