"""Lists: order, pages, and what is left out."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.limits import MAX_PAGE_ENTRIES, MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import Kind, ListAnswer, ListRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage import sortednames
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.rooted import RootedDirectory
from dxlfiletransferclient.storage.sortednames import SortedNames
from tests.unit.client.cataloguing import Opened, directory, file, link, opened, refused
from tests.unit.client.fabric import open_descriptors


def test_nothing_is_an_empty_page(files: Opened) -> None:
    files.put(directory("d"))
    for recursive in (False, True):
        assert files.page("d", recursive=recursive) == ListAnswer(entries=())
        assert files.page("", recursive=recursive).next is None


def test_the_order_is_that_of_the_parts(files: Opened) -> None:
    files.put(
        *(file(name) for name in ("a/b/c", "a-b", "a/B", "Z", "é", "a/b-", "a.", "\U0001f600"))
    )

    expected = ["Z", "a", "a/B", "a/b", "a/b/c", "a/b-", "a-b", "a.", "é", "\U0001f600"]
    assert files.names() == expected
    assert files.names(recursive=False) == ["Z", "a", "a-b", "a.", "é", "\U0001f600"]
    assert files.names("a") == ["a/B", "a/b", "a/b/c", "a/b-"]
    assert files.names("./a//b/.") == ["a/b/c"]


def test_every_size_of_page_gives_the_same(files: Opened) -> None:
    files.put(*(file(f"{a}/{b}/{c}") for a in "ab" for b in "xy" for c in "12"), file("z"))
    expected = files.names(limit=1000)
    assert len(expected) == 2 + 4 + 8 + 1
    for limit in range(1, 17):
        assert files.names(limit=limit) == expected
        assert files.names(limit=limit, recursive=False) == ["a", "b", "z"]


def test_the_last_page_has_no_next(files: Opened) -> None:
    files.put(file("a"), file("b"))
    assert files.page(limit=2).next is None
    assert files.page(limit=1).next == "a"
    assert files.page(limit=1, after="a").next is None
    assert files.page(after="b").entries == ()


def test_what_an_entry_tells(files: Opened) -> None:
    files.put(
        file("d/a", b"123", modified_ns=17, executable=True),
        directory("d", modified_ns=18),
        link("l", "d/a"),
    )
    d, a, found = files.all_entries()

    assert (d.name, d.kind, d.size, d.modified_ns, d.version) == ("d", Kind.DIRECTORY, 0, 18, "")
    assert (a.kind, a.size, a.modified_ns, a.executable) == (Kind.FILE, 3, 17, True)
    assert a.version == files.catalogue.version_of(("d", "a"))
    assert (found.kind, found.target, found.size) == (Kind.LINK, "d/a", 0)


def test_what_is_left_out(files: Opened, tmp_path: Path) -> None:
    files.put(file("a"))
    files.part(b"under way")
    os.mkfifo(files.root / "pipe")
    (files.root / "out").symlink_to(tmp_path)
    (files.root / "up").symlink_to("../..")
    (files.root / "inside").symlink_to(".workdir")
    Path(os.fsdecode(os.fsencode(files.root) + b"/bad\xff")).touch()

    entries = files.all_entries()

    # Links that the operator has made are shown, but not where on the machine they lead to.
    assert [entry.name for entry in entries] == ["a", "inside", "out", "up"]
    assert [entry.target for entry in entries] == [None] * 4


def test_no_list_goes_through_a_link(files: Opened, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (files.root / "out").symlink_to(tmp_path)
    with refused(ErrorCode.WRONG_KIND):
        files.page("out")
    with refused(ErrorCode.NOT_FOUND):
        files.page("out/storage")
    assert files.names() == ["out"]


def test_what_cannot_be_listed(files: Opened) -> None:
    files.put(file("a"))
    with refused(ErrorCode.WRONG_KIND, "'a' is no directory"):
        files.page("a")
    for name in ("absent", "a/b", "absent/b"):
        with refused(ErrorCode.NOT_FOUND):
            files.page(name)
    for name in ("..", ".workdir", "/"):
        with refused(ErrorCode.UNSAFE_NAME):
            files.page(name)


@pytest.mark.parametrize("after", ["x", "d", "d/e/f", "..", "/", "d/../x"])
def test_pages_begin_after_a_name_of_the_list(files: Opened, after: str) -> None:
    files.put(file("d/a"))
    with refused(ErrorCode.INVALID, "no page of this list begins after"):
        files.page("d", after=after)


def test_pages_go_on_where_something_was_removed_or_added(files: Opened) -> None:
    files.put(*(file(f"{a}/{b}") for a in "bcd" for b in "12"))
    page = files.page(recursive=True, limit=4)
    assert page.next == "c"

    files.put(file("a"), file("c/0"))
    assert [e.name for e in files.page(recursive=True, after="c").entries] == [
        "c/0",
        "c/1",
        "c/2",
        "d",
        "d/1",
        "d/2",
    ]
    for name in ("0", "1", "2"):
        (files.root / "c" / name).unlink()
    (files.root / "c").rmdir()
    for after in ("c", "c/1", "c/1/x/y"):
        names = [e.name for e in files.page(recursive=True, after=after).entries]
        assert names == ["d", "d/1", "d/2"]
    # What was a directory on one page may be a file on the next.
    files.put(file("c"))
    assert [e.name for e in files.page(recursive=True, after="c/1").entries] == ["d", "d/1", "d/2"]


@pytest.mark.parametrize("files", ["descriptors"], indirect=True)
def test_a_page_fits_into_a_message(files: Opened) -> None:
    """With names that are as large as can be, in bytes and in JSON; too long for whole paths."""
    part = "\x01" * 255
    parts = "/".join([part] * 15)
    files.put(*(file(f"{parts}/{number:04}{'x' * 200}") for number in range(80)))

    seen, pages, after = 0, 0, ""
    while True:
        page = files.page(recursive=True, limit=MAX_PAGE_ENTRIES, after=after)
        assert len(encode(page).payload) <= MAX_PAYLOAD
        pages, seen = pages + 1, seen + len(page.entries)
        if page.next is None:
            break
        after = page.next
    assert seen == 80 + 15
    assert pages > 1


def test_a_page_has_at_most_as_many_entries_as_asked_for(files: Opened) -> None:
    files.put(*(file(f"{number:04}") for number in range(1000)))
    files.put(file("x"), file("y"))
    page = files.catalogue.list(ListRequest())
    assert len(page.entries) == MAX_PAGE_ENTRIES
    assert page.next == "0999"
    assert [entry.name for entry in files.page(after="0999").entries] == ["x", "y"]


@pytest.mark.parametrize("files", ["descriptors"], indirect=True)
def test_names_beyond_the_limit_are_left_out(files: Opened) -> None:
    """Somebody else may have made them; nobody could ask for them."""
    with RootedDirectory(files.root).visit() as directories:
        directories.open(("x" * 250,) * 17, make=True)
    assert len(files.names()) == 16


def test_deep_trees_need_few_descriptors(files: Opened) -> None:
    files.put(file("/".join(["d"] * 200)))
    before = open_descriptors()
    assert len(files.names(limit=1000)) == 200
    assert len(files.names(limit=9)) == 200
    assert open_descriptors() == before


def test_a_directory_that_cannot_be_read(files: Opened, mocker: MockerFixture) -> None:
    files.put(file("d/a"), file("e"))
    real = type(files.working).names

    def names(self: Directory) -> list[str]:
        found = real(self)
        if found == ["a"]:
            raise PermissionError(13, "Permission denied")
        return found

    mocker.patch.object(type(files.working), "names", names)
    assert files.names() == ["d", "e"]
    with refused(ErrorCode.STORAGE_FAILED, "cannot list 'd': Permission denied"):
        files.page("d")


paths = st.lists(st.sampled_from(["a", "b", "a-", "A", "ä"]), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(paths, max_size=12), st.integers(1, 5), st.booleans())
def test_any_tree_is_listed_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[list[str]],
    limit: int,
    recursive: bool,
) -> None:
    with opened(tmp_path_factory.mktemp("tree")) as files:
        files.put(*(directory("/".join(parts)) for parts in wanted), file("last"))
        expected = {tuple(parts[:depth]) for parts in wanted for depth in range(1, len(parts) + 1)}
        expected.add(("last",))
        if not recursive:
            expected = {parts for parts in expected if len(parts) == 1}
        found = files.names(limit=limit, recursive=recursive)
    assert found == ["/".join(parts) for parts in sorted(expected)]


def test_large_directories_are_sorted_once(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(sortednames, "REMEMBERED_FROM", 2)
    now = [0.0]
    known = SortedNames(limit=6, clock=lambda: now[0])
    reads: list[str] = []
    real = sortednames._read

    def read(opened_directory: Directory, name: str) -> list[str]:
        reads.append(name)
        return real(opened_directory, name)

    mocker.patch.object(sortednames, "_read", read)

    def names_of(name: str) -> list[str]:
        with open_directory(tmp_path / name) as found:
            return list(known.of(found, name))

    for name, count in (("small", 2), ("large", 4), ("other", 3), ("huge", 7)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}").touch()
    now[0] = (tmp_path / "huge").stat().st_ctime + 10
    for name in ("small", "large", "large", "huge", "small", "huge"):
        assert names_of(name) == sorted(names_of(name))
    assert reads == ["small"] * 2 + ["large"] + ["huge"] * 2 + ["small"] * 2 + ["huge"] * 2

    # Both do not fit.
    reads.clear()
    for name in ("other", "other", "large", "other"):
        names_of(name)
    assert reads == ["other", "large", "other"]

    # A change is seen, whatever time the directory is given afterwards.
    status = (tmp_path / "other").stat()
    (tmp_path / "other" / "new").touch()
    os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
    now[0] += 10
    assert "new" in names_of("other")

    # So soon after a change, a further one might not show.
    reads.clear()
    now[0] = (tmp_path / "large").stat().st_ctime
    (tmp_path / "large" / "new").touch()
    now[0] = (tmp_path / "large").stat().st_ctime
    for _ in range(2):
        assert "new" in names_of("large")
    assert reads == ["large"] * 2
