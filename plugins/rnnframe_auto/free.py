"""How much memory the machine can give."""

import os
from pathlib import Path

from rnnframe.plugin import OptionError


def free_memory() -> int:
    """Return the bytes that can be had without swapping; raises `OptionError` where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        raise OptionError("this system does not say how much memory is free; write auto:budget=64MiB") from None
