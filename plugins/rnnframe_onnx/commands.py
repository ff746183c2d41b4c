"""The commands `rnnframe export` and `rnnframe import` (extra `onnx`). onnx is imported when one of them runs."""

from importlib.util import find_spec
from pathlib import Path

import click

from rnnframe.plugin import RnnframeError, UsageError, is_same_file, write_whole

LOOKING_UP = ("characters", "bytes")
"""The tasks whose inputs are row numbers."""


def check_installed() -> None:
    """Raise `UsageError` where onnx is not installed."""
    if find_spec("onnx") is None:
        raise UsageError('ONNX models need onnx, which is not installed; run: pip install "rnnframe[onnx]"')


def check_apart(out: str, given: str) -> None:
    """Raise `UsageError` if writing `out` would replace the file that is read: by path, by a link or a hard link."""
    if is_same_file(out, given):
        raise UsageError(f"{out!r} is the file that is read, which it would replace; give another file")


@click.command("export", short_help="Write a trained model as ONNX.")
@click.argument("run", metavar="RUN")
@click.argument("out", metavar="MODEL.onnx")
@click.option("--checkpoint", default="best", show_default=True, help="weights of the run: best, last or a number")
@click.option("--lengths", is_flag=True, help="add an input with the number of real steps of each sample")
@click.option("--looked-up", is_flag=True, help="x holds row numbers; always so for runs on text")
def export_command(run: str, out: str, checkpoint: str, lengths: bool, looked_up: bool) -> None:
    """Write the model of RUN, a run folder or a saved network, as MODEL.onnx.

    The graph contains the scales that were learnt from the data; the metadata contain classes and vocabulary.
    """
    check_installed()
    check_apart(out, run)
    import rnnframe as rf
    from rnnframe_onnx.writing import to_onnx

    model = rf.load_model(run, checkpoint)
    task, learnt = getattr(model, "task", None), getattr(model, "learnt", None)
    looked_up = looked_up or getattr(task, "name", None) in LOOKING_UP
    made = to_onnx(model.network, task, learnt, looked_up=looked_up, lengths=lengths).SerializeToString()
    try:
        write_whole(Path(out), made)
    except OSError as error:
        raise RnnframeError(f"cannot write {out!r}: {error.strerror or error}") from None
    click.echo(f"{out}: {len(made):,} bytes")


@click.command("import", short_help="Make a network of an ONNX model.")
@click.argument("model", metavar="MODEL.onnx")
@click.argument("out", metavar="NETWORK.safetensors")
def import_command(model: str, out: str) -> None:
    """Make a network of the RNN, LSTM and GRU operators of MODEL.onnx, and save it where load_model reads it."""
    check_installed()
    check_apart(out, model)
    from rnnframe_onnx import from_onnx

    network, left_out = from_onnx(model)
    for each in left_out:
        click.echo(f"rnnframe: the network is without {each}: it takes and gives scaled values", err=True)
    network.save(out)
    click.echo(f"{out}: {', '.join(cell.name for cell in network.cells)}, {network.parameters.flat.size:,} parameters")
