"""A suite of checks: its methods `test_...` are the checks, so that it runs under pytest and without it.

pytest collects a subclass whose name begins with `Test`; `run` calls the same methods without pytest. A check raises
`AssertionError` where it fails and `unittest.SkipTest` where it does not apply.
"""

import time
import traceback
import unittest
from typing import Any, ClassVar, Literal, NoReturn

import attrs

from rnnframe.errors import UsageError
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import Spec, render


@attrs.frozen(kw_only=True)
class CheckOutcome:
    """What one check found: its name, whether it passed, the message where not, and the seconds it took."""

    check: str
    status: Literal["ok", "failed", "skipped"]
    message: str
    seconds: float

    @property
    def title(self) -> str:
        """The name of the check as a sentence."""
        return title_of(self.check)


@attrs.frozen(kw_only=True)
class CheckReport:
    """What all checks of a suite found about one plugin; `subject` is its spec."""

    kind: str
    subject: str
    outcomes: tuple[CheckOutcome, ...]

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """The outcomes of the checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    def __str__(self) -> str:
        """One line a check, then the messages of those that failed, then a count."""
        marks = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}
        lines = [f"{self.kind} {self.subject}"]
        for outcome in self.outcomes:
            reason = f" ({outcome.message})" if outcome.status == "skipped" else ""
            lines.append(f"  {marks[outcome.status]:<8}{outcome.title}{reason}")
        for outcome in self.failed:
            lines += ["", f"FAILED  {outcome.title}", *(f"  {line}" for line in outcome.message.splitlines())]
        count = {status: sum(outcome.status == status for outcome in self.outcomes) for status in marks}
        told = [f"{number} {status}" for status, number in count.items() if number]
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        return "\n".join([*lines, "", f"{', '.join(told)}, {seconds:.1f} s"])


class Suite:
    """The base of all suites: what is checked is the class attribute named by `kind`, an object or a spec.

    A subclass may override a check, or switch it off with `test_... = None`.
    """

    kind: ClassVar[str]

    @classmethod
    def checks(cls) -> list[str]:
        """Return the names of the checks, in the order of their definition."""
        defined = [name for base in reversed(cls.__mro__) for name in vars(base) if name.startswith("test_")]
        return [name for name in dict.fromkeys(defined) if callable(getattr(cls, name))]

    @property
    def subject(self) -> Any:
        """The object under test."""
        given = getattr(self, self.kind, None)
        if given is None or isinstance(given, type):
            raise UsageError(f"{type(self).__name__} needs a subject to check: write {self.kind} = ... in its body")
        return getattr(default_registry(), self.kind)(given)

    def test_the_options_written_down_make_an_equal_object(self) -> None:
        """`render` writes the options down, and `build` makes an equal object from them."""
        subject = self.subject
        if not hasattr(subject, "name"):
            skip("it has no name, so no spec can be written: an engine makes it of another object")
        text = render(subject)
        advice = "let every option be an attrs field, of numbers, words and sizes"
        try:
            spec = Spec.parse(text, self.kind)
            again = default_registry().build(type(subject), spec.options, self.kind, spec.name)
        except UsageError as error:
            fail(f"{text!r} cannot be read again: {error}; {advice}")
        if again != subject:
            fail(f"{text!r} makes {again!r}, which is not equal to {subject!r}; {advice}")


def run(suite: Suite) -> CheckReport:
    """Run every check of a suite without pytest."""
    subject = suite.subject
    name = render(subject) if hasattr(subject, "name") else type(subject).__name__
    return CheckReport(
        kind=suite.kind, subject=name, outcomes=tuple(_outcome(suite, check) for check in suite.checks())
    )


def _outcome(suite: Suite, check: str) -> CheckOutcome:
    began = time.perf_counter()
    status: Literal["ok", "failed", "skipped"] = "ok"
    message = ""
    try:
        getattr(suite, check)()
    except unittest.SkipTest as reason:
        status, message = "skipped", str(reason)
    except AssertionError as failure:
        status, message = "failed", str(failure) or "an assertion without a message failed"
    except Exception as error:  # of the plugin under test: whatever it raises is a finding
        place = traceback.extract_tb(error.__traceback__)[-1]
        status, message = "failed", f"{type(error).__name__}: {error}\nin {place.filename}, line {place.lineno}"
    return CheckOutcome(check=check, status=status, message=message, seconds=time.perf_counter() - began)


def title_of(check: str) -> str:
    """Return the name of a check as a sentence."""
    return check.removeprefix("test_").replace("_", " ")


def fail(message: str) -> NoReturn:
    """End a check that found a fault."""
    raise AssertionError(message)


def skip(reason: str) -> NoReturn:
    """End a check that does not apply."""
    raise unittest.SkipTest(reason)
