"""The parameters of nn.LSTM, GRU and RNN as those of a network, and the gradients back.

torch keeps U and W transposed, and two biases; here a GRU's candidate alone has a second one, in the product with r.
"""

from collections.abc import Sequence
from typing import Any

import torch

Weights = Sequence[torch.Tensor]
"""weight_ih, weight_hh, bias_ih and bias_hh where there are biases, weight_hr of a projection: layer after layer."""


def take_over(parameters: Any, weights: Weights, each: int) -> None:
    """Write the parameters of a stack of layers, `each` tensors of a layer, into those of a network."""
    for number in range(len(weights) // each):
        input_weight, hidden_weight, *biases = weights[each * number : each * (number + 1)]
        group = {name: torch.from_numpy(array) for name, array in parameters.group(f"layer{number}").items()}
        group["U"].copy_(input_weight.T)
        group["W"].copy_(hidden_weight.T)
        if "P" in group:
            group["P"].copy_(biases.pop().T)
        if biases:
            torch.add(*biases, out=group["b"])
            if "bn" in group:
                candidate = len(group["b"]) - len(group["bn"])
                group["b"][candidate:] = biases[0][candidate:]
                group["bn"].copy_(biases[1][candidate:])


def given_back(gradients: Any, layers: int, each: int) -> list[torch.Tensor]:
    """Return the gradients of a network in the order of `take_over`, as tensors of their own."""
    found = []
    for number in range(layers):
        group = {name: torch.from_numpy(array) for name, array in gradients.group(f"layer{number}").items()}
        found += [group["U"].T.contiguous(), group["W"].T.contiguous()]
        if each - ("P" in group) > 2:
            second = group["b"].clone()
            if "bn" in group:
                second[len(second) - len(group["bn"]) :] = group["bn"]
            found += [group["b"].clone(), second]
        if "P" in group:
            found.append(group["P"].T.contiguous())
    return found
