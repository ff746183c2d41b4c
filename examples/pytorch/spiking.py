"""A spiking network over 10,000 steps: leaky neurons, a surrogate gradient, and a graph that does not grow with time.

    python examples/pytorch/spiking.py

The neurons leak, fire when their potential passes a threshold, and fall back. The derivative of the threshold is that
of a steep sigmoid (a surrogate gradient: Neftci, Mostafa and Zenke 2019, https://doi.org/10.1109/MSP.2019.2931595). The
network learns to fire at a given rate.
"""

import torch
from torch import nn

import rnnframe_torch as rft

STEPS, BATCH, INPUTS, NEURONS, RATE = 10_000, 2, 4, 16, 0.1


class Spike(torch.autograd.Function):
    """A threshold at zero with a soft derivative."""

    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 0).to(potential.dtype)

    @staticmethod
    def backward(ctx, slope):
        (potential,) = ctx.saved_tensors
        return slope / (1 + 10 * potential.abs()) ** 2


class Neurons(nn.Module):
    """One step of leaky integrate-and-fire neurons; the state is the potential and the last spikes."""

    def __init__(self):
        super().__init__()
        self.into, self.among = nn.Linear(INPUTS, NEURONS), nn.Linear(NEURONS, NEURONS, bias=False)

    def forward(self, x, state):
        v = 0.9 * state["v"] + self.into(x) + self.among(state["spikes"]) - state["spikes"]
        spikes = Spike.apply(v - 1)
        return spikes, {"v": v, "spikes": spikes}


def loss_fn(spikes, rate):
    """Return how far the mean of the neurons is from the wished rate at each step, summed."""
    return ((spikes.mean(2) - rate) ** 2).sum()


def main():
    """Train for some updates with 2 MiB for the past."""
    torch.manual_seed(0)
    neurons = Neurons()
    optimizer = torch.optim.Adam(neurons.parameters(), lr=2e-2)
    x, rate = torch.rand(STEPS, BATCH, INPUTS), torch.full((STEPS, BATCH), RATE)
    state = {"v": torch.zeros(BATCH, NEURONS), "spikes": torch.zeros(BATCH, NEURONS)}
    print(rft.plan(neurons, x[:200], state, rate[:200], loss_fn, steps=STEPS, budget="2MiB"))
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss, _ = rft.unroll_loss(neurons, x, rate, loss_fn, state, store="auto:budget=2MiB")
        (loss / (STEPS * BATCH)).backward()
        optimizer.step()
        losses.append(loss.item() / (STEPS * BATCH))
        print(f"loss {losses[-1]:.5f}")
    assert losses[-1] < losses[0]


if __name__ == "__main__":
    main()
