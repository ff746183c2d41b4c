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

import rnnframe
from rnnframe import arrays, contracts, hookspecs, media, products, schedule, sizes, specs, testing
from rnnframe.testing import SUITES
from rnnframe.testing.suite import title_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = (rnnframe, testing)
TOLD_TO_IMPORT = (arrays, contracts, products, schedule, sizes, specs, media)
SINGLE = {  # of modules that hold more than what others need
    "rnnframe.step_cell.sigmoid",
    *(f"rnnframe.timeline.{name}" for name in ("timeline_of", "Timeline", "Run", "Bar", "Held")),
}
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
    assert len(hooks) == 6
    signatures = [name + MODULE.sub("", str(inspect.signature(hook))) for name, hook in hooks.items()]
    plugins, page = ((ROOT / "docs" / "reference" / name).read_text() for name in ("plugins.md", "hooks.md"))
    assert re.findall(r"^\| `(rnnframe_[^`]+)` \|", plugins, re.MULTILINE) == signatures
    assert re.findall(r"^    (rnnframe_.+)$", page, re.MULTILINE) == signatures


def test_every_method_of_a_contract_is_in_the_plugin_reference() -> None:
    text = (ROOT / "docs" / "reference" / "plugins.md").read_text()
    contracts = (rnnframe.Cell, rnnframe.StepCell, rnnframe.Optimizer, rnnframe.StateStore, rnnframe.Medium)
    for contract in (*contracts, rnnframe.Kernels, rnnframe.Task, rnnframe.Dataset, rnnframe.Examples):
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


def public_names() -> dict[str, str]:
    """Return every name that a user or a plugin is told to import -> the module that defines it."""
    names = {f"{module.__name__}.{name}": module.__name__ for module in PACKAGES for name in module.__all__}
    for module in TOLD_TO_IMPORT:
        for statement in ast.parse(inspect.getsource(module)).body:
            for name in defined_by(statement):
                short = f"rnnframe.{name}"
                names[short if short in names else f"{module.__name__}.{name}"] = module.__name__
    return names | dict.fromkeys(SINGLE, "")


def defined_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
            found = name
        case ast.Assign(targets=[ast.Name(id=name)]):
            found = name
        case _:
            return []
    return [] if found.startswith("_") or found == "T" else [found]  # T is a type variable


def test_every_public_name_is_in_the_reference_of_the_api_once() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    directives = re.findall(r"^\.\. auto(\w+):: (\S+)$", text, re.MULTILINE)
    assert sorted(name for _, name in directives) == sorted(public_names())
    for kind, name in directives:
        assert kind == kind_of(thing_of(name)), name


def thing_of(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def kind_of(thing: object) -> str:
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, Exception) else "class"
    return "function" if inspect.isfunction(thing) else "data"


def test_every_name_that_a_page_imports_is_in_the_reference_of_the_api() -> None:
    known = public_names()
    for page in PAGES:
        for module, names in re.findall(r"^from (rnnframe\S*) import (.+)$", page.read_text(), re.MULTILINE):
            for name in names.split(", "):
                assert f"{module}.{name}" in known or f"rnnframe.{name}" in known, f"{page.name}: {module}.{name}"


def test_every_public_name_has_a_docstring() -> None:
    for name, module in public_names().items():
        thing = thing_of(name)
        if kind_of(thing) == "data":  # the string that follows the assignment, which autodoc reads
            assert explained(importlib.import_module(module), name.rpartition(".")[2]), name
        else:
            assert vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__, name


def explained(module: ModuleType, name: str) -> bool:
    """Tell whether a string follows the assignment to `name`, here or in the module that it was imported from."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, after in itertools.pairwise(body):
        if name in defined_by(statement):
            return isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            return explained(importlib.import_module(statement.module or ""), name)
    return False


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
