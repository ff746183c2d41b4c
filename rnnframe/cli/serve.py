"""`rnnframe serve`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.runs.listening import LOOPBACK, LoopbackServer, answer_lines
from rnnframe.runs.loading import load_model
from rnnframe.runs.serving import Service


@click.command("serve", short_help="Answer lines of JSON with predictions, step by step.")
@RUN
@CHECKPOINT
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    help=f"listen on this port of {LOOPBACK}, 0 for any that is free  [default: standard input]",
)
@KERNELS
def command(run: str | None, checkpoint: str, port: int | None, kernels: str) -> None:
    """Answer lines of JSON on standard input with what the model in the folder RUN predicts, for trying out.

    A line such as {"x": [0.5, 1.2]} is one time step; {"session": "a", "x": ...} is one of the session "a", and
    {"session": "a", "reset": true} begins it again. RUN may be a file of Network.save too; without RUN it is the newest
    run under runs/. End of input, Ctrl-C and SIGTERM end it.
    """
    model = load_model(Path(named_run(run)), checkpoint, kernels=kernels)
    service = Service(model)
    with _ended_by_signals():
        if port is None:
            answer_lines(service, sys.stdin.buffer, sys.stdout.buffer)
            return
        with LoopbackServer(port, lambda: Service(model)) as server:
            print_json({"listening": LOOPBACK, "port": server.port})
            sys.stdout.flush()
            server.serve_forever()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End in order where Ctrl-C is pressed or SIGTERM arrives."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
