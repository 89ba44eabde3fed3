import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.constants import FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.manifests.mappings import (
    NamedMapping,
    found_mappings,
    named_mappings,
    place_of,
    stored_place,
)
from tests.unit.service.calling import ANN
from tests.unit.service.manifesting import Rooms, write_tree


def named(mappings: Any = None, **arguments: Any) -> list[NamedMapping]:
    if mappings is not None:
        arguments["mappings"] = mappings
    return named_mappings(Arguments("send.createManifest", arguments))


def test_a_destination_becomes_relative_and_a_source_stays_as_it_is() -> None:
    assert named({"/project/introduction.txt": "/usr/docs/readme.txt", "a//./b/": "x/../y"}) == [
        NamedMapping("a/b", rooted=False, src="x/../y"),
        NamedMapping("project/introduction.txt", rooted=True, src="/usr/docs/readme.txt"),
    ]


def test_a_destination_can_be_the_top() -> None:
    assert [each.dest for each in named({"/": "/usr/docs"})] == [""]
    assert [each.dest for each in named({"": "/usr/docs"})] == [""]


def test_the_older_file_mappings_go_the_other_way_round() -> None:
    assert named(fileMappings={"/usr/a": "/x", "/usr/b": "/y"}) == [
        NamedMapping("x", rooted=True, src="/usr/a"),
        NamedMapping("y", rooted=True, src="/usr/b"),
    ]


@pytest.mark.parametrize(
    ("value", "flags", "size", "executable"),
    [
        ({"src": "/s", "size": 100}, FILETYPE_REGULAR_FILE, 100, False),
        ({"src": "/s", "size": 0, "access": "x"}, FILETYPE_REGULAR_FILE, 0, True),
        ({"src": "/s", "size": 7, "flags": FILETYPE_REGULAR_FILE}, FILETYPE_REGULAR_FILE, 7, False),
        ({"src": "/s"}, FILETYPE_DIRECTORY, None, False),
        ({"src": "/s", "size": 100, "flags": FILETYPE_DIRECTORY}, FILETYPE_DIRECTORY, None, False),
        (
            {"src": "/s", "size": None, "flags": None, "access": None},
            FILETYPE_DIRECTORY,
            None,
            False,
        ),
    ],
)
def test_what_is_known_beforehand_is_taken_over(
    value: dict[str, Any], flags: int, size: int | None, executable: bool
) -> None:
    (found,) = named({"/d": value})
    assert (found.flags, found.size, found.executable) == (flags, size, executable)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {},
            (
                "name what the manifest is to hold either as mappings, from destinations to "
                "sources, or as fileMappings, from sources to destinations"
            ),
        ),
        (
            {"mappings": {"a": "/a"}, "fileMappings": {"/b": "b"}},
            (
                "name what the manifest is to hold either as mappings, from destinations to "
                "sources, or as fileMappings, from sources to destinations"
            ),
        ),
        (
            {"mappings": ["a"]},
            (
                "the argument 'mappings' of send.createManifest is a value of type list; "
                "allowed is an object with names and values"
            ),
        ),
        (
            {"fileMappings": {"a": {"src": "b"}}},
            (
                "the argument 'fileMappings' of send.createManifest is a value of type dict; "
                "allowed is an object with texts as its values"
            ),
        ),
        (
            {"mappings": {"/a": 5}},
            (
                "the mapping to '/a' is 5; allowed is a source path, or an object with src, size, "
                "flags and access"
            ),
        ),
        (
            {"mappings": {"/a": {"src": "/s", "sice": 5}}},
            "the mapping to '/a' has no field 'sice'; its fields are src, size, flags, access",
        ),
        (
            {"mappings": {"/a": {"size": 5}}},
            "the mapping to '/a' has the source None; allowed is a path of 1 to 4096 characters",
        ),
        (
            {"mappings": {"/a": ""}},
            "the mapping to '/a' has the source ''; allowed is a path of 1 to 4096 characters",
        ),
        (
            {"mappings": {"/a": "/s\0"}},
            (
                "the mapping to '/a' has the source '/s\\x00'; allowed is a path of 1 to 4096 "
                "characters"
            ),
        ),
        (
            {"mappings": {"/a": "/\udcff"}},
            (
                "the mapping to '/a' has the source '/\\udcff'; allowed is a path of 1 to 4096 "
                "characters"
            ),
        ),
        (
            {"mappings": {"/a": {"src": "/s", "size": -1}}},
            "the mapping to '/a' has the size -1; allowed is a whole number of bytes from 0 up",
        ),
        (
            {"mappings": {"/a": {"src": "/s", "size": True}}},
            "the mapping to '/a' has the size True; allowed is a whole number of bytes from 0 up",
        ),
        (
            {"mappings": {"/a": {"src": "/s", "flags": FILETYPE_REGULAR_FILE}}},
            "the mapping to '/a' has the size None; allowed is a whole number of bytes from 0 up",
        ),
        (
            {"mappings": {"/a": {"src": "/s", "flags": 3}}},
            (
                "the mapping to '/a' has the flags 3; allowed are FILETYPE_DIRECTORY (2) and "
                "FILETYPE_REGULAR_FILE (4)"
            ),
        ),
        (
            {"mappings": {"/a": {"src": "/s", "size": 1, "access": "rx"}}},
            "the mapping to '/a' has the access 'rx'; allowed is only 'x', for executable",
        ),
        ({"mappings": {"/a/../b": "/s"}}, "the destination '/a/../b' contains '..'"),
        ({"mappings": {"/a\0": "/s"}}, "the destination '/a\\x00' contains a NUL character"),
        (
            {"mappings": {"a\udcff": "/s"}},
            "the destination 'a\\udcff' cannot be encoded as UTF-8",
        ),
        (
            {"mappings": {"C:\\a": "/s"}},
            "the destination 'C:\\\\a' is absolute; give it relative to the storage directory",
        ),
        (
            {"mappings": {"/": {"src": "/s", "size": 1}}},
            "the mapping to '/' is a file, so the destination has to name it",
        ),
        (
            {"mappings": {"/a": "/s", "a/": "/t"}},
            "two mappings have the same destination, 'a'",
        ),
        (
            {"mappings": {"/a": {"src": "/s", "size": 1}, "/a/b/c": "/t"}},
            "the mapping to '/a/b/c' lies below '/a', which another mapping makes a file",
        ),
        (
            {"fileMappings": {"/s": "/a", "/t": "/a"}},
            "two mappings have the same destination, '/a'",
        ),
    ],
)
def test_wrong_mappings_are_refused_and_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        named_mappings(Arguments("send.createManifest", arguments))
    assert caught.value.message == text


def test_names_that_begin_alike_are_not_in_each_others_way() -> None:
    given_ = {"a": {"src": "/s", "size": 1}, "a-b": "/t", "a.c/d": "/u"}
    assert [each.dest for each in named(given_)] == ["a", "a-b", "a.c/d"]


def found(directory: Path, mappings: Any) -> list[tuple[str, str]]:
    rooms = Rooms(directory)
    rooms.forbidden.add(str(directory / "secret"))
    return [(each.named.dest, each.path) for each in found_mappings(named(mappings), ANN, rooms)]


def test_sources_are_found_on_this_machine(tmp_path: Path) -> None:
    write_tree(tmp_path, ["docs/readme.txt", "readme.txt"])
    (tmp_path / "link").symlink_to("docs")
    mappings = {"a": "/docs", "b": "readme.txt", "c": "/link", "/": "/docs"}
    assert found(tmp_path, mappings) == [
        ("", str(tmp_path / "docs")),
        ("a", str(tmp_path / "docs")),
        ("b", str(tmp_path / "readme.txt")),
        ("c", str(tmp_path / "link")),
    ]


def test_what_is_declared_is_not_looked_at(tmp_path: Path) -> None:
    mappings = {"a": {"src": "/nowhere", "size": 1}, "b": {"src": "/nowhere"}}
    assert [dest for dest, _ in found(tmp_path, mappings)] == ["a", "b"]


@pytest.mark.parametrize(
    ("mappings", "text"),
    [
        ({"/a": "/nowhere"}, "the source '/nowhere' of the mapping to '/a' does not exist"),
        (
            {"/a": "/pipe"},
            "the source '/pipe' of the mapping to '/a' is neither a file nor a directory",
        ),
        (
            {"/": "/file"},
            "the source '/file' of the mapping to '/' is a file, so the destination has to name it",
        ),
        (
            {"/a": "/file/below"},
            "the source '/file/below' of the mapping to '/a' cannot be looked at: Not a directory",
        ),
        ({"/a": "/secret"}, "the mapping to '/a' is not possible: not for you"),
        (
            {"/a": {"src": "/secret/x", "size": 1}},
            "the mapping to '/a' is not possible: not for you",
        ),
        (
            {"/a": "/file", "/a/b": "/file"},
            "the mapping to '/a/b' lies below '/a', which another mapping makes a file",
        ),
    ],
)
def test_sources_that_cannot_be_sent_are_refused(
    tmp_path: Path, mappings: dict[str, Any], text: str
) -> None:
    write_tree(tmp_path, ["file"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CommandError) as caught:
        found(tmp_path, mappings)
    assert caught.value.message == text


dests = st.lists(st.text("ab/-\x01\x02\U0001f600\uffff", min_size=1, max_size=3), max_size=4).map(
    "/".join
)


@given(st.lists(dests))
def test_places_have_the_order_of_trees_in_memory_and_in_the_database(found: list[str]) -> None:
    by_parts = sorted(found, key=lambda dest: [part.encode() for part in dest.split("/")])
    assert sorted(found, key=place_of) == by_parts
    assert sorted(found, key=lambda dest: stored_place(dest).encode()) == by_parts
    assert len({stored_place(dest) for dest in found}) == len(set(found))
