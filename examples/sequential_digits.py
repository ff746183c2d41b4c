"""The handwritten digits of scikit-learn, pixel by pixel: what `rnnframe train --task classify` reads.

pip install scikit-learn
python examples/sequential_digits.py
rnnframe train --task classify --data digits_train.npz ...

Each of the 1,797 digits is a sequence of 64 steps, the grey values of its 8 by 8 pixels in reading order. A fifth of
them, drawn with a fixed seed, is kept for the test. Le, Jaitly & Hinton (2015) made larger ones a test of memory.
"""

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
parts = {"train": order[360:], "test": order[:360]}
for name, chosen in parts.items():
    x, y = digits.data[chosen, :, None].astype(np.float32), digits.target[chosen]
    np.savez(f"digits_{name}.npz", x=x, y=y)
    print(f"digits_{name}.npz: {len(y)} sequences of {x.shape[1]} steps")
