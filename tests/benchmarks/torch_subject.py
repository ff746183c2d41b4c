"""torch as a subject: nn.LSTM, nn.GRU or nn.RNN, forward and backward, as it is or under autocast."""

import torch

from tests.benchmarks.problems import CLASSES, Problem

MODULES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}


def prepare(problem: Problem, threads: int, precision: str | None = None):
    """Return a function that computes the gradients of U and W once."""
    torch.set_num_threads(threads)
    data, shape = problem.arrays(), problem.shape
    cell, readout = MODULES[problem.cell](shape.I, shape.H), torch.nn.Linear(shape.H, CLASSES)
    with torch.no_grad():
        for name, value in {"weight_ih_l0": data.U, "weight_hh_l0": data.W, "bias_ih_l0": data.b}.items():
            getattr(cell, name).copy_(torch.from_numpy(value.T))
        cell.bias_hh_l0.zero_()
        readout.weight.copy_(torch.from_numpy(data.V.T))
        readout.bias.zero_()
    x, dh, y = (torch.from_numpy(array) for array in (data.x, data.dh, data.y.ravel()))

    def run():
        cell.zero_grad()
        readout.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is not None):
            h = cell(x)[0]
            o = readout(h).flatten(0, 1) if problem.setting == "model" else None
        if o is None:
            h.backward(dh.to(h.dtype))
        else:
            torch.nn.functional.cross_entropy(o.float(), y).backward()
        return [cell.weight_ih_l0.grad.numpy(), cell.weight_hh_l0.grad.numpy()], 1

    return run
