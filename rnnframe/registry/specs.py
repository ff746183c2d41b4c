"""`name:key=value,key=value`: how a person writes down a plugin and its options.

The options of a class are its attrs fields: the type annotation says how a value is read, the validator what is
allowed, `metadata={"help": ...}` what `rnnframe show` prints. `parse` splits, `build` makes the object and `render`
writes an object down so that `build` makes an equal one. A text that holds a comma or a semicolon of its own stands in
double quotes, as in CSV: `column="use, liters";b`.
"""

import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs

from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.medium import Medium
from rnnframe.errors import OptionError, unknown_name
from rnnframe.registry.spec_text import split, split_brackets, unquoted
from rnnframe.sizes import ByteSize

T = TypeVar("T")

NONE_WORDS = ("none", "null", "auto", "")
"""How no value is written, where an option may have none."""
TRUE_WORDS = ("true", "yes", "on", "1")
"""How true is written."""
LAYERS = "layers"
"""The option of a layer made of layers, which stand in brackets behind its name."""
DEFAULT_READOUT = "affine"
"""The readout of a head that names none."""
FALSE_WORDS = ("false", "no", "off", "0")
"""How false is written."""


@attrs.frozen
class Spec:
    """A name and the texts of its options, as parsed from `name:key=value,...`."""

    name: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str, kind: str) -> "Spec":
        """Split `text`; raises `OptionError` where an option is no `key=value` or stands twice."""
        if not isinstance(text, str):
            raise OptionError(f"a {kind} is given as text 'name:key=value,...' or as an object, not {text!r}")
        head, inside, rest = split_brackets(text, kind)
        name, _, behind = head.partition(":")
        rest = behind if inside is None else rest.removeprefix(":")
        options: dict[str, str] = {} if inside is None else {LAYERS: inside}
        for item in filter(None, (part.strip() for part in split(rest, ",", f"{kind} {text!r}"))):
            key, equals, value = (part.strip() for part in item.partition("="))
            if not equals or not key:
                known = name.strip() if re.fullmatch(r"[\w-]+", name.strip()) else "name"
                raise OptionError(f"{kind} {text!r}: {item!r} is no option; write {known}:key=value")
            if key in options:
                raise OptionError(f"{kind} {text!r}: option {key!r} is given twice; keep one")
            options[key] = value
        if not name.strip():
            raise OptionError(f"{kind} {text!r} has no name; write name:key=value")
        return cls(name.strip(), options)


def field_types(cls: type) -> dict[str, Any]:
    """Return option name -> resolved type annotation of an attrs class."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints.get(field.name, str) for field in attrs.fields(cls) if field.init}


def required_options(cls: type[Any]) -> list[str]:
    """Return the names of the options that have no default."""
    return [field.name for field in attrs.fields(cls) if field.init and field.default is attrs.NOTHING]


def describe_type(kind: Any) -> str:
    """Return a type as a person reads it: `integer`, `number or none`, `one of a, b`."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(describe_type(part) for part in get_args(kind))
    if kind == tuple[Layer, ...]:
        return "layers in brackets, as in name(layer layer)"
    if get_origin(kind) is tuple:
        return f"{describe_type(get_args(kind)[0])}s with ; between them"
    if isinstance(kind, type) and issubclass(kind, ByteSize):
        return kind.description
    names = {Medium: "medium", int: "integer", float: "number", bool: "true or false", str: "text", NoneType: "none"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def read_value(text: str, kind: Any) -> Any:
    """Read `text` as a value of type `kind`; raises `ValueError` where it is none."""
    if get_origin(kind) in (Union, UnionType):
        parts = get_args(kind)
        if NoneType in parts and str not in parts and text.lower() in NONE_WORDS:
            return None
        for part in parts:
            try:
                return read_value(text, part)
            except ValueError:
                continue
        raise ValueError(text)
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            if str(choice) == text:
                return choice
        raise ValueError(text)
    if get_origin(kind) is tuple:
        return tuple(read_value(part.strip(), get_args(kind)[0]) for part in split(text, ";"))
    if kind in (NoneType, Medium):  # a medium is made by the registry, which knows them
        raise ValueError(text)
    if isinstance(kind, type) and issubclass(kind, ByteSize):
        return kind.read(text)
    if kind is bool:
        if text.lower() in TRUE_WORDS or text.lower() in FALSE_WORDS:
            return text.lower() in TRUE_WORDS
        raise ValueError(text)
    if kind is int:
        return int(text)
    if kind is float:
        return float(text)
    return unquoted(text)


def check_value(value: Any, kind: Any) -> Any:
    """Return a value that is no text, as from a configuration file; raises `ValueError` where it is none of `kind`."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for one in kinds:
        if get_origin(one) is Literal and value in get_args(one):
            return value
        if get_origin(one) is tuple and isinstance(value, list | tuple):
            return tuple(check_value(part, get_args(one)[0]) for part in value)
        if one is float and type(value) in (int, float):
            return float(value)
        if one is ByteSize and type(value) is int:
            return ByteSize(value)
        if type(value) is one or (one in (Medium, Layer) and isinstance(value, one)):
            return value
    raise ValueError(value)


def build(cls: type[T], options: Mapping[str, Any], kind: str, name: str, spelt: Mapping[str, str] | None = None) -> T:
    """Make a `cls` from its options; texts are read by the field's type, other values are taken as they are.

    `spelt` says how the user wrote the name of an option, where that is not `key=value`: `--held-out` or `held-out =`.
    Raises `OptionError` (or `UnknownNameError` for a misspelt option) with one line that names option and value.
    """
    types = field_types(cls)
    where = f"{kind} {name!r}"
    values: dict[str, Any] = {}
    for key, value in options.items():
        if key not in types:
            raise unknown_name(f"option of {where}:", key, types)
        try:
            values[key] = read_value(value, types[key]) if isinstance(value, str) else check_value(value, types[key])
        except ValueError:
            written = (spelt or {}).get(key, f"{key}=")
            raise OptionError(f"{where}: {written}{value} is invalid; expected {describe_type(types[key])}") from None
    missing = [name for name in required_options(cls) if name not in values]
    if missing:
        example = ",".join(f"{key}=..." for key in missing if key != LAYERS)
        written = name + "(layer layer)" * (LAYERS in missing) + ":" * bool(example) + example
        raise OptionError(f"{where} needs {', '.join(map(repr, missing))}; write {written}")
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise OptionError(f"{where}: {_as_spelt(str(error.args[0] if error.args else error), spelt or {})}") from None


def _as_spelt(message: str, spelt: Mapping[str, str]) -> str:
    """Return the message of a validator, which quotes the names of fields, with each as the user wrote it."""
    return re.sub(r"'(\w+)'", lambda name: spelt[name[1]].rstrip(" =") if name[1] in spelt else name[0], message)


def render(thing: Any) -> str:
    """Write an attrs object with a `name` down as the spec that would make it; options that are none are left out.

    A head is written as its loss, with the readout as an option where it is not the usual one.
    """
    if isinstance(thing, Head):
        return _render_head(thing)
    options = chosen_options(thing)
    inside = options.pop(LAYERS) if is_made_of_layers(type(thing)) else ()
    texts = [f"{key}={_write(value)}" for key, value in options.items()]
    name: str = thing.name + (f"({' '.join(map(render, inside))})" if inside else "")
    return name + (":" + ",".join(texts) if texts else "")


def is_made_of_layers(cls: type[Any]) -> bool:
    """Return whether a class has an option `layers` that stands in brackets."""
    if not issubclass(cls, Layer) or LAYERS not in attrs.fields_dict(cls):  # types take long to resolve
        return False
    return bool(field_types(cls).get(LAYERS) == tuple[Layer, ...])


def with_inner_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield layers, each with all that it is made of."""
    for layer in layers:
        yield layer
        if is_made_of_layers(type(layer)):
            yield from with_inner_layers(getattr(layer, LAYERS))


def _render_head(head: Head) -> str:
    loss, readout = render(head.loss), render(head.readout)
    if readout == DEFAULT_READOUT:
        return loss
    return f"{loss}{',' if ':' in loss else ':'}readout={readout.replace(',', ';')}"


def chosen_options(thing: Any) -> dict[str, Any]:
    """Return the options of an attrs object, but for those that are none and are so by default."""
    values = {field: getattr(thing, field.name) for field in attrs.fields(type(thing)) if field.init}
    return {field.name: value for field, value in values.items() if value is not None or field.default is not None}


def _write(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Medium):
        return render(value).replace(",", ";")
    if isinstance(value, tuple):
        return ";".join(_quoted(part) if isinstance(part, str) else _write(part) for part in value)
    return _quoted(value, ',"') if isinstance(value, str) else str(value)


def _quoted(text: str, marks: str = ',;"') -> str:
    """Return a text in double quotes where it would be read as something else without them."""
    plain = text == text.strip() and not any(mark in text for mark in marks)
    return text if plain else '"' + text.replace('"', '""') + '"'
