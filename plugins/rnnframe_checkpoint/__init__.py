"""Checkpointing: keep a few states, recompute the tapes between them on the way back. Exact."""

from collections.abc import Iterable

from rnnframe.plugin import StateStore, hookimpl
from rnnframe_checkpoint.store import Checkpoint


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide checkpoint."""
    return [Checkpoint]
