"""A minGRU block by chunks: a chunk is computed by a parallel scan, and the chunks are remembered by a store.

    python examples/pytorch/mingru_by_chunks.py

minGRU (Feng et al. 2024, https://arxiv.org/abs/2410.01201) has gates that do not depend on the state, so that
h_t = (1 - z_t) h_(t-1) + z_t c_t is linear in the state, and all steps of a chunk are computed at once. The block
around it has a norm, a residual path and a small MLP, as in a transformer. It is called with a chunk, not with a step.
"""

import torch
from torch import nn

import rnnframe_torch as rft

STEPS, BATCH, WIDTH, CHUNK = 512, 2, 16, 32


class Block(nn.Module):
    """A chunk [L, B, width] and the state before it -> the outputs of the chunk and the state after it."""

    def __init__(self):
        super().__init__()
        self.norm, self.gates = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        wide = nn.Linear(WIDTH, 2 * WIDTH)
        self.mlp = nn.Sequential(nn.LayerNorm(WIDTH), wide, nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x, h):
        z, candidate = self.gates(self.norm(x)).chunk(2, -1)
        h_all = scan(nn.functional.logsigmoid(-z), torch.sigmoid(z) * candidate, h)
        x = x + h_all
        return x + self.mlp(x), h_all[-1]


def scan(log_keep, new, h):
    """Return h_t = keep_t h_(t-1) + new_t for all steps of a chunk, from sums over pairs of steps."""
    decay = log_keep.cumsum(0)
    return torch.einsum("tsbw,sbw->tbw", _between(decay), new) + decay.exp() * h


def _between(decay):
    """Return what is left at step t of what came in at step s: 0 where s is later."""
    steps = len(decay)
    differences = decay[:, None] - decay[None, :]
    later = torch.ones(steps, steps, dtype=torch.bool).triu(1)[:, :, None, None]
    return differences.masked_fill(later, -torch.inf).exp()


def main():
    """Compare the gradient of all chunks in one graph with that of chunks under a store."""
    torch.manual_seed(0)
    block = Block()
    x, y, start = torch.randn(STEPS, BATCH, WIDTH), torch.randn(STEPS, BATCH, WIDTH), torch.zeros(BATCH, WIDTH)

    def loss_fn(outputs, y):
        return ((outputs - y) ** 2).sum()

    h, total = start, torch.zeros(())
    for begin in range(0, STEPS, CHUNK):
        outputs, h = block(x[begin : begin + CHUNK], h)
        total = total + loss_fn(outputs, y[begin : begin + CHUNK])
    expected = torch.autograd.grad(total, list(block.parameters()))

    loss, _ = rft.unroll_loss(block, x, y, loss_fn, start, store="checkpoint", chunk=CHUNK, whole_chunks=True)
    loss.backward()
    print(rft.plan(block, x, start, y, loss_fn, stores=["full-history", "checkpoint"], chunk=CHUNK, whole_chunks=True))
    largest = max((a - p.grad).abs().max() / a.abs().max() for a, p in zip(expected, block.parameters(), strict=True))
    print(f"largest difference to plain autograd: {largest:.1e}")
    assert largest < 1e-5


if __name__ == "__main__":
    main()
