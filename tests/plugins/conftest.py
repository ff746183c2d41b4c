import sys
from collections.abc import Callable

import pytest

from rnnframe.cli import main


@pytest.fixture(autouse=True)
def _runs_are_kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a name are kept under the current folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Type a command in this process, which must succeed, and return what it prints on stdout."""

    def typed(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["rnnframe", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert stop.value.code == 0, captured.err
        return captured.out

    return typed
