"""`rnnframe serve`: lines of JSON in, lines of JSON out, from real processes and over real sockets."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[rf.Network, str]:
    """Return a network and the file that it is saved in."""
    made = rf.Network(["lstm:hidden=5"], "mse:outputs=2", 3, seed=1)
    path = tmp_path_factory.mktemp("model") / "network.safetensors"
    made.save(path)
    return made, str(path)


def served(path: str, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "rnnframe", "serve", path, "--kernels", "numpy", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Return how a process ended, and what it wrote on stderr; its pipes are closed."""
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


def answers_to(path: str, *lines: str | bytes) -> list[dict]:
    process = served(path)
    given = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    answers, errors = process.communicate(given, timeout=60)
    assert (process.returncode, errors) == (0, b"")
    return [json.loads(line) for line in answers.splitlines()]


def test_sessions_by_turns_are_predicted_as_each_by_itself(network) -> None:
    made, path = network
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).round(3)
    lines = [json.dumps({"session": name, "x": x[t, n].tolist()}) for t in range(6) for n, name in enumerate("ab")]
    again = json.dumps({"session": "a", "x": x[0, 0].tolist(), "reset": True})
    answers = answers_to(path, *lines, '{"session": "b", "reset": true}', again, json.dumps({"x": x[0, 0].tolist()}))
    for n, name in enumerate("ab"):
        stream = made.stream(kernels="numpy")
        expected = [stream.step(values[None])[0] for values in x[:, n]]
        found = [answer["prediction"] for answer in answers[n:12:2]]
        assert np.allclose(found, expected, rtol=1e-6)
        assert all(answer["session"] == name for answer in answers[n:12:2])
    assert answers[12] == {"session": "b", "reset": True}
    assert answers[13] == {"session": "a", "prediction": answers[0]["prediction"]}
    assert answers[14] == {"prediction": answers[0]["prediction"]}


def test_a_line_that_cannot_be_answered_gets_one_clear_sentence_and_the_next_is_answered(network) -> None:
    good = '{"x": [1, 2, 3]}'
    wrong = {
        "no json": "the line is no JSON: ",
        '{"x": [1, 2, NaN]}': "the line is no JSON: NaN is no number of JSON",
        "[1, 2, 3]": "the line is no JSON object; expected one such as",
        '{"y": 1}': "the line has a key 'y'; expected x, session, reset",
        "{}": 'the line has no "x", the values of a time step',
        '{"session": 3, "x": [1, 2, 3]}': "session is 3; expected a text",
        '{"reset": 1}': "reset is 1; expected true or false",
        '{"x": [1, 2]}': "x has shape [1, 2]",
        '{"x": 7}': "x holds 7; a network with inputs=3 takes 0 to 2",
        '{"x": [1, 2, "a"]}': "x is [1, 2, 'a']; expected a list of numbers",
        '{"x": [1, 2, 1e400]}': "x holds NaN or infinite values",
        '{"x": [1, 2, ' + "9" * 400 + "]}": "x holds a number that is too large",
        "[" * 100_000: "the line is no JSON",
        b"\xff\xfe": "the line is no JSON",
        '{"x": [' + "1, " * 400_000 + "1]}": "the line is longer than 1,048,576 bytes",
    }
    lines = [line for each in wrong for line in (each, good)]
    answers = answers_to(network[1], good, '{"reset": true}', *lines, "")
    assert len(answers) == 2 + len(lines)
    for answer, expected in zip(answers[2::2], wrong.values(), strict=True):
        assert answer["error"].startswith(expected), answer
        assert "\n" not in answer["error"]
    stream = network[0].stream(kernels="numpy")
    expected = [stream.step(np.array([[1.0, 2, 3]]))[0] for _ in wrong]
    assert np.allclose([answer["prediction"] for answer in answers[3::2]], expected, rtol=1e-6)


@pytest.fixture
def listening(network) -> Iterator[tuple[subprocess.Popen, int]]:
    """Return a process that listens, and its port."""
    process = served(network[1], "--port", "0")
    told = json.loads(process.stdout.readline())
    assert told["listening"] == "127.0.0.1"
    yield process, told["port"]
    if process.poll() is None:
        process.kill()
    process.communicate()


def asked(connection: socket.socket, line: bytes) -> dict:
    connection.sendall(line + b"\n")
    with connection.makefile("rb") as file:
        return json.loads(file.readline())


def test_connections_to_a_port_have_sessions_of_their_own_and_one_that_breaks_leaves_the_others(listening) -> None:
    process, port = listening
    with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as other:
        first = asked(one, b'{"session": "a", "x": [1, 2, 3]}')
        assert asked(one, b'{"session": "a", "x": [1, 2, 3]}') != first
        assert asked(one, b"nothing")["error"].startswith("the line is no JSON")
        with socket.create_connection(("127.0.0.1", port)) as broken:
            broken.sendall(b'{"x": [1, 2')
        assert asked(other, b'{"session": "a", "x": [1, 2, 3]}') == first
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, "")


def test_only_this_machine_is_listened_to(listening) -> None:
    _, port = listening
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("this machine has no address but that of itself")
    with pytest.raises(OSError, match=r".*"), socket.create_connection((own, port), timeout=5):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--port", "0")], ids=["standard input", "port"])
def test_a_signal_ends_it_in_order(number, options, network) -> None:
    process = served(network[1], *options)
    if options:
        process.stdout.readline()
    else:
        process.stdin.write(b'{"x": [1, 2, 3]}\n')
        process.stdin.flush()
        assert "prediction" in json.loads(process.stdout.readline())
    process.send_signal(number)
    assert ended(process) == (0, "")


def test_a_port_that_is_taken_is_told_in_one_line(network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = ended(served(network[1], "--port", str(port)))
    assert code == 2
    assert f"port {port} cannot be listened on: " in errors
    assert errors.count("\n") == 1


def test_a_run_is_served_in_the_units_of_its_data(tmp_path: Path) -> None:
    prices = [300 + n / 5 for n in range(80)]
    (tmp_path / "prices.csv").write_text("price\n" + "\n".join(map(str, prices)) + "\n")
    options = rf.TrainingOptions(
        task="forecast:column=price,horizon=2",
        data=str(tmp_path / "prices.csv"),
        cell="gru:hidden=4",
        steps=10,
        epochs=1,
        kernels="numpy",
    )
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    expected = rf.load_model(tmp_path / "run", kernels="numpy").predict(tmp_path / "prices.csv")
    answers = answers_to(str(tmp_path / "run"), *(json.dumps({"x": price}) for price in prices[:5]))
    for n, answer in enumerate(answers):
        assert answer["prediction"]["price+2"] == pytest.approx(expected["price+2"][n], rel=1e-5)
