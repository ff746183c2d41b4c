"""Plugins in a file or a module that nobody has installed."""

import sys
from textwrap import dedent

import pytest
from broken_plugins import BROKEN

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError, UnknownNameError, UsageError
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import using

CLASSES = """
    from __future__ import annotations

    import attrs
    from rnnframe_cells import LSTM, Elman
    from rnnframe_full_history import FullHistory
    from rnnframe_optimizers import SGD

    class Helper:
        name = "helper"

    class Base(Elman):
        pass

    @attrs.frozen(kw_only=True)
    class Copy(Base):
        name = "copy"
        gain: float = 1.0

    @attrs.frozen(kw_only=True)
    class Keep(FullHistory):
        name = "keep"

    @attrs.frozen(kw_only=True)
    class Plain(SGD):
        name = "plain"
"""
HOOKED = (
    CLASSES
    + """
    from rnnframe.plugin import hookimpl

    @hookimpl
    def rnnframe_cells():
        return [Copy]
"""
)


@pytest.fixture
def write(tmp_path):
    def written(source, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(source))
        return str(path)

    return written


def test_the_classes_that_a_file_defines_are_taken_and_those_that_it_imports_are_not(write):
    registry = rf.Registry.installed()
    path = write(CLASSES)
    record = registry.add_local(path)
    assert record.provides == {"cell": ["copy"], "optimizer": ["plain"], "store": ["keep"]}
    assert (record.name, record.source, record.status) == ("mine", path, "ok")
    assert str(record) == f"plugin 'mine' of {path}"
    assert registry.cell("copy:hidden=3,gain=0.5").gain == 0.5
    assert registry.sources() == [path]


def test_hook_implementations_have_the_last_word(write):
    assert rf.Registry.installed().add_local(write(HOOKED)).provides == {"cell": ["copy"]}


def test_a_file_may_be_named_relative_to_the_current_folder_and_twice(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(CLASSES)
    registry = rf.Registry.installed()
    assert registry.add_local("mine.py") is registry.add_local(path)
    assert len(registry.sources()) == 1


def test_two_files_of_one_name_are_two_plugins_and_a_changed_file_is_read_anew(write):
    first, second = write(CLASSES), write(CLASSES.replace('"copy"', '"other"'), "folder/mine.py")
    registry = rf.Registry()
    registry.add_local(first)
    with pytest.raises(PluginError, match=r"'plain' is already provided by plugin 'mine' of .*; rename it"):
        registry.add_local(second)
    write(CLASSES.replace('name = "', 'name = "other-'), "folder/mine.py")
    assert registry.add_local(second).provides["cell"] == ["other-copy"]


def test_a_module_is_named_by_its_dotted_name_and_found_in_the_current_folder(write, tmp_path, monkeypatch):
    write(CLASSES, "some_package/cells.py")
    write("", "some_package/__init__.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    record = rf.Registry().add_local("some_package.cells")
    assert (record.name, record.source, record.provides["cell"]) == ("some_package.cells",) * 2 + (["copy"],)


def refused(source):
    registry = rf.Registry.installed()
    with pytest.raises(PluginError) as refusal:
        registry.add_local(source)
    assert registry.records[-1].status == "broken"
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_file_can_be_wrong_in_every_way_in_which_a_distribution_can(write, source, reason):
    path = write(source)
    message = refused(path)
    assert message.startswith(f"plugin 'mine' of {path} is broken: ")
    assert reason in message


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "",
            "it has no hook implementation and defines no class of rnnframe.plugin.Layer, rnnframe.plugin.Optimizer, ",
        ),
        ("from rnnframe_cells import LSTM", "it has no hook implementation and defines no class of "),
        (
            "from rnnframe.plugin import Cell\nclass My(Cell):\n    name = 'my'",
            "My must be a frozen attrs class with a class ",
        ),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_gives_nothing_is_told_why(write, source, reason):
    assert reason in refused(write(source))


def test_what_is_no_file_or_no_module_is_told(tmp_path):
    absent = str(tmp_path / "absent.py")
    assert refused(absent) == (
        f"plugin 'absent' of {absent} is broken: there is no such file; "
        f"give a FILE.py or the dotted name of a module, not {absent!r}"
    )
    assert "there is no such file" in refused(str(tmp_path))
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in refused("nowhere_to_be_found")


def test_the_environment_names_plugins_and_a_broken_one_harms_nobody(write, monkeypatch, capsys):
    good, bad, off = write(CLASSES), write("raise SystemExit('no')", "bad.py"), write("raise SystemExit", "off.py")
    monkeypatch.setenv("RNNFRAME_PLUGINS", f"{good}, {bad},{off},{good},")
    monkeypatch.setenv("RNNFRAME_DISABLE_PLUGINS", "off")
    registry = rf.Registry.installed(strict=False)
    assert "copy" in registry.names("cell")
    found = {record.name: record.status for record in registry.records[-3:]}
    assert found == {"mine": "ok", "bad": "broken", "off": "disabled"}
    assert capsys.readouterr().err == (f"rnnframe: plugin 'bad' of {bad} is broken and left out: SystemExit: no\n")
    with pytest.raises(PluginError):
        rf.Registry.installed(strict=True)


def test_a_registry_is_the_default_one_for_as_long_as_it_is_in_use(write):
    registry = rf.Registry.installed()
    registry.add_local(write(CLASSES))
    with using(registry):
        assert rf.cell("copy:hidden=2").hidden == 2
    with pytest.raises(UnknownNameError):
        rf.cell("copy")


def test_what_a_run_needs_is_asked_for_and_never_run_on_its_own(write, tmp_path):
    path, registry = write(CLASSES), rf.Registry()
    with pytest.raises(UsageError) as unnamed:
        check_named([path], registry.records, "run 'r'")
    assert str(unnamed.value) == f"run 'r' needs the plugin {path!r}; name it: rnnframe --plugin {path} COMMAND ..."
    with pytest.raises(UsageError) as absent:
        check_named([str(tmp_path / "absent.py")], registry.records, "run 'r'")
    assert str(absent.value) == f"run 'r' needs the plugin file '{tmp_path}/absent.py', which is not there; put it back"
    registry.add_local(path)
    check_named([path], registry.records, "run 'r'")
    check_named(["/another/folder/mine.py"], registry.records, "run 'r'")  # the file was moved


def test_hook_calls_can_be_watched(write):
    lines = []
    registry = rf.Registry(trace=lines.append)
    path = write(CLASSES)
    registry.add_local(path)
    assert lines == [
        f"rnnframe_cells() of {path}:mine gave Copy",
        f"rnnframe_optimizers() of {path}:mine gave Plain",
        f"rnnframe_state_stores() of {path}:mine gave Keep",
    ]
    lines.clear()
    bad = write("import rnnframe.plugin\n@rnnframe.plugin.hookimpl\ndef rnnframe_cells():\n    return 1 / 0", "bad.py")
    with pytest.raises(PluginError):
        registry.add_local(bad)
    assert lines == [f"rnnframe_cells() of {bad}:bad raised ZeroDivisionError: division by zero"]


def test_the_types_of_options_may_stand_as_text(write):
    registry = rf.Registry.installed()
    registry.add_local(write(CLASSES))
    with pytest.raises(OptionError, match="gain=much is invalid; expected number"):
        registry.cell("copy:gain=much")


def test_a_class_with_a_name_of_its_own_only_in_its_parent_is_not_taken(write):
    source = CLASSES + "\n    @attrs.frozen(kw_only=True)\n    class Again(Copy):\n        pass\n"
    assert rf.Registry.installed().add_local(write(source)).provides["cell"] == ["copy"]


def test_a_file_can_import_the_module_beside_it(write, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    write("GAIN = 7.0\n", "beside_it_only.py")
    source = CLASSES.replace("import attrs\n", "import attrs\n    from beside_it_only import GAIN\n", 1)
    path = write(source.replace("1.0", "GAIN"))
    registry = rf.Registry.installed()
    registry.add_local(path)
    assert registry.cell("copy").gain == 7.0
