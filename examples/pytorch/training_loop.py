"""A training loop of PyTorch, made lean by one line: the same losses, a fraction of the memory.

    python examples/pytorch/training_loop.py

The cell, the loss and the optimizer are PyTorch's. The loop over time that keeps every step becomes `unroll_loss`, with
a byte budget for what is kept.
"""

import torch
from torch import nn

import rnnframe_torch as rft

STEPS, BATCH, INPUTS, HIDDEN = 500, 16, 8, 32


class Cell(nn.Module):
    """An LSTM cell with a readout: one step."""

    def __init__(self):
        super().__init__()
        self.lstm, self.readout = nn.LSTMCell(INPUTS, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x, state):
        h, c = self.lstm(x, state)
        return self.readout(h), (h, c)


def loss_fn(outputs, y):
    """Return the summed squared error."""
    return ((outputs - y) ** 2).sum()


def plain(cell, x, y, state):
    """Return the loss as everybody writes it: every step is kept."""
    total = torch.zeros(())
    for x_t, y_t in zip(x, y, strict=True):
        output, state = cell(x_t, state)
        total = total + loss_fn(output, y_t)
    return total


def lean(cell, x, y, state):
    """Return the same loss within a budget."""
    loss, _ = rft.unroll_loss(cell, x, y, loss_fn, state, store="auto:budget=1MiB")
    return loss


def train(loss_of, updates=3):
    """Return the losses of some updates: the sequence's running mean is to be learnt."""
    torch.manual_seed(0)
    cell = Cell()
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    x = torch.randn(STEPS, BATCH, INPUTS)
    y = x.mean(2, keepdim=True).cumsum(0) / torch.arange(1, STEPS + 1)[:, None, None] ** 0.5
    state = torch.zeros(BATCH, HIDDEN), torch.zeros(BATCH, HIDDEN)
    losses = []
    for _ in range(updates):
        optimizer.zero_grad()
        loss = loss_of(cell, x, y, state) / (STEPS * BATCH)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    """Train both ways, and show what is kept."""
    before, after = train(plain), train(lean)
    for one, other in zip(before, after, strict=True):
        print(f"plain {one:.6f}   lean {other:.6f}")
        assert abs(one - other) < 1e-4 * one
    cell, x = Cell(), torch.randn(STEPS, BATCH, INPUTS)
    state = torch.zeros(BATCH, HIDDEN), torch.zeros(BATCH, HIDDEN)
    plans = rft.plan(cell, x, state, torch.zeros(STEPS, BATCH, 1), loss_fn, stores=["full-history"], budget="1MiB")
    print(plans)
    everything, within = plans.rows
    assert within.nbytes <= 2**20 < everything.nbytes / 10


if __name__ == "__main__":
    main()
