"""How many cases a property is tried with: a quarter in the usual run, all of them in a thorough one."""

import os

ALL = "RNNFRAME_ALL_EXAMPLES"
"""The variable of the environment that asks for all cases."""


def examples(count: int) -> int:
    """Return `count`, or a quarter of it where nobody asks for all."""
    return count if os.environ.get(ALL) else max(10, count // 4)
