"""The network that the project began with: does BPTT have to store old layers and old weights?

Three layers x, h, o and three matrices U, W, V, with sigmoid hidden units. The script computes one gradient through
several stores, says what each of them really held, and checks every gradient on the spot by finite differences.

    python examples/seed_network.py
"""

import sys

import numpy as np

import rnnframe as rf
from rnnframe.testing import check_gradients, numeric_gradients

STEPS, BATCH, INPUTS, HIDDEN, OUTPUTS = 48, 4, 3, 8, 2
CHUNK = 4  # steps that are worked on at once
TOLERANCE = 1e-7

NETWORK = """\
The network    z_t = x_t U + h_(t-1) W + b    h_t = sigmoid(z_t)    o_t = h_t V + c    L = mean of (o_t - y_t)^2
Its reverse    do_t = dL/do_t    dh_t = do_t V' + dz_(t+1) W'    dz_t = dh_t h_t (1 - h_t)
"""

NEEDS = [
    ("gradient", "is the sum over t of", "needs", "must it be stored?"),
    ("dU", "x_t' dz_t", "x_t and dz_t", "x_t no: your input is read again"),
    ("dW", "h_(t-1)' dz_t", "h_(t-1) and dz_t", "h yes, or computed again from an earlier h"),
    ("db", "dz_t", "dz_t", "no: dz_t is made from h_t, V and W, for one chunk at a time"),
    ("dV", "h_t' do_t", "h_t of the current chunk", "no: outputs o_t are never stored"),
    ("dc", "do_t", "do_t of the current chunk", "no: do_t is thrown away with o_t"),
    ("all", "", "the V and W that made h_t", "old weights only if they change while old steps wait"),
]

EXACT_STORES = [
    "full-history",
    f"circular-queue:k1={STEPS},k2={STEPS}",
    "checkpoint:policy=uniform,slots=3",
    "checkpoint:policy=revolve,slots=2",
]
WINDOW = 16
TRUNCATED_STORE = f"circular-queue:k1={WINDOW},k2={WINDOW}"
OVERLAPPING_STORE = "circular-queue:k1=8,k2=24,weights=stored"


LEGEND = f"""\
h_t           states that wait to be reversed: of all {STEPS} steps, of a window, of a segment or of one chunk
snapshots     states from which the others are computed again: more forward runs for less memory
old weights   versions that the optimizer has changed while steps made with them wait
working       o, do, dz and dh of one chunk of {CHUNK} steps: the same for all, however long the sequence
Relative error: against finite differences of the whole sequence; for {TRUNCATED_STORE} of windows of {WINDOW} steps,
each from a state held constant, which is what truncation means.
"""


def make_network() -> rf.Network:
    cell = f"elman:hidden={HIDDEN},activation=sigmoid"
    network = rf.Network([cell], f"mse:outputs={OUTPUTS}", INPUTS, dtype="float64")
    # Biases are zero at first; random ones let the check see their gradients' every path.
    network.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.7, size=network.parameters.flat.shape)
    return network


def truncated_error(engine: rf.Engine, x: np.ndarray, y: np.ndarray) -> float:
    """Return the relative difference to what truncation means: windows on their own, from a state held constant."""
    state, numeric = None, 0.0
    for start in range(0, STEPS, WINDOW):
        part = slice(start, start + WINDOW)
        numeric = numeric + numeric_gradients(engine, x[part], y[part], state).flat * (WINDOW / STEPS)
        state = engine.evaluate(x[part], y[part], state).state
    return float(np.abs(engine.gradients(x, y).gradients.flat - numeric).max() / np.abs(numeric).max())


def held(engine: rf.Engine, report: rf.Report, error: str) -> tuple[str, ...]:
    """Return a row of the table: the bytes that a run held, divided into what they were for."""
    plan = engine.plan(STEPS, BATCH)
    seen, costs = plan.simulation, plan.costs
    parts = [seen.tapes * costs.tape, seen.snapshots * costs.snapshot, seen.versions * costs.weights]
    working = report.peak_bytes - sum(parts)
    numbers = (f"{count:,}" for count in (*parts, working, report.peak_bytes))
    return report.store, *numbers, f"{report.forward_steps / STEPS:.2f}", error


def print_table(rows: list[tuple[str, ...]], right: bool) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) if right else text.ljust(width) for text, width in rest)]
        print("  ".join(cells).rstrip())
    print()


def main() -> int:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(STEPS, BATCH, INPUTS)), rng.normal(size=(STEPS, BATCH, OUTPUTS))
    print(NETWORK)
    print_table(NEEDS, right=False)

    rows = [("bytes held by", "h_t", "snapshots", "old weights", "working", "in all", "forward runs", "relative error")]
    errors = []
    for store in EXACT_STORES:
        engine = rf.Engine(make_network(), store, chunk=CHUNK)
        try:
            errors.append(check_gradients(engine, x, y, tolerance=TOLERANCE))
        except AssertionError as failure:
            print(f"{store}: {failure}", file=sys.stderr)
            return 1
        rows.append(held(engine, engine.gradients(x, y).report, f"{errors[-1]:.1e}"))

    engine = rf.Engine(make_network(), TRUNCATED_STORE, chunk=CHUNK)
    errors.append(truncated_error(engine, x, y))
    rows.append(held(engine, engine.gradients(x, y).report, f"{errors[-1]:.1e}"))

    # Only here do weights change while old steps wait: an update every 8 steps, a queue of 24.
    engine = rf.Engine(make_network(), OVERLAPPING_STORE, chunk=CHUNK)
    rows.append(held(engine, rf.Trainer(engine, "sgd:lr=0.1").step(x, y).report, "(updates)"))
    print_table(rows, right=True)

    print(LEGEND)
    print(f"largest relative error of a gradient against finite differences: {max(errors):.1e}")
    return 0 if max(errors) <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
