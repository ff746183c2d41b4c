"""docs/reference/glossary.md: complete, sorted, and one sentence for each term."""

import inspect
import re
from pathlib import Path

import attrs
import pytest

import rnnframe
from rnnframe import plugin, schedules, testing
from rnnframe.registry.kinds import KINDS
from rnnframe.schedules import Action

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "glossary.md").read_text()
ENTRY = re.compile(r"^- (\*\*.+?\*\*)(?: \((`.+?`)\))?: (.+?)(?=\n- |\n\n|\Z)", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Entry:
    terms: list[str]
    names: list[str]
    meaning: str


ENTRIES = [
    Entry(re.findall(r"\*\*(.+?)\*\*", terms), re.findall(r"`(\w+)`", names), " ".join(meaning.split()))
    for terms, names, meaning in ENTRY.findall(PAGE)
]


def test_every_line_of_the_page_belongs_to_an_entry() -> None:
    assert len(ENTRIES) == len(re.findall(r"^- ", PAGE, re.MULTILINE)) > 80


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.terms[0])
def test_each_term_has_one_sentence(entry: Entry) -> None:
    assert entry.meaning[0].isupper()
    assert entry.meaning.endswith(".")
    assert not re.search(r"[.;!?] ", entry.meaning)


def test_the_terms_are_sorted_under_their_letters_and_none_stands_twice() -> None:
    first = [entry.terms[0].lower() for entry in ENTRIES]
    assert first == sorted(first)
    terms = [term for entry in ENTRIES for term in entry.terms]
    assert len(terms) == len(set(terms))
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        letters = {term[0].upper() for term in re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE)}
        assert letters == {section[0]}


def test_every_kind_of_the_hooks_is_a_term() -> None:
    assert KINDS.keys() <= {term for entry in ENTRIES for term in entry.terms}


def test_every_public_class_belongs_to_a_term_and_every_name_is_public() -> None:
    named = [name for entry in ENTRIES for name in entry.names]
    assert len(named) == len(set(named))
    doors = (rnnframe, plugin, schedules, testing)
    offered = {name: getattr(door, name) for door in doors for name in door.__all__}
    actions = {action.__name__ for action in Action.__args__}  # all of them are named under "action"
    classes = {name for name, thing in offered.items() if inspect.isclass(thing)} - actions
    assert classes - set(named) == set()
    assert set(named) <= offered.keys()
