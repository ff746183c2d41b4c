"""The tasks that come with rnnframe: characters."""

from collections.abc import Iterable

from rnnframe import Task, hookimpl
from rnnframe_tasks.characters import Characters


@hookimpl
def rnnframe_tasks() -> Iterable[type[Task]]:
    """Provide the built-in tasks."""
    return [Characters]
