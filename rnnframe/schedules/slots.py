"""Numbers for buffers in a row: the lowest free number is always used first.

The simulator and the buffers of a run use the same allocator, so that they agree.
"""

import heapq


class SlotAllocator:
    """The numbers 0, 1, 2, ...; `extent` is one more than the highest number in use."""

    def __init__(self) -> None:
        self.extent = 0
        self._used: list[bool] = []
        self._free: list[int] = []  # a heap; those from `extent` on are out of date

    def take(self) -> int:
        """Take the lowest free number."""
        place = self.next()
        if place == self.extent:
            self.extent += 1
            self._used.append(True)
        else:
            heapq.heappop(self._free)
            self._used[place] = True
        return place

    def next(self) -> int:
        """Return the lowest free number."""
        if self._free and self._free[0] >= self.extent:
            self._free.clear()
        return self._free[0] if self._free else self.extent

    def give(self, place: int) -> None:
        """Release a number."""
        self._used[place] = False
        if place < self.extent - 1:
            heapq.heappush(self._free, place)
            return
        while self._used and not self._used[-1]:
            self._used.pop()
        self.extent = len(self._used)
