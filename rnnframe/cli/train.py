"""`rnnframe train`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from rnnframe.cli.ending import report
from rnnframe.cli.kernels_here import check_kernels, remark_on_numpy
from rnnframe.cli.options import given, options_of
from rnnframe.cli.output import print_remarks
from rnnframe.cli.ranks import Job, job
from rnnframe.cli.train_options import AroundOptions, resolve, resolve_resumed
from rnnframe.contracts.kernels import AUTO
from rnnframe.errors import RnnframeError, RunError, UsageError, on_one_line
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import default_registry
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.layout import CONFIG
from rnnframe.runs.places import RUNS, place_for
from rnnframe.training.options import TrainingOptions
from rnnframe.training.session import Training
from rnnframe.training.starting import told_start


@click.command("train", short_help="Train a network on a task.")
@options_of(TrainingOptions)
@options_of(AroundOptions)
@click.option(
    "--config", metavar="FILE.toml", help="read options from a file; options on the command line take precedence"
)
@click.option(
    "--resume",
    metavar="RUN",
    help="continue a run from its last checkpoint; only --epochs and --patience can be changed",
)
def command(config: str | None, resume: str | None, **values: Any) -> int:
    """Train a network on a task and its data; `rnnframe show tasks` lists the tasks, `rnnframe show TASK` explains one.

    Without options, it trains a language model for about a minute: one LSTM on the text of the Python documentation
    topics. The run is written to a new folder under runs/, or to the folder that --out names; --no-out writes none.
    """
    asked = given(values)
    if resume is not None:
        if config is not None:
            raise UsageError(f"--resume takes its options from {resume!r}; leave out --config")
        with job(asked.get("reducer")) as ranks:
            return _fit(*_resumed(resume, asked, ranks), ranks, kernels=None)
    options, around = resolve(config, asked)
    with job(around.reducer) as ranks:
        return _fit(_fresh(options, around, config, ranks), around, ranks, kernels=str(asked.get("kernels", AUTO)))


def _remark(training: Training, kernels: str | None) -> None:
    """Say on stderr what a person should know of a training before it begins; `kernels` are those of a new one."""
    if kernels is not None:
        remark_on_numpy(training, kernels)
    _remark_on_few_updates(training)
    print_remarks(training.data.remarks, f"data file {training.options.data!r}")


def _fit(training: Training, around: AroundOptions, ranks: Job, kernels: str | None) -> int:
    """Train, report, and return the exit code; `kernels` are those asked for of a new training."""
    if ranks.first:
        _remark(training, kernels)
        if training.options.init_from is not None and not (training.number or around.quiet):
            told = f"rnnframe: the training starts from {told_start(training.options)}"
            click.echo(on_one_line(told), err=True)
    begun = training.number
    with training:
        ranks.run = ranks.group.tell(None if training.run is None else str(training.run.path))
        if ranks.first and ranks.group.size > 1 and not around.quiet:
            again = f"; if a process is killed, go on with --resume {ranks.run}" if ranks.run else ""
            click.echo(f"rnnframe: {ranks.group.size} ranks train together{again}", err=True)
        with _signals() as caught, _told_where(training):
            done = training.fit(lambda: training.number - begun == around.stop_after or bool(caught))
        if ranks.first:
            report(training, done=done, sample_length=around.sample, as_json=around.json)
    signals = [number for numbers in ranks.group.gather(caught) for number in numbers]
    return 128 + signals[0] if signals and not done else 0


def _fresh(options: TrainingOptions, around: AroundOptions, config: str | None, ranks: Job) -> Training:
    if around.force and around.out is None:
        raise UsageError("--force replaces the run that --out names; give --out RUN")
    if around.no_out and around.out is not None:
        raise UsageError(f"--no-out keeps no run, and --out names {around.out!r}; leave one of them out")
    check_named(options.plugin, default_registry().records, f"configuration {config!r}")
    run = None
    if not around.no_out and ranks.first:
        named = around.out or place_for(options.task.partition(":")[0], datetime.now())
        run = RunFolder.fresh(named, force=around.force)
    try:
        return Training(options, observers=_observers(around, ranks), run=run, group=ranks.group)
    except RunError as error:
        if around.out is None:
            error.add_note("name a folder with --out RUN, or keep nothing with --no-out")
        raise


def _observers(around: AroundOptions, ranks: Job) -> tuple[str, ...]:
    return around.observers(default_registry().names("observer")) if ranks.first else ()


def _resumed(path: str, asked: dict[str, Any], ranks: Job) -> tuple[Training, AroundOptions]:
    config = str(Path(path) / CONFIG)
    resolve_resumed({}, path, asked)  # wrong use is told before the folder is opened
    run = None
    if ranks.first:
        run = click.get_current_context().with_resource(RunFolder.resume(path))
    written = ranks.group.tell(None if run is None else run.config())
    options, around = resolve_resumed(written, config, asked)
    check_named(options.plugin, default_registry().records, f"run {path!r}")
    check_kernels(options.kernels, path)
    training = Training(options, observers=_observers(around, ranks), run=run, group=ranks.group)
    if training.ended:
        raise UsageError(f"run {path!r} {training.ended}")
    return training, around


@contextmanager
def _told_where(training: Training) -> Iterator[None]:
    """Add to an error where the run is that was given no name."""
    try:
        yield
    except RnnframeError as error:
        if training.run is not None and training.run.path.parent == RUNS and training.number:
            error.add_note(f"the run up to its last checkpoint is in {training.run.path}")
        raise


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


def _remark_on_few_updates(training: Training) -> None:
    """Say on stderr where an epoch is one update, so that next to nothing can be learnt."""
    course, options = training.trainer.course, training.options
    if course is None or course.of_epoch > 1:
        return
    sizes = [("--steps", options.steps)] if "steps" in training.model.task.takes else []
    sizes += [("--batch", options.batch)] + ([("--accumulate", options.accumulate)] if options.accumulate > 1 else [])
    lower = " or ".join(f"{flag} (now {size})" for flag, size in sizes)
    click.echo(
        f"rnnframe: remark: an epoch makes one update, the whole training {options.epochs}; "
        f"lower {lower}, or raise --epochs",
        err=True,
    )
