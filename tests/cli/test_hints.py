"""An option that a command does not have: what was meant is said, and what is said can be typed."""

import click
import pytest

from rnnframe.cli import cli, with_commands
from rnnframe.cli.hints import ABSENT, MEANT
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import field_types

from .conftest import Run

HINTS = [
    ("train", "--lr", "write --optimizer adam:lr=..."),
    ("train", "--learning-rate", "write --optimizer adam:lr=..."),
    ("train", "--learning_rate", "write --optimizer adam:lr=..."),
    ("train", "--hidden", "write --cell lstm:hidden=..."),
    ("train", "--hidden-size", "write --cell lstm:hidden=..."),
    ("train", "--batch-size", "write --batch"),
    ("train", "-b", "write --batch"),
    ("train", "--epoch", "write --epochs"),
    ("train", "--seq-len", "write --steps"),
    ("train", "--held_out", "write --held-out"),
    ("train", "--slots", "write --store checkpoint:slots=..."),
    ("train", "--budget", "write --store auto:budget=..."),
    ("train", "--memory", "write --store auto:budget=..."),
    ("plan", "--memory", "write --budget"),
    ("plan", "--hidden", "write --cell lstm:hidden=..."),
    ("train", "--k2", "write --store circular-queue:k2=..."),
    ("train", "--horizon", "write --task forecast:horizon=..."),
    ("train", "--warmup-steps", "write --rate cosine:warmup=..."),
    ("train", "--weight-decay", "write --optimizer adam:weight_decay=..."),
    ("train", "--gru", "write --cell gru"),
    ("train", "--threads", "write --shards"),
    ("train", "--gpu", "rnnframe computes on the CPU only; leave it out"),
    ("train", "--dropout", "dropout is a layer between the cells: --cell dropout:rate=0.2"),
    ("train", "--device", "rnnframe computes on the CPU only; leave it out"),
    ("train", "--plot", "it is an option of rnnframe evaluate, predict, report, plan, compare, explain"),
    ("evaluate", "--batch", "it is an option of rnnframe train, plan, compare, play, explain"),
    ("train", "--plugin", "it stands before the command: rnnframe --plugin ... COMMAND"),
    ("train", "--stor", "did you mean --store?"),
    ("train", "--qqq", "`rnnframe train --help` lists its options"),
]


@pytest.mark.parametrize(("command", "option", "hint"), HINTS, ids=[f"{c} {o}" for c, o, _ in HINTS])
def test_a_wrong_option_tells_what_was_meant(run: Run, command: str, option: str, hint: str) -> None:
    outcome = run(command, option, "3")
    assert outcome.code == 2
    assert outcome.err == f"rnnframe: error: rnnframe {command} has no option {option!r}; {hint}" + (
        " (--shards N says how many threads)\n" if "CPU" in hint else "\n"
    )


def test_a_file_by_itself_is_taken_for_the_data(run: Run) -> None:
    outcome = run("train", "prices.csv")
    assert outcome.code == 2
    assert outcome.err == (
        "rnnframe: error: rnnframe train takes no 'prices.csv' by itself; "
        "if it is a file of data, write --data prices.csv\n"
    )


def test_too_many_words_name_the_help(run: Run) -> None:
    outcome = run("plan", "a", "b")
    assert outcome.code == 2
    assert outcome.err == "rnnframe: error: rnnframe plan takes no 'a b'; `rnnframe plan --help` shows what it takes\n"


def test_no_word_means_two_things_and_what_is_meant_exists() -> None:
    words = [word for others in (*MEANT.values(), *ABSENT) for word in others]
    assert len(set(words)) == len(words)
    options = {
        text.removeprefix("--")
        for command in with_commands().commands.values()
        for option in command.params
        if isinstance(option, click.Option)
        for text in option.opts
    }
    registry = default_registry()
    of_plugins = {
        option.replace("_", "-")
        for kind in ("optimizer", "cell", "store", "task", "learning rate")
        for name in registry.names(kind)
        for option in field_types(registry.find(kind, name))
    }
    assert set(MEANT) <= options | of_plugins


def test_the_help_groups_every_command_once() -> None:
    names = [name for commands in cli.groups.values() for name in commands]
    assert len(set(names)) == len(names) == len(cli.own)
