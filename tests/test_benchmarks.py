"""The measurements run, and measure what they say; what they find decides nothing."""

import ast
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.problems import CLASSES, Problem, Shape
from rank_jobs import mpi

import rnnframe as rf
from rnnframe.registry.stacks import split_stack

SPEED = "speed --cells elman --only numpy --threads 1 --shapes 5 --turns 1 --seconds 0.01"
SCALING = "scaling --kernels numpy --threads 1 --stores circular-queue:k1=32,k2=64 --steps 20,40 --turns 1"
TESTS = Path(__file__).parent


def benchmarks(words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks", *words.split()]
    return subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)


def measured(words: str) -> list[list[str]]:
    """Return the rows of the table that a measurement prints."""
    done = benchmarks(words)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_without_a_name_every_benchmark_is_listed_with_what_it_measures() -> None:
    done = benchmarks("")
    assert done.returncode == 0, done.stderr
    listed = dict(re.findall(r"^  ([\w-]+) +(\S.+)$", done.stdout, re.MULTILINE))
    paths = [path for path in (TESTS / "benchmarks").glob("*.py") if path.stem != "__main__"]
    files = {path.stem.replace("_", "-"): path.read_text() for path in paths}
    assert listed.keys() == {name for name, source in files.items() if "\ndef main(words" in source}
    for name, summary in listed.items():
        assert files[name].startswith(f'"""{summary}\n')


def test_a_name_that_is_no_benchmark_is_refused_with_the_names_that_are() -> None:
    done = benchmarks("sped")
    assert done.returncode == 2
    assert "no benchmark 'sped'" in done.stderr
    assert "  speed " in done.stderr


def test_speed_prints_times_and_rates_of_a_shape_bare_and_under_a_readout() -> None:
    rows = [row for row in measured(SPEED) if row[0] == "1000, 1, 32, 64"]
    assert len(rows) == 2
    for _, milliseconds, rate, product, share in rows:
        assert float(milliseconds) > 0
        assert float(rate) > 0
        assert float(product) > 0
        assert share.endswith("%")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX-512 is of x86-64 alone")
def test_speed_without_avx512_says_so_of_the_best_product() -> None:
    done = benchmarks(f"{SPEED} --settings layer --avx2")
    assert done.returncode == 0, done.stderr
    (product,) = [line for line in done.stdout.splitlines() if line.startswith("best product: ")]
    if "openblas" in product:
        assert product.endswith("Haswell")


def test_steps_prints_the_time_of_a_step_of_each_batch_beside_others() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    words = "steps --cell gru:hidden=8 --inputs 4 --batches 1,3 --kernels numpy --turns 2 --seconds 0.001"
    _, _, *rows = measured(words)
    libraries = ["rnnframe", "torch", "onnxruntime"]
    assert [row[:2] for row in rows] == [[batch, name] for batch in ("1", "3") for name in libraries]
    assert all(float(row[2]) > 0 for row in rows)
    assert [row[4] for row in rows if row[1] == "rnnframe"] == ["1.0", "1.0"]


LINEAR = "linear-cells --cells mingru --threads 1 --shapes 3 --turns 1 --seconds 0.01"


def test_linear_cells_prints_how_many_times_as_long_the_lstm_takes() -> None:
    pytest.importorskip("numba")
    layer, model = [row for row in measured(f"{LINEAR} --only rnnframe") if row[0] == "1000, 16, 64, 128"]
    assert layer[2] == model[2] == "mingru"
    assert all(float(number) > 0 for row in (layer, model) for number in row[3:5])


@pytest.mark.slow
def test_linear_cells_compares_the_gradients_with_torchs_forms_and_prints_the_fastest() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    layer, _ = [row for row in measured(f"{LINEAR} --forms loop,scan") if row[0] == "1000, 16, 64, 128"]
    assert layer[5] in ("loop", "scan")
    assert all(float(number) > 0 for number in layer[6:])


def test_extras_prints_how_many_times_as_long_a_step_takes_with_a_mask() -> None:
    _, _, row = measured("extras --only recurrent-mask --shapes 5,2,3,4 --turns 1 --seconds 0.01")
    assert row[:3] == ["recurrent-mask", "numpy", "5, 2, 3, 4"]
    without, ours, ratio = map(float, row[3:])
    assert ratio == pytest.approx(ours / without, rel=0.1)


def test_theory_prints_what_cells_reach_and_whether_that_is_the_goal() -> None:
    titles, _, row = measured("theory --problems parity --cells mingru --seeds 1 --updates 2")
    assert titles[1] == "right at steps 25 to 96"
    assert row[0] == "mingru"
    assert 0.45 < float(row[1].rstrip("%")) / 100 < 0.55
    assert row[2] == "0 of 1"


def test_theory_measures_the_error_of_adding_at_the_last_step_beside_guessing() -> None:
    titles, _, row = measured("theory --problems adding --cells mingru --seeds 1 --updates 40 --kernels numpy")
    assert titles[1] == "squared error"
    assert 0.1 < float(row[1]) < 0.3  # after some updates a network guesses, which is an error of 1/6
    assert row[2:4] == ["0 of 1", ""]


@mpi
@pytest.mark.slow
def test_a_reduction_is_timed_beside_the_model_of_it() -> None:
    titles, _, row = measured("reduction --floats 3000 --turns 2")
    assert titles[-3:] == ["model / measured", "messages", "adding"]
    assert row[0] == "3,000"
    took, modelled, messages, adding = (float(row[n].removesuffix(" ms")) for n in (1, 3, 5, 6))
    assert took > 0
    assert modelled == pytest.approx(messages + adding, abs=0.011)


def test_scaling_prints_a_time_for_every_length() -> None:
    titles, _, row = measured(SCALING)
    assert len(titles) == len(row)
    assert all(float(cell) > 0 for cell in row[3:6])


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("elman", 1)])
def test_operations_are_those_of_the_products_that_the_gradients_need(cell: str, gates: int) -> None:
    T, B, I, H = 3, 2, 5, 4
    rows, width = T * B, gates * H
    products = {
        "x U": (rows, I, width),
        "h W": (rows, H, width),
        "dz Wᵀ": (rows, width, H),
        "dU": (I, rows, width),
        "dW": (H, rows, width),
    }
    readout = {"h V": (rows, H, CLASSES), "do Vᵀ": (rows, CLASSES, H), "dV": (H, rows, CLASSES)}

    def operations(of: dict[str, tuple[int, int, int]]) -> int:
        return sum(2 * m * k * n for m, k, n in of.values())

    assert Problem(cell, Shape(T, B, I, H), "layer").flops == operations(products)
    assert Problem(cell, Shape(T, B, I, H), "model").flops == operations(products | readout)


def test_the_layers_of_every_published_problem_can_be_trained() -> None:
    code = "from tests.benchmarks.tables import PROBLEMS; print(*(each.words for each in PROBLEMS.values()), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS.parent, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        words = ast.literal_eval(line)
        assert all(rf.cell(spec) for spec in split_stack(words[words.index("--layers") + 1]))
