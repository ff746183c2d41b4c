"""The tasks `words` and `subwords`: language models of the pieces that a tokenizer cuts a text into.

The tokenizers are those of the library of that name. They are learnt from the part of a text that is trained on, and
are stored with the model as the JSON that the library writes.
"""

import abc
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, DataError, PluginError, Setting, Task
from rnnframe_tasks.byte_sources import ByteSource
from rnnframe_tasks.characters import source_of
from rnnframe_tasks.files import digest
from rnnframe_tasks.streams import TEXT_TAKES, Streams, Text, TextExamples
from rnnframe_tasks.text import UNKNOWN

NO_WORD = "<unk>"
"""How the tokenizer names the symbol for unknown words."""
LETTERS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+"
"""Words with the blank before them, numbers, signs, and other blanks: every character is in one of these."""


def library() -> Any:
    """Return the module `tokenizers`; raises `PluginError` where it is not installed."""
    try:
        import tokenizers
    except ImportError:
        raise PluginError("words and subwords need tokenizers: pip install 'rnnframe[tokens]'") from None
    return tokenizers


@functools.lru_cache(maxsize=4)  # one object of the library for each text that describes it
def _tokenizer(text: str) -> Any:
    try:
        return library().Tokenizer.from_str(text)
    except PluginError:
        raise
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"no tokenizer: {str(error)[:80]}") from None


@attrs.frozen
class Pieces:
    """A tokenizer, as the JSON of the library: from text to the numbers of its pieces, and back."""

    tokenizer: str = attrs.field(validator=attrs.validators.instance_of(str))
    bytes: bool = attrs.field(validator=attrs.validators.instance_of(bool))
    """Whether a piece is written as a character for each byte, so that any text can be cut."""
    start: ClassVar[str] = "\n"

    @tokenizer.validator
    def _readable(self, attribute: "attrs.Attribute[Any]", value: str) -> None:
        _tokenizer(value)

    def __len__(self) -> int:
        return int(_tokenizer(self.tokenizer).get_vocab_size())

    @property
    def undrawn(self) -> int | None:
        """The number of the unknown symbol, which is never written."""
        number: int | None = None if self.bytes else _tokenizer(self.tokenizer).token_to_id(NO_WORD)
        return number

    def encode(self, text: str) -> Array:
        """Return the numbers of the pieces of a text; each line is cut by itself."""
        lines = text.split("\n")
        lines = [line + "\n" for line in lines[:-1]] + lines[-1:]
        cut = _tokenizer(self.tokenizer).encode_batch(lines, add_special_tokens=False)
        return np.array([number for line in cut for number in line.ids], np.int32)

    def decode(self, numbers: Array) -> str:
        """Return the text of pieces; bytes that are no UTF-8 become the sign for that."""
        names = [self._name(int(number)) for number in numbers]
        if not self.bytes:
            return "".join(UNKNOWN if name == NO_WORD else name for name in names)
        values = _bytes_of()
        return bytes(values[sign] for name in names for sign in name).decode("utf-8", "replace")

    def _name(self, number: int) -> str:
        name = _tokenizer(self.tokenizer).id_to_token(number)
        if name is None:
            raise IndexError(f"there is no piece {number}")
        return str(name)

    def symbols(self) -> Array:
        """Return what each number stands for."""
        return np.array([self.decode(np.array([number])) for number in range(len(self))])

    def sizes(self) -> Array:
        """Return the bytes of each piece, none for the unknown symbol."""
        names = [self._name(number) for number in range(len(self))]
        return np.array([len(name) if self.bytes else len(name.encode()) for name in names])


@functools.lru_cache(maxsize=1)
def _bytes_of() -> dict[str, int]:
    """Return which byte each sign of byte-level pieces stands for (Radford et al. 2019, the code of GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [value for value in range(256) if value not in plain]
    return {chr(value): value for value in plain} | {chr(256 + n): value for n, value in enumerate(others)}


@attrs.frozen(kw_only=True)
class Tokens(Task):
    """A language model of pieces of text."""

    unit: ClassVar[str] = "nats/token"
    counted: ClassVar[str] = "tokens"
    predicts_inputs: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = TEXT_TAKES
    learns: ClassVar[type[Any]] = Pieces
    size: int = attrs.field(default=8000, validator=ge(300), metadata={"help": "different pieces at most"})

    @abc.abstractmethod
    def learn(self, lines: Iterator[str]) -> Pieces:
        """Return the tokenizer that is learnt from a text."""

    def open(self, setting: Setting) -> Text:
        """Cut a text into pieces; raises `DataError` where it is too short for the batch in either part."""
        text, name = _text(source_of(setting.data))
        cut = len(text) - int(len(text) * setting.held_out)
        lines = (line + "\n" for line in text[:cut].split("\n"))
        pieces: Pieces = self.learn(lines) if setting.learnt is None else setting.learnt
        train, valid = pieces.encode(text[:cut]), pieces.encode(text[cut:])
        needed = 2 * setting.batch + 1
        if len(train) < needed or (setting.held_out and len(valid) < 3) or len(pieces) < 2:
            raise DataError(
                f"{name} has {len(train)} tokens to train on and {len(valid)} held out; batch={setting.batch} needs at "
                f"least {needed} and {3 if setting.held_out else 0}: lower --batch or give a longer text"
            )
        size, batch, kept = len(pieces), min(setting.batch, max(1, len(valid) // 64)), None
        if setting.held_out:
            kept = _examples(f"the held-out part of {name}", Streams(valid, batch), pieces)
        return Text(
            inputs=size,
            looked_up=True,
            head=f"softmax:classes={size}",
            learnt=pieces,
            train=Streams(train, setting.batch),
            valid=kept,
            remarks=() if setting.learnt is None else _unknown(train, pieces),
            digest=digest([text, pieces.tokenizer]),
            steps=setting.steps,
        )

    def examples(self, data: str, learnt: Pieces, batch: int) -> TextExamples:
        """Return a text as one stream."""
        text, name = _text(source_of(data))
        numbers = learnt.encode(text)
        if len(numbers) < 2:
            raise DataError(f"data file {data!r} has {len(numbers)} tokens; at least 2 are needed")
        return _examples(name, Streams(numbers, 1), learnt)

    def alphabet(self, learnt: Pieces) -> Pieces:
        """Return the tokenizer."""
        return learnt


@attrs.frozen(kw_only=True)
class Subwords(Tokens):
    """A language model of subwords: pieces of words that are frequent, down to bytes, so that any text can be read.

    Byte-pair encoding (Sennrich, Haddow & Birch 2016) of bytes, learnt from the part of the text that is trained on.
    """

    name: ClassVar[str] = "subwords"

    def learn(self, lines: Iterator[str]) -> Pieces:
        """Return a byte-pair encoding."""
        made = library()
        tokenizer = made.Tokenizer(made.models.BPE())
        tokenizer.pre_tokenizer = made.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = made.pre_tokenizers.ByteLevel.alphabet()
        trainer = made.trainers.BpeTrainer(vocab_size=self.size, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(lines, trainer)
        return Pieces(tokenizer.to_str(), True)


@attrs.frozen(kw_only=True)
class Words(Tokens):
    """A language model of words: the most frequent ones with the blank before them, signs and numbers.

    Other words are read as one unknown symbol, which is never written.
    """

    name: ClassVar[str] = "words"

    def learn(self, lines: Iterator[str]) -> Pieces:
        """Return the most frequent words."""
        made = library()
        tokenizer = made.Tokenizer(made.models.WordLevel(unk_token=NO_WORD))
        tokenizer.pre_tokenizer = made.pre_tokenizers.Split(made.Regex(LETTERS), "isolated")
        trainer = made.trainers.WordLevelTrainer(vocab_size=self.size, special_tokens=[NO_WORD], show_progress=False)
        tokenizer.train_from_iterator(lines, trainer)
        return Pieces(tokenizer.to_str(), False)


def _text(source: ByteSource) -> tuple[str, str]:
    """Return a text and its name; raises `DataError` for what is no UTF-8."""
    raw = source.read(0, source.size)
    try:
        return raw.decode("utf-8-sig"), source.name
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {source.name!r} is no UTF-8 text: byte 0x{raw[error.start]:02x} at offset {error.start}; "
            "convert it"
        ) from None


def _examples(name: str, streams: Streams, pieces: Pieces) -> TextExamples:
    unknown = pieces.undrawn
    return TextExamples(
        name=name,
        streams=streams,
        symbols=pieces.symbols(),
        sizes=pieces.sizes(),
        unknown=unknown,
        what="token",
        remarks=_unknown(streams.numbers[0 : len(streams.numbers)], pieces),
    )


def _unknown(numbers: Array, pieces: Pieces) -> tuple[str, ...]:
    """Return what to say of a text with tokens that the tokenizer does not know."""
    count = 0 if pieces.undrawn is None else int(np.count_nonzero(numbers == pieces.undrawn))
    return (f"{count:,} of {len(numbers):,} tokens are unknown to the model",) if count else ()
