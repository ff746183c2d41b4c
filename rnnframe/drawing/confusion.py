"""The picture of `rnnframe evaluate` for classes: the confusion matrix, shaded by the share of each true class."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from rnnframe.drawing.style import BLUE, GREY, INK, LARGE, NORMAL, SMALL, ending, new_figure, plain
from rnnframe.runs.confusion import Confusion

CELL, LEAST, MOST = 0.42, 3.0, 10.0  # inches
LEFT, RIGHT, TOP, BOTTOM = 1.7, 1.3, 1.0, 1.5  # inches
COUNTED = 24  # classes up to which each cell has its count
LONGEST = 16  # letters of a label


def confusion_figure(confusion: Confusion, name: str) -> Figure:
    """Return the picture; `name` says what was judged."""
    classes, counts = len(confusion.labels), confusion.counts
    side = min(max(CELL * classes, LEAST), MOST)
    width, height = LEFT + side + RIGHT, TOP + side + BOTTOM
    figure = new_figure(width, height)
    axes = figure.add_axes((LEFT / width, BOTTOM / height, side / width, side / height))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("shares", ["white", BLUE])
    image = axes.imshow(share, cmap=shades, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    plain(axes, "chosen class", "true class")
    shown = range(0, classes, -(-classes // 40))
    names = [_short(confusion.labels[n]) for n in shown]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(list(shown)))
    axes.set_xticklabels(names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticklabels(names)
    if classes <= COUNTED:
        for row, column in np.ndindex(classes, classes):
            dark = share[row, column] > 0.5
            text = f"{counts[row, column]:,}" if counts[row, column] else ""
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color="white" if dark else INK)
    scale = figure.add_axes(((LEFT + side + 0.25) / width, BOTTOM / height, 0.15 / width, side / height))
    bar = figure.colorbar(image, cax=scale)
    bar.set_label("share of the true class", fontsize=NORMAL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=2)
    bar.outline.set_edgecolor(GREY)
    right = int(np.trace(counts))
    figure.text(
        LEFT / width,
        1 - 0.35 / height,
        f"{right:,} of {int(counts.sum()):,} right, balanced accuracy {confusion.balanced_accuracy:.3f}",
        fontsize=LARGE,
        color=INK,
    )
    figure.text(LEFT / width, 1 - 0.65 / height, ending(name), fontsize=SMALL, color=GREY)
    return figure


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
