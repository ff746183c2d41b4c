"""Groups of parameters by name pattern: which are frozen, and which learn at another rate or with another decay."""

import difflib
import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Generic, Self, TypeVar

import attrs

from rnnframe.arrays import Shapes
from rnnframe.contracts.optimizer import Optimizer
from rnnframe.errors import OptionError, UnknownNameError, unknown_name
from rnnframe.registry.blame import BlameNote
from rnnframe.registry.specs import Spec

O = TypeVar("O", bound=Optimizer)

KEYS = {"lr": "lr_factor", "decay": "weight_decay"}
"""What a group is called in a text -> its field."""


def _at_least_zero(group: "ParameterGroup", field: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not 0 <= value < math.inf:
        raise OptionError(f"group {group.pattern!r}: {field.name}={value!r} is out of range; expected at least 0")


@attrs.frozen
class ParameterGroup:
    """What holds for every parameter whose name matches a pattern.

    Where several groups match a parameter, their factors are multiplied, the last weight decay counts, and one that
    freezes it is enough.

    Parameters
    ----------
    pattern
        Name with wildcards as in a shell: "layer0.*", "*.b", "head.V".
    lr_factor
        Factor of the learning rate.
    weight_decay
        In place of the optimizer's option of that name, for biases too; None leaves it as it is.
    freeze
        Whether the parameters stay as they are, to the last bit. Gradients still flow through to the layers below.

    Raises
    ------
    OptionError
        Where a number is negative or not finite.
    """

    pattern: str
    lr_factor: float = attrs.field(default=1.0, kw_only=True, validator=_at_least_zero)
    weight_decay: float | None = attrs.field(default=None, kw_only=True, validator=_at_least_zero)
    freeze: bool = attrs.field(default=False, kw_only=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "head.*:lr=0.1,decay=0"; raises `OptionError`."""
        spec = Spec.parse(text, "group")
        where = f"group {spec.name!r}"
        if not spec.options:
            raise OptionError(f"{where} changes nothing; write {spec.name}:lr=0.1,decay=0 or one of the two")
        values: dict[str, Any] = {}
        for key, value in spec.options.items():
            if key not in KEYS:
                raise unknown_name(f"option of {where}:", key, KEYS)
            try:
                values[KEYS[key]] = float(value)
            except ValueError:
                raise OptionError(f"{where}: {key}={value} is invalid; expected a number") from None
        return cls(spec.name, **values)

    def names(self, known: Iterable[str]) -> list[str]:
        """Return the names that match; raises `UnknownNameError` where none does."""
        known = list(known)
        found = [name for name in known if fnmatchcase(name, self.pattern)]
        if not found:
            prefixes = [f"{prefix}.*" for prefix in dict.fromkeys(name.partition(".")[0] for name in known)]
            choices = {choice.lower(): choice for choice in (*known, *prefixes)}
            near = difflib.get_close_matches(self.pattern.lower(), choices, n=1, cutoff=0.6)
            guess = f"; did you mean {choices[near[0]]!r}?" if near else ""
            raise UnknownNameError(
                f"group {self.pattern!r} matches no parameter{guess} (parameters: {', '.join(known)})"
            )
        return found


@attrs.frozen(kw_only=True)
class ParameterRule(Generic[O]):
    """How one parameter is updated: by which optimizer, and with which factor of the learning rate."""

    optimizer: O
    lr_factor: float = 1.0


def rules_of(
    optimizer: O, shapes: Shapes, groups: Iterable[ParameterGroup | str], note: BlameNote
) -> Mapping[str, ParameterRule[O]]:
    """Return the rule of every parameter that is not frozen, in their order; raises `UsageError` for a wrong group."""
    with note:
        rules = {name: ParameterRule(optimizer=optimizer.for_parameter(name, shape)) for name, shape in shapes.items()}
    frozen: set[str] = set()
    for group in groups:
        given = ParameterGroup.parse(group) if isinstance(group, str) else group
        for name in given.names(shapes):
            rules[name] = _changed(rules[name], given)
            frozen |= {name} if given.freeze else set()
    if len(frozen) == len(shapes):
        raise OptionError(f"every parameter is frozen ({', '.join(shapes)}); leave out one of the groups that freeze")
    return {name: rule for name, rule in rules.items() if name not in frozen}


def _changed(rule: ParameterRule[O], group: ParameterGroup) -> ParameterRule[O]:
    optimizer = rule.optimizer
    if group.weight_decay is not None:
        if "weight_decay" not in attrs.fields_dict(type(optimizer)):
            raise OptionError(
                f"group {group.pattern!r}: weight_decay={group.weight_decay:g} needs an optimizer with that option, "
                f"{optimizer.name!r} has none; leave it out"
            )
        changed: dict[str, Any] = {"weight_decay": group.weight_decay}
        optimizer = attrs.evolve(optimizer, **changed)
    return ParameterRule(optimizer=optimizer, lr_factor=rule.lr_factor * group.lr_factor)
