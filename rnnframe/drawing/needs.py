"""The picture of `rnnframe explain`: which gradient needs which array, its bytes, and what each store does with it."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnnframe.drawing.style import BLUE, GREY, INK, LARGE, LIGHT, NORMAL, SKY, SMALL, new_figure, wrapped
from rnnframe.inspection.array_storage import ArrayStorage
from rnnframe.inspection.needs import Dependency

FILLS = {  # kind: colour, and that of the words
    "kept": (BLUE, "white"),
    "for a while": (SKY, INK),
    "rebuilt": ("#BDE5D8", INK),
    "recomputed": ("#F6D58A", INK),
    "once": ("#F0F0F0", INK),
    "not kept": ("white", GREY),
}

# Inches
MARGIN, NAME, GRADIENT, BYTES, STORE = 0.3, 0.8, 0.62, 0.85, 1.5
TOP, ROW, BOTTOM = 1.3, 0.42, 0.6


def needs_figure(
    cell: str, needs: Sequence[Dependency], itemsize: int, fates: Mapping[str, Sequence[ArrayStorage]], note: str
) -> Figure:
    """Return the picture: one row per array, one column per gradient, and one column per store.

    Parameters
    ----------
    cell
        The spec of the cell, for the title.
    needs
        The arrays with the gradients that need them.
    itemsize
        The bytes of a value.
    fates
        Store -> how it treats each array of `needs`.
    note
        A sentence for the foot.
    """
    gradients = list(dict.fromkeys(name for need in needs for name in need.gradients))
    matrix = MARGIN + NAME
    after = matrix + GRADIENT * len(gradients) + BYTES
    width, height = after + 0.2 + STORE * len(fates) + MARGIN, TOP + ROW * len(needs) + BOTTOM
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(MARGIN, 0.32, f"What the gradients of {cell} need of a step", fontsize=LARGE, color=INK, va="center")
    _head(axes, matrix, gradients, after, fates)
    for n, need in enumerate(needs):
        y = TOP + ROW * (n + 0.5)
        if n and need.role != needs[n - 1].role:
            axes.plot([MARGIN, width - MARGIN], [y - ROW / 2] * 2, color=LIGHT, linewidth=0.8)
        axes.text(MARGIN, y, need.array, fontsize=NORMAL, color=INK, va="center")
        for k, gradient in enumerate(gradients):
            x = matrix + GRADIENT * (k + 0.5)
            needed = gradient in need.gradients
            axes.plot(x, y, "s" if needed else ".", color=BLUE if needed else LIGHT, markersize=10 if needed else 3)
        axes.text(after - 0.1, y, f"{itemsize * need.values:,}", fontsize=NORMAL, color=INK, ha="right", va="center")
        for k, column in enumerate(fates.values()):
            _box(axes, after + 0.2 + STORE * k, y, column[n])
    axes.text(MARGIN, height - 0.28, note, fontsize=SMALL, color=GREY, va="center")
    return figure


def _head(axes: Axes, matrix: float, gradients: Sequence[str], after: float, stores: Mapping[str, object]) -> None:
    axes.text(MARGIN, TOP - 0.06, "array", fontsize=NORMAL, color=GREY, va="bottom")
    axes.text(matrix + 0.1, TOP - 0.48, "needed by the gradient", fontsize=NORMAL, color=GREY, va="center")
    for k, gradient in enumerate(gradients):
        x = matrix + GRADIENT * (k + 0.5)
        axes.text(x, TOP - 0.06, gradient, fontsize=NORMAL, color=INK, ha="center", va="bottom")
    axes.text(after - 0.1, TOP - 0.06, "bytes", fontsize=NORMAL, color=GREY, ha="right", va="bottom")
    for k, store in enumerate(stores):
        x = after + 0.2 + STORE * k
        axes.text(x + 0.05, TOP - 0.06, wrapped(store, 18), fontsize=NORMAL, color=INK, va="bottom", linespacing=1.1)


def _box(axes: Axes, x: float, y: float, fate: ArrayStorage) -> None:
    face, ink = FILLS[fate.kind]
    size = (STORE - 0.08, ROW - 0.06)
    axes.add_patch(Rectangle((x, y - size[1] / 2), *size, facecolor=face, edgecolor=LIGHT, linewidth=0.8))
    words = wrapped(fate.words, 22)
    axes.text(x + 0.08, y, words, fontsize=SMALL, color=ink, va="center", linespacing=1.0)
