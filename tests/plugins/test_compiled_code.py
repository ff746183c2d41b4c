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
    """A copy of the compiled kernels, beside which nothing is written: their __pycache__ is a file."""
    pytest.importorskip("numba")
    import rnnframe_compiled

    copy = tmp_path / "sources" / "rnnframe_compiled"
    shutil.copytree(Path(rnnframe_compiled.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__pycache__").touch()
    return copy


def environment(sources: Path, cache: str) -> dict[str, str]:
    paths = os.pathsep.join(filter(None, [str(sources.parent), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": "", "HOME": cache, "XDG_CACHE_HOME": cache}


def test_sources_in_a_read_only_place_are_compiled_once_into_the_users_cache(sources: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    settings = environment(sources, str(cache))
    first, second = (python("-m", "rnnframe", *PLAN, **settings) for _ in range(2))
    lines = first.stderr.splitlines()
    assert lines[0] == "rnnframe: compiling elman, heads for float32, once on this machine ..."
    assert lines[1].startswith("rnnframe: compiled in ")
    assert f"the code is kept in {cache}" in lines[1]
    assert len(lines) == 2
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


def test_code_of_other_sources_goes_when_it_is_old(sources: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first = place_of(sources, NUMBA_CACHE_DIR=cache)
    with (sources / "functions.py").open("a") as file:
        file.write("# changed\n")
    second = place_of(sources, NUMBA_CACHE_DIR=cache)
    assert first.exists()
    os.utime(first, (0, 0))
    assert place_of(sources, NUMBA_CACHE_DIR=cache) == second
    assert not first.exists()


def kernels_of(folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Plan with kernels of a folder that NUMBA_CACHE_DIR names."""
    return python("-m", "rnnframe", *PLAN, "--kernels", "compiled", NUMBA_CACHE_DIR=str(folder), **settings)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of PLAN."""
    pytest.importorskip("numba")
    folder = tmp_path_factory.mktemp("filled")
    kernels_of(folder)
    assert kernels_of(folder).stderr == ""
    return folder


POSIX = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs a system with modes")


@POSIX
@pytest.mark.parametrize("place", ["the folder", "the folder above", "a file", "a link", "another's"])
def test_code_that_others_could_have_put_there_is_refused_with_one_line(
    filled: Path, place: str, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    (inner,) = folder.iterdir()
    file = next(inner.rglob("*.nbc"))
    if place == "a link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif place == "another's":
        if os.getuid():
            pytest.skip("only root can give files away")
        os.chown(file, 12345, 12345)
    else:
        {"the folder": inner, "the folder above": folder, "a file": file}[place].chmod(0o777)
    words = "import rnnframe_compiled.place as p; print(p.place().lasts, p.place().folder.stat().st_mode & 0o777)"
    done = python("-c", words, NUMBA_CACHE_DIR=str(folder))
    assert done.stdout.split() == ["False", str(0o700)]
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rnnframe: compiled code in {str(inner)!r} is not trusted: ")


@POSIX
def test_the_users_cache_is_made_for_the_user_alone(sources: Path, tmp_path: Path) -> None:
    folder = place_of(sources, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert folder.parent == tmp_path / "cache" / "rnnframe"
    assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent)] == [0o700, 0o700]


DAMAGE = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "another pickle": lambda data: b"cos\nsystem\n(S'echo broken into >&2'\ntR.",
    "a flipped bit": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_code_is_compiled_again_with_one_line(filled: Path, damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    file = next(path for path in sorted(folder.rglob("*.nbc")) if "elman.forward" in path.name)
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    first, second = kernels_of(folder), kernels_of(folder)
    (line,) = first.stderr.splitlines()
    assert "cannot be used" in line
    assert line.endswith("compiling it again")
    assert second.stderr == ""
    assert "kernels: compiled" in first.stdout
