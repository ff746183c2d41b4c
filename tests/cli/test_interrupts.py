"""An interrupt (Ctrl-C) at any moment of the program: one line or nothing, and exit code 130."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)\n"
MOMENTS = {
    "while a library is imported": ("click/__init__.py", INTERRUPT),
    "while numpy is imported": ("numpy/__init__.py", INTERRUPT),
    "while a plugin is imported": ("plug.py", INTERRUPT),
    "while a hook is asked": (
        "plug.py",
        "from rnnframe.plugin import hookimpl\n@hookimpl\ndef rnnframe_cells():\n    " + INTERRUPT + "    return []\n",
    ),
    "at exit": ("plug.py", "import atexit\natexit.register(lambda: exec(" + repr(INTERRUPT) + "))\n" + "HOOK"),
    "while the first one is told": (
        "plug.py",
        "import click\nbefore = click.echo\ndef echo(*words, **named):\n    "
        + INTERRUPT
        + "    before(*words, **named)\n"
        "click.echo = echo\n" + INTERRUPT,
    ),
}
HOOK = "from rnnframe.plugin import hookimpl\n@hookimpl\ndef rnnframe_cells():\n    return []\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a system with signals")
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_is_one_line_and_exit_code_130(moment: str, tmp_path: Path) -> None:
    name, text = MOMENTS[moment]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text.replace("HOOK", HOOK))
    plugin = {"RNNFRAME_PLUGINS": str(tmp_path / name)} if name == "plug.py" else {"PYTHONPATH": str(tmp_path)}
    code = "import sys; sys.argv[1:] = ['plugins']; from rnnframe.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=os.environ | plugin
    )
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip("\n") in ("", "rnnframe: error: stopped")  # click ends the line of ^C
