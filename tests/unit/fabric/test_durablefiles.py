import os
import stat
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfabric.durablefiles import write_file


def test_key_is_closed_from_its_first_byte(tmp_path: Path, mocker: MockerFixture) -> None:
    seen: list[int] = []
    mocker.patch("os.fsync", side_effect=lambda number: seen.append(os.fstat(number).st_mode))
    path = tmp_path / "a.key"
    write_file(path, b"secret", mode=0o600)
    assert [stat.S_IMODE(each) for each in seen if stat.S_ISREG(each)] == [0o600]
    assert path.read_bytes() == b"secret"


def test_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    mocker.patch("os.fsync", side_effect=OSError(28, "No space left on device"))

    with pytest.raises(OSError, match="No space"):
        write_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
