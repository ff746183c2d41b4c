"""The command `rnnframe`. Errors are one line on stderr; exit code 2 means wrong use, 1 failed work."""

import errno
import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

import rnnframe
from rnnframe.cli.group import PluginGroup, registry_of
from rnnframe.cli.hints import advice, stray
from rnnframe.errors import RnnframeError, on_one_line
from rnnframe.registry.registry import using

LONGEST = 1200
"""Characters of an error; one that lists all known names may need hundreds."""

FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
"""What the system says where a disk is full or a quota is used up."""

GROUPS = {
    "Train and use a network": {
        "train": "Train a network on a task.",
        "evaluate": "Print the loss of a trained model on data.",
        "backtest": "Judge forecasts made at many rows, column by column and step by step.",
        "predict": "Write the predictions of a trained model to a file.",
        "sample": "Write text with a trained model.",
        "serve": "Answer lines of JSON with predictions, step by step.",
        "report": "Show loss, throughput and memory of runs, as a table or a picture.",
    },
    "Choose what is remembered of the past": {
        "plan": "Predict the memory and time of every strategy.",
        "compare": "Run the strategies on one batch; measure memory, time and gradients.",
        "play": "Write a page that plays a strategy as a film.",
        "explain": "Show which arrays of the past the gradients of a cell need.",
    },
    "Look up": {
        "show": "List all tasks, cells, stores, ..., or explain one and its options.",
        "plugins": "List the plugins and what they provide.",
    },
    "Extend": {
        "new": "Write a new plugin of any kind, ready to be installed.",
        "check": "Run the conformance suite on a plugin.",
    },
    "Set up": {
        "completion": "Print the script that completes commands in a shell.",
        "warmup": "Compile the kernels before their first use.",
    },
}
"""What people do -> the subcommands for it, with their line of `rnnframe --help`; each is `command` of its module."""
COMMANDS = {name: line for commands in GROUPS.values() for name, line in commands.items()}


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(rnnframe.__version__, prog_name="rnnframe")
@click.option(
    "--plugin",
    multiple=True,
    metavar="FILE.py",
    help="also load the plugins in a file: cells, stores, commands, ...",
)
@click.option("--trace", is_flag=True, help="print all hook calls on stderr")
@click.pass_context
def cli(context: click.Context, plugin: tuple[str, ...], trace: bool) -> None:
    """Train recurrent networks by exact back-propagation through time in the memory you have.

    `rnnframe train` with no options trains a character-level language model for about a minute.
    """
    if plugin or trace:
        context.with_resource(using(registry_of(context)))


cli.groups = GROUPS


def with_commands() -> click.Group:
    """Return the command `rnnframe` with all of its subcommands imported."""
    for name in COMMANDS:
        cli.load(name)
    return cli


def main() -> NoReturn:
    """Run the command line; a traceback is shown only where RNNFRAME_TRACEBACK=1 asks for it."""
    sys.exit(run())


def run() -> int:
    """Run the command line and return its exit code."""
    try:
        code = cli.main(prog_name="rnnframe", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.NoSuchOption as error:
        return _fail(error, advice(error, cli), error.exit_code)
    except click.UsageError as error:
        return _fail(error, stray(error) or error.format_message(), error.exit_code)
    except click.ClickException as error:
        return _fail(error, error.format_message(), error.exit_code)
    except RnnframeError as error:
        return _fail(error, str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        return _fail(error, "stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        return 1
    except MemoryError as error:
        return _fail(error, f"out of memory: {error}; make the network, the batch or the sequences smaller", 1)
    except SystemExit:  # a command of a plugin ends as it likes
        raise
    except BaseException as error:  # the last net: of a plugin, of a damaged file, of ourselves
        if isinstance(error, OSError) and error.errno in FULL:
            return _fail(error, f"cannot write the output: {error.strerror}; free some space, or print elsewhere", 1)
        return _fail(error, f"{type(error).__name__}: {error}", 1, "RNNFRAME_TRACEBACK=1 shows where")


def _fail(error: BaseException, message: str, code: int, *remarks: str) -> int:
    if os.environ.get("RNNFRAME_TRACEBACK", "") not in ("", "0"):
        raise error
    more = "; ".join([*getattr(error, "__notes__", ()), *remarks])
    with suppress(OSError):  # a full disk under stderr too: the exit code tells
        click.echo(f"rnnframe: error: {_one_line(message)}{f' ({_one_line(more)})' if more else ''}", err=True)
    return code


def _one_line(message: str) -> str:
    """Return a message on one line, without the middle where a damaged file made it long."""
    text = on_one_line(message)
    return text if len(text) <= LONGEST else f"{text[: LONGEST * 2 // 3]} ... {text[-LONGEST // 3 :]}"
