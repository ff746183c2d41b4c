"""Files of sequences: read as their formats say, or refused on one line that names the line, the value and the way out.

Whole files of the archives are compared with aeon's own readers in tests/test_public_sequences.py.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rnnframe.errors import DataError, PluginError
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.sequence_files import read_sequences

needs_scipy = pytest.mark.skipif(find_spec("scipy") is None, reason="scipy is not installed")


def written(tmp_path: Path, ending: str, text: str) -> str:
    path = tmp_path / f"data{ending}"
    path.write_text(text)
    return str(path)


def samples(read: Labelled) -> list[list[list[float]]]:
    """Return the samples one by one, NaN as None."""
    ends = np.cumsum(read.sequences.lengths)[:-1]
    parts = np.split(read.sequences.values, ends)
    return [[[None if np.isnan(v) else v for v in row] for row in part.tolist()] for part in parts]


HEAD = "@problemName p\n@timeStamps false\n@univariate false\n"


def test_a_ts_file_is_read_as_its_header_says(tmp_path: Path) -> None:
    head = "#about\n% more\n@ProblemName p\n@TIMESTAMPS False\n@missing true\n@dimension 2\n@equalLength false\n"
    text = head + "@classLabel TRUE a b\n@data\n1,?,3 : 4,5,6:a\n\n 7:NaN:b\n"
    read = read_sequences(written(tmp_path, ".ts", text))
    assert samples(read) == [[[1, 4], [None, 5], [3, 6]], [[7, None]]]
    assert (read.targets.tolist(), read.classes, read.kind) == (["a", "b"], ("a", "b"), "classes")


def test_the_numbers_of_a_regression_are_targets_and_no_channel(tmp_path: Path) -> None:
    read = read_sequences(written(tmp_path, ".ts", "@targetlabel true\n@data\n1,2:0.5\n3,4:-1e3\n"))
    assert samples(read) == [[[1], [2]], [[3], [4]]]
    assert read.targets.tolist() == [0.5, -1000]
    assert read.kind == "numbers"


def test_targets_that_are_all_unknown_are_none(tmp_path: Path) -> None:
    assert read_sequences(written(tmp_path, ".ts", "@classLabel true a b\n@data\n1:?\n2:?\n")).targets is None
    assert read_sequences(written(tmp_path, ".ts", "@targetLabel true\n@data\n1:?\n")).targets is None
    assert read_sequences(written(tmp_path, ".ts", "@classLabel false\n@data\n1:2\n")).targets is None


def test_an_identifier_that_the_format_does_not_have_is_told(tmp_path: Path) -> None:
    read = read_sequences(written(tmp_path, ".ts", "@classlabel false\n@author me\n@data\n1\n"))
    assert read.remarks == ("@author of its header is no identifier of the .ts format and was not read",)


TS = {
    "an empty value": (
        "@equalLength true\n@classLabel true a\n@data\n1,,3,4:a\n",
        "line 4, channel 1: value 2 is empty",
    ),
    "an empty value at the end": ("@classLabel true a\n@data\n1,2,:a\n", "line 3, channel 1: value 3 is empty"),
    "a number with a line in it": ("@classLabel false\n@data\n1_0,2\n", "value 1 is '1_0'; expected a number"),
    "time stamps": (
        "@timeStamps True\n@classLabel true a\n@data\n(2007-01-01 00:00:00,1):a\n",
        "each value comes with",
    ),
    "two lengths": (
        "@equalLength true\n@classLabel false\n@data\n1,2\n1\n",
        "line 5: 1 steps; the samples before have 2",
    ),
    "another length": ("@seriesLength 3\n@classLabel false\n@data\n1,2\n", "2 steps; the header says @seriesLength 3"),
    "two channels": (
        "@univariate true\n@classLabel false\n@data\n1:2\n",
        "2 channels; the header says @univariate true",
    ),
    "one channel": (
        "@univariate false\n@classLabel false\n@data\n1\n",
        "1 channels; the header says @univariate false",
    ),
    "other channels": ("@dimensions 3\n@classLabel false\n@data\n1:2\n", "2 channels; the header says @dimension 3"),
    "channels that contradict": ("@univariate true\n@dimension 2\n@classLabel false\n@data\n1:2\n", "but @dimension 2"),
    "a gap": (
        "@missing false\n@classLabel false\n@data\n1,?\n",
        "line 4: a value is missing; the header says @missing",
    ),
    "two targets": (
        "@classLabel true a\n@targetLabel true\n@data\n1:a\n",
        "@classLabel and @targetLabel are both true",
    ),
    "no target said": ("@univariate true\n@data\n1,2:1\n", "does not say what stands at the end of a line"),
    "classes without names": ("@classLabel true\n@data\n1:a\n", "@classLabel true names no classes"),
    "an empty class": ("@classLabel true a\n@data\n1,2:\n", "line 3: nothing stands behind the last colon"),
    "a class without a name": ("@classLabel true a b\n@data\n1:c\n", "line 3: class 'c' is not among those"),
    "a class in other letters": ("@classLabel true Up\n@data\n1:up\n", "class 'up' is not among those"),
    "some classes": ("@classLabel true a\n@data\n1:a\n2:?\n", "sample 2 has no target ('?'), and others have one"),
    "a target that is no number": ("@targetLabel true\n@data\n1,2:a\n", "line 3: the target is 'a'"),
    "a target without bound": ("@targetLabel true\n@data\n1,2:inf\n", "line 3: the target is 'inf'"),
    "no boolean": ("@missing maybe\n@classLabel false\n@data\n1\n", "@missing is 'maybe'; expected true or false"),
    "no count": (
        "@seriesLength long\n@classLabel false\n@data\n1\n",
        "@serieslength is 'long'; expected a whole number",
    ),
    "said twice": ("@missing true\n@missing false\n@classLabel false\n@data\n1\n", "line 2: @missing is 'false' here"),
    "data behind @data": ("@classLabel false\n@data 1,2\n3,4\n", "line 2: @data is followed by '1,2'"),
    "a sample in the header": ("1,2\n@classLabel false\n@data\n3,4\n", "line 1: '1,2' before @data"),
}


@pytest.mark.parametrize("name", TS)
def test_a_ts_file_that_is_not_what_it_says_is_refused(tmp_path: Path, name: str) -> None:
    text, message = TS[name]
    with pytest.raises(DataError) as refusal:
        read_sequences(written(tmp_path, ".ts", text))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


BLOCK = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("axes", "x", "wanted"),
    [
        (None, BLOCK, BLOCK),
        ("ntc", BLOCK, BLOCK),
        ("nct", BLOCK, BLOCK.swapaxes(1, 2)),
        (None, BLOCK[..., 0], BLOCK[..., :1]),
        ("nt", BLOCK[..., 0], BLOCK[..., :1]),
        (None, BLOCK.reshape(2, 3, 2, 2), BLOCK),
        ("nct", BLOCK.reshape(2, 3, 2, 2), BLOCK.reshape(2, 6, 2).swapaxes(1, 2)),
    ],
)
def test_the_axes_of_an_array_are_samples_steps_channels_or_as_told(tmp_path: Path, axes, x, wanted) -> None:
    np.savez(tmp_path / "x.npz", x=x)
    read = read_sequences(str(tmp_path / "x.npz"), axes)
    assert np.array_equal(read.sequences.values, wanted.reshape(-1, wanted.shape[2]))
    assert read.sequences.lengths.tolist() == [wanted.shape[1]] * 2


def test_samples_of_one_channel_may_lie_end_to_end(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(5), lengths=[2, 3])
    assert samples(read_sequences(str(tmp_path / "x.npz"))) == [[[0], [1]], [[2], [3], [4]]]


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=BLOCK, label=[0, 1], extra=np.zeros((3, 2)))
    read = read_sequences(str(tmp_path / "x.npz"), target="label")
    assert read.targets.tolist() == ["0", "1"]
    assert read.remarks == ("its array extra [3, 2] was not read",)


NPZ = {
    "an array that two readings fit": ({"x": BLOCK[0], "lengths": np.ones(3, int)}, None, "say axes=nt or axes=tc"),
    "one axis": ({"x": np.zeros(5)}, None, "x has shape [5]; expected [samples, steps, channels]"),
    "too few axes": ({"x": BLOCK[0]}, "nct", "x has shape [3, 4], which is not axes=nct"),
    "too many axes": ({"x": BLOCK}, "nt", "x has shape [2, 3, 4], which is not axes=nt"),
    "no lengths": ({"x": BLOCK[0]}, "tc", "3 steps of samples laid end to end, but there are no lengths"),
    "lengths of another sum": ({"x": BLOCK[0], "lengths": np.array([2, 2])}, "tc", "but the lengths add up to 4"),
}


@pytest.mark.parametrize("name", NPZ)
def test_an_array_that_cannot_be_sequences_is_refused(tmp_path: Path, name: str) -> None:
    arrays, axes, message = NPZ[name]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError) as refusal:
        read_sequences(str(tmp_path / "x.npz"), axes)
    assert message in str(refusal.value)


def test_a_file_of_the_ucr_archive_has_its_class_first_and_is_filled_up_with_nan(tmp_path: Path) -> None:
    read = read_sequences(written(tmp_path, ".tsv", "1\t0.5\t?\t2\n-1\t7\tNaN\tNaN\n"))
    assert samples(read) == [[[0.5], [None], [2]], [[7]]]
    assert read.targets.tolist() == ["1", "-1"]
    read = read_sequences(written(tmp_path, ".txt", "  1.0000000e+00  5.0e-01  2.0\n  up 1 2\n"))
    assert samples(read) == [[[0.5], [2]], [[1], [2]]]
    assert read.targets.tolist() == ["1", "up"]


def test_json_lines_are_read_with_gaps_and_targets_of_every_kind(tmp_path: Path) -> None:
    lines = [{"x": [[1, 2], [None, 3.5]], "y": "a"}, {"x": [[4, 5]], "y": "b", "who": 1}]
    path = written(tmp_path, ".jsonl", "\n".join(map(json.dumps, lines)))
    read = read_sequences(path)
    assert samples(read) == [[[1, 2], [None, 3.5]], [[4, 5]]]
    assert (read.targets.tolist(), read.remarks) == (["a", "b"], ("its key 'who' was not read",))
    numbers = read_sequences(written(tmp_path, ".jsonl", '{"x": [1, 2], "z": 1}\n{"x": [3], "z": 0.5}\n'), target="z")
    assert samples(numbers) == [[[1], [2]], [[3]]]
    assert (numbers.targets.tolist(), numbers.kind) == ([1.0, 0.5], "numbers")
    assert read_sequences(written(tmp_path, ".jsonl", '{"x": [1]}\n')).targets is None


def test_the_series_of_a_tsf_file_may_have_an_attribute_as_target(tmp_path: Path) -> None:
    head = "# c\n@relation r\n@attribute name string\n@attribute group string\n@frequency daily\n@missing true\n@data\n"
    path = written(tmp_path, ".tsf", head + "T1:a:1,2,?\nT2:b:3\n")
    read = read_sequences(path, target="group")
    assert samples(read) == [[[1], [2], [None]], [[3]]]
    assert (read.targets.tolist(), read.remarks) == (["a", "b"], ("its attribute name was not read",))
    assert read_sequences(path).targets is None


ARFF = "@relation r\n@attribute a numeric\n@attribute b numeric\n@attribute class {x,y}\n@data\n1,2.5,x\n3,?,y\n"
RELATIONAL = """@relation r
@attribute bag relational
@attribute t0 numeric
@attribute t1 numeric
@end bag
@attribute class {x,y}
@data
"1,2\\n3,4",x
"5,?\\n6,?",y
"""


@needs_scipy
def test_an_arff_file_is_read_by_attribute_or_by_the_rows_of_a_relation(tmp_path: Path) -> None:
    read = read_sequences(written(tmp_path, ".arff", ARFF))
    assert samples(read) == [[[1], [2.5]], [[3]]]
    assert (read.targets.tolist(), read.classes) == (["x", "y"], ("x", "y"))
    assert samples(read_sequences(written(tmp_path, ".arff", RELATIONAL))) == [[[1, 3], [2, 4]], [[5, 6]]]


def test_arff_without_scipy_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    with pytest.raises(PluginError, match=r"pip install 'rnnframe\[arff\]'"):
        read_sequences(written(tmp_path, ".arff", ARFF))


OTHERS = {
    "an empty class": (".tsv", "\t1\t2\n", "line 1: the class at the beginning is empty"),
    "a class alone": (".tsv", "1\n", "line 1: '1' alone"),
    "fewer values": (".tsv", "1\t1\t2\n1\t1\n", "line 2: 1 values; the lines before have 2, filled up with NaN"),
    "no value": (".tsv", "1\tNaN\n", "sample 1 has no values"),
    "no lines": (".tsv", "\n\n", "has no samples"),
    "no JSON": (".jsonl", "{", "line 1 is no JSON"),
    "no object": (".jsonl", "[1]\n", "line 1: '[1]'; expected an object"),
    "uneven steps": (".jsonl", '{"x": [[1, 2], [3]]}\n', "line 1: x is no list of steps"),
    "a word": (".jsonl", '{"x": [1, "a"]}\n', "line 1: x holds 'a' at step 2"),
    "a truth": (".jsonl", '{"x": [true]}\n', "line 1: x holds 'True' at step 1"),
    "a list as target": (".jsonl", '{"x": [1], "y": [1]}\n', "line 1: 'y' is '[1]'"),
    "NaN as target": (".jsonl", '{"x": [1], "y": NaN}\n', "line 1: 'y' is nan"),
    "some targets": (".jsonl", '{"x": [1], "y": 1}\n{"x": [1]}\n', "sample 2 has no 'y', and others have one"),
    "other channels": (".jsonl", '{"x": [1]}\n{"x": [[1, 2]]}\n', "sample 2 has 2 channels; the first has 1"),
    "a large number": (".jsonl", '{"x": [1' + "0" * 400 + "]}", "too large for float64"),
    "no @data": (".tsf", "T1:1,2\n", "has no line @data"),
    "no attribute": (".tsf", "@attribute name\n@data\nT:1\n", "expected @attribute NAME and string"),
    "too few attributes": (".tsf", "@attribute a string\n@data\n1,2\n", "line 3: 0 attributes before the values"),
    "other lengths": (".tsf", "@equallength true\n@data\n1,2\n1\n", "line 4: 1 values; the header says @equallength"),
    "a gap": (".tsf", "@missing false\n@data\n1,?\n", "line 3: a value is missing; the header says @missing false"),
    "another ending": (".xyz", "1\n", "cannot tell what data file"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_that_are_not_as_they_should_be_are_refused(tmp_path: Path, name: str) -> None:
    ending, text, message = OTHERS[name]
    with pytest.raises(DataError) as refusal:
        read_sequences(written(tmp_path, ending, text))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@needs_scipy
@pytest.mark.parametrize("text", ["", "hello", ARFF[:70], ARFF.replace("2.5", "word"), ARFF.replace(",y}", "}")])
def test_a_damaged_arff_file_is_refused_on_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_sequences(written(tmp_path, ".arff", text))
    assert "\n" not in str(refusal.value)


def test_options_that_a_format_has_no_use_for_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ".ts", "@classLabel false\n@data\n1\n")
    with pytest.raises(DataError, match="axes=nct is for NPZ files"):
        read_sequences(path, axes="nct")
    with pytest.raises(DataError, match="target=z names an array"):
        read_sequences(path, target="z")
