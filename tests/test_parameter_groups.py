"""Groups of parameters: frozen ones, other learning rates, other decays; and that nothing changes without them."""

import math
from fnmatch import fnmatchcase

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError, UnknownNameError
from rnnframe.plugin import Optimizer

OPTIMIZERS = ["sgd:lr=0.05,momentum=0.9", "rmsprop:lr=0.01", "adam:lr=0.01,weight_decay=0.1", "adagrad:lr=0.1"]
WITH_DECAY = ["adam:lr=0.01", "adamw:lr=0.01", "sgd:lr=0.05", "lamb:lr=0.01", "muon:lr=0.01"]
UPDATES = 4


def network() -> rf.Network:
    made = rf.Network(["lstm:hidden=4", "gru:hidden=3"], "mse:outputs=2", 3, seed=5, dtype="float64")
    made.parameters.flat[:] += np.random.default_rng(1).normal(0, 0.1, made.parameters.flat.size)  # biases, too
    return made


NAMES = list(network().parameters)


def data(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    return rng.normal(size=(9, 4, 3)), rng.normal(size=(9, 4, 2))


def trained(optimizer: str | object, groups: object = (), **options: object) -> rf.Trainer:
    trainer = rf.Trainer(rf.Engine(network(), chunk=3, shards=1), optimizer, groups=groups, **options)
    for number in range(UPDATES):
        trainer.step(*data(number))
    return trainer


def parameters(trainer: rf.Trainer) -> rf.Vector:
    return trainer.engine.network.parameters


def by_hand(spec: str, clip: float | None = None) -> np.ndarray:
    """Update one flat vector with the rule of an optimizer, in a loop without a trainer."""
    engine, optimizer = rf.Engine(network(), chunk=3, shards=1), rf.optimizer(spec)
    flat = engine.network.parameters.flat
    slots = {name: np.zeros_like(flat) for name in optimizer.slots()}
    for number in range(UPDATES):
        gradient = engine.gradients(*data(number)).gradients.flat
        norm = math.sqrt(float(np.dot(gradient, gradient)))
        if clip is not None and norm > clip:
            gradient *= clip / norm
        optimizer.update(flat, gradient, slots, number + 1, optimizer.lr)
        engine.network.derive()
    return flat


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("spec", [*OPTIMIZERS, "adamw:lr=0.01,weight_decay=0.3,spare_biases=false"])
def test_without_groups_a_trainer_applies_the_plain_rule_to_one_flat_vector_bit_for_bit(spec, clip) -> None:
    assert parameters(trained(spec, clip=clip)).flat.tobytes() == by_hand(spec, clip).tobytes()


@pytest.mark.parametrize("spec", OPTIMIZERS)
def test_a_group_that_changes_nothing_changes_no_bit(spec) -> None:
    same = trained(spec, [rf.ParameterGroup("layer0.*"), rf.ParameterGroup("*.b", lr_factor=1.0)])
    assert parameters(same).flat.tobytes() == parameters(trained(spec)).flat.tobytes()


@pytest.mark.parametrize("spec", [*OPTIMIZERS, "adamw:weight_decay=0.3", "lamb:weight_decay=0.3", "muon:lr=0.1"])
@given(frozen=st.sets(st.sampled_from(NAMES), min_size=1, max_size=len(NAMES) - 1))
@settings(max_examples=8, deadline=None)
def test_frozen_parameters_do_not_change_by_a_bit_and_all_others_do(spec, frozen) -> None:
    before, after = network().parameters, parameters(trained(spec, [rf.ParameterGroup(n, freeze=True) for n in frozen]))
    assert {name for name in NAMES if np.array_equal(after[name], before[name])} == frozen


def test_gradients_flow_through_a_frozen_layer_to_the_one_below() -> None:
    # given plain descent, whose first update of layer0 asks nothing but its own gradient
    free, frozen = (rf.Trainer(rf.Engine(network()), "sgd:lr=0.1", groups=g) for g in ((), [freeze("layer1.*")]))
    for trainer in (free, frozen):
        trainer.step(*data(0))
    for name in ("layer0.U", "layer0.W", "layer0.b"):
        assert np.array_equal(parameters(frozen)[name], parameters(free)[name])
        assert not np.array_equal(parameters(frozen)[name], network().parameters[name])


def freeze(pattern: str) -> rf.ParameterGroup:
    return rf.ParameterGroup(pattern, freeze=True)


def test_the_norm_that_is_clipped_is_that_of_the_parameters_that_are_not_frozen() -> None:
    engine = rf.Engine(network())
    gradients = engine.gradients(*data(0)).gradients
    head = math.sqrt(sum(float((gradients[name] ** 2).sum()) for name in ("head.V", "head.c")))
    for accumulate in (1, 2):
        groups = [freeze("layer*")]
        trainer = rf.Trainer(rf.Engine(network()), "sgd:lr=1", clip=head / 2, groups=groups, accumulate=accumulate)
        for _ in range(accumulate):
            result = trainer.step(*data(0))
        assert result.gradient_norm == pytest.approx(head, rel=1e-12)
        step = network().parameters["head.V"] - parameters(trainer)["head.V"]
        np.testing.assert_allclose(step, gradients["head.V"] / 2, rtol=1e-10)


@given(factors=st.lists(st.tuples(st.sampled_from(["*", "head.*", "*.W", "layer0.*"]), st.floats(0, 4)), max_size=3))
@settings(max_examples=15, deadline=None)
def test_the_factors_of_all_groups_that_match_a_parameter_are_multiplied(factors) -> None:
    groups = [rf.ParameterGroup(pattern, lr_factor=factor) for pattern, factor in factors]
    trainer = rf.Trainer(rf.Engine(network()), "sgd:lr=0.1", groups=groups)
    gradients = trainer.engine.gradients(*data(0)).gradients.copy()
    trainer.step(*data(0))
    for name, start in network().parameters.items():
        factor = math.prod(factor for pattern, factor in factors if fnmatchcase(name, pattern))
        expected = start - 0.1 * factor * gradients[name]
        np.testing.assert_allclose(parameters(trainer)[name], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("spec", WITH_DECAY)
def test_a_group_has_the_weight_decay_of_its_own(spec) -> None:
    base = attrs.evolve(rf.optimizer(spec), weight_decay=0.0)
    groups = [rf.ParameterGroup("layer1.*", weight_decay=5.0), rf.ParameterGroup("layer1.W", weight_decay=0.3)]
    found = parameters(trained_once(base, groups))
    for name in NAMES:
        decay = 0.0 if not name.startswith("layer1.") else 0.3 if name == "layer1.W" else 5.0
        alike = trained_once(base, [rf.ParameterGroup(name, weight_decay=decay)])
        assert np.array_equal(found[name], parameters(alike)[name])
        without = parameters(trained_once(base))[name]
        assert np.array_equal(found[name], without) == (decay == 0)


def trained_once(optimizer: object, groups: object = ()) -> rf.Trainer:
    trainer = rf.Trainer(rf.Engine(network()), optimizer, groups=groups)
    trainer.step(*data(0))
    return trainer


@pytest.mark.parametrize("name", ["adamw", "lamb", "muon"])
def test_biases_have_no_weight_decay_unless_asked_for(name) -> None:
    strong = f"{name}:lr=0.01,weight_decay=10"
    spared, none = (parameters(trained_once(spec)) for spec in (strong, f"{name}:lr=0.01,weight_decay=0"))
    decayed = parameters(trained_once(f"{strong},spare_biases=false"))
    asked = parameters(trained_once(strong, [rf.ParameterGroup("*.b", weight_decay=10.0)]))
    for parameter in NAMES:
        is_bias = spared[parameter].ndim == 1
        assert np.array_equal(spared[parameter], none[parameter]) == is_bias
        assert np.array_equal(spared[parameter], decayed[parameter]) == (not is_bias)
    assert not np.array_equal(asked["layer0.b"], spared["layer0.b"])


@pytest.mark.parametrize("groups", [(), [freeze("layer0.*")]], ids=["none", "frozen"])
def test_the_slots_of_flat_vectors_are_those_that_checkpoints_have_always_had(groups) -> None:
    size = network().parameters.flat.size
    for spec in ("adam", "adamw"):
        slots = rf.Trainer(rf.Engine(network()), spec, groups=groups).slots
        assert dict(slots.shapes) == {"mean": (size,), "square": (size,)}


def test_an_optimizer_of_named_parameters_remembers_nothing_of_frozen_ones() -> None:
    trainer = rf.Trainer(rf.Engine(network()), "muon", groups=[freeze("layer0.*")])
    assert {name.rpartition(".")[0] for name in trainer.slots} == {n for n in NAMES if not n.startswith("layer0.")}


@pytest.mark.parametrize(
    ("group", "kind", "message"),
    [
        (
            freeze("layr0.*"),
            UnknownNameError,
            r"group 'layr0\.\*' matches no parameter; did you mean 'layer0\.\*'\? \(parameters: layer0\.U, .*head\.c\)",
        ),
        ("head.v:lr=2", UnknownNameError, r"group 'head\.v' matches no parameter; did you mean 'head\.V'\?"),
        (freeze("*"), OptionError, "every parameter is frozen"),
        ("head.*", OptionError, r"group 'head\.\*' changes nothing; write head\.\*:lr=0\.1,decay=0"),
        ("head.*:lr=x", OptionError, r"group 'head\.\*': lr=x is invalid; expected a number"),
        ("head.*:lr=-1", OptionError, r"group 'head\.\*': lr_factor=-1\.0 is out of range; expected at least 0"),
        ("head.*:decay=nan", OptionError, "weight_decay=nan is out of range"),
        ("head.*:dekay=1", UnknownNameError, r"unknown option of group 'head\.\*': 'dekay'; did you mean 'decay'\?"),
    ],
)
def test_a_group_that_cannot_be_meant_is_refused_on_one_line(group, kind, message) -> None:
    with pytest.raises(kind, match=message) as caught:
        rf.Trainer(rf.Engine(network()), groups=[group])
    assert "\n" not in str(caught.value)


def test_a_decay_for_an_optimizer_without_one_is_refused() -> None:
    @attrs.frozen(kw_only=True)
    class Plain(Optimizer):
        name = "plain"
        lr: float = 0.1

        def slots(self):
            return ()

        def update(self, parameters, gradients, slots, step, lr):
            parameters -= lr * gradients

    with pytest.raises(OptionError, match=r"weight_decay=0\.5 needs an optimizer with that option, 'plain' has none"):
        rf.Trainer(rf.Engine(network()), Plain(), groups=["head.*:decay=0.5"])
    rf.Trainer(rf.Engine(network()), Plain(), groups=["head.*:lr=0.5"]).step(*data(0))
