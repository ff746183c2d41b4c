"""A campaign in a process of its own: an engine is interrupted again and again, at random moments.

usage: python interrupting.py SEED TRIALS SHARDS KERNELS STORE... A timer raises KeyboardInterrupt inside
`gradients`, in every second trial again and again, so that the cleaning up after it is interrupted too. Then the engine
must give the bits of one that was never interrupted. Prints how many calls were interrupted.
"""

import random
import signal
import sys
import time

import numpy as np

import rnnframe as rf


class Alarm:
    """Interrupts once or, after so many seconds each, until it is told to stop."""

    def __init__(self) -> None:
        self.armed = False
        signal.signal(signal.SIGALRM, self.ring)

    def ring(self, *_: object) -> None:
        if self.armed:
            raise KeyboardInterrupt

    def set(self, first: float, again: float) -> None:
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, first, again)

    def stop(self) -> None:
        """Stop; interrupts that come meanwhile change nothing."""
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def make(store: str, shards: int, kernels: str) -> rf.Engine:
    network = rf.Network(cells=["lstm:hidden=6", "elman:hidden=4"], head="mse:outputs=2", inputs=3, seed=1)
    return rf.Engine(network, store, chunk=4, shards=shards, kernels=kernels)


def bits(result: rf.Result) -> tuple[bytes, ...]:
    vectors = result.gradients, result.state, result.state_gradient
    return (repr(result.loss).encode(), *(vector.flat.tobytes() for vector in vectors))


def campaign(seed: int, trials: int, store: str, shards: int, kernels: str) -> int:
    chance, rng = random.Random(seed), np.random.default_rng(0)
    x, y = rng.standard_normal((48, 8, 3)).astype("f"), rng.standard_normal((48, 8, 2)).astype("f")
    expected = bits(make(store, shards, kernels).gradients(x, y))
    engine, alarm, interrupted = make(store, shards, kernels), Alarm(), 0
    engine.gradients(x, y)
    begun = time.perf_counter()
    engine.gradients(x, y)
    usual = time.perf_counter() - begun
    for trial in range(trials):
        try:
            try:
                alarm.set(chance.uniform(1e-5, usual * 1.2), usual / 5 if trial % 2 else 0)
                engine.gradients(x, y)
                while trial % 2:  # the second interrupt is sure to come
                    engine.gradients(x, y)
            finally:
                alarm.stop()
        except KeyboardInterrupt:
            interrupted += 1
            alarm.stop()
        assert bits(engine.gradients(x, y)) == expected, f"other bits after {interrupted} interrupts"
    return interrupted


if __name__ == "__main__":
    for spec in sys.argv[5:]:
        print(campaign(int(sys.argv[1]), int(sys.argv[2]), spec, int(sys.argv[3]), sys.argv[4]), flush=True)
