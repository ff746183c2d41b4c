import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnframe.storage.durable import Journal, read_whole, write_whole

LIMITED = """
import resource, signal, sys
from pathlib import Path
from rnnframe.storage.durable import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    write_whole(Path(sys.argv[1]), b"new" * 50_000)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_file_that_does_not_fit_leaves_the_old_one_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "file"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_nothing_is_written_or_read_through_a_link(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.write_text("precious")
    inside.symlink_to(outside)
    with pytest.raises(OSError, match="it is a link; put the file itself there"):
        read_whole(inside)
    with pytest.raises(OSError, match="it is a link"):
        Journal.open(inside, 0)
    (tmp_path / "inside.new").symlink_to(outside)
    write_whole(inside, b"ours")
    assert outside.read_text() == "precious"
    assert not inside.is_symlink()
    assert inside.read_bytes() == b"ours"
    assert not (tmp_path / "inside.new").exists()


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_a_file_with_a_second_name_elsewhere_is_not_added_to(tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("lines\n")
    os.link(tmp_path / "copy", tmp_path / "lines")
    with pytest.raises(OSError, match="it has other names"):
        Journal.open(tmp_path / "lines", 0)
    assert (tmp_path / "copy").read_text() == "lines\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, make) -> None:
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"it is no file|Is a directory"):
        read_whole(tmp_path / "file")
    with pytest.raises(OSError, match=r"it is no file|Is a directory|No such device"):
        Journal.open(tmp_path / "file", 0)


def test_a_journal_that_lost_lines_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("short\n")
    with pytest.raises(OSError, match="it has 6 bytes, at the last checkpoint 7; put it back"):
        Journal.open(tmp_path / "lines", 7)
