"""How long one time step takes as values arrive, beside torch's nn.LSTM and onnxruntime.

    python -m tests.benchmarks steps [--cell lstm:hidden=128] [--inputs 32] [--batches 1,1000] [--kernels compiled] ...

One network, float32 and one thread, is stepped in one process by `Network.stream`, by nn.LSTM (or GRU, RNN) in
inference mode and by onnxruntime with io_binding over two sets of states that take turns; all three must agree to 1e-5
first. They take turns, some steps each. Times are medians of all single steps, ratios medians of those of the turns.
Needs torch and onnxruntime; leave one out with --beside.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import rnnframe as rf
from tests.benchmarks.machine import blas_kernels, machine_line, surroundings
from tests.benchmarks.options import names_of, numbers

INSIDE = "RNNFRAME_BENCHMARK_STEPS"


class Streamed:
    """rnnframe."""

    def __init__(self, network: rf.Network, batch: int, kernels: str) -> None:
        self.step = network.stream(batch, kernels).step


class Torch:
    """nn.LSTM, GRU or RNN in inference mode, a step a call."""

    def __init__(self, network: rf.Network, batch: int, kernels: str) -> None:
        import torch

        torch.set_num_threads(1)
        cell = network.cells[0]
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}[cell.name]
        self._module = kind(network.inputs, cell.hidden).eval()
        arrays = network.to_state_dict(rnn="")
        self._module.load_state_dict({name.lstrip("."): torch.from_numpy(array) for name, array in arrays.items()})
        zeros = torch.zeros(1, batch, cell.hidden)
        self._state = (zeros, zeros.clone()) if cell.name == "lstm" else zeros
        self._torch = torch

    def step(self, x: np.ndarray) -> np.ndarray:
        """Run one step."""
        with self._torch.inference_mode():
            h, self._state = self._module(self._torch.from_numpy(x)[None], self._state)
            return h[0].numpy()


class Runtime:
    """onnxruntime on values that stay bound: the states that a step writes are those that the next one reads."""

    def __init__(self, network: rf.Network, batch: int, kernels: str) -> None:
        import onnxruntime

        import rnnframe_onnx

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = rnnframe_onnx.to_onnx(network).SerializeToString()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        hidden = network.cells[0].hidden
        states = [each.name for each in self._session.get_inputs() if each.name != "x"]
        self._x = np.zeros((1, batch, network.inputs), np.float32)
        self._h = np.zeros((1, batch, hidden), np.float32)
        self._sets = sets = [{name: np.zeros((batch, hidden), np.float32) for name in states} for _ in range(2)]
        self._bindings = [self._bound(*pair) for pair in (sets, sets[::-1])]

    def _bound(self, before: dict[str, np.ndarray], after: dict[str, np.ndarray]):
        binding = self._session.io_binding()
        read = {"x": self._x, **before}
        written = {"predictions": self._h, **{f"next.{name}": array for name, array in after.items()}}
        for bind, arrays in ((binding.bind_input, read), (binding.bind_output, written)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def step(self, x: np.ndarray) -> np.ndarray:
        """Run one step."""
        self._x[0] = x
        self._session.run_with_iobinding(self._bindings[0])
        self._bindings.reverse()
        return self._h[0].copy()


BESIDE = {"torch": Torch, "onnxruntime": Runtime}


def main(words: list[str]) -> None:
    """Measure in a process whose libraries have one thread, and print a Markdown table."""
    if INSIDE not in os.environ:
        command = [sys.executable, "-m", "tests.benchmarks", "steps", *words]
        sys.exit(subprocess.run(command, env=surroundings(1) | {INSIDE: "1"}, check=False).returncode)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks steps")
    parser.add_argument("--cell", default="lstm:hidden=128")
    parser.add_argument("--inputs", type=int, default=32)
    parser.add_argument("--batches", type=numbers, default=[1, 1000])
    parser.add_argument("--kernels", default="compiled")
    parser.add_argument("--beside", type=names_of(BESIDE), default=list(BESIDE))
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn, of the slowest")
    options = parser.parse_args(words)
    print(machine_line())
    print(f"BLAS {blas_kernels()}; {options.cell}, {options.inputs} inputs, float32, one thread")
    print("\n| batch | library | µs a step | samples' steps/s | times as long as rnnframe |")
    print("|---|---|---|---|---|")
    for batch in options.batches:
        network = rf.Network([options.cell], None, options.inputs, seed=1)
        subjects = {"rnnframe": Streamed, **{name: BESIDE[name] for name in options.beside}}
        made = {name: subject(network, batch, options.kernels) for name, subject in subjects.items()}
        times = measured(made, inputs_of(network, batch), options.turns, options.seconds)
        for name, of_turns in times.items():
            median = statistics.median(np.concatenate(of_turns).tolist())
            pairs = zip(of_turns, times["rnnframe"], strict=True)
            ratio = statistics.median(float(np.median(theirs) / np.median(ours)) for theirs, ours in pairs)
            row = batch, name, f"{median * 1e6:.1f}", f"{batch / median:,.0f}", f"{ratio:.1f}"
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


def inputs_of(network: rf.Network, batch: int) -> np.ndarray:
    """Return the values of some steps, [steps, batch, inputs]."""
    return np.random.default_rng(0).normal(size=(64, batch, network.inputs)).astype(np.float32)


def measured(made: dict, x: np.ndarray, turns: int, seconds: float) -> dict[str, list[np.ndarray]]:
    """Return the seconds of single steps, by subject and turn, after all have computed the same."""
    found = {name: [subject.step(values) for values in x] for name, subject in made.items()}
    for name, outputs in found.items():
        furthest = float(np.abs(np.stack(outputs) - np.stack(found["rnnframe"])).max())
        if not furthest < 1e-5:
            sys.exit(f"{name} differs from rnnframe by {furthest:g}")
    slowest = max(np.median(timed(subject, x, len(x))) for subject in made.values())
    count = max(5, int(seconds / slowest))
    times: dict[str, list[np.ndarray]] = {name: [] for name in made}
    for turn in range(turns):
        names = list(made) if turn % 2 == 0 else list(made)[::-1]
        for name in names:
            times[name].append(timed(made[name], x, count))
    return times


def timed(subject, x: np.ndarray, count: int) -> np.ndarray:
    """Return the seconds of each of `count` steps."""
    seconds, step, clock = np.empty(count), subject.step, time.perf_counter
    for n in range(count):
        values = x[n % len(x)]
        begun = clock()
        step(values)
        seconds[n] = clock() - begun
    return seconds
