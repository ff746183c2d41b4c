"""The picture at the top of the README: memory against time, drawn from the table of explanation/measured.md.

`python docs/_ext/readme_picture.py` writes it for light and for dark pages.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent
NAMES = {
    "`full-history`": ("full history", (0, 11)),
    "`auto:budget=49MiB`: the fastest that fits": ("auto, within 49 MiB", (0, 11)),
    "`states`: the hidden states alone": ("states alone", (0, -15)),
    "`checkpoint`": ("checkpoint", (0, 11)),
    "`checkpoint:policy=revolve,slots=20`": ("checkpoint, revolve", (6, 11)),
    "torch 2.13 `nn.LSTM`": ("torch nn.LSTM", (-8, 12)),
    "the same with `torch.utils.checkpoint`, √T segments": ("torch.utils.checkpoint", (10, -15)),
}
"""What the rows of the table are called in the picture, and where the words stand, in points from the dot."""


def rows() -> list[tuple[str, float, float]]:
    """Return name, MiB and seconds of each row for T = 10,000."""
    page = (DOCS / "explanation" / "measured.md").read_text("utf-8")
    found = re.findall(r"^\| (.+?) \| .+? \| .+? \| ([\d.]+)\sMiB \| ([\d.]+)\ss \|$", page, re.MULTILINE)
    return [(name, float(memory), float(seconds)) for name, memory, seconds in found]


def draw(path: Path, *, dark: bool) -> None:
    """Write the picture."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "rnnframe"  # the same file every time
    ink, line = ("#e6e6e6", "#5b6168") if dark else ("#24292f", "#b9bec4")
    ours, torch = ("#6db8f2", "#ff8a80") if dark else ("#0b66a8", "#b3261e")
    figure = Figure(figsize=(7.6, 3.1), layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    for name, memory, seconds in rows():
        words, offset = NAMES[name]
        colour = torch if "torch" in name else ours
        axes.plot(memory, seconds, "D" if "torch" in name else "o", color=colour, markersize=9, clip_on=False)
        axes.annotate(
            f"{words}\n{memory:,.0f} MiB" if memory >= 10 else f"{words}\n{memory:g} MiB",
            (memory, seconds),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="bottom" if offset[1] > 0 else "top",
            fontsize=8.5,
            color=ink,
            linespacing=1.15,
        )
    axes.set_xscale("log")
    axes.set_ylim(1.6, 7.4)
    axes.set_xticks([1, 10, 100, 1000], ["1 MiB", "10 MiB", "100 MiB", "1,000 MiB"])
    axes.set_xlim(1.9, 4500)
    axes.minorticks_off()
    axes.set_xlabel("memory above idle, one exact gradient over 10,000 steps of an LSTM", fontsize=9, color=ink)
    axes.set_ylabel("seconds", fontsize=9, color=ink)
    axes.tick_params(colors=ink, labelsize=8.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(line)
    axes.plot([], [], "o", color=ours, label="rnnframe")
    axes.plot([], [], "D", color=torch, label="torch")
    axes.legend(frameon=False, fontsize=9, labelcolor=ink, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(DOCS / "_static" / "memory-time.svg", dark=False)
    draw(DOCS / "_static" / "memory-time-dark.svg", dark=True)
