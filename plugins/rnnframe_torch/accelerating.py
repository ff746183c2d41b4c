"""`accelerate`: recurrent modules inside any model become those of `rnnframe_torch`, in place."""

import attrs
from torch import nn

from rnnframe.plugin import StateStore
from rnnframe_torch.recurrent import GRU, LSTM, RNN, Compiled, Floors, reason_against, refuse_without_kernels

TWINS: dict[type[nn.Module], type[Compiled]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}


@attrs.frozen
class Accelerated:
    """What `accelerate` has done.

    Parameters
    ----------
    replaced : tuple of str
        The names of the modules that compiled kernels compute now; "" for the model itself.
    left : dict
        The names of other recurrent modules -> why they stay as they are.
    """

    replaced: tuple[str, ...]
    left: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{name or 'the model'}: on compiled kernels" for name in self.replaced]
        return "\n".join([*lines, *(f"{name or 'the model'}: left, {why}" for name, why in self.left.items())])


def accelerate(model: nn.Module, store: str | StateStore = "full-history") -> Accelerated:
    """Have compiled kernels compute every nn.LSTM, GRU and RNN inside a model, in place.

    The modules stay the objects that they are, and so do their parameters: optimizers, hooks and state dicts go on.

    Parameters
    ----------
    model : nn.Module
        Any module; or one of these itself.
    store : StateStore or str
        What they remember for `backward`, such as "auto:budget=16MiB".

    Returns
    -------
    Accelerated
        What was replaced, and what was left for which reason.

    Raises
    ------
    OptionError
        Where the kernels cannot run, as without numba.
    """
    refuse_without_kernels()
    replaced, left = [], {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.RNNBase):
            continue
        twin = TWINS.get(type(module))
        if isinstance(module, Compiled):
            reason = "it is on compiled kernels already"
        elif twin is None:
            reason = (
                f"it is a {type(module).__name__}, whose code may do more than torch's; expected nn.LSTM, GRU or RNN"
            )
        else:
            reason = reason_against(module)
        if reason or twin is None:
            left[name] = reason
            continue
        module.__class__ = twin
        module.store, module._floors = store, Floors()
        replaced.append(name)
    return Accelerated(tuple(replaced), left)
