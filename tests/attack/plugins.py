"""Run as a program: plan a network with each hostile plugin named by `--plugin`, in a process of its own.

    python plugins.py FOLDER

The plan must be printed as JSON, or one line must say what is wrong; nothing else is written to either stream.
"""

import json
import os
import signal
import sys
from pathlib import Path
from textwrap import dedent

from rnnframe.cli import main, with_commands
from rnnframe.registry.registry import installed_registry

sys.path.append(str(Path(__file__).parent.parent))

from broken_plugins import BROKEN

READY = (with_commands(), installed_registry().names("task"))  # imported once, not by each
PLAN = ("plan", "--cell", "gru:hidden=4", "--inputs", "2", "--batch", "2", "--steps", "9", "--json")

IMPORT = """
import rnnframe.plugin
{at_import}
from rnnframe_cells import Elman
import attrs

@attrs.frozen(kw_only=True)
class Strange(Elman):
    name = "strange"

@rnnframe.plugin.hookimpl
def rnnframe_cells():
    {in_hook}
    return [Strange]
"""
STRANGE = {  # at import, in the hook
    "prints": ("print('hello')", "print('there')"),
    "changes what numpy does with errors": ("import numpy; numpy.seterr(all='raise')", "pass"),
    "changes the warnings": ("import warnings; warnings.simplefilter('error')", "pass"),
    "changes the random numbers": ("import numpy, random; numpy.random.seed(0); random.seed(0)", "pass"),
    "changes the limit of recursion": ("import sys; sys.setrecursionlimit(5000)", "pass"),
    "takes a signal": ("import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "pass"),
    "changes the current folder": ("import os; os.chdir('/')", "pass"),
    "starts a thread": ("import threading; threading.Thread(target=print, daemon=True).start()", "pass"),
    "ends the program": ("raise SystemExit(0)", "pass"),
    "ends the program in a hook": ("pass", "raise SystemExit(0)"),
    "is interrupted by itself": ("raise BaseException('gone')", "pass"),
    "raises in a hook": ("pass", "raise MemoryError('all of it')"),
    "raises in a hook without a word": ("pass", "raise ZeroDivisionError"),
    "raises a text of many lines": ("raise ValueError('one\\ntwo\\nthree')", "pass"),
    "raises control characters": ("raise ValueError('\\x1b[31m red')", "pass"),
    "raises for ever": ("def f(): f()\nf()", "pass"),
    "returns nothing": ("pass", "return"),
    "returns itself": ("pass", "return Strange"),
    "returns numbers": ("pass", "return [1, 2]"),
    "returns a generator that fails": ("pass", "return (1 // 0 for _ in range(1))"),
    "returns it twice": ("pass", "return [Strange, Strange]"),
}


def lay_out() -> dict[str, str]:
    sources = {name: IMPORT.format(at_import=first, in_hook=then) for name, (first, then) in STRANGE.items()}
    return sources | {name: source for name, (source, _) in BROKEN.items()}


def plan_with(file: Path, out: Path) -> tuple[int, str, str]:
    """Return the exit code of a plan with a plugin, or minus a signal, and what it wrote."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(out / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.argv = ["rnnframe", "--plugin", str(file), *PLAN]
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code or 0))
        os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, (out / "out").read_text(), (out / "err").read_text()


def fault(code: int, out: str, err: str) -> bool:
    if "Traceback" in err or not err.replace("\n", "").isprintable():
        return True
    if code:
        return code not in (1, 2) or err.count("\n") != 1 or not err.startswith("rnnframe: error: ")
    try:
        return not json.loads(out)
    except ValueError:
        return True


def try_all(folder: Path) -> None:
    failures, sources, refused = [], lay_out(), 0
    for number, (name, source) in enumerate(sources.items()):
        file = folder / f"hostile{number}.py"
        file.write_text(dedent(source))
        code, out, err = plan_with(file, folder)
        refused += code != 0
        if fault(code, out, err):
            failures.append(f"{name}: {code} {out[:80]!r} {err[:300]!r}")
    print(json.dumps({"tried": len(sources), "refused": refused, "failed": failures}))


if __name__ == "__main__":
    try_all(Path(sys.argv[1]))
