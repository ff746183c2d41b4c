import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rnnframe.plugin import (
    Cell,
    Dataset,
    Examples,
    Kernels,
    Layer,
    LearningRate,
    Loss,
    Medium,
    NamedOptimizer,
    Observer,
    Optimizer,
    Readout,
    StateStore,
    StepCell,
    Task,
    Watcher,
)
from rnnframe.registry import hooks as hookspecs
from rnnframe.testing import SUITES
from rnnframe.testing.suite import title_of

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import api_reference  # noqa: E402
from constants import explanation  # noqa: E402

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
NEEDED = {
    "serve.md": ("onnx", "onnxruntime"),
    "scikit-learn.md": ("sklearn",),
    "from-pytorch.md": ("torch",),
    "track.md": ("optuna",),
}
"""What the blocks of a page need beyond the test installation."""
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run_one_after_the_other(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in NEEDED.get(page.name, ()):
        pytest.importorskip(module, reason=f"the page runs {module}")
    monkeypatch.chdir(ROOT)
    space: dict = {"__name__": page.stem}
    text = page.read_text()
    for match in BLOCK.finditer(text):
        line = text[: match.start()].count("\n") + 2
        exec(compile("\n" * (line - 1) + match[1], str(page), "exec"), space)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def test_every_hook_is_in_the_reference_with_its_exact_signature() -> None:
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("rnnframe_")}
    assert len(hooks) == 12
    signatures = [name + MODULE.sub("", str(inspect.signature(hook))).replace("'", "") for name, hook in hooks.items()]
    plugins, page = ((ROOT / "docs" / "reference" / name).read_text() for name in ("plugins.md", "hooks.md"))
    assert re.findall(r"^\| `(rnnframe_[^`]+)` \|", plugins, re.MULTILINE) == signatures
    assert re.findall(r"^    (rnnframe_.+)$", page, re.MULTILINE) == signatures


def test_every_method_of_a_contract_is_in_the_plugin_reference() -> None:
    text = (ROOT / "docs" / "reference" / "plugins.md").read_text()
    contracts = (Layer, Cell, StepCell, Loss, Readout, Optimizer, NamedOptimizer, LearningRate, StateStore, Medium)
    for contract in (*contracts, Kernels, Task, Dataset, Examples, Observer, Watcher):
        for name, member in vars(contract).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                assert re.search(rf"`{name}\b", text), f"{contract.__name__}.{name}"


def test_every_action_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "actions.md").read_text()
    for name in ("Forward", "Reverse", "Forget", "Save", "Load", "Drop", "Update"):
        assert f"`{name}(" in text


ARCHITECTURE = (ROOT / "docs" / "reference" / "architecture.md").read_text()
FILE = re.compile(r"`([a-z_]+\.py)`")


def rooms_of_the_contract() -> list[list[str]]:
    """Return the rooms of the core, layer by layer, as import-linter reads them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in linter["contracts"] if contract["id"] == "rooms")
    return [re.split(r" [|:] ", layer) for layer in layers]


def test_the_architecture_has_the_rooms_in_the_order_of_the_contract() -> None:
    rows = re.findall(r"^\| (\d* ?)\| \[?`(\w+)`", ARCHITECTURE, re.MULTILINE)
    layers: list[list[str]] = []
    for number, room in rows:
        if number:
            layers.append([])
            assert len(layers) == int(number)
        layers[-1].append(room)
    assert layers == rooms_of_the_contract()


def files_under(heading: str) -> list[str]:
    """Return the files that the first column of the table under a heading names."""
    section = ARCHITECTURE.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return [name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in FILE.findall(row)]


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in (ROOT / "rnnframe").iterdir() if (path / "__init__.py").exists())
)
def test_the_architecture_names_every_file_of_a_room_and_no_other(folder: str) -> None:
    files = {path.name for path in (ROOT / "rnnframe" / folder).glob("*.py")} - {"__init__.py"}
    named = [name for name in files_under(f"`{folder}`") if name != "__init__.py"]
    assert sorted(named) == sorted(files)


def test_the_architecture_names_every_single_module_and_no_other() -> None:
    assert sorted(files_under("Single modules")) == sorted(path.name for path in (ROOT / "rnnframe").glob("*.py"))


def test_the_picture_of_the_rooms_is_that_of_the_code() -> None:
    pytest.importorskip("grimp")  # which import-linter brings: pip install ".[lint]"
    written = subprocess.run(
        [sys.executable, "-c", "import rooms_picture as r; print(r.picture(), end='')"],
        cwd=ROOT / "docs" / "_ext",
        capture_output=True,
        text=True,
        check=True,
    )
    stale = "the rooms or their imports have changed: run `python docs/_ext/rooms_picture.py`"
    assert (ROOT / "docs" / "reference" / "rooms.svg").read_text() == written.stdout, stale


def test_every_path_that_the_architecture_names_exists() -> None:
    for path in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", ARCHITECTURE):
        assert (ROOT / path).exists() or (ROOT / "rnnframe" / path).exists(), path
    packages = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    assert packages == set(re.findall(r"\brnnframe_\w+", ARCHITECTURE.partition("## The built-in plugins")[2]))


def test_the_picture_of_the_readme_has_a_name_for_each_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    import readme_picture

    assert [name for name, _, _ in readme_picture.rows()] == list(readme_picture.NAMES)


def test_the_reference_of_the_api_is_that_of_the_package() -> None:
    stale = "the public names have changed: run `python docs/_ext/api_reference.py`"
    assert (ROOT / "docs" / "reference" / "api.md").read_text() == api_reference.reference(), stale


def thing_of(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_name_that_a_page_imports_is_offered_by_a_door() -> None:
    doors = {module.__name__: api_reference.names_of(module) for module in api_reference.DOORS}
    doors["rnnframe_sklearn"] = ["RNNClassifier", "RNNRegressor"]  # which cannot be imported without scikit-learn
    for page in PAGES:
        for module, names in re.findall(r"^from (rnnframe\S*) import (.+)$", page.read_text(), re.MULTILINE):
            for name in names.split(", "):
                assert name in doors.get(module, ()), f"{page.name}: {module}.{name}"


def test_every_public_name_has_a_docstring() -> None:
    for name, module in api_reference.public_names().items():
        thing = thing_of(name)
        if inspect.isclass(thing):
            assert vars(thing).get("__doc__"), name
        elif inspect.isfunction(thing):
            assert thing.__doc__, name
        else:  # the string that follows the assignment, which autodoc reads
            assert explanation(module, name.rpartition(".")[2]), name


PARAMETERS = re.compile(r"\nParameters\n-+\n(.+?)(?=\n\n\w+\n-+\n|\Z)", re.DOTALL)


def is_own(thing: object) -> bool:
    return (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__.startswith("rnnframe")


@pytest.mark.parametrize("name", [name for name in api_reference.public_names() if is_own(thing_of(name))])
def test_the_parameters_that_a_docstring_lists_are_those_of_the_signature(name: str) -> None:
    thing = thing_of(name)
    methods = [member for each, member in vars(thing).items() if each[0] != "_" and inspect.isfunction(member)]
    for each in [thing, *methods] if inspect.isclass(thing) else [thing]:
        for section in PARAMETERS.findall(inspect.getdoc(each) or ""):
            items = [line.partition(" : ")[0] for line in section.splitlines() if line[:1].strip()]
            listed = [name for item in items for name in item.split(", ")]
            assert listed == [word for word in inspect.signature(each).parameters if word != "self"], each


def test_the_reference_of_the_command_line_is_that_of_the_program() -> None:
    written = subprocess.run(
        [sys.executable, "-c", "import cli_reference as c; print(c.reference(), end='')"],
        cwd=ROOT / "docs" / "_ext",
        capture_output=True,
        text=True,
        check=True,
    )
    stale = "the command line has changed: run `python docs/_ext/cli_reference.py`"
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == written.stdout, stale


def test_every_page_is_in_the_contents_of_the_site_and_on_its_front_page() -> None:
    docs = ROOT / "docs"
    found = [*docs.rglob("*.md"), *docs.rglob("*.ipynb")]
    pages = {page.relative_to(docs).as_posix() for page in found} - {"README.md", "index.md"}
    contents = re.findall(r"^([a-z-]+/[a-z_-]+|gallery|changelog)$", (docs / "index.md").read_text(), re.MULTILINE)
    assert sorted(contents) == sorted(page.rpartition(".")[0] for page in pages)
    assert {target for target, _ in LINK.findall((docs / "README.md").read_text())} == pages


def test_every_check_is_in_the_reference_with_its_sentence() -> None:
    text = (ROOT / "docs" / "reference" / "checks.md").read_text()
    rows = re.findall(r"^\| (.+) \| (.+) \|$", text, re.MULTILINE)
    wanted = [
        (title_of(check), " ".join((inspect.getdoc(getattr(suite, check)) or "").split()))
        for suite in SUITES.values()
        for check in suite.checks()
    ]
    assert [row for row in rows if row[0] != "check"] == wanted


def test_every_extra_is_on_the_page_of_the_installation() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "how-to" / "install.md").read_text()
    named = {
        name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
    }
    assert named == set(extras)
