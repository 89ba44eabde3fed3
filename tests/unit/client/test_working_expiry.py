"""Files under way that nobody goes on with are removed, and nothing else is."""

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import UnknownFileError
from dxlfiletransferclient.storage.expiry import Expiry
from dxlfiletransferclient.storage.places import Place
from dxlfiletransferclient.storage.working import LOCK_NAME, WorkingDirectory
from tests.unit.client.fabric import left_in
from tests.unit.client.workingdirectory import LIFETIME, NOW, begun, opened

UUID = "0b0a3a52-8d5e-4c36-9d64-0f6a2f4b8f10"


def age(path: Path, seconds: float) -> None:
    """Let everything below a path look as if last written so long before NOW."""
    for entry in [*path.rglob("*"), path]:
        os.utime(entry, (NOW - seconds, NOW - seconds))


def test_old_files_expire_and_young_ones_stay(working: WorkingDirectory, tmp_path: Path) -> None:
    old, young = begun(working), begun(working)
    age(tmp_path, LIFETIME + 1)
    for path in tmp_path.glob(f"*{young}.journal"):
        os.utime(path, (NOW, NOW))

    assert working.expire(NOW) == 1

    assert {young in name for name in left_in(tmp_path)} == {True}
    with pytest.raises(UnknownFileError), working.resume(old):
        pytest.fail("it has expired")
    with working.resume(young) as file:
        assert file.segments == 1


def test_files_of_a_former_process_expire_too(tmp_path: Path) -> None:
    first = opened(tmp_path)
    file_id = begun(first)
    first.close()
    age(tmp_path, LIFETIME + 1)

    second = opened(tmp_path)
    assert len(left_in(tmp_path)) == 2, "a start alone removes nothing"
    assert second.expire(NOW) == 1
    assert left_in(tmp_path) == set()
    with pytest.raises(UnknownFileError):
        second.drop(file_id)
    second.close()


def test_a_file_being_written_does_not_expire(working: WorkingDirectory, tmp_path: Path) -> None:
    with working.begin() as file:
        age(tmp_path, LIFETIME + 1)
        assert working.expire(NOW) == 0
        file.append(b"abc", NOW)
    age(tmp_path, LIFETIME + 1)
    assert working.expire(NOW) == 1


def test_a_new_file_is_the_time_to_look(tmp_path: Path) -> None:
    now = NOW
    working = WorkingDirectory(tmp_path, expiry=Expiry(LIFETIME, 10), clock=lambda: now)
    first = begun(working)
    age(tmp_path, LIFETIME + 1)

    now += 9
    begun(working)
    assert any(first in name for name in left_in(tmp_path))

    now += 1
    begun(working)
    assert not any(first in name for name in left_in(tmp_path))
    working.close()


def test_remains_of_a_file_that_ended_expire(working: WorkingDirectory, tmp_path: Path) -> None:
    (tmp_path / "dxlft-gone.journal").touch()
    age(tmp_path, LIFETIME + 1)
    assert working.expire(NOW) == 1
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("content", [{"file": b"abc"}, {}])
def test_leftovers_of_version_0_1_expire(
    working: WorkingDirectory, tmp_path: Path, content: dict[str, bytes]
) -> None:
    leftover = tmp_path / UUID
    leftover.mkdir()
    for name, data in content.items():
        (leftover / name).write_bytes(data)

    age(leftover, LIFETIME)
    assert working.expire(NOW) == 0
    age(leftover, LIFETIME + 1)
    assert working.expire(NOW) == 1
    assert left_in(tmp_path) == set()


def test_a_leftover_that_cannot_be_removed_is_logged(
    working: WorkingDirectory,
    tmp_path: Path,
    mocker: MockerFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / UUID).mkdir()
    age(tmp_path, LIFETIME + 1)
    mocker.patch("os.rmdir", side_effect=PermissionError("not allowed"))
    working.expire(NOW)
    assert "not allowed" in caplog.text
    assert left_in(tmp_path) == {UUID}


def test_what_others_put_there_is_never_touched(working: WorkingDirectory, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "one.part").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    (tmp_path / UUID).mkdir()
    (tmp_path / UUID / "file").write_text("mine")
    (tmp_path / UUID / "other").write_text("mine")
    second = UUID.replace("0", "1")
    (tmp_path / second / "file").mkdir(parents=True)
    (tmp_path / UUID.replace("0", "2")).symlink_to(tmp_path / "folder")
    (tmp_path / UUID.replace("0", "3")).write_text("mine")
    before = sorted(path for path in tmp_path.rglob("*") if path.name != LOCK_NAME)
    age(tmp_path, LIFETIME + 1)

    assert working.expire(NOW) == 0
    begun_id = begun(working)
    working.drop(begun_id)

    assert sorted(path for path in tmp_path.rglob("*") if path.name != LOCK_NAME) == before


def test_what_expires_is_called_what_it_is(
    working: WorkingDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file_id = begun(working)
    age(tmp_path, LIFETIME + 1)
    working.expire(NOW)
    assert f"File {file_id} was not gone on with" in caplog.text

    caplog.clear()
    (tmp_path / "dxlft-stored.journal").write_bytes(b"")
    working.close()
    again = opened(tmp_path)
    age(tmp_path, LIFETIME + 1)
    assert again.expire(NOW) == 1
    assert "not gone on with" not in caplog.text
    again.close()


def test_a_place_that_vanishes_while_it_is_looked_at(
    working: WorkingDirectory, tmp_path: Path, mocker: MockerFixture
) -> None:
    """No empty place may stay behind: it would count as a file under way for ever."""
    file_id = begun(working)
    age(tmp_path, LIFETIME + 1)
    places = working._places
    real = places.known_or_new

    def known_or_new(each: str) -> Place:
        mocker.stopall()
        working.drop(each)
        return real(each)

    mocker.patch.object(places, "known_or_new", known_or_new)
    working.expire(NOW)
    assert not places.is_known(file_id)


def test_stored_files_are_forgotten_oldest_first_after_a_restart(tmp_path: Path) -> None:
    for number, file_id in enumerate("cab"):
        journal = tmp_path / f"dxlft-{file_id}.journal"
        journal.write_bytes(b"")
        os.utime(journal, (NOW + number, NOW + number))
    working = opened(tmp_path)
    assert list(working._places._ended) == ["c", "a", "b"]
    working.close()
