"""The adding problem of Hochreiter & Schmidhuber (1997): what `rnnframe train --task regress` reads.

python examples/adding_problem.py
rnnframe train --task regress --data adding.npz ...

Each of 2,000 sequences has 150 steps of two numbers: one between 0 and 1, and a mark that is 1 at one step of each half
and 0 elsewhere. The number to learn is the sum of the two that are marked, which are 75 steps apart on average.
"""

import numpy as np

rng, samples, steps = np.random.default_rng(0), 2000, 150
numbers, marks, rows = rng.uniform(size=(samples, steps)), np.zeros((samples, steps)), np.arange(samples)
for half in (0, steps // 2):
    marks[rows, half + rng.integers(0, steps // 2, samples)] = 1
np.savez("adding.npz", x=np.stack([numbers, marks], axis=2), y=(numbers * marks).sum(axis=1))
print(f"adding.npz: {samples:,} sequences of {steps} steps")
