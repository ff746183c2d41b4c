"""What `Prefetch` promises: the same items in the same order, no further ahead than told, and no thread left behind."""

import gc
import threading
import time
import traceback
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.data import prefetch
from rnnframe.data.prefetch import Prefetch
from rnnframe.errors import OptionError


class Source:
    """Counts what was read of it; `failure` stands in the place of item number `fails_at`."""

    def __init__(self, items, fails_at=None):
        self.items, self.fails_at, self.read, self.closed = items, fails_at, 0, None

    def __iter__(self):
        try:
            for item in self.items:
                if self.read == self.fails_at:
                    self.fail()
                self.read += 1
                yield item
        finally:
            self.closed = threading.current_thread().name

    def fail(self):
        raise KeyError("the source broke")


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "rnnframe-prefetch"]


def resolved(source, wanted):
    """Wait until so much of a source was read, then a little longer, and return how much it is."""
    for _ in range(10_000):
        if source.read >= wanted:
            break
        time.sleep(0.001)
    time.sleep(0.01)
    return source.read


@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_all_items_come_in_order_and_the_thread_ends_with_them(items, depth):
    assert list(Prefetch(items, depth)) == items
    assert not threads()


@given(length=st.integers(0, 30), depth=st.integers(1, 5), taken=st.integers(0, 30), fails_at=st.integers(0, 40))
def test_whatever_happens_items_before_it_are_whole_and_the_source_is_read_no_further(length, depth, taken, fails_at):
    source, got = Source(range(length), fails_at), []
    with Prefetch(source, depth) as ready:
        try:
            for _, item in zip(range(taken), ready, strict=False):
                got.append(item)
            assert len(got) == min(taken, length)
        except KeyError:
            assert len(got) == fails_at < length
    assert got == list(range(len(got)))
    assert ready.taken == len(got)
    assert source.read <= len(got) + depth
    assert not threads()


@pytest.mark.parametrize("depth", [1, 3])
def test_the_source_is_read_ahead_by_just_the_depth(depth):
    source = Source(range(100))
    with Prefetch(source, depth) as ready:
        assert source.read == 0  # not before the first item is asked for
        for taken in range(1, 10):
            next(ready)
            assert resolved(source, taken + depth) == taken + depth
            assert ready.taken == taken


def test_an_error_of_the_source_comes_in_its_place_with_its_traceback_and_ends_the_iteration():
    ready = Prefetch(Source(range(9), fails_at=2), depth=4)
    assert [next(ready), next(ready)] == [0, 1]
    with pytest.raises(KeyError, match="the source broke") as caught:
        next(ready)
    assert "fail" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert list(ready) == []
    assert not threads()


def test_something_that_is_not_iterable_fails_where_the_first_item_is_asked_for():
    with pytest.raises(TypeError, match="not iterable"):
        next(Prefetch(7))
    assert not threads()


def test_an_exception_of_the_reader_stops_the_thread_and_closes_the_source_there():
    source = Source(iter(int, 1))  # without end

    def work():
        with Prefetch(source) as ready:
            return 1 / next(ready)  # the first item is 0

    with pytest.raises(ZeroDivisionError):
        work()
    assert source.closed == "rnnframe-prefetch"
    assert not threads()


def test_after_close_there_is_nothing_more_and_closing_again_does_no_harm():
    ready = Prefetch(range(9), depth=3)
    next(ready)
    ready.close()
    ready.close()
    assert list(ready) == []
    unused = Prefetch(range(9))
    unused.close()
    assert list(unused) == []


def test_a_reader_that_is_forgotten_takes_its_thread_along():
    next(Prefetch(iter(int, 1)))
    gc.collect()
    for thread in threads():
        thread.join(10)
    assert not threads()


def test_what_lies_ready_is_held_and_no_more():
    class Item:
        pass

    alive = []

    def items():
        while True:
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item

    with Prefetch(items(), depth=2) as ready:
        for _ in range(20):
            next(ready)
        time.sleep(0.01)
        gc.collect()
        assert sum(one() is not None for one in alive) <= 3  # two on the shelf, and the generator's own


def test_a_source_that_blocks_is_left_after_a_while_and_ends_with_its_next_item(monkeypatch):
    monkeypatch.setattr(prefetch, "POLL_SECONDS", 0.01)
    begun, gate = threading.Event(), threading.Event()

    def items():
        yield 1
        begun.set()
        gate.wait()
        yield 2

    ready = Prefetch(items())
    next(ready)
    assert begun.wait(10)
    ready.close()
    (left,) = threads()
    gate.set()
    left.join(10)
    assert not left.is_alive()


def test_the_next_item_is_made_while_the_present_one_is_used():
    begun, used = threading.Event(), threading.Event()

    def items():
        yield 1
        begun.set()
        assert used.wait(10)  # would never come if the reader had to wait for this item
        yield 2

    with Prefetch(items()) as ready:
        next(ready)
        assert begun.wait(10)
        used.set()
        assert next(ready) == 2


def test_a_depth_below_one_is_refused():
    with pytest.raises(OptionError, match="depth=0 is out of range; expected at least 1 item"):
        Prefetch([], depth=0)


def test_an_engine_trains_on_a_prefetched_stream_as_on_the_stream_itself():
    import numpy as np

    network = rf.Network(cells=["gru:hidden=5"], head="softmax:classes=4", inputs=4, seed=1)
    engine = rf.Engine(network, "circular-queue:k1=4,k2=8")
    text = np.random.default_rng(0).integers(0, 4, (61, 3))

    def blocks():
        return ((text[n : n + 7], text[n + 1 : n + 8]) for n in range(0, 49, 7))

    plain, ahead = engine.gradients(blocks(), None), engine.gradients(Prefetch(blocks(), 2), None)
    assert ahead.loss == plain.loss
    assert np.array_equal(ahead.gradients.flat, plain.gradients.flat)
    assert not threads()


def test_who_waits_for_an_item_is_told_when_it_is_there():
    go_on = threading.Event()

    def slowly():
        go_on.wait(60)
        yield 7

    with Prefetch(slowly()) as coming:
        assert not coming.wait(0.01)
        go_on.set()
        assert coming.wait(60)
        assert next(coming) == 7
        assert coming.wait(60)  # for the end
        assert list(coming) == []


def test_who_leaves_does_not_wait_for_a_source_that_hangs():
    go_on = threading.Event()

    def hanging():
        go_on.wait(60)
        yield 7

    begun = time.monotonic()
    with Prefetch(hanging()) as coming:
        assert not coming.wait(0.01)
        coming.leave()
    assert time.monotonic() - begun < prefetch.POLL_SECONDS
    go_on.set()
