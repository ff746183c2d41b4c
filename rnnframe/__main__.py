"""`python -m rnnframe` and the command `rnnframe`: an interrupt ends it with one line and exit code 130 at any moment.

Before the commands are imported and after they have ended there is nobody to catch a `KeyboardInterrupt`.
"""

import _signal as signal  # type: ignore[import-not-found]  # built in, and so at once: `signal` takes a millisecond
import os
import sys

TYPE_CHECKING = False  # true for those who check types: nothing more is imported before an interrupt is caught
if TYPE_CHECKING:
    from typing import Any, NoReturn

INTERRUPTED = 130


def _leave(*_: "Any") -> "NoReturn":
    """End at once; nothing is being written."""
    os.write(2, b"rnnframe: error: stopped\n")
    os._exit(INTERRUPTED)


def main() -> "NoReturn":
    """Run the command line."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a job in the background ignores it
    if ours:
        signal.signal(signal.SIGINT, _leave)
    from rnnframe.cli import run  # imports numpy and more, which takes a while

    try:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
        if ours:
            signal.signal(signal.SIGINT, _leave)
    except KeyboardInterrupt:  # while the first one was told
        _leave()
    sys.exit(code)


if __name__ == "__main__":
    main()
