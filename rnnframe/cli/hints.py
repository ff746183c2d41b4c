"""What was meant by an option that a command does not have: the words of other programs, and of other commands."""

import difflib
from collections.abc import Mapping

import click

from rnnframe.cli.group import PluginGroup
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import field_types

MEANT: Mapping[str, tuple[str, ...]] = {
    "accumulate": ("accumulation-steps", "gradient-accumulation-steps", "grad-accum", "accumulation"),
    "batch": ("batch-size", "batchsize", "bs", "minibatch", "b"),
    "budget": ("memory", "mem", "max-memory", "memory-limit", "ram"),
    "cell": ("model", "rnn", "rnn-type", "arch", "network", "layer"),
    "clip": ("clip-norm", "grad-clip", "gradient-clip", "clip-grad", "clip-grad-norm", "max-grad-norm"),
    "config": ("conf", "configuration", "options"),
    "data": ("file", "input", "dataset", "csv", "text", "train-data", "path", "filename", "corpus"),
    "dtype": ("float-type",),
    "epochs": ("epoch", "num-epochs", "n-epochs", "max-epochs", "iterations", "iters"),
    "held-out": ("val-split", "validation-split", "val-share", "test-size", "split"),
    "hidden": ("hidden-size", "hidden-dim", "hidden-units", "units", "num-units", "nhid", "rnn-size", "num-hidden"),
    "k2": ("tbptt", "tbptt-steps", "truncate", "truncation"),
    "kernels": ("backend", "compile", "compiled", "jit"),
    "layers": ("num-layers", "n-layers", "nlayers", "depth"),
    "lr": ("learning-rate", "lrate", "eta", "step-size"),
    "observer": ("callback", "callbacks", "logger", "log"),
    "out": ("output", "output-dir", "out-dir", "outdir", "save", "save-dir", "save-to", "logdir", "log-dir", "o"),
    "patience": ("early-stopping", "early-stop"),
    "plot": ("picture", "figure", "graph", "chart"),
    "precision": ("fp16", "bf16", "half", "amp", "autocast", "mixed-precision"),
    "rate": ("scheduler", "lr-scheduler", "lr-schedule", "schedule"),
    "resume": ("continue", "restore", "load", "from-checkpoint", "ckpt"),
    "save-every": ("checkpoint-every", "save-interval", "save-steps"),
    "seed": ("random-seed", "random-state", "manual-seed"),
    "shards": ("threads", "workers", "num-workers", "jobs", "n-jobs", "cores", "cpus", "j"),
    "steps": ("seq-len", "seq-length", "sequence-length", "seqlen", "bptt", "length", "timesteps", "window"),
    "store": ("strategy", "checkpointing", "remember", "memory-strategy"),
    "task": ("problem", "kind", "type"),
    "valid": ("validation", "val", "val-data", "valid-data", "validation-data", "dev", "test-data", "eval-data"),
    "warmup": ("warmup-steps", "warm-up"),
    "weight-decay": ("wd", "l2", "decay"),
}
"""Option, of a command or of a plugin -> what other programs call it."""
ABSENT: Mapping[tuple[str, ...], str] = {
    ("gpu", "gpus", "device", "cuda", "use-cuda", "no-cuda", "accelerator"): (
        "rnnframe computes on the CPU only; leave it out (--shards N says how many threads)"
    ),
    ("dropout", "drop", "dropout-rate"): "dropout is a layer between the cells: --cell dropout:rate=0.2",
    ("loss", "criterion", "objective"): "the task says which loss is used; `rnnframe show tasks` lists them",
    ("verbose", "v", "debug"): "progress is shown by default; RNNFRAME_TRACEBACK=1 shows where an error arose",
}
"""What other programs have and this one has not -> what to do."""
FLAGS: Mapping[str, str] = {
    "optimizer": "--optimizer",
    "cell": "--cell",
    "store": "--store",
    "task": "--task",
    "learning rate": "--rate",
    "observer": "--observer",
}
"""Kind of plugin -> the option that names one; in this order they are searched for an option of that name."""
EXTRA = "Got unexpected extra argument"
"""How click begins to say that there are more words than arguments."""
USUAL = ("adam", "lstm", "auto", "checkpoint", "cosine")
"""The plugins to suggest first where several have an option."""


def advice(error: click.NoSuchOption, group: PluginGroup) -> str:
    """Return one line that says which option does not exist, and what was meant by it."""
    context = error.ctx
    typed = error.option_name
    command = context.command if context is not None else group
    where = context.command_path if context is not None else "rnnframe"
    return f"{where} has no option {typed!r}; {_meant(typed.lstrip('-').lower(), command, where, group)}"


def stray(error: click.UsageError) -> str | None:
    """Return one line about words that no argument of a command takes; None for another error."""
    if error.ctx is None or not error.message.startswith(EXTRA):
        return None
    words, where = error.message.partition("(")[2].removesuffix(")"), error.ctx.command_path
    if "--data" in _options(error.ctx.command):
        return f"{where} takes no {words!r} by itself; if it is a file of data, write --data {words}"
    return f"{where} takes no {words!r}; `{where} --help` shows what it takes"


def _meant(typed: str, command: click.Command, where: str, group: PluginGroup) -> str:
    """Return what to write instead: an option of this command or of a plugin, or which command has such an option."""
    word, own = typed.replace("_", "-"), _options(command)
    names = (word, *(known for known, others in MEANT.items() if word in others))
    if f"--{word}" in _options(group):
        return f"it stands before the command: rnnframe --{word} ... COMMAND"
    written = [f"--{name}" for name in names if f"--{name}" in own]
    written += [spec for name in names if (spec := _plugin_option(name.replace("-", "_"), own))]
    for words, remark in ABSENT.items():
        if word in words and not written:
            return remark
    written += _plugins_named(word, own)
    if written:
        return f"write {written[0]}"
    others = [name for name in group.own if f"--{word}" in _options(group.load(name))]
    if others:
        return f"it is an option of rnnframe {', '.join(others)}"
    near = difflib.get_close_matches(f"--{word}", own, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"`{where} --help` lists its options"


def _options(command: click.Command) -> list[str]:
    return [text for option in command.params if isinstance(option, click.Option) for text in option.opts]


def _plugin_option(name: str, own: list[str]) -> str | None:
    """Return how the option of a plugin is written, where the command takes plugins of that kind."""
    registry = default_registry()
    for kind, flag in FLAGS.items():
        if flag in own:
            having = [known for known in registry.names(kind) if name in field_types(registry.find(kind, known))]
            for chosen in (*(usual for usual in USUAL if usual in having), *having):
                return f"{flag} {chosen}:{name}=..."
    return None


def _plugins_named(name: str, own: list[str]) -> list[str]:
    """Return how plugins of that name are chosen, where the command takes plugins of their kind."""
    registry = default_registry()
    return [f"{flag} {name}" for kind, flag in FLAGS.items() if flag in own and name in registry.names(kind)]
