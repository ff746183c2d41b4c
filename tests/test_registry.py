"""Registering by hand, without an installed distribution."""

import os
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError, UnknownNameError
from rnnframe.plugin import Cell, Kernels, Loss, hookimpl
from rnnframe.registry.kinds import KINDS


@attrs.frozen(kw_only=True)
class RunningSum(Cell):
    """h_t = h_(t-1) + x_t U."""

    name: ClassVar[str] = "running-sum"
    hidden: int = 1

    def parameters(self, inputs):
        return {"U": (inputs, self.hidden)}

    def initialize(self, parameters, rng):
        parameters["U"].fill(2)

    def state(self, inputs):
        return {"h": self.hidden}

    def tape(self, inputs):
        return {"h": self.hidden}

    def forward(self, block):
        weights, x, tape = block.weights, block.x, block.tape
        for t in range(len(x)):
            tape["h"][t + 1] = tape["h"][t] + x[t] @ weights["U"]

    def backward(self, block, dh, dstate, gradients, dx):
        x = block.x
        for t in reversed(range(len(x))):
            dstate["h"] += dh[t]
            gradients["U"] += x[t].T @ dstate["h"]


class SumPlugin:
    @staticmethod
    @hookimpl
    def rnnframe_cells():
        return [RunningSum]


class ArgumentPlugin:
    """Refused: the hook has no such argument."""

    @staticmethod
    @hookimpl
    def rnnframe_cells(network):
        return [RunningSum]


def test_a_cell_registered_by_hand_works_in_a_network():
    # given h_3 = 2·(1 + 2 + 3) = 12 and o = h/2 + 1 = 7, with 5 as the target
    registry = rf.Registry.installed()
    registry.register(SumPlugin(), "sums")
    network = rf.Network(["running-sum"], head="mse:at=last", inputs=1, dtype="float64", registry=registry)
    network.parameters["head.V"].fill(0.5)
    network.parameters["head.c"].fill(1)
    engine = rf.Engine(network, chunk=2, registry=registry)

    result = engine.gradients(np.array([1.0, 2.0, 3.0])[:, None, None], np.array([[5.0]]))

    # then L = (7 - 5)², dL/do = 4, dV = 4·12, dc = 4, dU = 4·V·(1 + 2 + 3)
    assert result.loss == 4
    assert {name: float(view.item()) for name, view in result.gradients.items()} == {
        "layer0.U": 12,
        "head.V": 48,
        "head.c": 4,
    }


def test_what_was_registered_by_hand_is_known_by_its_plugin():
    registry = rf.Registry()
    record = registry.register(SumPlugin(), "sums", distribution="notebook", version="today")
    assert registry.records == [record]
    assert registry.owner("cell", "running-sum") is record
    assert str(record) == "plugin 'sums' of notebook today"
    assert (record.status, record.provides) == ("ok", {"cell": ["running-sum"]})


def module(hook, name: str) -> ModuleType:
    """Return a module with one hook implementation."""
    made = ModuleType("made_here")
    setattr(made, name, hookimpl(hook))
    return made


def test_modules_and_objects_with_hook_implementations_are_plugins():
    registry = rf.Registry()
    registry.register(module(lambda: [RunningSum], "rnnframe_cells"), "module")
    assert registry.names("cell") == ["running-sum"]


def test_a_new_registry_knows_nothing():
    registry = rf.Registry()
    assert all(registry.names(kind) == [] for kind in KINDS)
    with pytest.raises(UnknownNameError, match=r"^unknown cell 'lstm' \(known: none\)$"):
        registry.cell("lstm")


def test_registries_are_strangers_to_each_other():
    one, other = rf.Registry(), rf.Registry()
    one.register(SumPlugin(), "sums")
    assert other.names("cell") == []
    assert "running-sum" not in rf.default_registry().names("cell")


@pytest.mark.parametrize("name", ["sums", "again"])
def test_a_plugin_registered_a_second_time_is_refused_and_the_first_stays(name):
    registry = rf.Registry()
    plugin = SumPlugin()
    first = registry.register(plugin, "sums")
    with pytest.raises(PluginError, match=f"^plugin '{name}' of local - is broken: "):
        registry.register(plugin, name)
    assert [record.status for record in registry.records] == ["ok", "broken"]
    assert registry.owner("cell", "running-sum") is first
    assert registry.cell("running-sum") == RunningSum()
    assert registry.manager.get_plugins() == {plugin}


def test_two_plugins_of_one_name_are_told_apart_by_their_distribution():
    registry = rf.Registry()
    registry.register(SumPlugin(), "sums", distribution="one")
    with pytest.raises(PluginError) as refusal:
        registry.register(SumPlugin(), "sums", distribution="other")
    assert str(refusal.value) == (
        "plugin 'sums' of other - is broken: "
        "cell 'running-sum' is already provided by plugin 'sums' of one -; rename it"
    )


def test_a_plugin_that_was_refused_may_come_back_mended():
    registry = rf.Registry()
    with pytest.raises(PluginError, match="can not be found in the hookspec"):
        registry.register(ArgumentPlugin(), "sums")
    assert registry.manager.get_plugins() == set()
    registry.register(SumPlugin(), "sums")
    assert registry.cell("running-sum") == RunningSum()


def test_an_entry_point_that_belongs_to_no_distribution_is_loaded_like_any_other(capsys):
    points = [EntryPoint("mine", "rnnframe_cells", "rnnframe"), EntryPoint("lost", "nowhere_to_be_found", "rnnframe")]
    registry = rf.Registry.installed(points, strict=False, disabled=())
    assert str(registry.owner("cell", "lstm")) == "plugin 'mine' of unknown -"
    assert registry.names("optimizer") == []
    assert capsys.readouterr().err.startswith("rnnframe: plugin 'lost' of unknown - is broken and left out: ")


def test_the_reason_for_a_refusal_is_on_one_line_and_its_cause_is_kept():
    class Talkative:
        @hookimpl
        def rnnframe_cells(self):
            raise OSError(f"no{os.linesep}such\n    file")

    with pytest.raises(PluginError) as refusal:
        rf.Registry().register(Talkative(), "talk")
    assert str(refusal.value) == "plugin 'talk' of local - is broken: OSError: no such file"
    assert isinstance(refusal.value.__cause__, OSError)


def test_a_class_that_lacks_a_method_is_refused_when_it_is_asked_for():
    @attrs.frozen(kw_only=True)
    class Half(Cell):
        name: ClassVar[str] = "half"

    registry = rf.Registry()
    registry.register(module(lambda: [Half], "rnnframe_cells"), "half")
    with pytest.raises(OptionError, match=r"^cell 'half': Can't instantiate abstract class Half"):
        registry.cell("half:hidden=3")


def test_what_a_layer_raises_names_the_plugin_of_the_registry_that_made_it():
    @attrs.frozen(kw_only=True)
    class Failing(type(rf.cell("elman"))):
        name = "failing"

        def forward(self, block):
            raise RuntimeError("no more")

    registry = rf.Registry.installed()
    registry.register(module(lambda: [Failing], "rnnframe_cells"), "mine", "my-distribution", "1.0")
    network = rf.Network(["failing:hidden=3"], "mse", 2, registry=registry)
    for run in (rf.Engine(network, kernels="numpy").predict, rf.Inference(network, kernels="numpy").predict):
        with pytest.raises(RuntimeError) as raised:
            run(np.zeros((3, 1, 2)))
        assert raised.value.__notes__ == ["in layer0, cell 'failing' of plugin 'mine' of my-distribution 1.0"]


def test_inference_finds_kernels_in_the_registry_that_it_is_given():
    @attrs.frozen(kw_only=True)
    class Own(Kernels):
        name = "own"

        def missing(self):
            return ""

        def twin(self, layer, dtype):
            return None

    registry = rf.Registry.installed()
    registry.register(module(lambda: [Own], "rnnframe_kernels"), "mine")
    network = rf.Network(["elman:hidden=3"], "mse", 2, registry=registry)
    assert rf.Inference(network, kernels="own", registry=registry).network.kernels == ("numpy",)
    assert rf.Inference(network, kernels="own").network.kernels == ("numpy",)
    with pytest.raises(UnknownNameError, match="unknown kernels 'own'"):
        rf.Inference(rf.Network(["elman:hidden=3"], "mse", 2), kernels="own")


def test_what_a_loss_raises_names_its_plugin_too():
    @attrs.frozen(kw_only=True)
    class Broken(Loss):
        name = "broken"
        width = 1

        def losses_and_gradients(self, o, y):
            raise RuntimeError("no more")

    registry = rf.Registry.installed()
    registry.register(module(lambda: [Broken], "rnnframe_losses"), "mine", "my-distribution", "1.0")
    network = rf.Network(["elman:hidden=3"], "broken", 2, registry=registry)
    with pytest.raises(RuntimeError) as raised:
        rf.Engine(network).gradients(np.zeros((3, 1, 2)), np.zeros((3, 1, 1)))
    assert raised.value.__notes__ == ["in the head, loss 'broken' of plugin 'mine' of my-distribution 1.0"]
