"""What the loop passes on without looking inside: states, gradients of parameters, parameters, tapes."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from rnnframe_torch.trees import Leaves, alone, nbytes


class State:
    """A state, or the gradient that reaches one: leaves that are never changed in place, so copies share them.

    Parameters
    ----------
    leaves : list
        Tensors; None, in a gradient, for zeros.
    draws : tuple of Tensor
        The states of the random generators at this time; empty for a cell that draws nothing.
    """

    def __init__(self, leaves: Leaves, draws: tuple[torch.Tensor, ...] = ()) -> None:
        self._leaves, self._draws = leaves, draws
        self._vector: np.ndarray[Any, Any] | None = None

    @property
    def leaves(self) -> Leaves:
        """The tensors, in the order of the pytree."""
        self._read_vector()
        return self._leaves

    @property
    def draws(self) -> tuple[torch.Tensor, ...]:
        """The states of the generators."""
        self._read_vector()
        return self._draws

    def put(self, leaves: Leaves, draws: tuple[torch.Tensor, ...]) -> None:
        """Become another state."""
        self._leaves, self._draws, self._vector = leaves, draws, None

    def zero(self) -> None:
        """Make every leaf zero, which None stands for."""
        self.put([None] * len(self._leaves), ())

    def add(self, other: Self, /) -> None:
        """Add another one."""
        pairs = zip(self.leaves, other.leaves, strict=True)
        self.put([b if a is None else a if b is None else a + b for a, b in pairs], self._draws)

    def scale(self, factor: float, /) -> None:
        """Multiply every number."""
        self.put([None if leaf is None else leaf * factor for leaf in self.leaves], self._draws)

    def copy_from(self, other: Self, /) -> None:
        """Share the leaves of another one."""
        self.put(list(other.leaves), other.draws)

    def copy(self) -> "State":
        """Return a state with the same leaves."""
        return State(list(self.leaves), self.draws)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return nbytes([*self.leaves, *self.draws])

    @property
    def flat(self) -> "np.ndarray[Any, Any]":
        """The state as one vector, for media; what is written there is the state from then on.

        It has the type of the tensors where all share one that numpy has, else it is bytes.
        """
        tensors = [leaf for leaf in (*self.leaves, *self.draws) if isinstance(leaf, torch.Tensor)]
        raw = [leaf.contiguous().reshape(-1).view(torch.uint8).cpu().numpy() for leaf in tensors]
        vector = np.concatenate(raw) if raw else np.empty(0, np.uint8)
        types = {leaf.dtype for leaf in tensors}
        if types in ({torch.float32}, {torch.float64}):
            vector = vector.view(np.float32 if torch.float32 in types else np.float64)
        self._vector = vector
        return vector

    def _read_vector(self) -> None:
        if self._vector is None:
            return
        raw, place = torch.from_numpy(self._vector.view(np.uint8)), 0
        self._vector = None
        read = []
        for leaf in (*self._leaves, *self._draws):
            if isinstance(leaf, torch.Tensor):
                part = raw[place : place + leaf.nbytes].clone()  # at an address that suits its type
                place += leaf.nbytes
                leaf = part.view(leaf.dtype).reshape(leaf.shape).to(leaf.device)
            read.append(leaf)
        count = len(self._leaves)
        self._leaves, self._draws = read[:count], tuple(read[count:])


class Gradients:
    """Sums of the gradients of all parameters; None for one that nothing has reached, as torch has it."""

    def __init__(self, like: Sequence[torch.Tensor]) -> None:
        self._like = like
        self.leaves: Leaves = [None] * len(like)

    def zero(self) -> None:
        """Begin again."""
        self.leaves = [None] * len(self._like)

    def add_leaf(self, place: int, gradient: torch.Tensor | None) -> None:
        """Add to the sum of one parameter."""
        if gradient is None:
            return
        if self.leaves[place] is None:
            self.leaves[place] = torch.zeros_like(self._like[place])
        self.leaves[place].add_(gradient)

    def add(self, other: Self, /) -> None:
        """Add other sums."""
        for place, gradient in enumerate(other.leaves):
            self.add_leaf(place, gradient)

    def scale(self, factor: float, /) -> None:
        """Multiply every sum."""
        for leaf in self.leaves:
            if leaf is not None:
                leaf.mul_(factor)

    def copy_from(self, other: Self, /) -> None:
        """Take over copies of other sums."""
        self.leaves = [None if leaf is None else leaf.clone() for leaf in other.leaves]

    def copy(self) -> "Gradients":
        """Return independent sums."""
        copied = Gradients(self._like)
        copied.copy_from(self)
        return copied


class Parameters:
    """Aliases of the parameters for one run: leaves of their own, so that hooks on the parameters run once.

    Parameters
    ----------
    tensors : dict
        The parameters by name; one that has several names has one alias.
    """

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        different = {id(each): each for each in tensors.values()}
        aliases = {key: each.detach().requires_grad_(each.requires_grad) for key, each in different.items()}
        self.tensors = {name: aliases[id(each)] for name, each in tensors.items()}
        self.trained = [each for each in aliases.values() if each.requires_grad]
        self._aliases = list(aliases.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters."""
        return nbytes(self._aliases)

    def copy_from(self, other: Self, /) -> None:
        """Take over the numbers of another version."""
        with torch.no_grad():
            for mine, its in zip(self._aliases, other._aliases, strict=True):
                mine.copy_(its)

    def copy(self) -> "Parameters":
        """Return an independent version."""
        with torch.no_grad():
            copies = {id(each): each.clone().requires_grad_(each.requires_grad) for each in self._aliases}
            return Parameters({name: copies[id(each)] for name, each in self.tensors.items()})

    def complete(self, gradients: Any, /) -> None:
        """Nothing is left to do with the sums."""


class Tape:
    """The graph of one chunk, and its ends: what it was computed from, and what came out.

    Parameters
    ----------
    kept : bool
        Whether a graph is wanted.
    """

    extra_bytes = 0

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self.x: Leaves = []
        self.before: Leaves = []
        self.outputs: Leaves = []
        self.graph_after: Leaves = []
        self.after = State([])

    def close(self, leaves: Leaves, draws: tuple[torch.Tensor, ...]) -> None:
        """Keep the state after the chunk, without its graph."""
        self.after = State([alone(leaf) for leaf in leaves], draws)


class Tapes:
    """Makes tapes, which share nothing."""

    nbytes = 0

    def make(self, room: Any = None) -> Tape:
        """Return a tape that keeps its graph."""
        return Tape(kept=True)

    def passing(self) -> Tape:
        """Return a tape that keeps no graph."""
        return Tape(kept=False)
