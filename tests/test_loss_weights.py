"""Weighted, ignored and smoothed losses against torch, and against hand-weighted sums."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, OptionError

T, B, INPUTS, CLASSES = 12, 6, 3, 4


def network(head, dtype="float64"):
    made = rf.Network(["lstm:hidden=5"], head, INPUTS, dtype=dtype)
    made.parameters.flat[:] = np.random.default_rng(1).normal(scale=0.7, size=made.parameters.flat.shape)
    return made


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, B, INPUTS)), rng.integers(0, CLASSES, (T, B))


def by_torch(made, x, y, weights, lengths, class_weights=None, ignore=-100, smoothing=0.0):
    """Return torch's loss and the gradients of V, c, U of the same network; weights [T, B] of the losses."""
    torch = pytest.importorskip("torch", reason="torch is the witness: pip install torch")
    p = {name: torch.tensor(value, requires_grad=True) for name, value in made.parameters.items()}
    h = c = torch.zeros(B, 5, dtype=torch.float64)
    losses, counts = [], []
    of_class = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float64)
    for t in range(T):
        z = torch.tensor(x[t]) @ p["layer0.U"] + h @ p["layer0.W"] + p["layer0.b"]
        i, f, g, o = z.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        logits = h @ p["head.V"] + p["head.c"]
        for b in range(B):
            if lengths is None or t < lengths[b]:
                target = torch.tensor(y[t, b : b + 1])
                options = {"weight": of_class, "ignore_index": ignore, "label_smoothing": smoothing}
                loss = torch.nn.functional.cross_entropy(logits[b : b + 1], target, reduction="sum", **options)
                losses.append(weights[t, b] * loss)
                known = y[t, b] != ignore
                counts.append(weights[t, b] * known * (1.0 if of_class is None else class_weights[y[t, b] * known]))
    loss = sum(losses) / sum(counts)
    loss.backward()
    return loss.item(), {name: value.grad.numpy() for name, value in p.items()}


CASES = {
    "weights of steps": ("", {}),
    "weights of classes": (",class_weights=0.5;2;1;0.1", {"class_weights": [0.5, 2, 1, 0.1]}),
    "ignored steps": (",ignore=-100", {"ignore": -100}),
    "smoothing": (",smoothing=0.15", {"smoothing": 0.15}),
    "all at once": (
        ",ignore=2,class_weights=0.5;2;1;0.1,smoothing=0.15",
        {"ignore": 2, "class_weights": [0.5, 2, 1, 0.1], "smoothing": 0.15},
    ),
}


@pytest.mark.parametrize("lengths", [None, [12, 3, 7, 12, 1, 9]], ids=["whole", "lengths"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("options", "torchs"), CASES.values(), ids=CASES)
def test_losses_and_gradients_are_torchs(options, torchs, weighted, lengths, each_kernels):
    (x, y), rng = data(), np.random.default_rng(2)
    if torchs.get("ignore") == -100:
        y[rng.uniform(size=y.shape) < 0.3] = -100
    weights = rng.uniform(0, 3, (T, B)) if weighted else np.ones((T, B))
    weights[rng.uniform(size=weights.shape) < 0.2 * weighted] = 0
    made = network(f"softmax:classes={CLASSES}{options}")
    loss, gradients = by_torch(made, x, y, weights, lengths, **torchs)
    for store in ("full-history", "checkpoint:slots=2"):
        engine = rf.Engine(made, store, chunk=3, shards=2)
        found = engine.gradients(x, y, lengths=lengths, weights=weights if weighted else None)
        assert found.loss == pytest.approx(loss, rel=1e-12)
        for name, value in gradients.items():
            assert np.allclose(found.gradients[name], value, rtol=1e-11, atol=1e-12 * np.abs(value).max()), name
        judged = engine.evaluate(x, y, lengths=lengths, weights=weights if weighted else None)
        assert (judged.loss, judged.count) == pytest.approx((loss, found.count), rel=1e-12)


@pytest.mark.parametrize("head", ["mse:outputs=2", "bernoulli:outputs=2"])
@pytest.mark.parametrize("store", ["full-history", "circular-queue:k1=4,k2=6"])
def test_a_weight_counts_as_so_many_copies_of_a_sample(head, store, each_kernels):
    """A sample of weight 3 is a batch that holds it three times; one of weight 0 is a batch without it."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(T, 4, INPUTS)), rng.uniform(size=(T, 4, 2))
    made = network(head)
    copies = [0, 0, 0, 1, 3, 3]
    engine = rf.Engine(made, store, chunk=3, shards=1)
    expected = engine.gradients(x[:, copies], y[:, copies])
    found = engine.gradients(x, y, weights=np.array([3.0, 1.0, 0.0, 2.0]))
    assert found.count == expected.count == 6 * T
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    assert np.allclose(found.gradients.flat, expected.gradients.flat, rtol=1e-11, atol=1e-13)


def test_weights_of_last_steps_and_of_streams_are_taken(each_kernels):
    x, y = data()
    made = network(f"softmax:classes={CLASSES},at=last")
    weights = np.array([1.0, 0, 2, 0, 0.5, 1])
    found = rf.Engine(made).gradients(x, y[-1], weights=weights)
    alone = [rf.Engine(made).gradients(x[:, b : b + 1], y[-1, b : b + 1]).loss for b in range(B)]
    assert found.loss == pytest.approx(np.dot(alone, weights) / weights.sum(), rel=1e-12)
    made = network(f"softmax:classes={CLASSES}")
    weights = np.random.default_rng(0).uniform(size=(T, B))
    expected = rf.Engine(made, chunk=3).gradients(x, y, weights=weights)
    blocks = iter([(x[:5], y[:5], None, weights[:5]), (x[5:], y[5:], None, weights[5:])])
    streamed = rf.Engine(made, chunk=3).gradients(blocks, None)
    assert np.array_equal(streamed.gradients.flat, expected.gradients.flat)
    assert streamed.loss == expected.loss


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones((T, B)), "weights holds -1.0; a weight is a finite number of at least 0"),
        (np.full((T, B), np.nan), "weights holds nan; a weight is a finite number of at least 0"),
        (
            np.ones((T, 2)),
            r"weights has shape \[12, 2\] and holds float64; expected numbers \[12, 6\], or \[6\] for",
        ),
        (np.full((T, B), "a"), r"weights has shape \[12, 6\] and holds <U1; expected numbers"),
    ],
)
def test_what_is_no_weight_is_refused(weights, message):
    x, y = data()
    with pytest.raises(DataError, match=message):
        rf.Engine(network(f"softmax:classes={CLASSES}")).gradients(x, y, weights=weights)


def test_options_of_the_cross_entropy_are_checked():
    with pytest.raises(OptionError, match="'class_weights' has 2 numbers; classes=3 needs 3"):
        rf.head("softmax:classes=3,class_weights=1;2")
    with pytest.raises(OptionError, match="class_weights=1;x;2 is invalid; expected numbers with ; between them"):
        rf.head("softmax:classes=3,class_weights=1;x;2")
    with pytest.raises(OptionError, match="'class_weights' must be numbers of at least 0"):
        rf.head("softmax:classes=3,class_weights=1;-1;2")


def test_all_steps_ignored_is_a_loss_of_zero_and_no_gradient():
    x, y = data()
    found = rf.Engine(network(f"softmax:classes={CLASSES},ignore=-1")).gradients(x, np.full_like(y, -1))
    assert (found.loss, found.count) == (0.0, 0.0)
    assert not found.gradients.flat.any()
