import sys
from collections.abc import Callable

import pytest

from rnnframe.cli import main


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
