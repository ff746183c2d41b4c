"""The buffers of the modules that a cell calls: a step must not change them, as a chunk may be run several times."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import torch
from torch import nn

from rnnframe_torch.trees import version


@attrs.frozen(eq=False)
class _Kept:
    name: str
    module: nn.Module
    key: str
    buffer: torch.Tensor
    version: int
    numbers: torch.Tensor

    @property
    def changed(self) -> bool:
        return self.module._buffers.get(self.key) is not self.buffer or version(self.buffer) != self.version

    def restore(self) -> None:
        with torch.no_grad():
            self.buffer.copy_(self.numbers)
        self.module._buffers[self.key] = self.buffer


class Buffers:
    """Buffers as they were before a module was first called, those of modules in closures too."""

    def __init__(self, module: nn.Module) -> None:
        self._kept: dict[tuple[int, str], _Kept] = {}
        self.changed: list[str] = []
        """The names of the buffers that were changed while they were watched."""
        for name, each in module.named_modules():
            self._keep(each, name)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the buffers of every module that is called, and restore those that have changed."""
        hook = nn.modules.module.register_module_forward_pre_hook(
            lambda module, given: self._keep(module, type(module).__name__)
        )
        try:
            yield
        finally:
            hook.remove()
            self.changed = [each.name for each in self._kept.values() if each.changed]
            for each in self._kept.values():
                if each.changed:
                    each.restore()

    def _keep(self, module: nn.Module, name: str) -> None:
        for key, each in module._buffers.items():
            if each is not None and (id(module), key) not in self._kept:
                whole = f"{name}.{key}".removeprefix("cell_module.").removeprefix("loss_module.")
                self._kept[id(module), key] = _Kept(whole, module, key, each, version(each), each.detach().clone())
