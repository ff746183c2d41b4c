"""Drawing text from a model that predicts its own next input, one character at a time."""

import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.engine.inference import Inference
from rnnframe.errors import OptionError
from rnnframe.network.network import Network


def sample_text(
    network: Network,
    alphabet: Alphabet,
    length: int,
    *,
    prime: str | None = None,
    temperature: float = 0.8,
    seed: int = 0,
    kernels: str | Kernels = AUTO,
) -> str:
    """Return `length` characters that follow `prime` (by default what the alphabet says).

    temperature: 1 draws from the model's distribution, less makes likely characters likelier, 0 takes the likeliest.
    """
    if not (temperature >= 0 and np.isfinite(temperature)):
        raise OptionError(f"temperature={temperature} is out of range; expected 0 or more")
    if length < 0:
        raise OptionError(f"length={length} is out of range; expected 0 or more")
    before = alphabet.start if prime is None else prime
    if not before:
        raise OptionError("prime is empty; give at least one character")
    rng = np.random.default_rng(seed)
    inference = Inference(network, chunk=1, kernels=kernels)
    numbers = alphabet.encode(before)
    drawn = []
    with inference.fixed():
        probabilities, state = inference.predict(numbers[:, None])
        for _ in range(length):
            number = _draw(probabilities[-1, 0].astype(np.float64), temperature, rng)
            drawn.append(number)
            probabilities, state = inference.predict(np.array([[number]], np.int32), state)
    return alphabet.decode(np.array(drawn, np.int32))


def _draw(probabilities: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(probabilities.argmax())
    weights = np.power(probabilities / probabilities.max(), 1 / temperature)
    return int(rng.choice(len(weights), p=weights / weights.sum()))
