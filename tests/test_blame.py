"""Whose fault it is: what a plugin raises names the plugin, as the registry in use knows it, and nobody else's."""

from types import ModuleType

import attrs
import numpy as np
import pytest
from step_cells import StepElman

import rnnframe as rf
from rnnframe.errors import PluginError
from rnnframe.inspection.calibration import Calibration
from rnnframe.plugin import hookimpl
from rnnframe.runs.model import TaskModel
from rnnframe.training.windows import RealUpdates

X, Y = np.zeros((6, 2, 2), "f"), np.zeros((6, 2, 1), "f")
MINE = "'failing' of plugin 'mine' of my-distribution 1.0"


def failing(parent: type, method: str) -> type:
    def fail(self, *_, **__):
        raise RuntimeError("no more")

    return attrs.frozen(kw_only=True)(type("Failing", (parent,), {"name": "failing", method: fail}))


def registry_with(hook: str, *classes: type) -> rf.Registry:
    """Return a registry of one's own: what is installed, and a plugin that no other registry knows."""
    module = ModuleType("made_here")
    setattr(module, hook, hookimpl(lambda: list(classes)))
    registry = rf.Registry.installed()
    registry.register(module, "mine", "my-distribution", "1.0")
    return registry


def network(registry: rf.Registry, cell: str = "elman:hidden=3", head: str = "mse") -> rf.Network:
    return rf.Network([cell], head, 2, registry=registry)


def told(work, error: type[Exception] = RuntimeError) -> str:
    """Return what is raised, with its notes."""
    with pytest.raises(error) as raised:
        work()
    return "; ".join([str(raised.value), *getattr(raised.value, "__notes__", [])])


CELL_METHODS = ("state", "tape", "width", "parameters", "derived", "dropped_weights", "initialize", "scratch")
CELL_METHODS += ("retained_arrays", "derive", "derive_reverse", "accepts_strided_steps", "forward", "backward")


@pytest.mark.parametrize("method", CELL_METHODS)
def test_what_any_method_of_a_cell_raises_names_its_plugin_and_not_the_store_or_the_kernels(method: str) -> None:
    registry = registry_with("rnnframe_cells", failing(type(rf.cell("elman")), method))
    text = told(lambda: rf.Engine(network(registry, "failing:hidden=3"), kernels="numpy").gradients(X, Y))
    assert text == f"no more; in layer0, cell {MINE}"


def test_what_a_cell_raises_where_a_readout_is_looked_for_names_its_plugin() -> None:
    def fail(self: object) -> str:
        raise RuntimeError("no more")

    base = type(rf.cell("elman"))
    cell = attrs.frozen(kw_only=True)(type("Failing", (base,), {"name": "failing", "readout": property(fail)}))
    registry = registry_with("rnnframe_cells", cell)
    text = told(lambda: network(registry, "failing:hidden=3"), PluginError)
    assert text == f"cell {MINE}: RuntimeError: no more"


READOUT_METHODS = ("parameters", "derived", "initialize", "scratch", "derive", "derive_reverse", "forward", "backward")


@pytest.mark.parametrize("method", READOUT_METHODS)
def test_what_a_readout_raises_names_its_plugin_and_not_that_of_the_loss(method: str) -> None:
    registry = registry_with("rnnframe_readouts", failing(type(rf.default_registry().readout("affine")), method))
    text = told(lambda: rf.Engine(network(registry, head="mse:readout=failing"), kernels="numpy").gradients(X, Y))
    assert text == f"no more; in the head, readout {MINE}"


@pytest.mark.parametrize("way", ["evaluate", "predict", "stream"])
def test_a_readout_is_named_where_a_network_is_only_run_forward(way: str) -> None:
    registry = registry_with("rnnframe_readouts", failing(type(rf.default_registry().readout("affine")), "forward"))
    made = network(registry, head="mse:readout=failing")
    engine = rf.Engine(made, kernels="numpy")
    ways = {
        "evaluate": lambda: engine.evaluate(X, Y),
        "predict": lambda: engine.predict(X),
        "stream": lambda: made.stream(2, "numpy").step(X[0]),
    }
    assert told(ways[way]) == f"no more; in the head, readout {MINE}"


@pytest.mark.parametrize(
    ("hook", "kind", "method"),
    [
        ("rnnframe_optimizers", "optimizer", "update"),
        ("rnnframe_optimizers", "optimizer", "slots"),
        ("rnnframe_optimizers", "optimizer", "for_parameter"),
        ("rnnframe_learning_rates", "learning rate", "factor"),
    ],
)
def test_what_an_optimizer_or_a_learning_rate_raises_names_its_plugin(hook: str, kind: str, method: str) -> None:
    parent = rf.optimizer("sgd") if kind == "optimizer" else rf.learning_rate("constant")
    registry = registry_with(hook, failing(type(parent), method))
    options = {"optimizer": "failing"} if kind == "optimizer" else {"rate": "failing"}
    # the trainer asks the registry that made the network: no other knows the name
    text = told(lambda: rf.Trainer(rf.Engine(network(registry), kernels="numpy"), **options).step(X, Y))
    assert text == f"no more; in an update, {kind} {MINE}"


@pytest.mark.parametrize("method", ["schedule", "resolve", "tape_retention"])
def test_what_a_store_raises_names_its_plugin(method: str) -> None:
    base = type(rf.store("full-history"))
    broken = failing(base, method)
    if isinstance(vars(base).get(method), property):
        broken = attrs.frozen(kw_only=True)(
            type("Failing", (base,), {"name": "failing", method: property(vars(broken)[method])})
        )
    registry = registry_with("rnnframe_state_stores", broken)
    text = told(lambda: rf.Engine(network(registry), "failing", kernels="numpy").gradients(X, Y), PluginError)
    assert text == f"store {MINE}: RuntimeError: no more"


@pytest.mark.parametrize(
    ("way", "method"),
    [
        *(("gradients", method) for method in ("targets", "count", "target_width")),
        *(("plan with times", method) for method in ("targets", "target_width")),
        *(("updates", method) for method in ("count", "target_width")),
    ],
)
def test_what_a_loss_raises_about_its_targets_names_its_plugin(way: str, method: str) -> None:
    base = type(rf.default_registry().loss("mse"))
    broken = failing(base, method)
    if method == "target_width":
        own = {"name": "failing", method: property(vars(broken)[method])}
        broken = attrs.frozen(kw_only=True)(type("Failing", (base,), own))
    made = network(registry_with("rnnframe_losses", broken), head="failing")
    ways = {
        "gradients": lambda: rf.Engine(made, kernels="numpy").gradients(X, Y),
        "plan with times": lambda: Calibration(made).chunk(3, 2),
        "updates": lambda: RealUpdates(rf.Engine(made, "circular-queue:k1=2,k2=4", kernels="numpy")).of(rf.Batch(X, Y)),
    }
    assert told(ways[way], PluginError) == f"loss {MINE}: RuntimeError: no more"


def test_what_a_medium_raises_while_it_is_planned_names_its_plugin() -> None:
    registry = registry_with("rnnframe_media", failing(type(rf.medium("float16")), "ram_bytes"))
    engine = rf.Engine(network(registry), "checkpoint:medium=failing", kernels="numpy")
    assert told(lambda: engine.plan(6, 2), PluginError) == f"medium {MINE}: RuntimeError: no more"


@pytest.mark.parametrize("method", ["alphabet", "step_units"])
def test_what_a_task_raises_about_its_units_names_its_plugin(method: str) -> None:
    registry = registry_with("rnnframe_tasks", failing(type(rf.task("adding")), method))
    task = registry.task("failing")
    model = TaskModel(network=network(registry), task=task, learnt=task.learns())
    assert told(model.stream, PluginError) == f"task {MINE}: RuntimeError: no more"


@attrs.frozen(kw_only=True)
class DrawingOutput(StepElman):
    """What it draws changes every step."""

    name = "failing"

    def step(self, p, xU, state):
        h = super().step(p, xU, state)["h"]
        return {"h": h * np.random.default_rng().random(h.shape)}


@attrs.frozen(kw_only=True)
class DrawingState(StepElman):
    """What it draws changes nothing as long as the state is zero: at the first step."""

    name = "failing"

    def step(self, p, xU, state):
        return super().step(p, xU, {"h": state["h"] * np.random.default_rng().random(state["h"].shape)})


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=2"])
@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("cell", [DrawingOutput, DrawingState])
def test_a_step_that_draws_at_random_is_refused_and_named(cell: type, chunk: int, store: str) -> None:
    # before, the reverse saw other masks than the loss: wrong gradients, exit code 0
    made = network(registry_with("rnnframe_cells", cell), "failing:hidden=3")
    engine = rf.Engine(made, store, chunk=chunk, kernels="numpy")
    text = told(lambda: engine.gradients(X + 1, Y), PluginError)
    assert "gave other values of 'h' the second time" in text
    assert f"in layer0, cell {MINE}" in text


def test_a_cell_without_a_state_is_refused_where_it_would_lose_a_row() -> None:
    # before, the row of the state at the start was taken for the first output
    elman = type(rf.cell("elman"))
    stateless = attrs.frozen(kw_only=True)(
        type("Stateless", (elman,), {"name": "failing", "state": lambda self, inputs: {}})
    )
    registry = registry_with("rnnframe_cells", stateless)
    text = told(lambda: network(registry, "failing:hidden=3"), PluginError)
    assert text.startswith(f"layer0, cell {MINE}: state() has [] and not the output 'h'")
    assert "derive from rnnframe.plugin.Layer" in text
