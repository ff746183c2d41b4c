"""Optimizers of named parameters: LAMB against its formula, Muon against torch, both in a trainer."""

import math

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.plugin import NamedOptimizer, NamedParameter
from rnnframe_optimizers import pieces
from rnnframe_optimizers.muon import orthogonal

MATRICES = [(3, 8), (8, 3), (5, 5), (1, 6)]


def follow(optimizer: NamedOptimizer, name: str, start: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Return a parameter after every update."""
    p, seen = start.copy(), []
    slots = {slot: np.zeros(shape) for slot, shape in optimizer.slot_shapes(name, p.shape).items()}
    for step, gradient in enumerate(gradients, start=1):
        parameter = NamedParameter(name=name, value=p, gradient=gradient.copy(), slots=slots)
        optimizer.update_parameter(parameter, step, optimizer.lr)
        seen.append(p.copy())
    return np.array(seen)


def walk(shape: tuple[int, ...], updates: int = 40) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(7)
    sizes = 10.0 ** rng.uniform(-3, 1, updates)
    return rng.normal(size=shape), [rng.normal(size=shape) * size for size in sizes]


@pytest.mark.parametrize("spec", ["lamb:lr=0.01", "lamb:lr=0.02,beta1=0.7,beta2=0.9,epsilon=1e-3,weight_decay=0.3"])
@pytest.mark.parametrize("shape", [(3, 8), (5,), (pieces.PIECE + 3, 2)])
def test_lamb_takes_steps_as_long_as_the_parameter_times_the_rate(spec, shape):
    optimizer, (start, gradients) = rf.optimizer(spec), walk(shape, 12)
    p, expected = start, []
    for t in range(1, len(gradients) + 1):  # weighted means of the whole past in place of running ones
        ages = np.arange(t)[::-1].reshape(-1, *[1] * start.ndim)
        past = np.array(gradients[:t])
        mean = (optimizer.beta1**ages * past).sum(0) / (optimizer.beta1**ages).sum()
        square = (optimizer.beta2**ages * past**2).sum(0) / (optimizer.beta2**ages).sum()
        r = mean / (np.sqrt(square) + optimizer.epsilon) + optimizer.weight_decay * p
        p = p - optimizer.lr * np.linalg.norm(p) * r / np.linalg.norm(r)
        expected.append(p)
    found = follow(optimizer, "layer0.W", start, gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    steps = np.linalg.norm((found[1:] - found[:-1]).reshape(11, -1), axis=1)
    np.testing.assert_allclose(steps, optimizer.lr * np.linalg.norm(found[:-1].reshape(11, -1), axis=1), rtol=1e-9)


def test_lamb_moves_parameters_that_are_zero_as_adam_does():
    start, gradients = np.zeros(4), [np.arange(1.0, 5.0)]
    lamb, adam = rf.optimizer("lamb:lr=0.1"), rf.optimizer("adam:lr=0.1,epsilon=1e-6")
    slots = {name: np.zeros(4) for name in adam.slots()}
    adam.update(moved := start.copy(), gradients[0].copy(), slots, 1, 0.1)
    np.testing.assert_allclose(follow(lamb, "layer0.b", start, gradients)[0], moved, rtol=1e-12)


@pytest.mark.parametrize("shape", MATRICES)
@pytest.mark.parametrize(
    "options", [{}, {"nesterov": False}, {"momentum": 0.6, "weight_decay": 0.3}, {"iterations": 2}], ids=str
)
def test_every_update_of_a_matrix_by_muon_is_that_of_torch(shape, options, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is the independent implementation to compare with")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # torch rounds to bfloat16 on the way
    optimizer = rf.optimizer("muon:lr=0.1," + ",".join(f"{key}={value}" for key, value in options.items()))
    start, gradients = walk(shape)
    chosen = {"weight_decay": 0.0, **options}
    if "iterations" in chosen:
        chosen["ns_steps"] = chosen.pop("iterations")
    p = torch.nn.Parameter(torch.tensor(start.T.copy()))  # [outputs, inputs] there, [inputs, outputs] here
    other = torch.optim.Muon([p], lr=0.1, **chosen)
    expected = []
    for gradient in gradients:
        p.grad = torch.tensor(gradient.T.copy())
        other.step()
        expected.append(p.detach().numpy().T.copy())
    found = follow(optimizer, "layer0.W", start, gradients)
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shape", MATRICES)
def test_newton_schulz_keeps_the_singular_vectors_and_brings_the_values_near_one(shape):
    rng = np.random.default_rng(3)
    u, _, vt = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    values = np.geomspace(1, 0.05, len(vt))
    found = u.T @ orthogonal(u * values @ vt, 5) @ vt.T
    assert np.abs(found - np.diag(np.diag(found))).max() < 1e-12
    assert np.diag(found).min() > 0.6
    assert np.diag(found).max() < 1.3


@pytest.mark.parametrize(
    ("spec", "name", "shape"),
    [
        ("muon:lr=0.1,weight_decay=0.2", "layer0.b", (5,)),
        ("muon:lr=0.1,weight_decay=0.2", "head.V", (3, 4)),
        ("muon:lr=0.1,weight_decay=0.2,others=head.*; layer0.U", "layer0.U", (3, 4)),
    ],
)
def test_muon_updates_biases_and_other_matrices_by_adamw(spec, name, shape):
    start, gradients = walk(shape)
    p, adamw = start.copy(), rf.optimizer("adamw:weight_decay=0.2")
    slots = {slot: np.zeros(start.size) for slot in adamw.slots()}
    for step, gradient in enumerate(gradients, start=1):
        adamw.update(p.reshape(-1), gradient.flatten(), slots, step, 0.1 * 0.015)
    np.testing.assert_allclose(follow(rf.optimizer(spec), name, start, gradients)[-1], p, rtol=1e-12)


def test_muon_remembers_one_array_for_a_matrix_and_two_for_anything_else():
    network = rf.Network(["lstm:hidden=4"], "softmax:classes=3", 5)
    slots = rf.Trainer(rf.Engine(network), "muon").slots
    of = {name: sorted(slots.group(name)) for name in network.parameters}
    assert of.pop("layer0.U") == of.pop("layer0.W") == ["momentum"]
    assert set(map(tuple, of.values())) == {("mean", "square")}
    assert all(view.shape == network.parameters[name.rpartition(".")[0]].shape for name, view in slots.items())


@pytest.mark.parametrize("spec", ["lamb:lr=0.02", "muon:lr=0.02"])
def test_a_trainer_hands_every_parameter_over_with_its_name_gradient_and_slots(spec):
    network = rf.Network(["gru:hidden=4", "elman:hidden=3"], "mse:outputs=2", 3, dtype="float64")
    engine = rf.Engine(network, chunk=3)
    trainer = rf.Trainer(engine, spec, rate="linear:updates=9")
    optimizer, rng = trainer.optimizer, np.random.default_rng(1)
    values = {name: view.copy() for name, view in network.parameters.items()}
    slots = {
        name: {slot: np.zeros(shape) for slot, shape in optimizer.slot_shapes(name, value.shape).items()}
        for name, value in values.items()
    }
    for step in range(1, 6):
        x, y = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 2))
        gradients = engine.gradients(x, y).gradients.copy()
        result = trainer.step(x, y)
        for name, value in values.items():
            given = NamedParameter(name=name, value=value, gradient=gradients[name], slots=slots[name])
            optimizer.for_parameter(name, value.shape).update_parameter(given, step, result.learning_rate)
            assert np.array_equal(network.parameters[name], value)


@pytest.mark.parametrize("spec", ["adam:lr=0.02", "lamb:lr=0.02", "muon:lr=0.02,adamw_factor=0.5"])
def test_a_sequence_that_repeats_is_learnt(spec):
    network = rf.Network(["gru:hidden=16"], "softmax:classes=5", 5, seed=2)
    trainer = rf.Trainer(rf.Engine(network), spec, clip=1.0)
    x = np.tile(np.arange(5), 8)[:, None]
    losses = [trainer.step(x[:-1], x[1:]).loss for _ in range(120)]
    assert losses[0] > 0.9 * math.log(5)
    assert losses[-1] < 0.2
