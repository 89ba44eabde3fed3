"""Files that are sent: what was checked is what is read, whatever takes its place meanwhile."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.identity.sourceguard import Reserved, Sources
from dxlfiletransferservice.courier.opening import open_allowed

OURS = b"ours"
SECRET = b"secret"


class Swapping:
    """A guard that lets everything pass, after somebody was quick."""

    def __init__(self, swap: Callable[[], object]) -> None:
        self._swap = swap

    def check(self, path: str) -> None:
        self._swap()


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A sandbox with a file; beside it is another file of the same name."""
    for name, content in (("sandbox", OURS), ("private", SECRET)):
        directory = tmp_path / name / "in"
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(content)
    return tmp_path / "sandbox"


def guard(sandbox: Path) -> Sources:
    return Sources({"home": str(sandbox)}, None, Reserved())


def content_of(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_links_inside_are_followed(sandbox: Path) -> None:
    (sandbox / "link").symlink_to("in")
    (sandbox / "other").symlink_to(sandbox / "link" / "file")
    for name in ("in/file", "link/file", "other"):
        assert content_of(open_allowed(str(sandbox / name), guard(sandbox))) == OURS


@pytest.mark.parametrize("name", ["link/file", "direct"])
def test_links_that_lead_out_are_not(sandbox: Path, name: str) -> None:
    private = sandbox.parent / "private"
    (sandbox / "link").symlink_to(private / "in")
    (sandbox / "direct").symlink_to(private / "in" / "file")
    with pytest.raises(CommandError) as refused:
        open_allowed(str(sandbox / name), guard(sandbox))
    assert refused.value.kind is ErrorKind.NOT_ALLOWED
    assert f"'/home/{name}'" in str(refused.value)
    assert "private" not in str(refused.value)


def test_a_file_that_becomes_a_link_after_it_was_checked_is_not_read(sandbox: Path) -> None:
    file = sandbox / "in" / "file"

    def swap() -> None:
        file.unlink()
        file.symlink_to(sandbox.parent / "private" / "in" / "file")

    with pytest.raises(OSError) as refused:  # noqa: PT011 - its number tells what it is
        open_allowed(str(file), Swapping(swap))
    assert refused.value.errno == errno.ELOOP


def test_a_directory_that_becomes_a_link_after_it_was_checked_is_not_entered(
    sandbox: Path,
) -> None:
    directory = sandbox / "in"

    def swap() -> None:
        directory.rename(sandbox / "before")
        directory.symlink_to(sandbox.parent / "private" / "in")

    with pytest.raises(NotADirectoryError):
        open_allowed(str(directory / "file"), Swapping(swap))


def test_a_link_that_is_turned_after_it_was_checked_leads_where_it_led(sandbox: Path) -> None:
    link = sandbox / "link"
    link.symlink_to("in")

    def swap() -> None:
        link.unlink()
        link.symlink_to(sandbox.parent / "private" / "in")

    assert content_of(open_allowed(str(link / "file"), Swapping(swap))) == OURS


def test_directories_on_the_way_need_not_be_readable(sandbox: Path) -> None:
    (sandbox / "in").chmod(0o311)
    try:
        assert content_of(open_allowed(str(sandbox / "in" / "file"), guard(sandbox))) == OURS
    finally:
        (sandbox / "in").chmod(0o755)


def test_no_descriptor_is_left_open(sandbox: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for name in ("in/file", "in/missing", "in/file/below"):
        try:
            os.close(open_allowed(str(sandbox / name), guard(sandbox)))
        except OSError:
            continue
    assert len(list(Path("/dev/fd").iterdir())) == before
