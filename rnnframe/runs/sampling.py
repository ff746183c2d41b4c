"""Drawing text from a model that predicts its own next input, one character (or token) at a time."""

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.engine.inference import Inference
from rnnframe.errors import DataError, OptionError
from rnnframe.network.network import Network

READ = 1024
"""Steps of a beginning that are read at once: what is predicted there is not kept."""


@attrs.frozen(kw_only=True)
class Drawing:
    """How the next character is chosen of those that the model finds likely.

    Parameters
    ----------
    temperature : float
        1 draws from the model's distribution, less makes likely characters likelier, 0 takes the likeliest.
    top_k : int or None
        Draws from so many of the likeliest alone.
    top_p : float or None
        Draws from the likeliest alone that have this probability together, after temperature and top_k ("nucleus
        sampling": Holtzman et al. 2020).

    Raises
    ------
    OptionError
        For options that are out of range.
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None

    def __attrs_post_init__(self) -> None:
        if not (self.temperature >= 0 and np.isfinite(self.temperature)):
            raise OptionError(f"temperature={self.temperature} is out of range; expected 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise OptionError(f"top_k={self.top_k} is out of range; expected 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OptionError(f"top_p={self.top_p} is out of range; expected more than 0 and at most 1")

    def choose(self, probabilities: Array, rng: np.random.Generator) -> int:
        """Return the number that is drawn from probabilities [classes] in float64."""
        if self.temperature == 0:
            return int(probabilities.argmax())
        weights = np.power(probabilities / probabilities.max(), 1 / self.temperature)
        if self.top_k is not None:
            weights[np.argsort(-weights, kind="stable")[self.top_k :]] = 0
        if self.top_p is not None:
            order = np.argsort(-weights, kind="stable")
            before = np.cumsum(weights[order]) - weights[order]
            weights[order[before >= self.top_p * weights.sum()]] = 0
        return int(rng.choice(len(weights), p=weights / weights.sum()))


def sample_text(
    network: Network,
    alphabet: Alphabet,
    length: int,
    *,
    prime: str | None = None,
    drawing: Drawing | None = None,
    seed: int = 0,
    kernels: str | Kernels = AUTO,
) -> str:
    """Return `length` characters that follow `prime` (by default what the alphabet says).

    Memory does not grow with the prime, of which the last state alone is kept.
    """
    if length < 0:
        raise OptionError(f"length={length} is out of range; expected 0 or more")
    before = alphabet.start if prime is None else prime
    numbers = alphabet.encode(before)
    if not len(numbers):
        raise OptionError("prime is empty; give at least one character")
    rng, drawing = np.random.default_rng(seed), drawing or Drawing()
    undrawn = getattr(alphabet, "undrawn", None)
    probabilities, state = _read(network, numbers, kernels)
    inference = Inference(network, chunk=1, kernels=kernels)
    drawn = []
    with inference.fixed():
        for _ in range(length):
            drawn.append(drawing.choose(_allowed(probabilities, undrawn), rng))
            outputs, state = inference.predict(np.array([drawn[-1:]], np.int32), state)
            probabilities = outputs[-1, 0]
    return alphabet.decode(np.array(drawn, np.int32))


def _read(network: Network, numbers: Array, kernels: str | Kernels) -> tuple[Array, Vector | None]:
    """Return what is predicted after numbers, and the state then."""
    inference = Inference(network, kernels=kernels)
    state, outputs = None, np.zeros((1, 1, 1))
    with inference.fixed():
        for start in range(0, len(numbers), READ):
            outputs, state = inference.predict(numbers[start : start + READ, None], state)
    return outputs[-1, 0], state


def _allowed(probabilities: Array, undrawn: int | None) -> Array:
    """Return probabilities in float64, without the symbol that is never written."""
    p = probabilities.astype(np.float64)
    if undrawn is not None:
        p[undrawn] = 0
        if not p.any():
            raise DataError("the model expects an unknown character alone; give another prime")
    return p
