"""`rnnframe train`."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from rnnframe.cli.options import given, options_of
from rnnframe.cli.output import print_json
from rnnframe.cli.train_options import AroundOptions, resolve, resolve_resumed
from rnnframe.contracts.kernels import NUMPY
from rnnframe.errors import UsageError
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import default_registry
from rnnframe.runs.folder import CONFIG, RunFolder
from rnnframe.runs.sampling import sample_text
from rnnframe.training.options import TrainingOptions
from rnnframe.training.session import Training


@click.command("train", short_help="Train a network on a task.")
@options_of(TrainingOptions)
@options_of(AroundOptions)
@click.option("--config", metavar="FILE.toml", help="read options from a file; those on the command line come first")
@click.option(
    "--resume", metavar="RUN", help="go on with a run from its last checkpoint; takes --epochs and --patience only"
)
def command(config: str | None, resume: str | None, **values: Any) -> int:
    """Train a network on a task and its data; `rnnframe plugins` lists the tasks, `rnnframe show TASK` explains one.

    With no options: a language model, one LSTM on the text of the Python documentation topics, for about a minute.
    """
    asked = given(values)
    if resume is not None:
        if config is not None:
            raise UsageError(f"--resume takes its options from {resume!r}; leave out --config")
        training, around = _resumed(resume, asked)
    else:
        training, around = _fresh(config, asked)
    begun = training.number
    with training:
        with _signals() as caught:
            done = training.fit(lambda: training.number - begun == around.stop_after or bool(caught))
        _report(training, done=done, sample_length=around.sample, as_json=around.json)
    return 128 + caught[0] if caught and not done else 0


def _fresh(config: str | None, asked: dict[str, Any]) -> tuple[Training, AroundOptions]:
    registry = default_registry()
    options, around = resolve(config, asked)
    if around.force and around.out is None:
        raise UsageError("--force replaces the run that --out names; give --out RUN")
    check_named(options.plugin, registry.records, f"configuration {config!r}")
    run = None if around.out is None else RunFolder.fresh(around.out, force=around.force)
    return Training(options, observers=around.observers(registry.names("observer")), run=run), around


def _resumed(path: str, asked: dict[str, Any]) -> tuple[Training, AroundOptions]:
    config = str(Path(path) / CONFIG)
    resolve_resumed({}, path, asked)  # wrong use is told before the folder is opened
    run, registry = click.get_current_context().with_resource(RunFolder.resume(path)), default_registry()
    options, around = resolve_resumed(run.config(), config, asked)
    check_named(options.plugin, registry.records, f"run {path!r}")
    training = Training(options, observers=around.observers(registry.names("observer")), run=run)
    if training.ended:
        raise UsageError(f"run {path!r} {training.ended}")
    return training, around


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the running batch is finished; a second one ends the program at once."""
    caught: list[int] = []

    def catch(number: int, _: FrameType | None) -> None:
        caught.append(number)
        for other, handler in before.items():
            signal.signal(other, handler)

    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(training: Training, *, done: bool, sample_length: int, as_json: bool) -> None:
    progress, run, model = training.progress, training.run, training.model
    alphabet = model.task.alphabet(model.learnt)
    running, seed = training.trainer.engine.running, training.options.seed
    text = sample_text(running, alphabet, sample_length, seed=seed, kernels=NUMPY) if done and alphabet else ""
    if as_json:
        print_json(
            {
                "run": str(run.path) if run else None,
                "finished": done,
                "epoch": progress.epoch,
                "batch": progress.batch,
                "updates": progress.updates,
                "train_loss": progress.train_loss,
                "valid_loss": progress.valid_loss,
                "measures": progress.measures,
                "kernels": training.trainer.engine.running.kernels,
                "sample": text,
            }
        )
        return
    if not done:
        where = f"epoch {progress.epoch + 1}, batch {progress.batch}"
        plugins = "".join(f"--plugin {shlex.quote(source)} " for source in training.plugins)
        go_on = (
            f"; go on with: rnnframe {plugins}train --resume {shlex.quote(str(run.path))}"
            if run
            else "; nothing was saved (no --out)"
        )
        click.echo(f"stopped after {where}{go_on}", err=True)
        return
    if text:
        click.echo(f"--- a sample of {len(text)} characters at temperature 0.8 ---")
        click.echo(text)
    elif alphabet is None and progress.valid_loss is not None:
        measures = "".join(f", {name} {value:.6g}" for name, value in progress.measures.items())
        click.echo(f"held-out part: {progress.valid_loss:.4f} {model.task.unit}{measures}")
