"""How fast a training is."""

import time


class Clock:
    """Steps per second of training, waiting for batches included; validation is left out."""

    def __init__(self) -> None:
        self.last = self._seconds = self._started = 0.0
        self._steps = 0

    def start(self) -> None:
        """Begin a batch."""
        self._started = time.perf_counter()

    def stop(self, steps: int) -> None:
        """End a batch of so many steps."""
        self.last = time.perf_counter() - self._started
        self._seconds += self.last
        self._steps += steps

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self._steps / max(1e-9, self._seconds)
