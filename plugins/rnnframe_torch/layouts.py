"""The parameters of nn.LSTM, GRU and RNN as those of a network, and the gradients back.

torch keeps U and W transposed, and two biases; here a GRU's candidate alone has a second one, in the product with r.
"""

from collections.abc import Sequence
from typing import Any

import torch

from rnnframe.plugin import Array, Kernels

Weights = Sequence[torch.Tensor]
"""weight_ih, weight_hh, bias_ih and bias_hh where there are biases, weight_hr of a projection: layer after layer."""


def take_over(parameters: Any, weights: Weights, each: int, kernels: Kernels) -> None:
    """Write the parameters of a stack of layers, `each` tensors of a layer, into those of a network."""
    for number in range(len(weights) // each):
        own = weights[each * number : each * (number + 1)]
        group = parameters.group(f"layer{number}")
        matrices, biases = list(zip("UW", own[:2], strict=True)), own[2:]
        if "P" in group:
            matrices, biases = [*matrices, ("P", own[-1])], own[2:-1]
        for name, matrix in matrices:
            kernels.transpose(matrix.detach().contiguous().numpy(), group[name])
        if biases:
            b = torch.from_numpy(group["b"])
            torch.add(*biases, out=b)
            if "bn" in group:
                candidate = len(b) - len(group["bn"])
                b[candidate:] = biases[0][candidate:]
                torch.from_numpy(group["bn"]).copy_(biases[1][candidate:])


def given_back(gradients: Any, layers: int, each: int, kernels: Kernels) -> list[torch.Tensor]:
    """Return the gradients of a network in the order of `take_over`, as tensors of their own."""
    found = []
    for number in range(layers):
        group = gradients.group(f"layer{number}")
        found += [_transposed(group[name], kernels) for name in "UW"]
        if each - ("P" in group) > 2:
            first, second = (torch.from_numpy(group["b"]).clone() for _ in range(2))
            if "bn" in group:
                second[len(second) - len(group["bn"]) :] = torch.from_numpy(group["bn"])
            found += [first, second]
        if "P" in group:
            found.append(_transposed(group["P"], kernels))
    return found


def _transposed(array: Array, kernels: Kernels) -> torch.Tensor:
    matrix = torch.empty(array.shape[::-1], dtype=torch.from_numpy(array).dtype)
    kernels.transpose(array, matrix.numpy())
    return matrix
