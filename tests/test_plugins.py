"""Plugins as they are found in an environment: real distributions on the import path, good ones and broken ones."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from broken_plugins import BROKEN, GOOD, lay_out

import rnnframe as rf
from rnnframe.errors import PluginError, UnknownNameError
from rnnframe.registry import hooks as hookspecs
from rnnframe.registry.kinds import KINDS


@pytest.fixture(autouse=True)
def _usual_environment(monkeypatch):
    monkeypatch.delenv("RNNFRAME_STRICT_PLUGINS", raising=False)
    monkeypatch.delenv("RNNFRAME_DISABLE_PLUGINS", raising=False)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a distribution out in a folder of the import path."""
    modules = []

    def install_one(distribution: str, source: str, **named: str) -> None:
        folder = tmp_path / distribution
        modules.append(lay_out(folder, distribution, source, **named))
        monkeypatch.syspath_prepend(folder)

    yield install_one
    for module in modules:
        sys.modules.pop(module, None)


def test_the_built_ins_are_found_through_the_entry_points_of_the_installed_distribution():
    declared = importlib.metadata.distribution("rnnframe").entry_points.select(group="rnnframe")
    records = {r.name: r for r in rf.Registry.installed().records if r.distribution == "rnnframe"}
    assert set(records) == {point.name for point in declared}
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.version for record in records.values()} == {rf.__version__}
    assert {"elman", "lstm", "gru"} <= set(records["cells"].provides["cell"])


def test_importing_rnnframe_imports_no_plugin_and_nothing_slow_and_makes_no_registry():
    program = """
        import sys
        import rnnframe
        from rnnframe.registry.registry import installed_registry
        assert installed_registry.cache_info().currsize == 0
        print([name for name in sys.modules if name.split(".")[0].startswith("rnnframe_")])
        print([name for name in ("click", "rich", "safetensors", "torch") if name in sys.modules])
        rnnframe.cell("lstm")
        assert installed_registry.cache_info().currsize == 1
        assert "rnnframe_cells" in sys.modules
    """
    run = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["[]", "[]"]


def test_a_third_party_distribution_is_found_with_its_name_and_version(install):
    install("wheel-of-cells", GOOD.format(cell="copy"), point="copies", version="3.4")
    registry = rf.Registry.installed()
    record = registry.owner("cell", "copy")
    assert str(record) == "plugin 'copies' of wheel-of-cells 3.4"
    assert (record.status, record.provides) == ("ok", {"cell": ["copy"]})
    assert registry.cell("copy:hidden=3").hidden == 3


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_harms_nobody_but_itself(install, capsys, source, reason):
    # given a broken plugin between the built-ins and a good one
    usual = rf.Registry.installed()
    install("bad", source, point="one", version="0.3")
    install("good", GOOD.format(cell="copy"), point="two")

    registry = rf.Registry.installed()

    # then it is a record with a reason, and one line on stderr
    (record,) = [record for record in registry.records if record.status != "ok"]
    assert (record.name, record.distribution, record.version, record.status) == ("one", "bad", "0.3", "broken")
    assert reason in record.reason
    assert record.provides == {}
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"rnnframe: plugin 'one' of bad 0.3 is broken and left out: {record.reason}\n"
    # and everything else is there, and nothing of it is
    assert registry.names("cell") == sorted(["copy", *usual.names("cell")])
    assert registry.names("optimizer") == usual.names("optimizer")
    assert registry.names("store") == usual.names("store")
    assert registry.owner("cell", "lstm").distribution == "rnnframe"
    assert len(registry.manager.get_plugins()) == len(registry.records) - 1
    # and whoever looks for what it should have provided is told
    with pytest.raises(UnknownNameError) as missed:
        registry.cell("half")
    assert str(missed.value).endswith("; broken: plugin 'one' of bad 0.3 (see `rnnframe plugins`)")


@pytest.mark.parametrize("word", ["1", "yes"])
def test_a_broken_plugin_is_fatal_where_plugins_are_strict(install, monkeypatch, word):
    install("bad", "import nowhere_to_be_found", point="one", version="0.3")
    monkeypatch.setenv("RNNFRAME_STRICT_PLUGINS", word)
    with pytest.raises(PluginError) as fatal:
        rf.Registry.installed()
    assert str(fatal.value) == (
        "plugin 'one' of bad 0.3 is broken: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    )


def test_strictness_can_be_asked_for_and_declined_in_words(install, monkeypatch):
    install("bad", "import nowhere_to_be_found")
    with pytest.raises(PluginError):
        rf.Registry.installed(strict=True)
    monkeypatch.setenv("RNNFRAME_STRICT_PLUGINS", "0")
    assert "lstm" in rf.Registry.installed().names("cell")
    monkeypatch.setenv("RNNFRAME_STRICT_PLUGINS", "1")
    assert "lstm" in rf.Registry.installed(strict=False).names("cell")


def test_a_disabled_plugin_is_not_even_imported(install, monkeypatch, capsys):
    install("bad", "raise SystemExit", point="one")
    monkeypatch.setenv("RNNFRAME_DISABLE_PLUGINS", "one, checkpoint")
    monkeypatch.setenv("RNNFRAME_STRICT_PLUGINS", "1")
    registry = rf.Registry.installed()
    disabled = {record.name: record for record in registry.records if record.status == "disabled"}
    assert set(disabled) == {"one", "checkpoint"}
    assert disabled["one"].reason == "by RNNFRAME_DISABLE_PLUGINS"
    assert "checkpoint" not in registry.names("store")
    assert "full-history" in registry.names("store")
    assert capsys.readouterr().err == ""
    assert "checkpoint" in rf.Registry.installed(disabled=["one"]).names("store")


def test_every_hook_is_documented_and_every_kind_has_a_hook():
    specified = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "rnnframe_spec")}
    assert set(specified) == {"rnnframe_commands", *(kind.hook for kind in KINDS.values())}
    for hook in specified.values():
        assert hook.__doc__.startswith("Return ")


def test_no_plugin_can_stop_the_person_at_the_keyboard(install):
    install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        rf.Registry.installed()


def test_no_module_of_the_core_imports_a_plugin():
    for file in Path(rf.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("rnnframe_")], file
