"""`name:key=value,...`: what a person writes, what it becomes, and what is said where it is wrong."""

import pickle
from importlib.metadata import distribution
from typing import ClassVar, Literal, get_args, get_origin

import attrs
import pytest
from attrs.validators import ge, in_
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError, UsageError
from rnnframe.plugin import Layer
from rnnframe.registry.specs import Spec, build, describe_type, field_types, read_value, render

# What rnnframe brings, whatever else is installed beside it.
BUILT_INS = rf.Registry.installed(distribution("rnnframe").entry_points.select(group="rnnframe"))
CELLS = ", ".join(BUILT_INS.names("cell"))
OPTIONS = ", ".join(sorted(field_types(BUILT_INS.find("cell", "lstm"))))


@attrs.frozen(kw_only=True)
class Kettle:
    """A thing with an option of every kind."""

    name: ClassVar[str] = "kettle"
    litres: int = attrs.field(validator=ge(1))
    watts: float = 2000.0
    whistle: bool = False
    colour: Literal["red", "blue"] = attrs.field(default="red", validator=in_(("red", "blue")))
    timer: int | None = None
    label: str = "tea"


def kettle(**options: object) -> Kettle:
    return build(Kettle, options, "appliance", "kettle")


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("lstm", "lstm", {}),
        ("lstm:", "lstm", {}),
        ("lstm:hidden=128", "lstm", {"hidden": "128"}),
        (" adam : lr = 2e-3 , beta1=0.8 ", "adam", {"lr": "2e-3", "beta1": "0.8"}),
        ("adam:lr=1,,", "adam", {"lr": "1"}),
        ("checkpoint:slots=", "checkpoint", {"slots": ""}),
        ("disk:path=c:/a=b", "disk", {"path": "c:/a=b"}),
    ],
)
def test_a_spec_is_a_name_and_the_texts_of_its_options(text, name, options):
    assert Spec.parse(text, "thing") == Spec(name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstm:hidden", "cell 'lstm:hidden': 'hidden' is no option; write lstm:key=value"),
        ("ls\ntm:hidden", "cell 'ls\\ntm:hidden': 'hidden' is no option; write name:key=value"),
        ("lstm:=3", "cell 'lstm:=3': '=3' is no option; write lstm:key=value"),
        (
            "lstm:hidden=1,hidden=2",
            "cell 'lstm:hidden=1,hidden=2': option 'hidden' is given twice; keep one",
        ),
        ("", "cell '' has no name; write name:key=value"),
        (":hidden=3", "cell ':hidden=3' has no name; write name:key=value"),
    ],
)
def test_a_spec_that_cannot_be_split_is_refused_where(text, message):
    with pytest.raises(OptionError) as refusal:
        rf.cell(text)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            lambda: rf.store("circular-queue:k1=1\n4,k2=8"),
            "store 'circular-queue': k1=1 4 is invalid; expected integer",
        ),
        (lambda: rf.store("circular-queue:k1=\x1b[2J,k2=8"), "k1=\\x1b[2J is invalid"),
        (lambda: rf.cell("lstm:hidden=2\u20283"), "hidden=2 3 is invalid"),
        (lambda: rf.ParameterGroup.parse("*.b:lr=\x9b1"), "lr=\\x9b1 is invalid"),
    ],
    ids=["a line break", "a terminal's escape", "a separator of lines", "a group"],
)
def test_what_a_refusal_quotes_keeps_it_on_one_line_that_a_terminal_can_print(refused, words):
    with pytest.raises(UsageError) as refusal:
        refused()
    assert words in str(refusal.value)
    assert str(refusal.value).isprintable()
    again = pickle.loads(pickle.dumps(refusal.value))
    assert str(again) == str(refusal.value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("128", int, 128),
        ("1_000_000", int, 1_000_000),
        ("-3", int, -3),
        ("2e-3", float, 0.002),
        ("7", float, 7.0),
        *((word, bool, True) for word in ("true", "yes", "on", "1", "True", "ON")),
        *((word, bool, False) for word in ("false", "no", "off", "0", "False", "Off")),
        ("b", Literal["a", "b"], "b"),
        ("2", Literal[1, 2], 2),
        *((word, int | None, None) for word in ("none", "null", "auto", "", "None")),
        ("5", int | None, 5),
        ("0.5", int | float, 0.5),
        ("none", str, "none"),
    ],
)
def test_a_text_is_read_as_its_fields_type(text, kind, value):
    read = read_value(text, kind)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, int) for text in ("1.5", "1e3", "", "none", "_")),
        *((text, float) for text in ("big", "")),
        *((text, bool) for text in ("2", "", "none")),
        *((text, Literal["a", "b"]) for text in ("c", "A", "")),
        *((text, int | None) for text in ("some", "1.5")),
    ],
)
def test_a_text_that_is_no_value_of_its_fields_type_is_not_guessed_at(text, kind):
    with pytest.raises(ValueError):  # noqa: PT011  # `build` says it with the option's name
        read_value(text, kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(int, "integer"), (float | None, "number or none"), (bool, "true or false"), (Literal["a", "b"], "one of a, b")],
)
def test_types_are_described_as_a_person_reads_them(kind, words):
    assert describe_type(kind) == words


def test_options_become_an_object_and_those_left_out_keep_their_defaults():
    assert kettle(litres="1_0", whistle="yes", timer="none", watts="1e3") == Kettle(
        litres=10, watts=1000.0, whistle=True, colour="red", timer=None, label="tea"
    )


def test_values_that_are_no_text_are_taken_as_they_are():
    assert kettle(litres=2, timer=None, whistle=True) == Kettle(litres=2, timer=None, whistle=True)


def test_a_class_variable_is_no_option():
    assert list(field_types(Kettle)) == ["litres", "watts", "whistle", "colour", "timer", "label"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lstm:hidden=big", "cell 'lstm': hidden=big is invalid; expected integer"),
        ("lstm:hidden=", "cell 'lstm': hidden= is invalid; expected integer"),
        ("lstm:hidden=0", "cell 'lstm': 'hidden' must be >= 1: 0"),
        ("lstm:forget_bias=none", "cell 'lstm': forget_bias=none is invalid; expected number"),
        (
            "lstm:hiden=3",
            f"unknown option of cell 'lstm': 'hiden'; did you mean 'hidden'? (known: {OPTIONS})",
        ),
        ("lstm:zzz=3", f"unknown option of cell 'lstm': 'zzz' (known: {OPTIONS})"),
        (
            "elman:activation=step",
            "cell 'elman': activation=step is invalid; expected one of sigmoid, tanh, relu, identity",
        ),
        ("ltsm", f"unknown cell 'ltsm'; did you mean 'lstm'? (known: {CELLS})"),
        ("zzz", f"unknown cell 'zzz' (known: {CELLS})"),
    ],
)
def test_a_wrong_cell_is_refused_with_the_wrong_value_and_the_way_out(spec, message):
    with pytest.raises(UsageError) as refusal:
        BUILT_INS.cell(spec)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("optimizer", "sgd:nesterov=maybe", "optimizer 'sgd': nesterov=maybe is invalid; expected true or false"),
        ("optimizer", "adam:beta1=1", "optimizer 'adam': 'beta1' must be < 1: 1.0"),
        ("store", "checkpoint:slots=few", "store 'checkpoint': slots=few is invalid; expected integer or none"),
        ("store", "checkpoint:slots=0", "store 'checkpoint': 'slots' must be >= 1: 0"),
        ("loss", "softmax", "loss 'softmax' needs 'classes'; write softmax:classes=..."),
        ("learning_rate", "cosine:floor=2", "learning rate 'cosine': 'floor' must be <= 1: 2.0"),
    ],
)
def test_every_kind_is_refused_in_the_same_words(kind, spec, message):
    with pytest.raises(OptionError) as refusal:
        getattr(BUILT_INS, kind)(spec)
    assert str(refusal.value) == message
    assert refusal.value.exit_code == 2


def test_what_is_neither_a_text_nor_an_object_of_the_kind_is_refused():
    with pytest.raises(UsageError, match="a store is a spec such as 'name:key=value' or a StateStore, not 3"):
        rf.store(3)
    with pytest.raises(UsageError, match=r"a cell is a spec such as 'name:key=value' or a Layer, not SGD\("):
        rf.cell(rf.optimizer("sgd"))


def test_an_object_of_the_kind_is_handed_back_as_it_is():
    cell = rf.cell("gru:hidden=7")
    assert rf.cell(cell) is cell


def other_than_the_default(field: attrs.Attribute, kind: object) -> object:
    """Return a value for an option that is not its default."""
    if kind is bool:
        return not field.default
    if kind is str:
        return "a folder"
    if kind in (float, float | None):
        return 0.1 + 0.2  # 17 digits
    if kind == tuple[Layer, ...]:
        return rf.cell("gru:hidden=3"), rf.cell("residual(layer-norm dropout:rate=0.3)")
    if kind == tuple[float, ...] | None:
        return (0.5, 1.0, 2.0, 0.1 + 0.2, 3.0)
    if isinstance(field.default, tuple):
        return (0.25, 0.1 + 0.2)
    if get_args(kind) and get_origin(get_args(kind)[0]) is Literal:  # or none
        return get_args(get_args(kind)[0])[0]
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice != field.default)
    return 1 + field.default if isinstance(field.default, int) else 5


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ("cell", "optimizer", "store", "medium", "loss", "learning rate")
        for name in BUILT_INS.names(kind)
    ],
)
def test_everything_registered_can_be_written_down_and_built_again(kind, name):
    cls = BUILT_INS.find(kind, name)
    types = field_types(cls)
    options = {field.name: other_than_the_default(field, types[field.name]) for field in attrs.fields(cls)}
    if name == "full-history":
        options["keep"] = "lean"
    if name == "gru":
        options["norm"] = None  # which goes with reset=after
    if name == "bidirectional":
        options["layers"] = options["layers"][:1]
    if name == "checkpoint":
        options |= {
            "budget": None,
            "policy": "mixed",
            "keep": "lean",
            "medium": rf.medium("blosc2:level=7"),
        }  # a budget excludes slots
    thing = cls(**options)
    assert BUILT_INS.make(kind, cls, render(thing)) == thing
    required = {field.name: options[field.name] for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    plain = cls(**required)
    assert BUILT_INS.make(kind, cls, render(plain)) == plain
    assert not options.keys() - required.keys() or plain != thing


@given(
    st.builds(
        Kettle,
        litres=st.integers(1),
        watts=st.floats(allow_nan=False),
        whistle=st.booleans(),
        colour=st.sampled_from(["red", "blue"]),
        timer=st.none() | st.integers(),
        label=st.text("abc-_./ =:").map(str.strip),
    )
)
def test_an_object_written_down_and_built_again_is_equal(thing):
    spec = Spec.parse(render(thing), "appliance")
    assert build(Kettle, spec.options, "appliance", spec.name) == thing


def test_render_by_hand():
    store = rf.default_registry().find("store", "checkpoint")(policy="revolve", slots=None)
    assert render(store) == "checkpoint:policy=revolve"
    sgd = rf.default_registry().find("optimizer", "sgd")(lr=1e-3, momentum=0.9, nesterov=True)
    assert render(sgd) == "sgd:lr=0.001,momentum=0.9,nesterov=true,weight_decay=0.0"
