"""Pages done as a reader would: files written, commands typed, in the order in which they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_doc_commands import lay_out

DOCS = Path(__file__).parent.parent / "docs"
FILE_OR_COMMAND = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```|^    rnnframe ([^\n]+)$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["tutorial/first-cell", "tutorial/first-store", "how-to/write-a-head"])
def test_every_file_and_command_of_a_tutorial_works(page: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    typed = []
    for name, source, command in re.findall(FILE_OR_COMMAND, (DOCS / f"{page}.md").read_text()):
        if name:
            (tmp_path / name).write_text(source)
            continue
        words = [sys.executable, "-m", "rnnframe", *shlex.split(command)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout
        typed.append(command)
    assert len(typed) >= 4
