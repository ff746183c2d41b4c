"""The page of `rnnframe report --page`: the curves of runs to zoom, to hover over, and to switch on and off.

Plotly draws it; its program is inside the page, so that the page loads nothing from elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from rnnframe.drawing.references import Drawn
from rnnframe.drawing.runs import MOST, X_LABELS
from rnnframe.runs.curves import Curve
from rnnframe.runs.metrics import Over

# The colours of the picture, light enough for dark pages and dark enough for light ones.
COLOURS = ("#2f80c2", "#d98200", "#009e73", "#b8609f", "#7f858c", "#2f80c2", "#d98200", "#009e73")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "dash", "dot")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left")
PANEL, EDGES = 250, 150  # pixels: the height of a panel; above and below all of them
SECONDS = 5
"""Between two looks at runs that go on."""

# Restores what is switched off and zoomed when a live page loads itself again, and follows light and dark.
SCRIPT = """
const plot = document.getElementById("{plot_id}");
function paint() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#e6e6e6" : "#24292f", line = dark ? "#3a4048" : "#e1e4e8", page = dark ? "#15171a" : "#ffffff";
  document.body.style.background = page;
  const changes = {"font.color": ink, "paper_bgcolor": page, "plot_bgcolor": page};
  for (const name of Object.keys(plot.layout)) {
    if (/^[xy]axis/.test(name)) { changes[name + ".gridcolor"] = line; changes[name + ".zerolinecolor"] = line; }
  }
  return Plotly.relayout(plot, changes);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
const LIVE = @LIVE@, KEY = "rnnframe:" + location.pathname;
async function start() {
  await paint();
  if (!LIVE) return;
  const kept = JSON.parse(sessionStorage.getItem(KEY) || "null");
  if (kept && kept.visible.length === plot.data.length) {
    await Plotly.restyle(plot, {visible: kept.visible});
    if (Object.keys(kept.ranges).length) await Plotly.relayout(plot, kept.ranges);
  }
  setTimeout(() => {
    const ranges = {};
    for (const [name, axis] of Object.entries(plot.layout)) {
      if (/^[xy]axis/.test(name) && axis.autorange === false) ranges[name + ".range"] = axis.range;
    }
    const visible = plot.data.map((trace) => trace.visible === undefined ? true : trace.visible);
    sessionStorage.setItem(KEY, JSON.stringify({visible, ranges}));
    location.reload();
  }, 1000 * @SECONDS@);
}
start();
"""


def runs_page(runs: Sequence[Drawn], over: Over, *, live: bool = False) -> str:
    """Return a page with the curves of up to `MOST` runs.

    Parameters
    ----------
    runs
        The runs.
    over
        What stands on the x-axis.
    live
        Whether the page loads itself again every `SECONDS` seconds.

    Returns
    -------
    str
        The HTML of the page, some 5 MB.
    """
    left, right = _left(runs), _right()
    rows = max(len(left), len(right))
    places = _places(len(left), rows)
    figure = make_subplots(
        rows,
        2,
        specs=[[{"rowspan": places[row]} if row in places else None, {}] for row in range(1, rows + 1)],
        shared_xaxes="all",
        subplot_titles=_titles(list(left), list(right), list(places)),
        horizontal_spacing=0.08,
        vertical_spacing=0.25 / rows,
    )
    for column, panels, begins in ((1, left, [*places]), (2, right, range(1, rows + 1))):
        for row, traces_of in zip(begins, panels.values(), strict=False):
            for number, run in enumerate(runs[:MOST]):
                for trace in traces_of(run, number):
                    figure.add_trace(trace, row, column)
    _lay_out(figure, runs, over, rows, max(places))
    script = SCRIPT.replace("@LIVE@", "true" if live else "false").replace("@SECONDS@", str(SECONDS))
    page: str = figure.to_html(include_plotlyjs=True, post_script=script, config={"displaylogo": False})
    return page.replace("<html>", '<!doctype html>\n<html lang="en">', 1).replace(
        "<head>", f"<head><title>{_escaped(_title(runs))}</title>", 1
    )


Panels = dict[str, Callable[[Drawn, int], list[Any]]]
"""Name of a panel -> function (run, its number) that returns traces."""


def _places(panels: int, rows: int) -> dict[int, int]:
    """Return the row at which each panel of the left column begins -> how many rows it has."""
    each = rows // panels
    return {1 + n * each: each if n < panels - 1 else rows - n * each for n in range(panels)}


def _titles(left: Sequence[str], right: Sequence[str], begins: Sequence[int]) -> list[str]:
    """Return the titles in the order in which plotly counts panels: row by row, only those that there are."""
    titles: list[str] = []
    for row in range(1, max(begins[-1], len(right)) + 1):
        titles += [left[begins.index(row)]] if row in begins else []
        titles += [right[row - 1] if row <= len(right) else ""]
    return titles


def _left(runs: Sequence[Drawn]) -> Panels:
    """Return the panels of losses and measures."""

    def losses(loss: str) -> Callable[[Drawn, int], list[Any]]:
        def traces(run: Drawn, number: int) -> list[Any]:
            if run.loss != loss:
                return []
            return [*_band(run, number, run.metrics.loss), *_points(run, number, run.metrics.valid_loss)]

        return traces

    def measures(name: str) -> Callable[[Drawn, int], list[Any]]:
        return lambda run, number: _points(run, number, run.metrics.measures.get(name))

    panels = {loss: losses(loss) for loss in dict.fromkeys(run.loss for run in runs)}
    names = dict.fromkeys(name for run in runs for name in run.metrics.measures)
    return panels | {f"{name}, validation": measures(name) for name in names}


def _right() -> Panels:
    return {
        "learning rate": lambda run, number: _band(run, number, run.metrics.learning_rate),
        "gradient norm": lambda run, number: _band(run, number, run.metrics.gradient_norm),
        "steps / s": lambda run, number: _band(run, number, run.metrics.throughput),
        "store holds, MiB": lambda run, number: _band(run, number, run.metrics.memory, 2.0**-20),
    }


def _band(run: Drawn, number: int, curve: Curve, unit: float = 1.0) -> list[Any]:
    """Return the means as a line, and the extremes as a shade around it where points were merged."""
    columns = curve.columns()
    if not len(columns):
        return []
    colour, x = COLOURS[number], columns.x.tolist()
    look = {"x": x, "legendgroup": run.name, "name": run.name, "showlegend": False}
    shade: list[Any] = []
    if columns.points > 1:
        edge = {**look, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        shade.append(Scatter(y=(unit * columns.low).tolist(), **edge))
        shade.append(Scatter(y=(unit * columns.high).tolist(), fill="tonexty", fillcolor=_faint(colour), **edge))
    line = {"color": colour, "dash": DASHES[number], "width": 1.5}
    mode = "markers" if len(columns) == 1 else "lines"
    return [*shade, Scatter(y=(unit * columns.mean).tolist(), mode=mode, line=line, **look)]


def _points(run: Drawn, number: int, curve: Curve | None) -> list[Any]:
    """Return single measurements, with marks."""
    if curve is None or not len(columns := curve.columns()):
        return []
    line = {"color": COLOURS[number], "dash": DASHES[number], "width": 2}
    look = {"legendgroup": run.name, "name": f"{run.name}, validation", "showlegend": False, "line": line}
    mark = {"symbol": SYMBOLS[number], "size": 7}
    return [Scatter(x=columns.x.tolist(), y=columns.mean.tolist(), mode="lines+markers", marker=mark, **look)]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _lay_out(figure: Figure, runs: Sequence[Drawn], over: Over, rows: int, last: int) -> None:
    """Name the axes and the runs; `last` is the row at which the last panel of the left column begins."""
    shown: set[str] = set()
    for trace in figure.data:  # one entry of the legend a run, which switches all of its curves
        if trace.legendgroup not in shown and trace.hoverinfo != "skip":
            trace.update(showlegend=True, name=trace.legendgroup)
            shown.add(trace.legendgroup)
    figure.update_layout(
        title={"text": _escaped(_title(runs)), "x": 0.01, "y": 1, "yanchor": "top", "pad": {"t": 16}},
        height=EDGES + PANEL * rows,
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1 + 30 / (PANEL * rows), "x": 0},
        margin={"l": 60, "r": 20, "t": 110, "b": 50},
    )
    figure.update_xaxes(title_text=_x_title(over), row=rows, col=2)
    figure.update_xaxes(title_text=_x_title(over), showticklabels=True, row=last, col=1)
    figure.update_annotations(font_size=13)


def _x_title(over: Over) -> str:
    return X_LABELS[over] + (" in seconds" if over == "seconds" else "")


def _title(runs: Sequence[Drawn]) -> str:
    return f"Training of {runs[0].name}" if len(runs) == 1 else f"Training of {len(runs)} runs"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
