"""The tasks that come with rnnframe: of texts, series, whole sequences and rolls, and two that make their own data."""

from collections.abc import Iterable

from rnnframe.plugin import Task, hookimpl
from rnnframe_tasks.adding import Adding
from rnnframe_tasks.characters import Characters
from rnnframe_tasks.classify import Classify
from rnnframe_tasks.copying import Copy
from rnnframe_tasks.forecast import Forecast
from rnnframe_tasks.raw_bytes import Bytes
from rnnframe_tasks.regress import Regress
from rnnframe_tasks.rolls import Rolls
from rnnframe_tasks.tokens import Subwords, Words


@hookimpl
def rnnframe_tasks() -> Iterable[type[Task]]:
    """Provide the built-in tasks."""
    return [Characters, Bytes, Words, Subwords, Forecast, Classify, Regress, Rolls, Adding, Copy]
