"""Tables as they come: read as pandas reads them, and refused with the option that settles what is doubtful."""

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Setting
from rnnframe_tasks.tables import Reading, read_table

pandas = pytest.importorskip("pandas", reason="tables are read with pandas")


def saved(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def opened(path: Path, options: str = "", **setting: object):
    spec = f"forecast:horizon=1{',' if options else ''}{options}"
    return rf.task(spec).open(Setting(data=str(path), **{"batch": 4, "steps": 8, "held_out": 0.3, **setting}))


def body(*rows: str, count: int = 30) -> str:
    """Return lines made of texts in which N is the row and V a value."""
    return "".join(row.replace("N", str(n)).replace("V", str(n * n % 7)) + "\n" for n in range(count) for row in rows)


DAYS = "date,v\n01/02/2003,1\n02/04/2003,2\n05/07/2003,5\n"
ISO_DAYS = "date,v\n" + "".join(f"2020-01-{n + 1:02},{n * n % 7}\n" for n in range(30))
DOUBTFUL = {
    "thousands with points and a decimal comma": (
        "day;v\n" + "".join(f"2020-01-{n + 1:02};1.{n * 11:03},5\n" for n in range(30)),
        "'v' holds '1.000,5' in row 1 of the data, which pandas reads as a text",
        "decimal=comma,thousands=point",
    ),
    "a total below dates": (
        f"{ISO_DAYS}Total,99\n",
        "'date' holds 'Total' in row 31 of the data among dates such as '2020-01-01'; mend it, or leave",
        "exclude=date",
    ),
    "dates in two forms": (
        ISO_DAYS.replace("2020-01-07", "07/01/2020"),
        "'date' holds '07/01/2020' in row 7 of the data among dates such as '2020-01-01'; mend it, or leave",
        "exclude=date",
    ),
    "a few texts among numbers": ("a;b\n" + body("V;1.5").replace("4;", "?;", 1), "'a' holds '?' in row 3", "na=?"),
    "a decimal comma or two columns": (body("0,V25"), "is one number with a decimal comma, or two", "decimal=comma"),
    "a decimal comma under one name": ("v\n" + body("0,V25"), "is one number with a decimal comma", "decimal=comma"),
    "decimal commas in quotes": ('v,w\n' + body('"N,25","V,5"'), "column 'v' holds '0,25' in row 1", "decimal=comma"),
    "thousands in quotes": ('v,w\n' + body('"N,250","V,500"'), "column 'v' holds '0,250' in row 1", "thousands=comma"),
    "a first line of 0": ("0\n" + body("V.5"), "the first line is 0, a name", "header=yes"),
    "nothing but an index": ("i\n" + body("N"), "i: counts the rows", "column="),
    "two columns of dates": ("a,b,v\n" + body("2020-01-01,2020-02-01,V"), "has dates in a, b", "time="),
    "equal times": ("date,v\n" + body("2020-01-01,V"), "row 2 of the data has the date of an earlier row", "id="),
    "texts in blocks": ("firm,v\n" + "a,1\na,2\na,4\n" * 9 + "b,1\nb,3\n" * 9, "over blocks of rows", "id=firm"),
    "day or month first": (DAYS, "either number may be the day", "dayfirst="),
    "a first line of values and texts": ("ham,7.5,a\n" + body("spam,V.5,b"), "holds '7.5' above numbers", "header=no"),
    "a first line with a date": (body("x,Jul N 2000", count=9), "holds 'Jul 0 2000' above dates", "header=no"),
    "an id with a single row": ("id,v\n" + body("N,1", "N,V") + "99,1\n", "'id' holds a value in several", "id=id"),
    "a key that is 0 or 1": ("group,v\n1,3\n0,4\n" + body("1,V"), "'group' holds a value in several", "id=none"),
    "a key beside another": (
        "LocID,year,sex,v\n" + body("1,N,a,V", "1,N,b,V", "2,N,a,V", "2,N,b,V"),
        "row 2 of the data has the year and the LocID of an earlier row",
        "time=none",
    ),
    "a gap": ("v\n1\n2\nNA\n" + body("V"), "no value in row 3", "missing=last"),
    "a month 13": ("year,month,v\n" + body("1990,1N,V", count=9), "'month' holds 13 in row 4", "time=none"),
    "an infinite value": ("v\n1\ninf\n" + body("V"), "is infinite in row 2", "exclude=v"),
    "a line of words": ("some words\n" + body("more of them in line N"), "of numbers to forecast", "sep="),
    "a title above the names": ("title\n" + "a,b\n" + body("V,N.5"), "the first line has 1 value", "sep="),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_doubtful_is_refused_with_the_option_that_settles_it(tmp_path: Path, name: str) -> None:
    text, message, option = DOUBTFUL[name]
    with pytest.raises(DataError) as refusal:
        opened(saved(tmp_path, text))
    assert message in str(refusal.value)
    assert option in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_numbers_that_count_on_in_the_first_line_are_names(tmp_path: Path) -> None:
    data = opened(saved(tmp_path, "0,1\n" + body("5.5,V")))
    assert data.learnt.columns == ("0", "1")
    assert "the first line counts 0 to 1: taken as names (header=no: as values)" in data.remarks
    assert any(remark.startswith("30 rows") for remark in data.remarks)
    assert any(r.startswith("31 rows") for r in opened(tmp_path / "table.csv", "header=no").remarks)


def test_a_year_is_the_time_and_an_index_is_left_out(tmp_path: Path) -> None:
    text = "Obs,YEAR,flow\n" + "".join(f"{n},{1900 + n},{n * n % 7}\n" for n in range(30))
    data = opened(saved(tmp_path, text))
    assert data.learnt.columns == ("flow",)
    assert data.learnt.time == ("YEAR",)
    assert "forecast: flow; left out: Obs (counts the rows)" in data.remarks
    assert "30 rows from 1900 to 1929, a step of 1 (time: YEAR)" in data.remarks


def test_a_table_whose_newest_row_is_first_is_trained_on_forwards(tmp_path: Path) -> None:
    days = np.arange("2020-01-01", "2020-02-10", dtype="datetime64[D]")
    rows = [f"{day},{n * n % 7}\n" for n, day in enumerate(days)]
    forwards = opened(saved(tmp_path, "date,v\n" + "".join(rows)))
    backwards = opened(saved(tmp_path, "date,v\n" + "".join(rows[::-1])))
    assert "the newest row was first: sorted by time" in backwards.remarks
    assert backwards.learnt == forwards.learnt
    assert np.array_equal(backwards.batch(0, 0).y, forwards.batch(0, 0).y)


def test_an_irregular_step_is_told(tmp_path: Path) -> None:
    days = [day for day in np.arange("2020-01-01", "2020-02-10", dtype="datetime64[D]") if str(day) != "2020-01-20"]
    data = opened(saved(tmp_path, "date,v\n" + "".join(f"{day},{n * n % 7}\n" for n, day in enumerate(days))))
    wanted = "the step is irregular: 1 of 38 are not 1 day, the first from 2020-01-19 to 2020-01-21"
    assert wanted in data.remarks


def test_stacked_series_are_scaled_and_run_each_on_its_own(tmp_path: Path) -> None:
    values = {name: level + np.random.default_rng(3).normal(size=40).round(3) for name, level in (("a", 0), ("b", 900))}
    data = opened(saved(tmp_path, "id,v\n" + "".join(f"{k},{v}\n" for k, each in values.items() for v in each)))
    assert data.learnt.series == ("a", "b")
    assert data.learnt.mean == pytest.approx([each[:28].mean() for each in values.values()])
    starts = [batch.x[0, 0, 0] for batch in data.valid.batches() if not batch.carry]
    scaled = [(each[0] - each[:28].mean()) / each[:28].std() for each in values.values()]
    assert starts == pytest.approx(scaled, rel=1e-5)
    for number in range(data.batches):
        batch = data.batch(0, number)
        assert np.array_equal(batch.y[:-1, :, 0], batch.x[1:, :, 0])  # no window reaches into another series


def test_a_column_may_have_a_comma_in_its_name_or_be_named_by_its_number(tmp_path: Path, run_command) -> None:
    path = saved(tmp_path, '"use, liters",b\n' + body("V,2.5"))
    assert opened(path, 'column="use, liters"').learnt.columns == ("use, liters",)
    assert opened(path, "column=1").learnt.columns == ("use, liters",)
    spec = 'forecast:horizon=1,column="use, liters"'
    words = ("--cell", "gru:hidden=2", "--epochs", 1, "--quiet", "--out", tmp_path / "run")
    run_command("train", "--task", spec, "--data", path, *words)
    run_command("predict", tmp_path / "run", "--data", path, "--out", tmp_path / "out.csv")
    assert list(pandas.read_csv(tmp_path / "out.csv").columns) == ["row", "use, liters+1"]
    assert "# 30 rows, in the order of the file" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize("ending", ["csv.gz", "csv.bz2", "csv.xz", "csv.zip", "tsv", "parquet", "feather", "xlsx"])
def test_every_format_holds_the_same_series(tmp_path: Path, ending: str) -> None:
    if ending == "xlsx" and importlib.util.find_spec("openpyxl") is None:
        pytest.skip("Excel needs openpyxl")
    frame = pandas.DataFrame({"v": np.random.default_rng(0).normal(size=50), "w": np.arange(50) ** 2})
    frame.to_csv(tmp_path / "t.csv", index=False)
    path = tmp_path / f"t.{ending}"
    kind = ending.partition(".")[0]
    if kind in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    else:
        {"parquet": frame.to_parquet, "feather": frame.to_feather, "xlsx": lambda p: frame.to_excel(p, index=False)}[
            kind
        ](path)
    wanted = opened(tmp_path / "t.csv").batch(0, 0)
    assert np.allclose(opened(path).batch(0, 0).x, wanted.x, rtol=1e-6)


def test_dates_come_back_and_go_on_after_the_end(tmp_path: Path, run_command) -> None:
    months = np.arange("2000-01", "2004-01", dtype="datetime64[M]")
    path = saved(tmp_path, "month,v\n" + "".join(f"{month}-01,{n % 12}\n" for n, month in enumerate(months)))
    words = ("--cell", "gru:hidden=2", "--epochs", 1, "--quiet", "--out", tmp_path / "run")
    run_command("train", "--task", "forecast:horizon=2,quantiles=0.1;0.5;0.9", "--data", path, *words)
    run_command("predict", tmp_path / "run", "--data", path, "--out", tmp_path / "out.csv")
    table = pandas.read_csv(tmp_path / "out.csv")
    assert table["month"].iloc[[0, -1]].tolist() == ["2000-01-01", "2003-12-01"]
    assert table["month+2"].iloc[[0, -2, -1]].tolist() == ["2000-03-01", "2004-01-01", "2004-02-01"]
    assert (table["v+1 q0.1"] <= table["v+1 q0.9"]).all()
    judged = json.loads(run_command("evaluate", tmp_path / "run", "--json"))["measures"]
    assert 0 <= judged["coverage"] <= 1
    assert judged["seasonal-naive MASE"] > 0


def test_what_is_known_ahead_is_read_for_the_rows_that_are_forecast(tmp_path: Path) -> None:
    path = saved(tmp_path, "v,sale,day\n" + body("V,V.5,dN").replace("d1", "x").replace("d2", "x"))
    data = opened(path, "column=v,known=sale,exclude=day")
    batch = data.batch(0, 0)
    assert batch.x.shape[2] == 2
    scale = np.array(data.learnt.mean), np.array(data.learnt.spread)
    sale = batch.x[:, :, 1] * scale[1][1] + scale[0][1]
    value = batch.y[:, :, 0] * scale[1][0] + scale[0][0]
    assert np.allclose(sale, value + 0.5, atol=1e-4)  # the sale of the next row is its value and a half


def test_texts_that_are_read_become_a_channel_for_each_category(tmp_path: Path) -> None:
    path = saved(tmp_path, "v,day\n" + "".join(f"{n * n % 7},{'abc'[n % 3]}\n" for n in range(30)))
    batch = opened(path, "column=v,also=day").batch(0, 0)
    assert batch.x.shape[2] == 4
    assert set(np.unique(batch.x[:, :, 1:])) == {0, 1}
    assert (batch.x[:, :, 1:].sum(axis=2) == 1).all()


def test_without_pandas_a_table_names_the_command_and_npz_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", v=np.arange(40.0) ** 2)
    saved(tmp_path, "v\n" + body("V"))
    code = f"""
import sys; sys.modules["pandas"] = None
import rnnframe as rf
from rnnframe.plugin import Setting
from rnnframe_tasks.tables import Reading, read_table
print(rf.task("forecast:horizon=1").open(Setting(data={str(tmp_path / "t.npz")!r}, batch=2, steps=5)).inputs)
try: rf.task("forecast:horizon=1").open(Setting(data={str(tmp_path / "table.csv")!r}))
except rf.errors.RnnframeError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "1"
    assert "run: pip install 'rnnframe[data]'" in done.stdout


def test_a_frame_is_read_cell_by_cell_as_pandas_reads_it(tmp_path: Path) -> None:
    from rnnframe_tasks.tables import Reading, read_table

    text = "a,b,c\n1,NA,x\n2.5,3e-5,\n-7,,y z\n"
    ours = read_table(str(saved(tmp_path, text)), Reading()).columns
    theirs = pandas.read_csv(io.StringIO(text))
    for name in "ab":
        assert np.array_equal(ours[name].values, theirs[name].to_numpy(), equal_nan=True)
    assert ours["c"].values.tolist() == ["x", None, "y z"]


def test_numbers_among_the_names_are_names_where_they_count_on(tmp_path: Path) -> None:
    """Years as pandas pivots them, and `inf`, the rate of inflation, are no values."""
    names = ("country,1960,1965", "i,inf,nan", "model,0.1,0.5,0.9", "date,0")
    rows = ("x,1.5,V", "x,1.5,V", "x,1,2,V.5", "2000-01-0N,V")
    for line, row in zip(names, rows, strict=True):
        table = read_table(str(saved(tmp_path, line + "\n" + body(row, count=9))), Reading())
        assert tuple(table.columns) == tuple(line.split(",")), line


def test_a_year_that_rises_in_every_series_is_the_time(tmp_path: Path) -> None:
    """Whether the rows of a country stand together or those of a year, and whether countries are texts or numbers."""
    by_year = [(country, 1950 + n) for n in range(30) for country in (7, 9)]
    for pairs in (by_year, sorted(by_year)):
        text = "country,year,v\n" + "".join(f"{country},{year},{year % 5}\n" for country, year in pairs)
        for path in (saved(tmp_path, text), saved(tmp_path, text.replace("\n7", "\nUS").replace("\n9", "\nUK"))):
            data = opened(path)
            assert (data.learnt.id, data.learnt.time, data.learnt.columns) == ("country", ("year",), ("v",))
            assert "60 rows of 2 series (id: country) from 1950 to 1979, a step of 1 (time: year)" in data.remarks


@pytest.mark.parametrize("form", ["1991 Jul", "Jul 1991", "July-1991", "1991-July", "JUL 1991"])
def test_months_with_names_are_dates(tmp_path: Path, form: str) -> None:
    names = ("Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    full = dict(zip(names, ("July", "August", "September", "October", "November", "December"), strict=True))
    texts = [form.replace("July", full[name]).replace("Jul", name).replace("JUL", name.upper()) for name in names]
    text = "Month,v\n" + "".join(f"{month},{n * n}\n" for n, month in enumerate(texts))
    assert (
        "6 rows from 1991-07-01 to 1991-12-01, a step of 1 month (time: Month)" in opened(saved(tmp_path, text)).remarks
    )


def test_names_of_months_beside_years_are_dates(tmp_path: Path) -> None:
    text = "year,month,v\n" + "".join(
        f"19{n},{m},{len(m) * n}\n" for n in (90, 91, 92) for m in ("JAN", "Feb", "March", "sept")
    )
    assert any("from 1990-01-01 to 1992-09-01" in remark for remark in opened(saved(tmp_path, text)).remarks)


def test_white_space_parts_values_in_quotes_and_rows_with_a_name(tmp_path: Path) -> None:
    path = saved(tmp_path, '"v"  "w of x"\n' + body('"a b"  V   N.5'))
    assert list(read_table(str(path), Reading()).columns) == ["row name", "v", "w of x"]


def test_rows_before_the_first_values_are_left_out_where_gaps_are_filled(tmp_path: Path) -> None:
    path = saved(tmp_path, "v,change\n1,\n2,\n" + body("V,N.5"))
    data = opened(path, "missing=last")
    assert "left out at the start, before every column has had a value: 2 rows" in data.remarks
    assert data.valid.series[0].lines[0] == 3
    late = saved(tmp_path, "v,late\n" + body("V,", count=40) + body("V,N.5"))
    with pytest.raises(DataError, match=r"'late' has its first value in row 41 .* exclude=late"):
        opened(late, "missing=last")


def test_thousands_and_decimals_have_marks_of_their_own(tmp_path: Path) -> None:
    path = saved(tmp_path, "v;w\n1.234,5;2\n-12.345.678;0,25\n")
    columns = read_table(str(path), Reading(decimal="comma", thousands="point")).columns
    assert [column.values.tolist() for column in columns.values()] == [[1234.5, -12345678], [2, 0.25]]


def test_numbers_between_odd_spaces_or_beyond_float64_are_numbers(tmp_path: Path) -> None:
    path = saved(tmp_path, "v,w\n\u00a05,1\n7,x\n8," + "9" * 400 + "\n9,2\n")
    columns = read_table(str(path), Reading()).columns
    assert columns["v"].values.tolist() == [5, 7, 8, 9]
    assert columns["w"].doubt.startswith("holds 'x' in row 2")


def test_codes_and_ids_are_left_out(tmp_path: Path) -> None:
    data = opened(saved(tmp_path, "AirportID,Postal Code,decade,v\n" + body("4N,VN7,199V,V")))
    assert data.learnt.columns == ("v",)
    assert any("Postal Code (a code, by its name)" in remark for remark in data.remarks)
