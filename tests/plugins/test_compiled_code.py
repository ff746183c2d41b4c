"""Compiled code: what imports numba, what is said when something is compiled, where code is kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = ("plan", "--cell", "elman:hidden=2", "--inputs", "2", "--batch", "2", "--steps", "4", "--store", "full-history")


def python(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a process of its own; an empty variable is taken out of its environment."""
    settings = {name: value for name, value in (os.environ | environment).items() if value}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "work",
    [
        "import rnnframe",
        "import rnnframe.testing",
        "cli.main(['--help'], standalone_mode=False)",
        "cli.main(['plugins'], standalone_mode=False)",
        "cli.main(['explain', 'lstm'], standalone_mode=False)",
        "cli.main(['plan', '--kernels', 'numpy', '--steps', '9'], standalone_mode=False)",
    ],
)
def test_numba_is_imported_only_by_what_needs_it(work: str) -> None:
    before = "" if work.startswith("import") else "from rnnframe.cli import with_commands; cli = with_commands()"
    seen = "print([name for name, m in sys.modules.items() if m and name.partition('.')[0] in ('numba', 'llvmlite')])"
    assert python("-c", f"import sys\n{before}\n{work}\n{seen}").stdout.splitlines()[-1] == "[]"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the compiled kernels beside which nothing can be written: their __pycache__ is a file."""
    pytest.importorskip("numba")
    import rnnframe_compiled

    copy = tmp_path / "sources" / "rnnframe_compiled"
    shutil.copytree(Path(rnnframe_compiled.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__pycache__").touch()
    return copy


def environment(sources: Path, cache: str) -> dict[str, str]:
    return {"PYTHONPATH": str(sources.parent), "NUMBA_CACHE_DIR": "", "HOME": cache, "XDG_CACHE_HOME": cache}


def test_sources_in_a_read_only_place_are_compiled_once_into_the_users_cache(sources: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    settings = environment(sources, str(cache))
    first, second = (python("-m", "rnnframe", *PLAN, **settings) for _ in range(2))
    lines = first.stderr.splitlines()
    told = [f"rnnframe: compiling {what} for float32, once on this machine ..." for what in ("heads", "elman")]
    assert lines[::2] == told
    assert all(line.startswith("rnnframe: compiled in ") for line in lines[1::2])
    assert all(f"the code is kept in {cache}" in line for line in lines[1::2])
    assert second.stderr == ""
    assert "kernels: compiled" in first.stdout


def test_where_nothing_can_be_kept_there_is_a_folder_while_the_process_lasts(sources: Path) -> None:
    words = "import rnnframe_compiled.place as p; print(p.place().lasts, p.place().folder.is_dir(), p.place().folder)"
    lasts, there, folder = python("-c", words, **environment(sources, "/dev/null/nowhere")).stdout.split()
    assert (lasts, there) == ("False", "True")
    assert not Path(folder).exists()


@pytest.mark.slow
def test_where_nothing_can_be_kept_kernels_are_compiled_all_the_same_and_that_is_said(sources: Path) -> None:
    done = python("-m", "rnnframe", *PLAN, **environment(sources, "/dev/null/nowhere"))
    assert done.stderr.splitlines()[-1].endswith("the code is not kept: no folder for it can be written to")
    assert "kernels: compiled" in done.stdout


def test_a_numba_that_does_not_suit_this_numpy_is_told_and_numpy_computes(tmp_path: Path) -> None:
    for package in ("llvmlite", "numba"):  # the first is imported before, and need not be installed here
        (tmp_path / package).mkdir()
    (tmp_path / "llvmlite" / "__init__.py").touch()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('Numba needs NumPy 0.1 or less')")
    settings = {"PYTHONPATH": str(tmp_path)}
    assert "kernels: numpy" in python("-m", "rnnframe", *PLAN, **settings).stdout
    words = "import rnnframe; print(rnnframe.default_registry().kernels('compiled').missing())"
    reason = "numba cannot be imported (Numba needs NumPy 0.1 or less)"
    assert python("-c", words, **settings).stdout == f"{reason}; pip install 'rnnframe[fast]' in a fresh environment\n"


def place_of(sources: Path, **settings: str) -> Path:
    words = "import rnnframe_compiled.place as p; print(p.place().folder)"
    return Path(python("-c", words, **environment(sources, "/dev/null/nowhere") | settings).stdout.strip())


def test_code_of_other_sources_or_for_another_processor_is_never_taken(sources: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first = place_of(sources, NUMBA_CACHE_DIR=cache)
    assert first.parent == Path(cache)
    assert place_of(sources, NUMBA_CACHE_DIR=cache) == first
    generic = place_of(sources, NUMBA_CACHE_DIR=cache, NUMBA_CPU_NAME="generic")
    with (sources / "functions.py").open("a") as file:
        file.write("# changed\n")
    changed = place_of(sources, NUMBA_CACHE_DIR=cache)
    assert len({first, generic, changed}) == 3


def test_code_beside_the_sources_goes_when_they_change(sources: Path) -> None:
    (sources / "__pycache__").unlink()
    first = place_of(sources)
    assert first.parent == sources / "__pycache__"
    other_processor = place_of(sources, NUMBA_CPU_NAME="generic")
    assert first.exists()
    with (sources / "functions.py").open("a") as file:
        file.write("# changed\n")
    assert place_of(sources).exists()
    assert not first.exists()
    assert not other_processor.exists()
