"""What `rnnframe train` says at the end: what was reached, where the model is, and what can be done with it."""

import itertools
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click

from rnnframe.cli.output import print_json
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.kernels import AUTO, NUMPY
from rnnframe.runs.loading import load_run
from rnnframe.runs.sampling import sample_text
from rnnframe.training.session import Training
from rnnframe.training.starting import start_record, told_start

MEASURES = 8
"""Measures that a line shows: all of one forecast column, and not four for each of hundreds."""


def report(training: Training, *, done: bool, sample_length: int, as_json: bool) -> None:
    """Print what came of a training that has ended or was stopped."""
    model = training.model
    alphabet = model.table_of_text()
    text = _sample(training, alphabet, sample_length) if done and alphabet is not None else ""
    if as_json:
        print_json(_figures(training, done=done, sample=text))
    elif not done:
        click.echo(_stopped(training), err=True)
    else:
        if text:
            click.echo(f"--- a sample of {len(text)} characters at temperature 0.8 ---\n{text}\n---")
        for line in _summary(training, writes_text=alphabet is not None):
            click.echo(line)


def _sample(training: Training, alphabet: Alphabet, length: int) -> str:
    """Return text of the model that is kept: the best one, where there is a run folder."""
    run, seed = training.run, training.options.seed
    network = training.trainer.averaged if run is None else load_run(run.path).network
    kernels = NUMPY if network.precision is None else AUTO  # numpy waits for no compiler, and has no such products
    return sample_text(network, alphabet, length, seed=seed, kernels=kernels)


def _figures(training: Training, *, done: bool, sample: str) -> dict[str, Any]:
    now, run = training.progress, training.run
    return {
        "run": str(run.path) if run else None,
        "finished": done,
        **({"init_from": start_record(training.options)} if training.options.init_from is not None else {}),
        "epoch": now.epoch,
        "batch": now.batch,
        "updates": now.updates,
        "train_loss": now.train_loss,
        "valid_loss": now.best_loss,
        "measures": now.best_measures,
        "best": now.best,
        "last": {"valid_loss": now.valid_loss, "measures": now.measures},
        "kernels": training.trainer.engine.running.kernels,
        "sample": sample,
    }


def _stopped(training: Training) -> str:
    now = training.progress
    where = f"stopped after epoch {now.epoch + 1}, batch {now.batch}"
    if training.run is None:
        return f"{where}; nothing was saved (--no-out)"
    return f"{where}; go on with: {_command(training, 'train', '--resume', str(training.run.path))}"


def _summary(training: Training, *, writes_text: bool) -> Iterator[str]:
    now, task, run = training.progress, training.model.task, training.run
    if training.options.init_from is not None:
        yield f"started from {told_start(training.options)}"
    if now.best_loss is not None and now.best is not None:
        yield (
            f"held-out part: best {now.best_loss:.4f} {task.unit} ({_place(now.best, training.data.batches)})"
            f"{_measures(now.best_measures)}"
        )
    if now.valid_loss is not None:
        yield f"last: {now.valid_loss:.4f} {task.unit}{_measures(now.measures)}"
    all_trained = training.data.valid is None
    if all_trained and now.train_loss is not None:
        yield f"trained on all of the data, nothing held out: training loss {now.train_loss:.4f} {task.unit}"
    if run is None:
        yield "the model was not kept (--no-out)"
        return
    folder = str(run.path)
    yield f"the {'last' if all_trained else 'best'} model is in {folder}; next:"
    yield f"  {_command(training, 'evaluate', folder)}{' --data FILE' if all_trained else ''}"
    if writes_text:
        yield f"  {_command(training, 'sample', folder)}"
    elif "data" in task.takes:
        yield f"  {_command(training, 'predict', folder, '--data')} FILE --out predictions.csv"
    yield f"  {_command(training, 'train', '--resume', folder, '--epochs', str(2 * training.options.epochs))}"


def _place(number: int, batches: int) -> str:
    """Return after which epoch, and which batch of a running one, so many batches were done."""
    epochs, batch = divmod(number, batches)
    return f"epoch {epochs + 1}, batch {batch}" if batch else f"epoch {epochs}"


def _measures(measures: Mapping[str, float]) -> str:
    """Return the first measures, and how many there are beside them; `rnnframe evaluate` prints all."""
    shown = "".join(f", {name} {value:.6g}" for name, value in itertools.islice(measures.items(), MEASURES))
    return shown + (f", and {len(measures) - MEASURES:,} more" if len(measures) > MEASURES else "")


def _command(training: Training, *words: str) -> str:
    plugins = [word for source in training.plugins for word in ("--plugin", source)]
    return shlex.join(["rnnframe", *plugins, *words])
