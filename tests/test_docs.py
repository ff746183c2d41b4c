import inspect
import re
from pathlib import Path

import pytest

import rnnframe
from rnnframe import hookspecs
from rnnframe.testing import SUITES
from rnnframe.testing.suite import title_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
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


def test_every_hook_and_every_method_of_a_contract_is_in_the_plugin_reference() -> None:
    text = (ROOT / "docs" / "reference" / "plugins.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("rnnframe_")]
    assert len(hooks) == 4
    for name in hooks:
        assert f"`{name}()`" in text
    for contract in (rnnframe.Cell, rnnframe.StepCell, rnnframe.Optimizer, rnnframe.StateStore, rnnframe.Medium):
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


def test_every_public_name_has_a_docstring() -> None:
    for name in rnnframe.__all__:
        if name != "Schedule":  # a type alias, explained in its module
            assert getattr(rnnframe, name).__doc__, name


def test_every_check_is_in_the_reference_with_its_sentence() -> None:
    text = (ROOT / "docs" / "reference" / "checks.md").read_text()
    rows = re.findall(r"^\| (.+) \| (.+) \|$", text, re.MULTILINE)
    wanted = [
        (title_of(check), " ".join((inspect.getdoc(getattr(suite, check)) or "").split()))
        for suite in SUITES.values()
        for check in suite.checks()
    ]
    assert [row for row in rows if row[0] != "check"] == wanted
