"""The suites find planted faults: every mutant of a built-in plugin is caught, by the check that it concerns."""

import mutants_of_cells
import mutants_of_media
import mutants_of_optimizers
import mutants_of_stores
import pytest
from mutation import Mutant, first_failure, mutated

MUTANTS = [
    *mutants_of_cells.MUTANTS,
    *mutants_of_stores.MUTANTS,
    *mutants_of_optimizers.MUTANTS,
    *mutants_of_media.MUTANTS,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    found = first_failure(mutated(mutant, monkeypatch), mutant.caught_by)
    assert found is not None, "no check fails"
    assert mutant.caught_by in found.partition(":")[0]


def test_every_plugin_has_five_mutants_at_least() -> None:
    counted: dict[str, int] = {}
    for mutant in MUTANTS:
        name = getattr(mutant.suite, mutant.suite.kind).partition(":")[0]
        counted[name] = counted.get(name, 0) + 1
    assert {name for name, count in counted.items() if count < 5} == set()
    assert set(counted) == {
        *("elman", "lstm", "gru"),
        *("full-history", "circular-queue", "checkpoint", "states", "auto"),
        *("disk", "float16"),
        *("sgd", "rmsprop", "adam", "adamw", "adagrad", "lamb", "muon"),
    }
