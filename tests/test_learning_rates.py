"""Learning rates against numbers worked out by hand and formulas written down a second time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError, UsageError
from rnnframe.plugin import LearningRate

RATES = {
    name: rf.default_registry().find("learning rate", name) for name in rf.default_registry().names("learning rate")
}


def rate(spec: str) -> LearningRate:
    return rf.default_registry().learning_rate(spec)


def factors(spec: str, updates: int) -> list[float]:
    schedule = rate(spec)
    return [schedule.factor(update) for update in range(1, updates + 1)]


BY_HAND = [
    ("constant", [1, 1, 1, 1]),
    ("constant:warmup=3", [1 / 4, 2 / 4, 3 / 4, 1, 1]),
    ("linear:updates=4", [1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
    ("linear:updates=4,floor=0.2", [1, 0.8, 0.6, 0.4, 0.2, 0.2]),
    ("linear:updates=6,warmup=2", [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
    ("cosine:updates=4", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]),
    ("cosine:updates=2,floor=0.5", [1, 0.75, 0.5, 0.5]),
    ("cosine:updates=3,warmup=1", [0.5, 1, 0.5, 0, 0]),
    ("exponential:rate=0.25,every=2", [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
    ("exponential:rate=0.25,every=2,floor=0.2", [1, 1 / 2, 1 / 4, 0.2, 0.2]),
    ("exponential:rate=0.25,every=2,warmup=1", [0.5, 1, 1 / 2, 1 / 4]),
    ("step:rate=0.1,every=3", [1, 1, 1, 0.1, 0.1, 0.1, 0.01]),
    ("step:rate=0.1,every=3,floor=0.05", [1, 1, 1, 0.1, 0.1, 0.1, 0.05, 0.05]),
    ("step:rate=0.1,every=2,warmup=1", [0.5, 1, 1, 0.1, 0.1]),
]


@pytest.mark.parametrize(("spec", "expected"), BY_HAND)
def test_the_first_factors_are_those_worked_out_by_hand(spec, expected):
    assert factors(spec, len(expected)) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_every_rate_has_numbers_worked_out_by_hand_above():
    assert {spec.partition(":")[0] for spec, _ in BY_HAND} == set(RATES)


N, FLOORS, WARMUPS = st.integers(1, 500), st.floats(0, 1), st.integers(0, 50)


@given(st.sampled_from(sorted(RATES)), WARMUPS)
def test_a_warm_up_rises_in_equal_parts_from_above_zero_to_the_full_rate(name, warmup):
    schedule = RATES[name](warmup=warmup)
    rise = [0, *(schedule.factor(update, 0.0) for update in range(1, warmup + 2))]
    assert rise == pytest.approx([n / (warmup + 1) for n in range(warmup + 2)])
    assert rise[1] > 0
    assert rise[-1] == 1


@given(N, FLOORS, WARMUPS, st.integers(1, 600))
def test_cosine_is_half_a_wave_about_the_middle_of_one_and_the_floor(updates, floor, warmup, after):
    schedule = RATES["cosine"](updates=updates + warmup, floor=floor, warmup=warmup)
    done = min(after - 1, updates)
    middle, amplitude = (1 + floor) / 2, (1 - floor) / 2
    expected = middle + amplitude * math.sin(math.pi / 2 - math.pi * done / updates)
    assert schedule.factor(warmup + after) == pytest.approx(expected, abs=1e-12)


@given(N, FLOORS, WARMUPS, st.integers(1, 600))
def test_linear_lies_on_the_line_from_one_to_the_floor(updates, floor, warmup, after):
    schedule = RATES["linear"](updates=updates + warmup, floor=floor, warmup=warmup)
    done = min(after - 1, updates)
    expected = ((updates - done) * 1 + done * floor) / updates
    assert schedule.factor(warmup + after) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 1), st.integers(1, 50), FLOORS, st.integers(1, 200))
def test_exponential_and_step_agree_where_whole_periods_are_done(factor, every, floor, periods):
    update = 1 + periods * every
    expected = max(floor, math.exp(periods * math.log(factor)))
    for name in ("exponential", "step"):
        schedule = RATES[name](rate=factor, every=every, floor=floor)
        assert schedule.factor(update) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    # and the update before, one step short of it, is where only the smooth fall has moved
    short = RATES["step"](rate=factor, every=every, floor=floor).factor(update - 1)
    assert short == pytest.approx(max(floor, math.exp((periods - 1) * math.log(factor))), rel=1e-9, abs=1e-300)


@given(st.sampled_from(["linear", "cosine"]), N, FLOORS, WARMUPS, st.integers(1, 1000))
def test_after_its_updates_a_fall_stays_at_its_floor(name, updates, floor, warmup, later):
    schedule = RATES[name](updates=updates + warmup, floor=floor, warmup=warmup)
    assert schedule.factor(updates + warmup + later) == pytest.approx(floor, abs=1e-12)


@given(st.sampled_from(["linear", "cosine"]), N, FLOORS, WARMUPS)
def test_a_fall_that_was_told_no_number_of_updates_takes_the_share_of_the_training(name, updates, floor, warmup):
    open_end, told = (RATES[name](updates=n, floor=floor, warmup=warmup) for n in (None, updates + warmup))
    for done in {0, updates // 2, updates - 1}:
        update = warmup + 1 + done
        assert open_end.factor(update, done / updates) == told.factor(update)
        assert told.factor(update, 0.9) == told.factor(update)


def test_a_rate_that_needs_no_number_is_the_same_over_any_training():
    for spec in ("constant:warmup=2", "exponential:rate=0.9", "step:every=5"):
        assert [rate(spec).factor(u, share) for u in (1, 9) for share in (0.1, 0.9)] == [
            rate(spec).factor(u) for u in (1, 9) for _ in range(2)
        ]


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_a_fall_over_an_unknown_number_of_updates_is_refused_when_it_is_asked(name):
    with pytest.raises(OptionError) as refusal:
        rate(name).factor(1)
    assert str(refusal.value) == f"learning rate '{name}' needs 'updates'; write {name}:updates=..."


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("constant:warmup=-1", "learning rate 'constant': 'warmup' must be >= 0: -1"),
        ("cosine:updates=0", "learning rate 'cosine': 'updates' must be >= 1: 0"),
        ("linear:floor=1.5", "learning rate 'linear': 'floor' must be <= 1: 1.5"),
        ("step:rate=0", "learning rate 'step': 'rate' must be > 0: 0.0"),
        ("exponential:every=0", "learning rate 'exponential': 'every' must be >= 1: 0"),
        (
            "cosin",
            "unknown learning rate 'cosin'; did you mean 'cosine'? "
            "(known: constant, cosine, exponential, linear, step)",
        ),
    ],
)
def test_a_rate_out_of_range_is_refused(spec, message):
    with pytest.raises(UsageError) as refusal:
        rate(spec)
    assert str(refusal.value) == message
