"""Truncated windows in Lightning 2, which no longer cuts sequences itself.

    pip install lightning
    python examples/pytorch/lightning_windows.py

The store of `unroll_loss` is the truncation: every 10 steps a gradient goes 20 steps back. The state goes on from batch
to batch, each of which is the next part of long sequences. Nothing else of the module is unusual, and the Trainer sees
one loss.
"""

import lightning
import torch
from torch import nn

import rnnframe_torch as rft

PARTS, STEPS, BATCH, HIDDEN, DELAY = 80, 40, 16, 16, 2


class Echo(lightning.LightningModule):
    """Learns to say what it was told some steps before."""

    def __init__(self):
        super().__init__()
        self.cell, self.readout = nn.LSTMCell(1, HIDDEN), nn.Linear(HIDDEN, 1)
        self.state, self.losses = None, []

    def step(self, x, state):
        h, c = self.cell(x, state)
        return self.readout(h), (h, c)

    def training_step(self, batch, number):
        x, y = batch
        if self.state is None:
            self.state = x.new_zeros(BATCH, HIDDEN), x.new_zeros(BATCH, HIDDEN)
        loss, self.state = rft.unroll_loss(
            self.step, x, y, squared_error, self.state, store="circular-queue:k1=10,k2=20"
        )
        loss = loss / y.numel()
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-2)


def squared_error(outputs, y):
    """Return the sum over the steps."""
    return ((outputs - y) ** 2).sum()


def main():
    """Train, and show that the echo is learnt."""
    torch.set_num_threads(1)  # modules as small as these gain nothing from more
    lightning.seed_everything(0, verbose=False)
    told = torch.randint(2, (PARTS * STEPS, BATCH, 1)).float()
    wanted = torch.cat([torch.zeros(DELAY, BATCH, 1), told[:-DELAY]])
    parts = list(zip(told.split(STEPS), wanted.split(STEPS), strict=True))
    module = Echo()
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, torch.utils.data.DataLoader(parts, batch_size=None))
    print(f"squared error {module.losses[0]:.3f} at first, {module.losses[-1]:.3f} at the end")
    assert module.losses[-1] < 0.1  # 0.25 is the error of one who always says 0.5


if __name__ == "__main__":
    main()
