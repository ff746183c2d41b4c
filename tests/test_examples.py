"""The examples run as a reader would run them, and say what their text promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SEED_NETWORK = EXAMPLES / "seed_network.py"


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def seed_network():
    done = run("-W", "error", str(SEED_NETWORK))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def bytes_held(text):
    """Return what the table says: store -> its numbers, without the last column."""
    lines = re.findall(r"^((?:full|circular|checkpoint)\S*) +([\d,. ]+?)  +\S+$", text, re.MULTILINE)
    return {store: [float(number.replace(",", "")) for number in numbers.split()] for store, numbers in lines}


def test_the_seed_network_answers_what_every_gradient_needs(seed_network):
    rows = {line.split()[0]: line for line in seed_network.splitlines() if line.strip()}
    assert "x_t and dz_t" in rows["dU"]
    assert "h_(t-1) and dz_t" in rows["dW"]
    assert "or computed again" in rows["dW"]
    assert "h_t of the current chunk" in rows["dV"]
    assert "o_t are never stored" in rows["dV"]
    assert {"db", "dc"} <= rows.keys()
    assert "old weights only if they change while old steps wait" in rows["all"]


def test_the_seed_network_shows_what_each_store_held(seed_network):
    held = bytes_held(seed_network)
    assert len(held) == 6
    for tapes, snapshots, old_weights, working, in_all, _ in held.values():
        assert tapes + snapshots + old_weights + working == in_all
    full, queue = held["full-history"], held["circular-queue:k1=16,k2=16,weights=current"]
    assert full[0] == 3 * queue[0]  # 48 steps and 16
    assert {row[3] for row in held.values()} == {full[3]}  # outputs and the like: one chunk, for every store
    checkpoints = [row for store, row in held.items() if store.startswith("checkpoint")]
    assert all(row[0] < full[0] and row[1] > 0 and row[4] < full[4] and row[5] > 1 for row in checkpoints)
    assert [store for store, row in held.items() if row[2]] == ["circular-queue:k1=8,k2=24,weights=stored"]


def test_the_seed_network_prints_the_error_of_its_gradients(seed_network):
    error = re.search(r"largest relative error of a gradient against finite differences: (\S+)", seed_network)
    assert 0 < float(error[1]) < 1e-7


def test_the_seed_network_fails_where_a_gradient_is_wrong():
    # given a sigmoid that is reversed with the slope of tanh
    sabotage = (
        "import os, runpy; os.environ['RNNFRAME_KERNELS'] = 'numpy'; import rnnframe_cells.elman as elman; "
        "elman.ACTIVATIONS['sigmoid'] = elman.ACTIVATIONS['sigmoid'][0], elman.ACTIVATIONS['tanh'][1]; "
        f"runpy.run_path({str(SEED_NETWORK)!r}, run_name='__main__')"
    )
    done = run("-c", sabotage)
    assert done.returncode == 1
    assert "full-history: dL/d(" in done.stderr
    assert "analytic" in done.stderr


@pytest.mark.parametrize("name", ["training_loop", "spiking", "mingru_by_chunks"])
def test_the_examples_of_pytorch_do_what_they_say(name):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
    done = run(str(EXAMPLES / "pytorch" / f"{name}.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "checkpoint" in done.stdout


def test_a_model_is_exchanged_in_the_middle_of_its_training():
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
    pytest.importorskip("numba", reason="numba is not installed: pip install 'rnnframe[fast]'")
    done = run(str(EXAMPLES / "pytorch" / "accelerated_tagger.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "rnn: on compiled kernels" in done.stdout


@pytest.mark.slow
def test_windows_in_lightning_learn_an_echo():
    pytest.importorskip("lightning", reason="lightning is not installed: pip install lightning")
    done = run(str(EXAMPLES / "pytorch" / "lightning_windows.py"))
    assert done.returncode == 0, done.stderr
    assert "squared error" in done.stdout
