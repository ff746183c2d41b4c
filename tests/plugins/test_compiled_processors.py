"""Code for other processors than the one here: narrower vectors, fewer registers, no fused products; the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.registry.registry import default_registry

processor = pytest.importorskip("rnnframe_compiled.processor", reason="numba is not installed")

pytestmark = pytest.mark.skipif(not processor.X86, reason="the other processors are x86-64 ones")
FEATURES = processor.FEATURES.split(",")
OTHERS = {
    "16 bytes": ("x86-64", "+sse2,+sse4.2"),
    "32 bytes": ("haswell", ",".join(name.replace("+avx512", "-avx512") for name in FEATURES)),
}
BITS = """
import hashlib, sys
import numpy as np
import rnnframe as rf
from rnnframe_compiled.lanes import BYTES

print(BYTES)
for cell in sys.argv[2:]:
    network = rf.Network([cell, cell], "softmax:classes=21", 11, dtype=sys.argv[1])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 13, 11)).astype(sys.argv[1]), rng.integers(0, 21, (9, 13))
    result = rf.Engine(network, chunk=4, shards=1, kernels="compiled").gradients(x, y)
    print(cell, result.loss, hashlib.sha256(result.gradients.flat.tobytes()).hexdigest())
"""


def elsewhere(other, *words, **environment):
    """Run Python with code for another processor; return what it prints."""
    name, features = OTHERS[other] if other else (processor.NAME, processor.FEATURES)
    settings = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features} | environment
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expect_the_same_bits(other, dtype, *cells):
    width, *here = elsewhere(None, "-c", BITS, dtype, *cells).splitlines()
    there, *bits = elsewhere(other, "-c", BITS, dtype, *cells).splitlines()
    assert int(there) == int(other.split()[0])
    if there != width:
        assert bits == here


def test_code_of_narrower_vectors_gives_the_same_bits():
    expect_the_same_bits("32 bytes", "float32", "elman:hidden=37")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("other", OTHERS)
def test_code_of_any_vectors_gives_the_same_bits_for_every_cell(other, dtype):
    expect_the_same_bits(
        other,
        dtype,
        "lstm:hidden=37",
        "lstm:hidden=37,norm=layer,projection=19",
        "gru:hidden=37",
        "gru:hidden=37,norm=layer",
        "gru:hidden=37,reset=before",
        "elman:hidden=37",
        "mingru:hidden=37",
        "minlstm:hidden=37",
        "indrnn:hidden=37",
        "lru:units=37,states=21",
        "peephole-lstm:hidden=37",
        "slstm:hidden=37",
        "rglru",
        "selective-ssm:states=5,rank=3",
        "linear-attention:heads=2,keys=7,values=35",
    )


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS)
def test_the_kernels_pass_their_tests_with_any_vectors(other):
    tests = Path(__file__).parent.parent
    plugins = [f"plugins/test_compiled_{name}.py" for name in ("cells", "functions", "products")]
    chosen = [str(tests / name) for name in (*plugins, "conformance/test_compiled_conform.py")]
    elsewhere(other, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)


def test_a_processor_without_fused_multiply_add_computes_on_numpy(monkeypatch):
    kernels = default_registry().kernels("compiled")
    monkeypatch.setattr(processor, "FEATURES", "+sse2,+avx")
    monkeypatch.setattr(processor.config, "CPU_NAME", "x86-64")
    assert kernels.missing() == ""  # where that processor is asked for
    monkeypatch.setattr(processor.config, "CPU_NAME", None)
    assert "no fused multiply-add" in kernels.missing()
    network = rf.Network(["lstm:hidden=3"], "mse:outputs=1", 2)
    assert rf.Engine(network).running.kernels == ("numpy",)
    with pytest.raises(OptionError, match="no fused multiply-add, and is faster with numpy; take kernels=numpy"):
        rf.Engine(network, kernels="compiled")
