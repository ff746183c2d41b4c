"""The task `characters`: a language model of the characters of a text."""

from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import ByteSize, DataError, Setting, Task
from rnnframe_tasks.byte_sources import ByteSource, HeldBytes, open_bytes
from rnnframe_tasks.standard_input import NAME, STDIN, StandardInput, TextCharacters, open_input
from rnnframe_tasks.streams import TEXT_TAKES, Numbers, Streams, Text, TextExamples, parted
from rnnframe_tasks.text import EMBEDDED, Vocabulary, embedded_text
from rnnframe_tasks.text_files import TextFile


def _absolute(path: str | None) -> str | None:
    """Name a file so that a run finds it from anywhere."""
    return None if path is None else str(Path(path).absolute())


@attrs.frozen(kw_only=True)
class Characters(Task):
    """A language model: the next character of a text, from those before it.

    The text is read as `--batch` streams side by side, `--steps` characters at a time; the state is carried from batch
    to batch, the gradient is not. Without `--data`: the Python documentation topics of this interpreter. `--data -`:
    standard input, read once; its beginning is held out. One more symbol stands for characters that the training text
    does not have, so that a model can be judged on any text.
    """

    hold: ByteSize = attrs.field(
        default=ByteSize(64 << 20),
        validator=ge(ByteSize(0)),
        metadata={"help": "bytes of a text that is held in memory; a larger one is read as its characters are due"},
    )

    vocabulary: str | None = attrs.field(
        default=None,
        converter=_absolute,
        metadata={"help": "file with the characters to know; none: those of the text"},
    )
    epoch: int = attrs.field(
        default=1000, validator=ge(1), metadata={"help": "batches of an epoch where the text is standard input"}
    )

    name: ClassVar[str] = "characters"
    unit: ClassVar[str] = "nats/char"
    counted: ClassVar[str] = "characters"
    predicts_inputs: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = TEXT_TAKES
    learns: ClassVar[type[Any]] = Vocabulary

    def open(self, setting: Setting) -> Text | StandardInput:
        """Go through a text, split and cut it; raises `DataError` where it is too short for the batch in both parts."""
        known = self._known(setting.learnt)
        if setting.data == STDIN:
            return self._open_input(setting, known)
        text = self._survey(setting.data, known)
        name = text.source.name
        split, held_out = parted(len(text), setting, name, "characters")
        size = len(text.vocabulary)
        if len(text.vocabulary.characters) < 2:
            only = text.vocabulary.characters
            raise DataError(f"{name} has only the character {only!r}; a model needs at least two to choose from")
        numbers = self._numbers(text)
        valid = None
        if held_out:
            valid = _examples(f"the held-out part of {name}", Streams(numbers, held_out, split), text.vocabulary)
        return Text(
            inputs=size,
            looked_up=True,
            head=f"softmax:classes={size}",
            learnt=text.vocabulary,
            train=Streams(numbers, setting.batch, 0, split),
            valid=valid,
            digest=text.digest,
            remarks=text.strange.remarks,
            steps=setting.steps,
        )

    def _known(self, learnt: Vocabulary | None) -> Vocabulary | None:
        """Return the characters that are known before the text is read: those of a model, or of the file named."""
        if self.vocabulary is None:
            return learnt
        named = TextFile.survey(open_bytes(self.vocabulary)).vocabulary
        if learnt is not None and learnt.characters != named.characters:
            raise DataError(
                f"vocabulary={self.vocabulary} has {len(named.characters)} characters, which are not the "
                f"{len(learnt.characters)} of the model; leave out vocabulary="
            )
        return learnt or named

    def _open_input(self, setting: Setting, known: Vocabulary | None) -> StandardInput:
        if known is None:
            raise DataError(
                f"which characters {NAME} has is not known beforehand; name a file that has them all with "
                "--task characters:vocabulary=FILE, or use --task bytes"
            )

        def examples(name: str, streams: Streams) -> TextExamples:
            return _examples(name, streams, known)

        strict = attrs.evolve(known, unknown=False)  # what is not in the named file is an error, since it is read once
        return open_input(TextCharacters(0, strict), setting, self.epoch, len(known), known, examples)

    def examples(self, data: str, learnt: Vocabulary, batch: int) -> TextExamples:
        """Return a text as one stream."""
        text = self._survey(data, learnt)
        if len(text) < 2:
            raise DataError(f"data file {data!r} has {len(text)} character; at least 2 are needed")
        return _examples(text.source.name, Streams(self._numbers(text), 1), learnt, text.strange.remarks)

    def _survey(self, path: str | None, known: Vocabulary | None = None) -> TextFile:
        return TextFile.survey(source_of(path), known)

    def _numbers(self, text: TextFile) -> Numbers:
        return text.held() if text.source.size <= self.hold else text

    def alphabet(self, learnt: Vocabulary) -> Vocabulary:
        """Return the characters that the model knows."""
        return learnt


def source_of(path: str | None) -> ByteSource:
    """Return the bytes of a text, by default that which every Python interpreter has."""
    return HeldBytes(embedded_text().encode(), EMBEDDED) if path is None else open_bytes(path)


def _examples(name: str, streams: Streams, vocabulary: Vocabulary, remarks: tuple[str, ...] = ()) -> TextExamples:
    sizes = [len(str(symbol).encode("utf-8", "surrogatepass")) for symbol in vocabulary.symbols]
    return TextExamples(
        name=name,
        streams=streams,
        symbols=vocabulary.symbols,
        sizes=np.array(sizes),
        unknown=vocabulary.undrawn,
        what="character",
        remarks=remarks,
    )
