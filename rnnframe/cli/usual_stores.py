"""The stores that plan and compare take where none is named: the built-in ones, and every further one that can be."""

from collections.abc import Callable, Iterable, Sequence

from rnnframe.engine.plan import RunPlan
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import required_options

STORES = ("full-history", "checkpoint", "checkpoint:policy=revolve", "circular-queue")


def usual_plans(plan: Callable[[str], RunPlan], whole_sequences: bool = False) -> list[tuple[str, RunPlan]]:
    """Return spec and plan of the usual stores; a further one that fails is left out and told.

    Where a network needs whole sequences, those that truncate are not among them.
    """
    further, registry = _further(), default_registry()
    stores = [*STORES, *further]
    if whole_sequences:
        stores = [spec for spec in stores if registry.find("store", spec.partition(":")[0]).exact]
    return _plans(plan, stores, further)


def plans_of(plan: Callable[[str], RunPlan], stores: Iterable[str]) -> list[tuple[str, RunPlan]]:
    """Return spec and plan of each store."""
    return _plans(plan, stores, ())


def _further() -> list[str]:
    """Return every store that needs no options, is not among the usual ones, and chooses no other."""
    registry = default_registry()
    named = {spec.partition(":")[0] for spec in STORES} | {"auto"}
    others = [name for name in registry.names("store") if name not in named]
    return [name for name in others if not required_options(registry.find("store", name))]


def _plans(
    plan: Callable[[str], RunPlan], stores: Iterable[str], dispensable: Sequence[str]
) -> list[tuple[str, RunPlan]]:
    registry = default_registry()
    plans: list[tuple[str, RunPlan]] = []
    for spec in stores:
        try:
            plans.append((spec, plan(spec)))
        except Exception as error:
            if spec not in dispensable:
                raise
            registry.leave_out("store", registry.find("store", spec), error)
    return plans
