"""What `linear-cells` asks of a library: `python -m tests.benchmarks.linear_cells_worker LIBRARY THREADS`."""

import sys
import time

import numpy as np

from tests.benchmarks.problems import CLASSES, Shape
from tests.benchmarks.processes import serve


def parameters_of(network):
    """Return the parameters by name, of a network that is the same in every process."""
    return {name.removeprefix("layer0."): np.array(value) for name, value in network.parameters.items()}


def network_of(cell: str, shape: Shape, setting: str):
    """Return the network of one layer, or of two with a readout."""
    import rnnframe as rf
    from tests.benchmarks.our_subject import Given, Nothing, Told

    spec = f"lru:units={shape.H},states={shape.H}" if cell == "lru" else f"{cell}:hidden={shape.H}"
    if setting == "layer":
        return rf.Network([spec], Given(loss=Told(units=shape.H), readout=Nothing()), shape.I)
    return rf.Network([spec, spec], f"softmax:classes={CLASSES}", shape.I)


def data_of(shape: Shape, setting: str):
    """Return x, and dL/dh or classes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((shape.T, shape.B, shape.I)).astype(np.float32)
    if setting == "layer":
        return x, (0.1 * rng.standard_normal((shape.T, shape.B, shape.H))).astype(np.float32)
    return x, rng.integers(0, CLASSES, (shape.T, shape.B))


def ours(subject: str, shape: Shape, setting: str, threads: int):
    """Return a function that computes all gradients and returns that of U."""
    import rnnframe as rf

    engine = rf.Engine(network_of(subject, shape, setting), shards=threads, kernels="compiled")
    data = data_of(shape, setting)

    def run():
        result = engine.gradients(*data)
        return result.gradients["layer0.U"] * np.float32(result.count if setting == "layer" else 1)

    return run


def torchs(subject: str, shape: Shape, setting: str, threads: int):
    """Return the same of a form in torch."""
    import torch

    from tests.benchmarks.torch_linear import layer

    torch.set_num_threads(threads)
    cell, _, form = subject.partition(" ")
    x, dh = map(torch.from_numpy, data_of(shape, setting))
    start = parameters_of(network_of(cell, shape, setting))
    p = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    outputs = layer(cell, form)

    def run():
        for each in p.values():
            each.grad = None
        outputs(x, p).backward(dh)
        return p["U"].grad.numpy()

    return run


def main_of(library: str, threads: int):
    """Return what answers requests: the times of some calls, after two that do not count when a subject is new."""
    prepare, made = {"rnnframe": ours, "torch": torchs}[library], {}

    def answer(request: dict) -> dict:
        subject, shape, setting = request["subject"], Shape(*request["shape"]), request["setting"]
        key = subject, shape, setting
        if key not in made:
            made[key] = prepare(subject, shape, setting, threads)
            made[key]()
            made[key]()
        times, until = [], time.perf_counter() + request["seconds"]
        while time.perf_counter() < until or len(times) < 3:
            begun = time.perf_counter()
            gradient = made[key]()
            times.append(time.perf_counter() - begun)
        return {"times": times, "norm": float((gradient.astype(np.float64) ** 2).sum() ** 0.5)}

    return answer


if __name__ == "__main__":
    serve(int(sys.argv[2]), main_of(sys.argv[1], int(sys.argv[2])))
