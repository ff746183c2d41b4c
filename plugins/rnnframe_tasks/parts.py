"""Which samples are trained on and which are held out, drawn from the seed."""

import numpy as np

from rnnframe.plugin import Array, DataError


def held_out(count: int, share: float, seed: int, what: str) -> tuple[Array, Array]:
    """Return which samples to train on and which to keep, drawn from the seed; raises `DataError` for too few."""
    kept = kept_of(count, share, what)
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[kept:]), np.sort(order[:kept])


def held_out_of_each(y: Array, share: float, seed: int, what: str) -> tuple[Array, Array]:
    """Return which samples to train on and which to keep, the same share of every class as far as it goes.

    One sample of each class at least is trained on. Of classes that are too small for their share some are kept, those
    with the largest remainders first, so that as many are kept as without classes.

    Parameters
    ----------
    y : Array
        The class number of each sample, [N]; all numbers up to the largest occur.
    share : float
        What part is kept.
    seed : int
        Of the draw.
    what : str
        Names the data in messages.

    Raises
    ------
    DataError
        For too few samples.
    """
    sizes = np.bincount(y)
    kept = min(kept_of(len(y), share, what), int((sizes - 1).sum()))
    if not kept and share:
        raise DataError(f"{what} has one sample of each class; none can be held out, give more samples")
    wanted = sizes * share
    of_class = np.minimum(np.floor(wanted).astype(int), sizes - 1)
    order = np.random.default_rng([seed, len(y)]).permutation(len(y))
    while of_class.sum() < kept:
        room = of_class < sizes - 1
        of_class[np.argmax(np.where(room, wanted - of_class, -np.inf))] += 1
    while of_class.sum() > kept:
        of_class[np.argmax(np.where(of_class > 0, of_class - wanted, -np.inf))] -= 1
    chosen = np.zeros(len(y), bool)
    for number, count in enumerate(of_class):
        chosen[order[y[order] == number][:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def kept_of(count: int, share: float, what: str) -> int:
    """Return how many samples are held out; raises `DataError` where none would be left to train on."""
    if not share:
        return 0
    kept = max(1, round(count * share))
    if count > 1 and kept == count:
        raise DataError(f"{what} has {count} samples, and --held-out {share:g} keeps them all; lower --held-out")
    if count - kept < 1:
        raise DataError(f"{what} has {count} samples; at least 2 are needed, one of them held out")
    return kept
