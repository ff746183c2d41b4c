"""Ways to damage a table of text, each drawn from a generator of random numbers."""

import random
from collections.abc import Callable

Rng = random.Random
Damage = Callable[[bytes, Rng], bytes]

CELLS = (
    *(
        b"1e400",
        b"9" * 400,
        b"1e308",
        b"99999999999999999999",
        b"-0",
        b"1_000",
        b"0x1F",
        b"1e",
        b"+5",
        b"1,5",
        b"1.2.3",
    ),
    *(
        b"inf",
        b"nan",
        b"NA",
        b"?",
        b"-",
        b"",
        b" ",
        b'""',
        b"true",
        b"None",
        b"#5",
        b"=1+1",
        b"2020-13-45",
        b"0000-00-00",
    ),
    *(b"9999-12-31", b"1/2/3", b"12:30", b"\xff", b"\xef\xbb\xbf5", "\u00a05".encode(), "\u0663".encode(), b"\x005"),
)


def _line(change: Callable[[bytes, Rng], list[bytes]]) -> Damage:
    def damage(raw: bytes, rng: Rng) -> bytes:
        lines = raw.splitlines(keepends=True)
        place = rng.randrange(len(lines))
        lines[place : place + 1] = change(lines[place], rng)
        return b"".join(lines)

    return damage


def _cell(line: bytes, rng: Rng) -> list[bytes]:
    mark = next((mark for mark in (b"\t", b";", b",", b" ") if mark in line), b",")
    cells = line.rstrip(b"\r\n").split(mark)
    cells[rng.randrange(len(cells))] = rng.choice(CELLS)
    return [mark.join(cells), b"\n"]


def _flipped(raw: bytes, rng: Rng) -> bytes:
    made = bytearray(raw)
    for _ in range(rng.choice((1, 3, 20))):
        made[rng.randrange(len(made))] = rng.randrange(256)
    return bytes(made)


def _same_names(raw: bytes, rng: Rng) -> bytes:
    first, *others = raw.splitlines(keepends=True)
    names = first.rstrip(b"\r\n").split(b",")
    return b"".join([b",".join(names[:1] * len(names)), b"\n", *others])


DAMAGES: tuple[Damage, ...] = (
    _flipped,
    _same_names,
    _line(_cell),
    _line(_cell),
    _line(lambda line, rng: [line[: rng.randrange(len(line) + 1)], b"\n"]),
    _line(lambda line, rng: [line, line]),
    _line(lambda line, rng: []),
    _line(lambda line, rng: [line, b"\n\n"]),
    _line(lambda line, rng: [line.rstrip(b"\r\n"), b",9,9\n"]),
    _line(lambda line, rng: [line[: len(line) // 2], rng.choice((b'"', b"\0", b"\r")), line[len(line) // 2 :]]),
    _line(lambda line, rng: [line.replace(b",", b";")]),
    lambda raw, rng: raw.replace(b",", rng.choice((b";", b"\t", b" , ", b"|", b" "))),
    lambda raw, rng: raw.replace(b"\r\n", b"\n").replace(b"\n", rng.choice((b"\r\n", b"\r"))),
    lambda raw, rng: raw.replace(b"\n", b",\n"),
    lambda raw, rng: rng.choice((b"\xef\xbb\xbf", b"# a comment\n", b"\n\n", b"a title\n")) + raw,
    lambda raw, rng: raw.decode("latin1").encode("utf-16"),
    lambda raw, rng: raw.replace(b"e", b"\xe9"),
    lambda raw, rng: raw[: rng.randrange(1, len(raw))],
    lambda raw, rng: b"".join(raw.splitlines(keepends=True)[1:]),
    lambda raw, rng: raw + raw,
    lambda raw, rng: rng.randbytes(300),
)


def damaged(raw: bytes, rng: Rng) -> bytes:
    """Return a table with one or two damages."""
    for damage in rng.choices(DAMAGES, k=rng.choice((1, 1, 2))):
        raw = damage(raw, rng) or b"\n"
    return raw
