"""Types of options that list things."""

import argparse
from collections.abc import Callable, Collection


def names_of(allowed: Collection[str]) -> Callable[[str], list[str]]:
    """Return the type of an option that lists some of these names."""

    def parse(text: str) -> list[str]:
        found = text.split(",")
        wrong = [name for name in found if name not in allowed]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(allowed)}")
        return found

    return parse


def numbers(text: str) -> list[int]:
    """Read "1,2"."""
    return [int(word) for word in text.split(",")]
