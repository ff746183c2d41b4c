"""The conformance suite of media: where snapshots live that a store saves far away."""

import gc
import os
import random
import tracemalloc
import zlib

import numpy as np

from rnnframe.arrays import Vector
from rnnframe.contracts.kernels import NUMPY
from rnnframe.contracts.medium import Medium
from rnnframe.engine.engine import Engine
from rnnframe.network.network import Network
from rnnframe.testing.medium_suite import SHAPES, TITLES, MediumSuite, filled, folders_of, layout_of
from rnnframe.testing.reference_stores import KeepAll, Recompute
from rnnframe.testing.suite import CheckReport, fail, run, skip
from rnnframe.testing.tables import expect_close, expect_same_bits

LARGE = {"layer0.h": (64, 1024)}
SLOTS = 6
ACTIONS = 300
REWRITES = 24
MANY = 150  # slots, where no bound is known
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1.0)
SMALL = 128 * 1024  # bytes of objects


class MediumTests(MediumSuite):
    """All that a medium must hold to.

        class TestMyMedium(rnnframe.testing.MediumTests):
            medium = MyMedium()

    medium: the medium or its spec. tolerance: how far a state may be off, where the medium is not exact.
    """

    def test_states_come_back_whatever_the_order(self) -> None:
        """Many slots, saved, loaded, dropped and used again at random: each gives back what was saved there last."""
        for dtype in ("float32", "float64"):
            with self.opened(SLOTS, dtype) as (opened, new):
                draw, held, seed = random.Random(3), dict[int, Vector](), 0
                for _ in range(ACTIONS):
                    slot = draw.randint(-SLOTS // 2, SLOTS // 2 - 1)
                    if slot not in held:
                        seed += 1
                        held[slot] = filled(new(), seed)
                        self.save(opened, slot, held[slot])
                    elif draw.random() < 0.5:
                        self.expect(opened, slot, held[slot], new())
                    else:
                        opened.drop(slot)
                        del held[slot]

    def test_a_saved_state_is_a_copy_and_stays_when_it_is_loaded(self) -> None:
        """What happens to the state after it was saved or loaded does not reach the slot."""
        with self.opened(2, "float32") as (opened, new):
            wanted, state = filled(new(), 1), filled(new(), 1)
            opened.save(0, state)
            state.flat.fill(np.nan)
            opened.save(1, filled(new(), 2))
            for _ in range(2):
                state = new()
                opened.load(0, state)
                self.compare(state, wanted)
                state.flat.fill(np.nan)

    def test_a_slot_that_is_used_again_gives_back_nothing_older(self) -> None:
        """One place is written, freed and written again with states that differ in one value: each comes back whole."""
        with self.opened(2, "float32", LARGE) as (opened, new):
            state, before, found = filled(new(), 1), filled(new(), 1), new()
            numbers = dict[int, int]()  # by checksum
            for number in range(REWRITES):
                before.copy_from(state)
                state.flat[(0, state.flat.size // 2, -1)[number % 3]] = number + 1
                self.save(opened, 0, state)
                opened.save(1, before)  # what was in the place is near at hand
                found.flat.fill(np.nan)
                opened.load(0, found)
                older = numbers.get(checksum(found))
                if older is not None:
                    fail(f"slot 0 gives back what was saved there {number - older} times before, of {number + 1}")
                self.compare(found, state)
                numbers[checksum(state)] = number
                if number % 4 == 3:
                    opened.clear()
                else:
                    opened.drop(0)
                    opened.drop(1)

    def test_every_bit_comes_back_of_values_that_are_no_usual_numbers(self) -> None:
        """Zeros with a sign, infinities, NaN and the smallest numbers are kept as they are."""
        if not self.subject.exact:
            skip("the medium is not exact")
        for dtype in ("float32", "float64"):
            with self.opened(1, dtype) as (opened, new):
                state, found = new(), new()
                state.flat[:] = np.resize(np.array(SPECIAL), state.flat.shape)
                opened.save(0, state)
                opened.load(0, found)
                expect_same_bits(f"state of special values, {dtype}", found.flat, state.flat, TITLES)

    def test_clear_frees_every_slot(self) -> None:
        """After `clear` all slots can be saved again, as at the beginning of the next run."""
        with self.opened(SLOTS, "float32") as (opened, new):
            for round_ in range(5):
                for slot in range(SLOTS):
                    self.save(opened, slot, filled(new(), 10 * round_ + slot))
                for slot in range(SLOTS):
                    self.expect(opened, slot, filled(new(), 10 * round_ + slot), new())
                opened.clear()

    def test_without_a_bound_there_is_room_for_any_number_of_slots(self) -> None:
        """`layout.slots` is None where a schedule has no end."""
        with self.opened(None, "float32") as (opened, new):
            for slot in range(MANY):
                self.save(opened, slot, filled(new(), slot))
            for slot in reversed(range(MANY)):
                self.expect(opened, slot, filled(new(), slot), new())

    def test_two_that_are_open_at_once_do_not_share_slots(self) -> None:
        """Each thread opens the medium for itself."""
        subject: Medium = self.subject
        with self.in_a_folder(subject) as medium:
            layout, new = layout_of(2, "float32", SHAPES)
            one, other = medium.open(layout), medium.open(layout)
            one.save(0, filled(new(), 1))
            other.save(0, filled(new(), 2))
            self.expect(one, 0, filled(new(), 1), new())
            one.clear()
            self.expect(other, 0, filled(new(), 2), new())
            del one, other

    def test_it_holds_no_more_ram_than_it_declares(self) -> None:
        """`nbytes` is never above `ram_bytes` for each slot, and neither is what Python allocates."""
        if tracemalloc.is_tracing():
            skip("allocations are traced already")
        for seed in (1, 2):
            with self.opened(SLOTS, "float32", LARGE, prepared=True) as (opened, new):
                state = filled(new(), seed)
                most = SLOTS * self.subject.ram_bytes(state.nbytes)
                gc.collect()
                tracemalloc.start()
                try:
                    for slot in range(SLOTS):
                        opened.save(slot, state)
                    held = tracemalloc.get_traced_memory()[0]
                finally:
                    tracemalloc.stop()
                if opened.nbytes > most:
                    fail(f"{SLOTS} slots hold {opened.nbytes} bytes; ram_bytes declares {most}")
                if held > most + SMALL:
                    fail(f"{SLOTS} slots made Python allocate {held} bytes; ram_bytes declares {most}")

    def test_nothing_is_left_behind_in_its_folder(self) -> None:
        """Once the open medium is released, the folder that an option names is as empty as before."""
        if not folders_of(self.subject):
            skip("no option names a folder")
        with self.in_a_folder(self.subject) as medium:
            layout, new = layout_of(SLOTS, "float32", SHAPES)
            opened = medium.open(layout)
            for slot in range(SLOTS):
                opened.save(slot, filled(new(), slot))
            del opened
            gc.collect()
            left = [name for folder in folders_of(medium).values() for name in os.listdir(folder)]
        if left:
            fail(f"left behind: {', '.join(left)}")

    def test_in_a_run_the_gradient_is_that_of_snapshots_in_ram(self) -> None:
        """Bit for bit where the medium is exact, and within `tolerance` where it is not; bytes are as predicted."""
        subject: Medium = self.subject
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(13, 4, 2)).astype("float32"), rng.normal(size=(13, 4, 1)).astype("float32")
        network = Network(["lstm:hidden=3"], "mse:outputs=1", 2)
        with self.in_a_folder(subject) as medium:
            for shards in (1, 2):
                stores = Recompute(medium=medium), KeepAll()
                found, wanted = (
                    Engine(network, s, chunk=2, shards=shards, kernels=NUMPY).gradients(x, y) for s in stores
                )
                report = found.report
                if report.predicted_bytes is None or report.peak_bytes > report.predicted_bytes:
                    fail(f"{report.peak_bytes} bytes are held in a run; predicted were {report.predicted_bytes}")
                for name, value in wanted.gradients.items():
                    what = f"gradient of {name}, shards: {shards},"
                    titles = "with the medium", "full history"
                    if subject.exact:
                        expect_same_bits(what, found.gradients[name], value, titles)
                    else:
                        expect_close(what, found.gradients[name], value, self.tolerance, titles)


def checksum(state: Vector) -> int:
    """Return what tells the contents of a state from others."""
    return zlib.crc32(state.flat.view(np.uint8).data)


def check_medium(medium: Medium | str) -> CheckReport:
    """Put a medium through `MediumTests` without pytest."""
    return run(type("Checked", (MediumTests,), {"medium": medium})())
