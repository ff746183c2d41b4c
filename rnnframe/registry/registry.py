"""The registry: from names and specs to what plugins provide."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.learning_rate import LearningRate
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.observer import Observer
from rnnframe.contracts.optimizer import Optimizer
from rnnframe.contracts.readout import Readout
from rnnframe.contracts.reducer import Reducer
from rnnframe.contracts.store import StateStore
from rnnframe.contracts.task import Task
from rnnframe.errors import OptionError, UsageError
from rnnframe.registry.discovery import Plugins
from rnnframe.registry.specs import DEFAULT_READOUT, LAYERS, NONE_WORDS, Spec, build, field_types, is_made_of_layers
from rnnframe.registry.stacks import split_stack

T = TypeVar("T")


class Registry(Plugins):
    """The known plugins, and how objects are made of their classes.

    Parameters
    ----------
    strict : bool or None
        Whether a broken plugin is fatal; by default as RNNFRAME_STRICT_PLUGINS says.
    disabled : iterable of str or None
        Names of plugins to skip; by default those of RNNFRAME_DISABLE_PLUGINS.
    trace : function (line) or None
        Receives every hook call and its answer, a line each.
    tell : function (line)
        Receives the line on a plugin that is broken and left out; by default it is printed on stderr.
    """

    def __deepcopy__(self, _: Any) -> "Registry":
        """A registry knows what is installed; there is nothing in it to copy."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what another process has installed, with the plugin files that were named here."""
        return _registry_with, (self.sources(),)

    def make(self, kind: str, base: type[Any], given: Any) -> Any:
        """Return an object from a spec, or the object itself.

        Parameters
        ----------
        kind : str
            One of `rnnframe.registry.kinds.KINDS`.
        base : type
            The class that objects of the kind derive from.
        given : object or str
            An object of `base`, or a spec `name:key=value,...`.

        Returns
        -------
        object
            An object of `base`.

        Raises
        ------
        UsageError
            For what is neither, an unknown name, or options that do not fit.
        """
        if isinstance(given, base):
            return given
        if not isinstance(given, str):
            raise UsageError(f"a {kind} is a spec such as 'name:key=value' or a {base.__name__}, not {given!r}")
        spec = Spec.parse(given, kind)
        return self.build(self.find(kind, spec.name), spec.options, kind, spec.name)

    def is_built_in(self, cls: type[Any]) -> bool:
        """Tell whether a class is of a package whose plugins come with rnnframe."""
        own = [key for key, record in self._owners.items() if record.distribution == "rnnframe"]
        packages = {_package(self.find(*key)) for key in own}
        return _package(cls) in packages

    def build(self, cls: type[T], options: Mapping[str, Any], kind: str, name: str) -> T:
        """Make an object of a class from its options.

        Parameters
        ----------
        cls : type
            The class.
        options : mapping
            Option -> its text, also of options that are media.
        kind, name
            What to call it in errors.

        Returns
        -------
        object
            An object of `cls`.

        Raises
        ------
        OptionError
            For an option that is unknown, missing or out of range.
        """
        return build(cls, self._with_layers(cls, self._with_media(cls, options)), kind, name)

    def _with_layers(self, cls: type[Any], options: dict[str, Any]) -> dict[str, Any]:
        """Make the layers that stand in the brackets of a layer made of layers."""
        inside = options.get(LAYERS)
        if not isinstance(inside, str):
            return options
        if not is_made_of_layers(cls):
            raise OptionError(f"{cls.__name__} is made of no layers: leave out the brackets and what is in them")
        return options | {LAYERS: tuple(map(self.cell, split_stack(inside)))}

    def _with_media(self, cls: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object of each option that is a medium; in its spec ";" stands for ","."""
        types = field_types(cls)
        return {
            key: self.medium(value.replace(";", ","))
            if types.get(key) == Medium | None and isinstance(value, str) and value.lower() not in NONE_WORDS
            else value
            for key, value in options.items()
        }

    def cell(self, given: str | Layer) -> Layer:
        """Return a layer, such as a recurrent cell, from a spec such as "lstm:hidden=128"."""
        made: Layer = self.make("cell", Layer, given)
        return made

    def optimizer(self, given: str | Optimizer) -> Optimizer:
        """Return an optimizer from a spec such as "adam:lr=2e-3"."""
        made: Optimizer = self.make("optimizer", Optimizer, given)
        return made

    def store(self, given: str | StateStore) -> StateStore:
        """Return a state store from a spec such as "checkpoint:policy=revolve,slots=8"."""
        made: StateStore = self.make("store", StateStore, given)
        return made

    def medium(self, given: str | Medium) -> Medium:
        """Return a medium from a spec such as "disk:path=/scratch"."""
        made: Medium = self.make("medium", Medium, given)
        return made

    def task(self, given: str | Task) -> Task:
        """Return a task from a spec such as "forecast:column=price,horizon=12"."""
        made: Task = self.make("task", Task, given)
        return made

    def kernels(self, given: str | Kernels) -> Kernels:
        """Return kernels from a spec such as "compiled"."""
        made: Kernels = self.make("kernels", Kernels, given)
        return made

    def head(self, given: str | Head | Loss) -> Head:
        """Return a head from the spec of a loss such as "softmax:classes=65", with the affine readout by default.

        The option `readout` names another one; in its spec ";" stands for ",".
        """
        if isinstance(given, Head):
            return given
        if isinstance(given, Loss):
            return Head(loss=given, readout=self.readout(DEFAULT_READOUT))
        if not isinstance(given, str):
            raise UsageError(f"a head is a spec such as 'softmax:classes=65', a Head or a Loss, not {given!r}")
        spec = Spec.parse(given, "loss")
        options = dict(spec.options)
        readout = options.pop("readout", DEFAULT_READOUT).replace(";", ",")
        loss: Loss = self.build(self.find("loss", spec.name), options, "loss", spec.name)
        return Head(loss=loss, readout=self.readout(readout))

    def loss(self, given: str | Loss) -> Loss:
        """Return a loss from a spec such as "mse:outputs=2"."""
        made: Loss = self.make("loss", Loss, given)
        return made

    def readout(self, given: str | Readout) -> Readout:
        """Return a readout from a spec such as "affine"."""
        made: Readout = self.make("readout", Readout, given)
        return made

    def learning_rate(self, given: str | LearningRate) -> LearningRate:
        """Return a learning-rate schedule from a spec such as "cosine:warmup=100"."""
        made: LearningRate = self.make("learning rate", LearningRate, given)
        return made

    def observer(self, given: str | Observer) -> Observer:
        """Return an observer from a spec such as "tensorboard"."""
        made: Observer = self.make("observer", Observer, given)
        return made

    def reducer(self, given: str | Reducer) -> Reducer:
        """Return a reducer from a spec such as "mpi:timeout=60"."""
        made: Reducer = self.make("reducer", Reducer, given)
        return made


def _package(cls: type[Any]) -> str:
    return cls.__module__.partition(".")[0]


_in_use: ContextVar[Registry | None] = ContextVar("_in_use", default=None)


@contextmanager
def using(registry: Registry) -> Iterator[None]:
    """Make `registry` the default one for a while, as a command does that was given plugins of its own."""
    token = _in_use.set(registry)
    try:
        yield
    finally:
        _in_use.reset(token)


@functools.cache
def installed_registry() -> Registry:
    """Return the registry of the installed plugins; it is made on first use, never on import."""
    return Registry.installed()


def _registry_with(sources: list[str]) -> Registry:
    registry = default_registry()
    if set(sources) <= set(registry.sources()):
        return registry
    registry = Registry.installed()
    for source in sources:
        registry.add_local(source)
    return registry


def default_registry() -> Registry:
    """Return the registry that is in use, by default that of the installed plugins."""
    return _in_use.get() or installed_registry()
