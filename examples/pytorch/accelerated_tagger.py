"""A model of PyTorch on compiled kernels by one line, in the middle of its training.

    python examples/pytorch/accelerated_tagger.py

The tagger says of each letter whether the word that it belongs to has a letter twice: it has to read in both
directions, and words have lengths of their own. `accelerate` exchanges what computes its nn.LSTM. The parameters stay
the objects that the optimizer knows, so the training goes on as if nothing had happened.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnframe_torch as rft

WORDS, LONGEST, LETTERS, HIDDEN = 64, 8, 6, 24


class Tagger(nn.Module):
    """An embedding, a recurrent module in both directions, a readout."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, 8)
        self.rnn = nn.LSTM(8, HIDDEN, num_layers=2, dropout=0.1, bidirectional=True, batch_first=True)
        self.readout = nn.Linear(2 * HIDDEN, 1)

    def forward(self, letters, lengths):
        packed = pack_padded_sequence(self.embedding(letters), lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=LONGEST)
        return self.readout(outputs)[..., 0]


def words(count):
    """Return letters [count, LONGEST], lengths, and which letters belong to a word with a letter twice."""
    letters, lengths = torch.randint(LETTERS, (count, LONGEST)), torch.randint(2, LONGEST, (count,))
    inside = torch.arange(LONGEST) < lengths[:, None]
    pairs = (letters[:, :, None] == letters[:, None, :]) & inside[:, :, None] & inside[:, None, :]
    twice = pairs.sum((1, 2)) > lengths
    return letters, lengths, inside, (twice[:, None] & inside).float()


def train(exchange_at=None, updates=20):
    """Return the losses of some updates; before one of them the recurrent module is exchanged."""
    torch.manual_seed(0)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for update in range(updates):
        if update == exchange_at:
            done = rft.accelerate(model)
            print(done)
            assert done.replaced == ("rnn",)
        letters, lengths, inside, tags = words(WORDS)
        logits = model(letters, lengths)
        loss = nn.functional.binary_cross_entropy_with_logits(logits[inside], tags[inside])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    """Train with torch's module alone, and with an exchange in the middle."""
    torch.set_num_threads(1)  # modules as small as these gain nothing from more
    plain, exchanged = train(), train(exchange_at=10)
    for n in range(0, len(plain), 5):
        print(f"update {n:2}   torch {plain[n]:.4f}   exchanged before update 10 {exchanged[n]:.4f}")
    assert plain[:10] == exchanged[:10]
    assert max(abs(a - b) for a, b in zip(plain, exchanged, strict=True)) < 0.02
    assert plain[-1] < plain[0] - 0.05


if __name__ == "__main__":
    main()
