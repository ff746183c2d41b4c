"""The tasks that come with rnnframe: characters, bytes, forecast, classify, regress, rolls, adding, copy."""

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


@hookimpl
def rnnframe_tasks() -> Iterable[type[Task]]:
    """Provide the built-in tasks."""
    return [Characters, Bytes, Forecast, Classify, Regress, Rolls, Adding, Copy]
