"""The compiled head packs V where the parameters may have changed, and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnnframe as rf

pytest.importorskip("numba", reason="numba is not installed, so there are no compiled heads")


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that every packing of V or of its transpose is added to."""
    rf.Inference(rf.Network(["lstm:hidden=4"], "softmax:classes=3", 2), kernels="compiled")  # it is compiled by now
    from rnnframe_compiled import heads

    counted: list[str] = []
    for name in ("pack_columns", "pack_transposed"):
        monkeypatch.setattr(heads, name, _counting(getattr(heads, name), name, counted))
    return counted


def _counting(packing: Callable[..., None], name: str, counted: list[str]) -> Callable[..., None]:
    def count(*given: Any) -> None:
        counted.append(name)
        packing(*given)

    return count


def data(steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, 3, 2)).astype("float32"), rng.integers(0, 5, (steps, 3))


def test_while_parameters_are_fixed_v_is_packed_once_whatever_the_number_of_steps(packings: list[str]) -> None:
    x, _ = data(20)
    inference = rf.Inference(rf.Network(["lstm:hidden=4"], "softmax:classes=5", 2), chunk=1, kernels="compiled")
    packings.clear()
    with inference.fixed():
        state = None
        for step in x:
            _, state = inference.predict(step[None], state)
    assert packings == ["pack_columns"]
    inference.predict(x)
    assert packings == ["pack_columns"] * 2


def test_a_gradient_packs_v_and_its_transpose_once_whatever_the_number_of_chunks(packings: list[str]) -> None:
    x, y = data(20)
    network = rf.Network(["lstm:hidden=4"], "softmax:classes=5", 2)
    engines = [rf.Engine(network, chunk=chunk, kernels="compiled", shards=1) for chunk in (2, 10)]
    for engine in engines:
        packings.clear()
        engine.gradients(x, y)
        assert sorted(packings) == ["pack_columns", "pack_transposed"]


def test_parameters_of_the_head_that_were_written_to_count_from_the_next_call_on() -> None:
    x, y = data(4)
    network = rf.Network(["lstm:hidden=4"], "softmax:classes=5", 2)
    inference, engine = rf.Inference(network, kernels="compiled"), rf.Engine(network, kernels="compiled", shards=1)
    inference.predict(x)
    engine.gradients(x, y)
    network.parameters["head.V"][...] *= -2
    fresh = rf.Network(["lstm:hidden=4"], "softmax:classes=5", 2)
    fresh.parameters.copy_from(network.parameters)
    assert np.array_equal(inference.predict(x)[0], rf.Inference(fresh, kernels="compiled").predict(x)[0])
    expected = rf.Engine(fresh, kernels="compiled", shards=1).gradients(x, y)
    assert np.array_equal(engine.gradients(x, y).gradients.flat, expected.gradients.flat)
