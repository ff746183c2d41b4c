"""Tables in files, read by pandas: CSV and its kin, also compressed, Parquet, Feather and Excel; NPZ by numpy.

    table = read_table("co2.csv", Reading())
    table.columns["co2"].values        # float64 [rows], NaN where a value is missing

A column becomes numbers, dates or texts as a whole. One that is nearly all numbers, or whose texts are numbers written
otherwise (1,234 or 0,5), is doubtful: `Column.doubt` says why and what to do, and whoever reads the column refuses it.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError, PluginError
from rnnframe_tasks.dialects import MARKS, Dialect, dialect_of
from rnnframe_tasks.files import read_npz, refuse_device
from rnnframe_tasks.heads_of_files import COMPRESSED, first_text

if TYPE_CHECKING:
    import pandas as pd

TEXTS = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".feather", ".xlsx", ".npz")
"""What messages name; there are more (`_READERS`)."""

DATE = "M"
NUMBER = "f"
TEXT = "O"


@attrs.frozen(eq=False)
class Column:
    """Values [rows]: float64 (NaN: missing), datetime64[ns] (NaT: missing), or texts (None: missing).

    doubt: why it is not clear what the values are, and the way out; empty where it is.
    """

    values: Array
    doubt: str = ""

    @property
    def kind(self) -> str:
        """`NUMBER`, `DATE` or `TEXT`."""
        return self.values.dtype.kind


@attrs.frozen(kw_only=True, eq=False)
class Table:
    """Columns of the same length by name, in the order of the file, and what was decided while it was read."""

    path: str
    columns: Mapping[str, Column]
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())).values)


@attrs.frozen(kw_only=True)
class Reading:
    """How a file is to be read, where it does not say itself.

    sep, decimal, thousands: characters, or their names in `MARKS`. header: "yes" or "no". na: texts that stand for no
    value. dayfirst: whether 01/02/2003 is in February.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    header: str | None = None
    na: tuple[str, ...] = ()
    dayfirst: bool | None = None


def read_table(path: str, reading: Reading) -> Table:
    """Return the table in a file.

    Raises
    ------
    DataError
        For what cannot be read, has no rows, or could be read in two ways.
    PluginError
        Where the library that reads it is not installed.
    """
    suffix = _suffix(path)
    reader = _READERS.get(suffix)
    if reader is None:
        raise DataError(f"cannot tell what data file {path!r} is; end its name in {', '.join(SUFFIXES)}")
    try:
        refuse_device(path)
        if not Path(path).stat().st_size:
            raise DataError(f"data file {path!r} is empty")
        table = reader(path, reading)
    except OSError as error:
        raise DataError(f"cannot read data file {path!r}: {error.strerror or error}") from None
    if not table.columns or not table.rows:
        raise DataError(f"data file {path!r} has no rows")
    return table


def _suffix(path: str) -> str:
    """Return the end of a file's name, without that of a compression."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _pandas(path: str) -> Any:
    try:
        import pandas
    except ImportError:
        raise PluginError(
            f"data file {path!r} is read with pandas, which is not installed; run: pip install 'rnnframe[data]'"
        ) from None
    return pandas


def _read_text(path: str, reading: Reading) -> Table:
    pandas = _pandas(path)
    text = first_text(path)
    dialect = dialect_of(text, path, reading.sep, reading.decimal, reading.header)
    frame = _guarded(path, lambda: _read_csv(pandas, path, dialect, reading))
    if dialect.rows_named:
        frame = frame.reset_index(names="row name")
    if dialect.trailing:
        frame = frame.iloc[:, : len(dialect.names)]
    return _of_frame(pandas, path, frame, reading, dialect.remarks)


def _read_csv(pandas: Any, path: str, dialect: Dialect, reading: Reading) -> "pd.DataFrame":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", pandas.errors.ParserWarning)  # what it would leave out
        frame: pd.DataFrame = pandas.read_csv(
            path,
            sep=dialect.sep,
            decimal=dialect.decimal,
            thousands=MARKS.get(reading.thousands, reading.thousands) if reading.thousands else None,
            header=0 if dialect.header else None,
            names=[*dialect.names, *(["nothing"] if dialect.trailing else [])],
            index_col=None if dialect.rows_named else False,
            na_values=list(reading.na) or None,
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    return frame


def _read_parquet(path: str, reading: Reading) -> Table:
    pandas = _pandas(path)
    frame = _guarded(path, lambda: pandas.read_parquet(path))
    return _of_frame(pandas, path, _with_index(frame), reading)


def _read_feather(path: str, reading: Reading) -> Table:
    pandas = _pandas(path)
    return _of_frame(pandas, path, _guarded(path, lambda: pandas.read_feather(path)), reading)


def _read_excel(path: str, reading: Reading) -> Table:
    pandas = _pandas(path)

    def read() -> Any:
        with pandas.ExcelFile(path) as book:
            frame = pandas.read_excel(book, header=None if reading.header == "no" else 0)
            return frame, list(map(str, book.sheet_names))

    frame, sheets = _guarded(path, read)
    if reading.header == "no":
        frame.columns = range(1, len(frame.columns) + 1)
    remarks = () if len(sheets) == 1 else (f"only the sheet {sheets[0]!r} of {len(sheets)} is read",)
    return _of_frame(pandas, path, frame, reading, remarks)


def _guarded(path: str, read: Callable[[], Any]) -> Any:
    """Return what a reader returns; what it raises becomes a `DataError` of one line."""
    try:
        return read()
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {path!r} is no UTF-8 text: byte 0x{error.object[error.start]:02x} ({error.reason}); convert it"
        ) from None
    except ImportError as error:
        raise PluginError(f"data file {path!r} cannot be read: {_line(error)}") from None
    except (DataError, OSError, MemoryError):
        raise
    except Exception as error:  # the readers of pandas raise what their libraries raise
        raise DataError(f"data file {path!r} cannot be read: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame whose index, if it has a name, is a column."""
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame


def _of_frame(pandas: Any, path: str, frame: "pd.DataFrame", reading: Reading, remarks: tuple[str, ...] = ()) -> Table:
    from rnnframe_tasks.frames import column_of

    names = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name).strip() for name in frame.columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"data file {path!r} has two columns {twice!r}; rename one")
    columns = {name: column_of(pandas, frame.iloc[:, place], name, reading) for place, name in enumerate(names)}
    return Table(path=path, columns=columns, remarks=remarks)


def _read_npz(path: str, reading: Reading) -> Table:
    columns: dict[str, Column] = {}
    remarks: list[str] = []
    for name, array in read_npz(path).items():
        if array.dtype.kind in "fiub" and array.ndim == 2:
            columns |= {f"{name}{n}": Column(array[:, n].astype(np.float64)) for n in range(array.shape[1])}
        elif array.ndim == 1 and array.dtype.kind in "fiub":
            columns[name] = Column(array.astype(np.float64))
        elif array.ndim == 1 and array.dtype.kind == "M":
            columns[name] = Column(array.astype("datetime64[ns]"))
        elif array.ndim == 1 and array.dtype.kind in "UM":
            columns[name] = Column(array.astype(object))
        else:
            remarks.append(f"array {name!r}, {array.dtype} {list(array.shape)}, is no column and is not read")
    if len({len(column.values) for column in columns.values()}) > 1:
        told = ", ".join(f"{name} {len(column.values)}" for name, column in columns.items())
        raise DataError(f"data file {path!r} has columns of different lengths: {told}")
    if not columns and remarks:
        raise DataError(f"data file {path!r} has no columns: {remarks[0]}")
    return Table(path=path, columns=columns, remarks=tuple(remarks))


_READERS: dict[str, Callable[[str, Reading], Table]] = {
    **dict.fromkeys(TEXTS, _read_text),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), _read_feather),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), _read_excel),
    ".npz": _read_npz,
}
