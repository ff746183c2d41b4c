"""The settings of torch that a chunk must find again when it is run again: random generators and autocast."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from rnnframe.plugin import UsageError


def devices_of(tensors: Sequence[Any]) -> tuple[torch.device, ...]:
    """Return the devices of some tensors beside the CPU."""
    found = {leaf.device for leaf in tensors if isinstance(leaf, torch.Tensor) and leaf.device.type != "cpu"}
    return tuple(sorted(found, key=str))


def draws_now(devices: Sequence[torch.device]) -> tuple[torch.Tensor, ...]:
    """Return the states of the generators of the CPU and of these devices."""
    others = [getattr(torch, device.type).get_rng_state(device) for device in devices]
    return (torch.get_rng_state(), *others)


def draw_from(draws: Sequence[torch.Tensor], devices: Sequence[torch.device]) -> None:
    """Set the generators."""
    torch.set_rng_state(draws[0])
    for device, state in zip(devices, draws[1:], strict=True):
        getattr(torch, device.type).set_rng_state(state, device)


@contextlib.contextmanager
def draws_restored(devices: Sequence[torch.device]) -> Iterator[None]:
    """Leave the generators as they were before."""
    draws = draws_now(devices)
    try:
        yield
    finally:
        draw_from(draws, devices)


class Autocast:
    """The caller's autocast settings, for chunks that run later or in another thread."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        kinds = ["cpu", *dict.fromkeys(device.type for device in devices)]
        self.settings = [(kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds]

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Run with these settings, and with no casts that an earlier chunk left: they hold another graph."""
        with contextlib.ExitStack() as stack:
            casts = any(enabled for _, enabled, _ in self.settings)
            for kind, enabled, dtype in self.settings:
                if enabled or torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled))
            if casts:
                torch.clear_autocast_cache()
                stack.callback(torch.clear_autocast_cache)
            yield


def untraced(function: Any) -> Any:
    """Return a function that runs as it is where `torch.compile` reads its caller: the graph is cut there."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.jit.is_tracing() or getattr(torch.compiler, "is_exporting", bool)():  # the latter came with torch 2.7
            raise UsageError(f"{function.__qualname__} cannot be traced or exported; do that with torch's own modules")
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


class Modes:
    """Which modules were in training mode, for chunks that run later: `eval()` may be called before the way back."""

    def __init__(self, module: nn.Module) -> None:
        self.training = [(each, each.training) for each in module.modules()]

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Run with these modes."""
        others = [(each, then) for each, then in self.training if each.training != then]
        for each, then in others:
            each.training = then
        try:
            yield
        finally:
            for each, then in others:
                each.training = not then


@contextlib.contextmanager
def denormals_flushed() -> Iterator[None]:
    """Count numbers that are nearly too small for their type as zero: with them, products take many times longer.

    The gradient of an old state underflows to such numbers where no loss refreshes it.
    """
    kept = bool((torch.full((1,), 1e-39) * 1.0).item() != 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not kept)
