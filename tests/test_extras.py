"""Libraries of extras: none is imported before it is needed, and where one is missing, one line says what to run."""

import subprocess
import sys

import pytest

LIBRARIES = (
    "autograd",
    "jax",
    "matplotlib",
    "mlflow",
    "numba",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "plotly",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "tensorboardX",
    "tokenizers",
    "torch",
    "wandb",
)


def python(program: str, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", ["import rnnframe", "import rnnframe.plugin", "from rnnframe.cli import main; main()"])
def test_no_library_of_an_extra_is_imported_by(what: str) -> None:
    told = f"import atexit, sys; atexit.register(lambda: print('imported', *(set({LIBRARIES}) & set(sys.modules))))"
    done = python(f"{told}; {what}", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported"


@pytest.mark.parametrize(
    ("library", "extra", "program"),
    [
        ("sklearn", "sklearn", "import rnnframe_sklearn"),
        ("torch", "torch", "import rnnframe_torch"),
        ("onnx", "onnx", "from rnnframe.cli import main; main()"),
    ],
)
def test_without_the_library_of_an_extra_one_line_says_what_to_run(library: str, extra: str, program: str) -> None:
    words = ("import", "model.onnx", "run") if library == "onnx" else ()
    done = python(f"import sys; sys.modules[{library!r}] = None; {program}", *words)
    assert done.returncode != 0
    line = done.stderr.splitlines()[-1]
    assert f"rnnframe[{extra}]" in line
    assert "pip install" in line
