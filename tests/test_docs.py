import ast
import importlib
import inspect
import itertools
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rnnframe.plugin import (
    Cell,
    Dataset,
    Examples,
    Kernels,
    Medium,
    Observer,
    Optimizer,
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

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run_one_after_the_other(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len(hooks) == 10
    signatures = [name + MODULE.sub("", str(inspect.signature(hook))).replace("'", "") for name, hook in hooks.items()]
    plugins, page = ((ROOT / "docs" / "reference" / name).read_text() for name in ("plugins.md", "hooks.md"))
    assert re.findall(r"^\| `(rnnframe_[^`]+)` \|", plugins, re.MULTILINE) == signatures
    assert re.findall(r"^    (rnnframe_.+)$", page, re.MULTILINE) == signatures


def test_every_method_of_a_contract_is_in_the_plugin_reference() -> None:
    text = (ROOT / "docs" / "reference" / "plugins.md").read_text()
    contracts = (Cell, StepCell, Optimizer, StateStore, Medium)
    for contract in (*contracts, Kernels, Task, Dataset, Examples, Observer, Watcher):
        for name, member in vars(contract).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                assert re.search(rf"`{name}\b", text), f"{contract.__name__}.{name}"


def test_every_action_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "actions.md").read_text()
    for name in ("Forward", "Reverse", "Forget", "Save", "Load", "Drop", "Update"):
        assert f"`{name}(" in text


def test_every_module_of_the_core_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "reference" / "architecture.md").read_text()
    for path in (ROOT / "rnnframe").iterdir():
        if path.stem.startswith("_") or (path.is_file() and path.suffix != ".py"):
            continue
        assert f"`{path.stem}`" in text, path.stem


def test_the_reference_of_the_api_is_that_of_the_package() -> None:
    stale = "the public names have changed: run `python docs/_ext/api_reference.py`"
    assert (ROOT / "docs" / "reference" / "api.md").read_text() == api_reference.reference(), stale


def thing_of(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_name_that_a_page_imports_is_offered_by_a_door() -> None:
    doors = {module.__name__: api_reference.names_of(module) for module in api_reference.DOORS}
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
            assert explained(module, name.rpartition(".")[2]), name


def explained(module: ModuleType, name: str) -> bool:
    """Tell whether a string follows the assignment to `name`, here or in the module that it was imported from."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, after in itertools.pairwise(body):
        if name in defined_by(statement):
            return isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            return explained(importlib.import_module(statement.module or ""), name)
    return False


def defined_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return [name]
        case _:
            return []


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
    pages = {str(page.relative_to(docs)) for page in PAGES if page.parent.parent == docs}
    contents = re.findall(r"^([a-z-]+/[a-z-]+)$", (docs / "index.md").read_text(), re.MULTILINE)
    assert sorted(contents) == sorted(page.removesuffix(".md") for page in pages)
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
