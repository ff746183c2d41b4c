"""The texts of a picture: where they stand, and that none covers another."""

import itertools

from matplotlib.text import Text


def texts(figure):
    """Return every text that is shown, with its box in pixels."""
    figure.canvas.draw()
    hidden = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in hidden_labels(axis)}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent()) for text in found if id(text) not in hidden]


def hidden_labels(axis):
    """Yield the labels of spare ticks, and of ticks beyond the limits, which exist but are not drawn."""
    low, high = sorted(axis.get_view_interval())
    used = axis.get_major_ticks()
    for tick in axis.majorTicks:
        if tick not in used or not low <= tick.get_loc() <= high:
            yield from (tick.label1, tick.label2)


def check_layout(figure):
    page, found = figure.bbox, texts(figure)
    for text, box in found:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= page.x1, text
        assert box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(found, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 1 or high <= 1, (one, other)
