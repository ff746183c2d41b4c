"""Files that are not what their names say: whatever is wrong with one, it is a `DataError` of one line."""

import csv
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from proofs import examples

import rnnframe as rf
from rnnframe.errors import DataError, NonFiniteError
from rnnframe.plugin import Dataset, Setting


def whole_npz() -> bytes:
    buffer = io.BytesIO()
    x = np.random.default_rng(0).integers(0, 2, (6, 5, 2))
    np.savez(buffer, x=x, lengths=np.array([5, 4, 3, 2, 5, 5]), y=np.array(["a", "b"] * 3))
    return buffer.getvalue()


def whole_csv() -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["day", "a", "b"], *([f"d{n}", n, n % 3] for n in range(40))])
    return buffer.getvalue().encode()


def whole_ts() -> bytes:
    lines = "".join(f"{n},{n + 1},0.5:1,{n},2:{'up' if n % 2 else 'down'}\n" for n in range(8))
    return f"@problemName p\n@timestamps false\n@classLabel true up down\n@data\n{lines}".encode()


def whole_tsv() -> bytes:
    return "".join(f"{n % 2}\t{n}\t0.5\t{n + 1}\n" for n in range(8)).encode()


def whole_json_lines() -> bytes:
    return "".join(f'{{"x": [[{n}, 2], [0.5, null]], "y": "{"ab"[n % 2]}"}}\n' for n in range(8)).encode()


def whole_tsf() -> bytes:
    lines = "".join(f"T{n}:{'ab'[n % 2]}:{n},0.5,2\n" for n in range(8))
    return f"@relation r\n@attribute name string\n@attribute group string\n@equallength true\n@data\n{lines}".encode()


def whole_arff() -> bytes:
    lines = "".join(f"{n},{n + 1},{'ab'[n % 2]}\n" for n in range(8))
    return f"@relation r\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute c {{a,b}}\n@data\n{lines}".encode()


CASES = {
    "classify.npz": ("classify", whole_npz()),
    "rolls.npz": ("rolls", whole_npz()),
    "forecast.npz": ("forecast:horizon=2", whole_npz()),
    "forecast.csv": ("forecast:horizon=2,missing=last", whole_csv()),
    "classify.ts": ("classify", whole_ts()),
    "classify.tsv": ("classify", whole_tsv()),
    "classify.jsonl": ("classify:missing=mean", whole_json_lines()),
    "classify.tsf": ("classify:target=group", whole_tsf()),
    **({"classify.arff": ("classify", whole_arff())} if find_spec("scipy") else {}),
    "characters.txt": ("characters", whole_csv()),
}
WORDS = [b"", b"\0", b",", b"nan", b"-", b":", b"\n", b"?", b'"', b"1e999", b"@data\n", b"\xff", b"9"]
PIECES = st.sampled_from(WORDS)
HARM = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9), PIECES | st.binary(max_size=6)), max_size=5)


def harmed(raw: bytes, harm: list[tuple[int, int, bytes]]) -> bytes:
    """Replace some bytes at some places by others."""
    for place, length, new in harm:
        start = place % (len(raw) + 1)
        raw = raw[:start] + new + raw[start + length :]
    return raw


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(harm=HARM, end=st.none() | st.integers(0, 2000))
@example(harm=[], end=None)
def test_a_harmed_file_makes_a_dataset_or_one_line(
    name: str, tmp_path: Path, harm: list[tuple[int, int, bytes]], end: int | None
) -> None:
    spec, whole = CASES[name]
    path = tmp_path / name
    path.write_bytes(harmed(whole, harm)[:end])
    data, refusal = opened(spec, path)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    if data is None:
        assert "\n" not in refusal
        assert repr(str(path)) in refusal or str(path) in refusal
        return
    network = rf.Network(["elman:hidden=2"], data.head, data.inputs)
    trainer = rf.Trainer(rf.Engine(network, shards=1, kernels="numpy"))
    batch = data.batch(0, data.batches - 1)
    try:
        trainer.step(batch.x, batch.y, lengths=batch.lengths)
    except NonFiniteError:  # numbers as large as they may be are read, and too large to learn from
        assert harm


def opened(spec: str, path: Path) -> tuple[Dataset | None, str]:
    """Return a dataset, or what it is refused with."""
    try:
        return rf.task(spec).open(Setting(data=str(path), batch=2, steps=5, held_out=0.2)), ""
    except DataError as refusal:
        return None, str(refusal)
