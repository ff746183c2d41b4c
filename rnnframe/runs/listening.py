"""Where lines are read that a `Service` answers: standard input, or a port of this machine that others cannot reach."""

import socketserver
from collections.abc import Callable
from contextlib import suppress
from io import BufferedIOBase
from typing import Any, BinaryIO, TypeAlias

from rnnframe.errors import UsageError
from rnnframe.runs.serving import LONGEST, Service

LOOPBACK = "127.0.0.1"

Lines: TypeAlias = BinaryIO | BufferedIOBase
"""Standard streams are the one, those of a connection the other."""


def answer_lines(service: Service, lines: Lines, answers: Lines) -> None:
    """Answer every line until the end of the input; who no longer reads the answers ends it too."""
    with suppress(BrokenPipeError, ConnectionResetError):
        while line := lines.readline(LONGEST + 1):
            if len(line) > LONGEST and not line.endswith(b"\n"):
                _pass_over(lines)
                line = b" " * (LONGEST + 1)
            if line.strip() or len(line) > LONGEST:
                answers.write(_answer(service, line).encode() + b"\n")
                answers.flush()


def _answer(service: Service, line: bytes) -> str:
    if len(line) > LONGEST:
        return f'{{"error": "the line is longer than {LONGEST:,} bytes; give one time step a line"}}'
    return service.answer(line)


def _pass_over(lines: Lines) -> None:
    """Read the rest of a line, in pieces."""
    while (rest := lines.readline(LONGEST)) and not rest.endswith(b"\n"):
        pass


class LoopbackServer(socketserver.ThreadingTCPServer):
    """Answers the lines of each connection to a port of this machine, in a thread and with sessions of its own.

    Raises `UsageError` for a port that cannot be had; port 0 is any that is free, `port` the one that it is.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int, make_service: Callable[[], Service]) -> None:
        self.make_service = make_service
        try:
            super().__init__((LOOPBACK, port), _Connection)
        except OSError as error:
            raise UsageError(f"port {port} cannot be listened on: {error.strerror or error}") from None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave the others alone where a connection breaks off."""


class _Connection(socketserver.StreamRequestHandler):
    server: LoopbackServer

    def handle(self) -> None:
        """Answer the lines of one connection."""
        answer_lines(self.server.make_service(), self.rfile, self.wfile)
