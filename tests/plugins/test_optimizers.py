"""The optimizers against torch, against their formulas written as sums over the past, and on problems to solve."""

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.plugin import NamedOptimizer, Optimizer
from rnnframe_optimizers import pieces

SPECS = [
    "sgd:lr=0.1",
    "sgd:lr=0.1,weight_decay=0.03",
    "sgd:lr=0.1,momentum=0.9",
    "sgd:lr=0.1,momentum=0.8,weight_decay=0.03",
    "sgd:lr=0.1,momentum=0.9,nesterov=true",
    "sgd:lr=0.1,momentum=0.8,nesterov=true,weight_decay=0.03",
    "rmsprop:lr=0.01",
    "rmsprop:lr=0.01,alpha=0.9,epsilon=1e-3,weight_decay=0.03",
    "adam:lr=0.01",
    "adam:lr=0.01,beta1=0.7,beta2=0.9,epsilon=1e-3,weight_decay=0.03",
    "adam:lr=0.01,beta1=0",
    "adamw:lr=0.01",
    "adamw:lr=0.01,beta1=0.7,beta2=0.9,epsilon=1e-3,weight_decay=0.3",
    "adagrad:lr=0.1",
    "adagrad:lr=0.1,epsilon=1e-3,weight_decay=0.03",
]
SIZE, STEPS = 7, 300


def zeros(optimizer: Optimizer, size: int) -> dict[str, np.ndarray]:
    return {name: np.zeros(size) for name in optimizer.slots()}


def random_walk(size: int = SIZE, steps: int = STEPS) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a starting point and gradients of very different sizes."""
    rng = np.random.default_rng(5)
    return rng.normal(size=size), list(rng.normal(size=(steps, size)) * 10.0 ** rng.uniform(-4, 1, (steps, 1)))


def trajectory(optimizer: Optimizer, start: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Return the parameters after every update."""
    p, slots, seen = start.copy(), zeros(optimizer, len(start)), []
    for step, gradient in enumerate(gradients, start=1):
        optimizer.update(p, gradient.copy(), slots, step, optimizer.lr)
        seen.append(p.copy())
    return np.array(seen)


def faded(rate: float, past: list[np.ndarray]) -> np.ndarray:
    """Σ rate^(t-i) x_i over the past x_1 ... x_t."""
    return sum(rate ** (len(past) - i) * x for i, x in enumerate(past, start=1))


def by_the_sums(o: Optimizer, start: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """The trajectory from the sums that the recurrences of the papers stand for, over the whole past every time."""
    p, past, seen = start, [], []
    for t, gradient in enumerate(gradients, start=1):
        past.append(gradient if o.name == "adamw" else gradient + o.weight_decay * p)
        squares = [g**2 for g in past]
        if o.name == "sgd":
            velocity = faded(o.momentum, past)
            p = p - o.lr * (past[-1] + o.momentum * velocity if o.nesterov else velocity)
        elif o.name == "rmsprop":
            p = p - o.lr * past[-1] / (np.sqrt((1 - o.alpha) * faded(o.alpha, squares)) + o.epsilon)
        elif o.name == "adagrad":
            p = p - o.lr * past[-1] / (np.sqrt(sum(squares)) + o.epsilon)
        else:  # weights (1 - β) β^(t-i) that add up to 1 - β^t: the bias correction makes it a weighted mean
            mean = faded(o.beta1, past) / faded(o.beta1, [1.0] * t)
            square = faded(o.beta2, squares) / faded(o.beta2, [1.0] * t)
            shrunk = p - o.lr * o.weight_decay * p if o.name == "adamw" else p
            p = shrunk - o.lr * mean / (np.sqrt(square) + o.epsilon)
        seen.append(p)
    return np.array(seen)


def test_every_built_in_optimizer_of_flat_vectors_is_tested_here():
    registry = rf.default_registry()
    brought = {n for n in registry.names("optimizer") if registry.owner("optimizer", n).distribution == "rnnframe"}
    flat = {name for name in brought if not issubclass(registry.find("optimizer", name), NamedOptimizer)}
    assert {spec.partition(":")[0] for spec in SPECS} == flat


@pytest.mark.parametrize("spec", SPECS)
def test_every_update_is_that_of_the_formula_over_the_whole_past(spec):
    optimizer, (start, gradients) = rf.optimizer(spec), random_walk()
    expected = by_the_sums(optimizer, start, gradients)
    np.testing.assert_allclose(trajectory(optimizer, start, gradients), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_every_update_is_that_of_torch(spec):
    torch = pytest.importorskip("torch", reason="torch is the independent implementation to compare with")
    classes = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad"}
    optimizer, (start, gradients) = rf.optimizer(spec), random_walk()
    options = attrs.asdict(optimizer)
    options.pop("spare_biases", None)  # which vectors are biases is not for the rule of one vector
    if "beta1" in options:
        options["betas"] = options.pop("beta1"), options.pop("beta2")
    if "epsilon" in options:
        options["eps"] = options.pop("epsilon")
    p = torch.nn.Parameter(torch.tensor(start))
    other = getattr(torch.optim, classes[optimizer.name])([p], **options)
    expected = []
    for gradient in gradients:
        p.grad = torch.tensor(gradient)
        other.step()
        expected.append(p.detach().numpy().copy())
    np.testing.assert_allclose(trajectory(optimizer, start, gradients), np.array(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_a_vector_of_several_pieces_is_treated_like_one(spec):
    # given two whole pieces and a part of a third
    optimizer, (start, gradients) = rf.optimizer(spec), random_walk(2 * pieces.PIECE + 5, 3)
    expected = by_the_sums(optimizer, start, gradients)
    np.testing.assert_allclose(trajectory(optimizer, start, gradients), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_goes_on_bit_for_bit_from_parameters_slots_and_the_number_of_updates(spec, dtype):
    start, gradients = random_walk(steps=40)
    gradients = [gradient.astype(dtype) for gradient in gradients]

    def go_on(p, slots, first, last):
        optimizer = rf.optimizer(spec)
        p, slots = p.copy(), {name: slot.copy() for name, slot in slots.items()}
        for step in range(first, last + 1):
            optimizer.update(p, gradients[step - 1].copy(), slots, step, optimizer.lr)
        return p, slots

    begun = start.astype(dtype), {name: np.zeros(SIZE, dtype) for name in rf.optimizer(spec).slots()}
    through, slots = go_on(*begun, 1, 40)
    resumed, slots_resumed = go_on(*go_on(*begun, 1, 17), 18, 40)

    assert resumed.tobytes() == through.tobytes()
    assert {name: slot.tobytes() for name, slot in slots.items()} == {
        name: slot.tobytes() for name, slot in slots_resumed.items()
    }
    assert {array.dtype for array in (through, *slots.values())} == {np.dtype(dtype)}
    # and what is carried over matters: without the slots, where there are any, it would go elsewhere
    forgetful, _ = go_on(go_on(*begun, 1, 17)[0], begun[1], 18, 40)
    assert (forgetful.tobytes() == through.tobytes()) == (not slots)


@pytest.mark.parametrize("spec", SPECS)
def test_an_update_is_in_place_and_the_scheduled_rate_is_the_one_that_counts(spec):
    optimizer, (start, (gradient, *_)) = rf.optimizer(spec), random_walk()
    still, moved = start.copy(), start.copy()
    assert optimizer.update(still, gradient.copy(), zeros(optimizer, SIZE), 1, 0.0) is None
    assert optimizer.update(moved, gradient.copy(), zeros(optimizer, SIZE), 1, 2 * optimizer.lr) is None
    assert np.array_equal(still, start)
    twice = by_the_sums(attrs.evolve(optimizer, lr=2 * optimizer.lr), start, [gradient])[0]
    np.testing.assert_allclose(moved, twice, rtol=1e-12)
    assert not np.array_equal(moved, start)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if "decay" not in spec and "adamw" not in spec])
def test_parameters_without_gradient_and_decay_stay_where_they_are(spec):
    start, _ = random_walk()
    assert np.array_equal(trajectory(rf.optimizer(spec), start, [np.zeros(SIZE)] * 3), [start] * 3)


def quadratic(p: np.ndarray) -> np.ndarray:
    """The gradient of a bowl with its lowest point at (3, -1, 0.5), ten times as steep one way as another."""
    return np.array([1.0, 4.0, 10.0]) * (p - np.array([3.0, -1.0, 0.5]))


def rosenbrock(p: np.ndarray) -> np.ndarray:
    """The gradient of (1 - x)² + 100 (y - x²)², a bent valley with its lowest point at (1, 1)."""
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


PROBLEMS = {
    "quadratic": (quadratic, [0.0, 0.0, 0.0], [3.0, -1.0, 0.5]),
    "rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
}


@pytest.mark.parametrize(
    ("spec", "problem", "updates"),
    [
        ("sgd:lr=0.1", "quadratic", 1000),
        ("sgd:lr=0.02,momentum=0.9", "quadratic", 500),
        ("sgd:lr=0.02,momentum=0.9,nesterov=true", "quadratic", 500),
        ("rmsprop:lr=0.05", "quadratic", 2000),
        ("adam:lr=0.1", "quadratic", 1000),
        ("adamw:lr=0.1,weight_decay=0", "quadratic", 1000),
        ("adagrad:lr=1", "quadratic", 1000),
        ("sgd:lr=1.5e-3", "rosenbrock", 20_000),
        ("sgd:lr=1e-3,momentum=0.9", "rosenbrock", 6000),
        ("sgd:lr=1e-3,momentum=0.9,nesterov=true", "rosenbrock", 6000),
        ("rmsprop:lr=0.01", "rosenbrock", 8000),
        ("adam:lr=0.1", "rosenbrock", 4000),
        ("adamw:lr=0.1,weight_decay=0", "rosenbrock", 4000),
        ("adagrad:lr=1", "rosenbrock", 20_000),
    ],
)
def test_with_a_falling_rate_an_optimizer_finds_the_lowest_point(spec, problem, updates):
    optimizer, (gradient, start, lowest) = rf.optimizer(spec), PROBLEMS[problem]
    p, slots = np.array(start), zeros(optimizer, len(start))
    for step in range(1, updates + 1):
        optimizer.update(p, gradient(p), slots, step, optimizer.lr * (1 - (step - 1) / updates))
    assert p == pytest.approx(lowest, abs=3e-3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sgd:lr=-1", "optimizer 'sgd': 'lr' must be >= 0: -1.0"),
        ("adam:lr=nan", "optimizer 'adam': 'lr' must be >= 0: nan"),
        ("sgd:momentum=1", "optimizer 'sgd': 'momentum' must be < 1: 1.0"),
        ("sgd:momentum=-0.1", "optimizer 'sgd': 'momentum' must be >= 0: -0.1"),
        ("sgd:nesterov=true", "optimizer 'sgd': 'nesterov' needs momentum > 0: momentum=0.0"),
        ("rmsprop:alpha=1", "optimizer 'rmsprop': 'alpha' must be < 1: 1.0"),
        ("rmsprop:epsilon=0", "optimizer 'rmsprop': 'epsilon' must be > 0: 0.0"),
        ("adam:beta2=1", "optimizer 'adam': 'beta2' must be < 1: 1.0"),
        ("adamw:weight_decay=-0.1", "optimizer 'adamw': 'weight_decay' must be >= 0: -0.1"),
        ("adagrad:epsilon=-1", "optimizer 'adagrad': 'epsilon' must be > 0: -1.0"),
    ],
)
def test_options_out_of_range_are_refused(spec, message):
    with pytest.raises(OptionError) as refusal:
        rf.optimizer(spec)
    assert str(refusal.value) == message
