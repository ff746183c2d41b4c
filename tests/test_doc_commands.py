"""The commands of README and docs typed as a reader would, page by page, each page in a folder of its own."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from rnnframe.cli import with_commands

ROOT = Path(__file__).parent.parent
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]}
COMMAND = re.compile(r"^    (?:\$ )?rnnframe( [^\n#]*?)?(?: +#[^\n]*)?$", re.MULTILINE)
SHELL = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(rnnframe [^`]*)`")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^    \w+ = .*\n", re.MULTILINE)
ELSEWHERE = {
    "docs/reference/cli.md",  # how commands are called, not commands; compared with the program in test_docs.py
    "docs/tutorial/first-cell.md",  # with the files that they name, in test_tutorials.py
    "docs/tutorial/first-store.md",
    "docs/how-to/write-a-head.md",
    "docs/how-to/publish-a-plugin.md",  # in an environment of its own, in test_distributions.py
}
FILES = {  # what the commands of a page read
    "book.txt": "A book of a few pages, so that to train on it takes a moment. " * 30,
    "steps.jsonl": '{"session": "a", "x": "A bo"}\n{"session": "a", "reset": true}\n',
    "letters.txt": "Dear reader, this book is of a few pages, and a letter is shorter. " * 9,
    "co2.csv": "week,co2\n" + "".join(f"{n},{300 + n / 50 + n % 52}\n" for n in range(400)),
}
QUICK = "--cell gru:hidden=8 --kernels numpy"  # nothing to compile
SHORTER = {  # command -> options that make it take a moment where it would take a minute
    "train": "--data book.txt --cell lstm:hidden=16",
    "train --store checkpoint --out run1": "--data book.txt",
    "plan --cell lstm:hidden=512 --batch 4096 --steps 64 --store full-history --ranks 256 --network 10Gb": (
        f"--batch 256 {QUICK}"
    ),
    "train --store auto:budget=64MiB": f"--data book.txt --epochs 1 {QUICK}",
    "train --store circular-queue:k1=32,k2=64 --cell gru:hidden=256 --out run2": "--data book.txt",
    "train --data book.txt --cell lstm:hidden=256 --layers 2 --store checkpoint --epochs 10 --out run1": "--epochs 1",
    "train --config run.toml --batch 16 --out run2": "--epochs 1",
    "train --data book.txt --store full-history --out run1": "--epochs 2 --cell gru:hidden=16",
    "train --data book.txt --store circular-queue:k1=32,k2=64 --out run2": "--epochs 2 --cell gru:hidden=16",
    "train --data book.txt --batch 16 --cell lstm:hidden=256 --out run1": "--epochs 1 --cell lstm:hidden=16",
    "train --data book.txt --task characters:hold=0 --out run2": "--epochs 1 --cell lstm:hidden=16",
    "train --data book.txt --out run1 --save-every 500 --evaluate-every 500 --patience 10 --keep 3": "--epochs 1",
    "train --resume run1": "--epochs 2",
    "train --task forecast:column=co2,horizon=12,season=52,difference=52,missing=last --data co2.csv "
    "--cell gru:hidden=32 --steps 104 --held-out 0.2 --epochs 12 --out run1": f"--epochs 1 {QUICK}",
    "train --data book.txt --task subwords:size=2000 --cell gru:hidden=256 --out run6": (
        f"--epochs 1 --batch 4 --task subwords:size=300 {QUICK}"
    ),
    "train --init-from run6 --data letters.txt --epochs 2 --out run7": "--batch 2 --kernels numpy",
    "train --task adding:length=100,samples=20000 --cell lstm:hidden=64 --batch 50 --optimizer adam:lr=1e-2 "
    "--epochs 4": f"--epochs 1 --task adding:length=9,samples=50 {QUICK}",
    "train --task classify --data JapaneseVowels_TRAIN.ts --cell gru:hidden=64 --batch 16 --epochs 30 "
    "--out run2": f"--epochs 1 {QUICK}",
    "train --task classify --data digits_train.npz --cell gru:hidden=128 --batch 16 "
    "--optimizer adamw:lr=5e-3,weight_decay=0.1 --epochs 30 --out run3": f"--epochs 1 {QUICK}",
    "train --task regress --data Tecator_TRAIN.ts --cell gru:hidden=32 --batch 16 --optimizer adam:lr=1e-2 "
    "--rate cosine --epochs 300 --out run5": f"--epochs 1 {QUICK}",
    "train --task rolls --data jsb_chorales.npz --cell lstm:hidden=200 --batch 8 --optimizer adam:lr=1e-2 "
    "--epochs 40 --out run4": f"--epochs 1 {QUICK}",
    "train --data book.txt --epochs 1 --out run1": QUICK,
    "train --data book.txt --cell lstm:hidden=256,init=orthogonal,forget_bias=2 --out run13": (
        "--epochs 1 --kernels numpy --cell lstm:hidden=8,init=orthogonal,forget_bias=2"
    ),
    "compare --cell lstm:hidden=128 --steps 1000 --plot compare.png": "--steps 50",
}


def lay_out(folder: Path) -> None:
    """Write what the commands of pages read."""
    for name, content in FILES.items():
        (folder / name).write_text(content)
    steps = np.arange(12.0)
    x, y = np.stack([steps * (1 - 2 * (n % 2)) for n in range(40)])[..., None], np.arange(40) % 2
    for part in ("train", "test"):
        np.savez(folder / f"digits_{part}.npz", x=x, y=y)
        lines = (f"{','.join(map(str, sample))}:{label}\n" for sample, label in zip(x[..., 0].tolist(), y, strict=True))
        head = "@timestamps false\n@classLabel true 0 1\n@data\n"
        classes = head + "".join(lines)
        (folder / f"JapaneseVowels_{part.upper()}.ts").write_text(classes)
        numbers = classes.replace("@classLabel true 0 1", "@targetLabel true")
        (folder / f"Tecator_{part.upper()}.ts").write_text(numbers)
    roll = np.eye(3, dtype=np.uint8)[np.arange(30) % 3]
    parts = dict.fromkeys(("train", "valid", "test"), roll)
    lengths = {f"{name}_lengths": np.array([10, 8, 12]) for name in parts}
    np.savez(folder / "jsb_chorales.npz", **parts, **lengths)


def commands_of(text: str) -> list[str]:
    return [command.strip() for command in COMMAND.findall(text)]


def typed(command: str, folder: Path) -> str:
    command, _, given = command.partition(" < ")
    words = shlex.split(f"{command} {SHORTER.get(command, '')}")
    if "--plot" in words:
        pytest.importorskip("matplotlib")
    if any(word.startswith("subwords") for word in words):
        pytest.importorskip("tokenizers")
    if "warmup" in words or "indrnn-loops" in words:
        pytest.importorskip("numba")
    done = subprocess.run(
        [sys.executable, "-m", "rnnframe", *words],
        cwd=folder,
        input=(folder / given).read_text() if given else "",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"rnnframe {command}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", sorted(page for page in PAGES.keys() - ELSEWHERE if commands_of(PAGES[page])))
def test_every_command_of_a_page_works(page: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    for name in ("indrnn.py", "indrnn_kernels.py"):
        shutil.copy(ROOT / "examples" / "plugins" / name, tmp_path)
    (tmp_path / "my_cell.py").write_text("".join(PYTHON.findall(PAGES[page])[:1]))
    (tmp_path / "run.toml").write_text(dedent("".join(TOML.findall(PAGES[page]))))
    for command in commands_of(PAGES[page]):
        assert typed(command, tmp_path)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")
@pytest.mark.parametrize(
    ("page", "script"), [(page, script) for page in sorted(PAGES) for script in SHELL.findall(PAGES[page])]
)
def test_every_script_of_a_page_works(page: str, script: str, tmp_path: Path) -> None:
    for library in ("mlflow", "wandb"):
        if f"--observer {library}" in script and find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    if "sqlite:" in script and find_spec("sqlalchemy") is None:
        pytest.skip("a local database of MLflow needs SQLAlchemy")
    lay_out(tmp_path)
    program = f'set -eu\nrnnframe() {{ "{sys.executable}" -m rnnframe "$@"; }}\n{script}'
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is left out" not in done.stderr


def test_every_command_that_is_made_shorter_stands_on_a_page() -> None:
    assert SHORTER.keys() <= {command for text in PAGES.values() for command in commands_of(text)}


def test_output_that_is_shown_is_what_the_command_prints(tmp_path: Path) -> None:
    shown = 0
    for page, text in PAGES.items():
        for match in re.finditer(r"^    \$ rnnframe (.*)\n", text, re.MULTILINE):
            rest = text[match.end() :].splitlines()
            lines = [line[4:] for line in takewhile(lambda line: not line or line.startswith("    "), rest)]
            assert "\n".join(lines).strip() == typed(match[1], tmp_path).strip(), page
            shown += 1
    assert shown == 2


@pytest.mark.parametrize("page", sorted(page for page in PAGES if INLINE.search(PAGES[page])))
def test_commands_in_running_text_exist_with_their_options(page: str) -> None:
    group = with_commands()
    known = {name: {o for p in c.params for o in p.opts} | {"--help"} for name, c in group.commands.items()}
    for command in INLINE.findall(PAGES[page]):
        words = command.split()[1:]
        name = next((word for word in words if word in known), None)
        assert name or words[0].startswith("--") or words[0] == "COMMAND", command
        options = {o for p in group.params for o in p.opts} | known.get(name or "", {"--help"})
        assert {word for word in words if word.startswith("--")} <= options, command
