"""Draw docs/reference/rooms.svg, the rooms of the core: `python docs/_ext/rooms_picture.py`. A test compares the two.

The layers are those of the import-linter contract in pyproject.toml, the arrows are imports that grimp finds in the
code. An arrow is left out where a longer way of arrows leads to the same room. The layout follows Sugiyama, Tagawa &
Toda (1981), "Methods for visual understanding of hierarchical system structures", IEEE Trans. SMC 11(2): a bend for
each layer that an arrow passes, an order with few crossings, then positions near the neighbours.
"""

import itertools
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import attrs
import grimp

ROOT = Path(__file__).parent.parent.parent
PICTURE = ROOT / "docs" / "reference" / "rooms.svg"
ROOMS = {  # room -> what it is for, in at most three words
    "cli": "the commands",
    "templates": "for rnnframe new",
    "testing": "conformance suites",
    "training": "epochs and updates",
    "drawing": "pictures",
    "inspection": "analysis of stores",
    "runs": "run folders",
    "network": "numpy layers",
    "engine": "the loop",
    "plugin": "the plugin API",
    "registry": "plugins, names, specs",
    "contracts": "base classes",
    "data": "the caller's arrays",
    "schedules": "actions, simulator",
    "storage": "files",
    "errors": "exceptions",
    "sizes": "numbers of bytes",
    "arrays": "vectors, products",
}
PUBLIC = ("testing", "plugin", "schedules", "errors")
WIDTH, BOX, HIGH, PITCH, GAP, BEND = 700, 152, 42, 74, 24, 12
MARGIN = 8
STYLE = """\
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; text-anchor: middle; }
.name { font-size: 15px; font-weight: 600; } .job { font-size: 12px; }
.room { fill: #e9eef4; stroke: #6b7a8a; stroke-width: 1.2; } .room + text, .room + text + text { fill: #16202b; }
.public { fill: #24476b; stroke: #6b7a8a; stroke-width: 1.2; }
.public + text, .public + text + text { fill: #ffffff; }
.import { fill: none; stroke: #7d8792; stroke-width: 1.6; } .head { fill: #7d8792; }"""


@attrs.define(eq=False)
class Node:
    """A room, or the bend of an arrow where it passes a layer."""

    room: str | None
    layer: int
    x: float = WIDTH / 2
    above: list["Node"] = attrs.Factory(list)
    below: list["Node"] = attrs.Factory(list)

    @property
    def width(self) -> int:
        """Return the pixels from side to side."""
        return BOX if self.room else BEND


def layers_of_the_contract() -> list[list[str]]:
    """Return the rooms in their layers, the highest first, without `__main__`."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in linter["contracts"] if contract["id"] == "rooms")
    return [re.split(r" [|:] ", layer) for layer in layers if layer != "__main__"]


def imports(rooms: list[str]) -> set[tuple[str, str]]:
    """Return each pair of rooms of which the first imports the second."""
    graph = grimp.build_graph("rnnframe", cache_dir=None)
    found = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            pair = tuple([*name.split("."), ""][1] for name in (module, other))
            if pair[0] != pair[1] and set(pair) <= set(rooms):
                found.add((pair[0], pair[1]))
    return found


def without_detours(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the pairs that no longer way connects: the transitive reduction."""

    def reached(start: str) -> set[str]:
        direct = {b for a, b in pairs if a == start}
        return direct.union(*(reached(room) for room in direct))

    return {(a, b) for a, b in pairs if not any(b in reached(c) for d, c in pairs if d == a and c != b)}


def laid_out(layers: list[list[str]], pairs: set[tuple[str, str]]) -> list[list[Node]]:
    """Return rooms and bends, layer by layer, in the order that has the fewest crossings, with their positions."""
    rows = [[Node(room, n) for room in layer] for n, layer in enumerate(layers)]
    nodes = {node.room: node for row in rows for node in row}
    for a, b in sorted(pairs):
        before, end = nodes[a], nodes[b]
        for n in range(before.layer + 1, end.layer):
            bend = Node(None, n)
            rows[n].append(bend)
            _connect(before, bend)
            before = bend
        _connect(before, end)
    _order(rows)
    for _ in range(300):
        for row in rows:
            _place(row)
    _centre(rows)
    return rows


def _connect(above: Node, below: Node) -> None:
    above.below.append(below)
    below.above.append(above)


def _order(rows: list[list[Node]]) -> None:
    """Sort each layer by the mean position of its neighbours, from many starts; keep the order that crosses least."""
    dice, best = random.Random(0), None
    for _ in range(60):
        for row in rows:
            dice.shuffle(row)
        for sweep in range(8):
            _sweep(rows, downward=sweep % 2 == 0)
        _swap(rows)
        if best is None or _crossings(rows) < best[0]:
            best = _crossings(rows), [list(row) for row in rows]
    assert best is not None
    rows[:] = best[1]


def _sweep(rows: list[list[Node]], *, downward: bool) -> None:
    for row in rows[1:] if downward else rows[-2::-1]:
        place = {node: (n + 0.5) / len(other) for other in rows for n, node in enumerate(other)}
        means = {node: fmean(place[other] for other in _beside(node, downward) or [node]) for node in row}
        row.sort(key=means.__getitem__)


def _beside(node: Node, downward: bool) -> list[Node]:
    return node.above if downward else node.below


def _swap(rows: list[list[Node]]) -> None:
    """Exchange neighbours as long as that saves a crossing."""
    better = True
    while better:
        better = False
        for row in rows:
            for n in range(len(row) - 1):
                before = _crossings(rows)
                row[n], row[n + 1] = row[n + 1], row[n]
                if _crossings(rows) < before:
                    better = True
                else:
                    row[n], row[n + 1] = row[n + 1], row[n]


def _crossings(rows: list[list[Node]]) -> int:
    place = {node: n for row in rows for n, node in enumerate(row)}
    count = 0
    for row in rows:
        lines = [(place[node], place[other]) for node in row for other in node.below]
        count += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(lines, 2))
    return count


def _place(row: list[Node]) -> None:
    """Move the nodes of a layer to the mean of their neighbours, in their order and without touching."""
    wanted = [_middle(node) for node in row]
    # Distances from the left, so that the condition becomes: do not decrease (pool adjacent violators).
    distances = ((a.width + b.width) / 2 + GAP for a, b in itertools.pairwise(row))
    offsets = list(itertools.accumulate(distances, initial=0.0))
    blocks: list[list[float]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        blocks.append([want - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            weight = last[1] + before[1]
            blocks.append([(last[0] * last[1] + before[0] * before[1]) / weight, weight])
    least = MARGIN + row[0].width / 2
    most = WIDTH - MARGIN - row[-1].width / 2 - offsets[-1]
    starts = [min(max(value, least), most) for value, weight in blocks for _ in range(int(weight))]
    for node, start, offset in zip(row, starts, offsets, strict=True):
        node.x = start + offset


def _middle(node: Node) -> float:
    """Return the mean position of the neighbours; long arrows pull hardest, so that they bend little."""
    beside = node.above + node.below
    weights = [1 + 3 * ((node.room is None) + (other.room is None)) for other in beside]
    return fmean([other.x for other in beside], weights) if beside else node.x


def _centre(rows: list[list[Node]]) -> None:
    left = min(node.x - node.width / 2 for row in rows for node in row)
    right = max(node.x + node.width / 2 for row in rows for node in row)
    for row in rows:
        for node in row:
            node.x += (WIDTH - left - right) / 2


def picture() -> str:
    """Return the picture as SVG."""
    layers = layers_of_the_contract()
    rooms = [room for layer in layers for room in layer]
    if rooms != list(ROOMS):
        raise KeyError(f"ROOMS of {Path(__file__).name} has other rooms than the contract: {rooms}")
    rows = laid_out(layers, without_detours(imports(rooms)))
    height = MARGIN * 2 + PITCH * (len(rows) - 1) + HIGH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="The rooms of rnnframe and the imports between them">',
        f"<style>\n{STYLE}\n</style>",
        *(line for row in rows for node in row if node.room for line in _arrows(node)),
        *(line for row in rows for node in row if node.room for line in _box(node)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(node: Node) -> list[str]:
    assert node.room is not None
    x, y = round(node.x), _top(node)
    kind = "public" if node.room in PUBLIC else "room"
    return [
        f'<rect class="{kind}" x="{x - BOX // 2}" y="{y}" width="{BOX}" height="{HIGH}" rx="6"/>',
        f'<text class="name" x="{x}" y="{y + 18}">{node.room}</text>',
        f'<text class="job" x="{x}" y="{y + 34}">{ROOMS[node.room]}</text>',
    ]


def _arrows(node: Node) -> Iterator[str]:
    for first in node.below:
        way = [node, first]
        while way[-1].room is None:
            way.append(way[-1].below[0])
        start, end = _port(node, first, node.below), _port(way[-1], way[-2], way[-1].above)
        tip = _top(way[-1])
        points = [(start, _top(node) + HIGH)]
        for bend, (before, after) in zip(
            way[1:-1], _around([start, *(bend.x for bend in way[1:-1]), end]), strict=True
        ):
            turns = (bend.x - before) * (after - bend.x) <= 0  # it passes upright, so that it stays clear of the boxes
            points += [(bend.x, _top(bend) + part * HIGH) for part in ((0.2, 1) if turns else (0.5,))]
        points.append((end, tip - 6))
        yield f'<path class="import" d="{_curve(points)}"/>'
        yield f'<path class="head" d="M{end:.0f} {tip} l-4.5 -9 h9 z"/>'


def _around(values: list[float]) -> Iterator[tuple[float, float]]:
    return zip(values, values[2:], strict=False)


def _curve(points: list[tuple[float, float]]) -> str:
    """Return a smooth way through the points that is upright at both ends and where it turns back."""
    slopes = [(to - x) / (end - y) for (x, y), (to, end) in itertools.pairwise(points)]
    tangents = [0.0, *((a + b) / 2 if a * b > 0 else 0.0 for a, b in itertools.pairwise(slopes)), 0.0]
    path = [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
    for ((x, y), (to, end)), (before, after) in zip(
        itertools.pairwise(points), itertools.pairwise(tangents), strict=True
    ):
        part = (end - y) * 0.45
        controls = f"{x + before * part:.0f} {y + part:.0f} {to - after * part:.0f} {end - part:.0f}"
        path.append(f"C{controls} {to:.0f} {end:.0f}")
    return " ".join(path)


def _port(node: Node, other: Node, beside: list[Node]) -> float:
    """Return where an arrow leaves or enters a box: side by side, in the order of the other ends."""
    ordered = sorted(beside, key=lambda each: each.x)
    step = min(22, (BOX - 30) / max(1, len(ordered) - 1))
    return node.x + (ordered.index(other) - (len(ordered) - 1) / 2) * step


def _top(node: Node) -> int:
    return MARGIN + PITCH * node.layer


if __name__ == "__main__":
    PICTURE.write_text(picture())
