"""Networks of GRUs of two directions, and the same in torch."""

import numpy as np

import rnnframe as rf


def network_of(cells, head, inputs, dtype="float64"):
    """Return a network whose parameters are drawn, biases too."""
    made = rf.Network(cells, head, inputs, dtype=dtype)
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.4, size=made.parameters.flat.shape)
    return made


def names(layers):
    """Yield the group of our parameters, and the end of torch's names."""
    for layer in range(layers):
        for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
            yield f"layer{layer}.{direction}", f"l{layer}{suffix}"


def torch_gru(made, layers):
    """Return torch's bidirectional GRU and Linear with the parameters of a network."""
    import torch

    p = made.parameters
    hidden, (width, outputs) = len(p["layer0.forward.W"]), p["head.V"].shape
    gru = torch.nn.GRU(made.inputs, hidden, layers, bidirectional=True, dtype=torch.float64)
    linear = torch.nn.Linear(width, outputs, dtype=torch.float64)
    with torch.no_grad():
        for direction, suffix in names(layers):
            own = p.group(direction)
            getattr(gru, f"weight_ih_{suffix}").copy_(torch.from_numpy(own["U"].T.copy()))
            getattr(gru, f"weight_hh_{suffix}").copy_(torch.from_numpy(own["W"].T.copy()))
            getattr(gru, f"bias_ih_{suffix}").copy_(torch.from_numpy(own["b"].copy()))
            getattr(gru, f"bias_hh_{suffix}").zero_()
            getattr(gru, f"bias_hh_{suffix}")[2 * hidden :] = torch.from_numpy(own["bn"].copy())
        linear.weight.copy_(torch.from_numpy(p["head.V"].T.copy()))
        linear.bias.copy_(torch.from_numpy(p["head.c"].copy()))
    return gru, linear
