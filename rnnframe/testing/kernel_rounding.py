"""Checks of how kernels round tapes to bfloat16."""

import numpy as np

from rnnframe.arrays import round_to_bfloat16
from rnnframe.contracts.kernels import Kernels
from rnnframe.testing.suite import Suite, skip
from rnnframe.testing.tables import expect_same_bits

TITLES = "kernels", "numpy"


class KernelRoundingChecks(Suite):
    """What `Kernels.rounding` writes."""

    def test_numbers_are_rounded_to_bfloat16_as_numpy_rounds_them(self) -> None:
        """Halves between two numbers, infinities, what is no number and the smallest ones: the same bits, both ways."""
        subject: Kernels = self.subject
        if subject.missing():
            skip(subject.missing())
        for count in (0, 1, 2, 31, 64, 1001):
            upper = np.random.default_rng(count).integers(0, 1 << 16, count, np.uint32) << 16
            for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
                numbers = (upper | np.uint32(lower)).view(np.float32)
                mine, numpys = np.zeros(count, np.uint16), np.zeros(count, np.uint16)
                subject.rounding.to_bfloat16(numbers, mine)
                round_to_bfloat16(numbers, numpys)
                expect_same_bits(f"{count} rounded numbers", mine, numpys, TITLES)
                wide = np.zeros(count, np.float32)
                subject.rounding.widen(mine, wide)
                expect_same_bits(f"{count} widened numbers", wide.view(np.uint32), mine.astype(np.uint32) << 16, TITLES)
