import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.errors import CallTimeoutError, CommandError
from jetstream.mappings import MAX_SIZE_OF_ONE, PIECE_SIZE, pieces
from tests.unit.jetstream.fakeconnection import FakeConnection, fake_api

CREATE, ADD = "send.createManifest", "send.addManifestMappings"
PENDING = {"manifestId": "2", "status": "pending", "processing": True}


def test_small_one() -> None:
    connection = FakeConnection()
    connection.script(CREATE, PENDING)
    mappings: Any = {
        "/project/introduction.txt": "/usr/docs/readme.txt",
        "b": {"src": "/b", "size": 1},
    }
    assert fake_api(connection).send.createManifest(mappings=mappings, symlinkOptions=0) == PENDING
    assert connection.calls == [(CREATE, {"mappings": mappings, "symlinkOptions": 0})]


def test_older_way() -> None:
    connection = FakeConnection()
    connection.script(CREATE, PENDING)
    fake_api(connection).send.createManifest({"/usr/docs/readme.txt": "/project/intro.txt"})
    wanted = {"/project/intro.txt": "/usr/docs/readme.txt"}
    assert connection.calls == [(CREATE, {"mappings": wanted})]


def test_paths_as_objects() -> None:
    connection = FakeConnection()
    connection.script(CREATE, PENDING)
    mappings: Any = {Path("a"): Path("/data/a"), "b": {"src": Path("/b"), "size": 1}}
    fake_api(connection).send.createManifest(mappings=mappings)
    wanted = {"a": "/data/a", "b": {"src": "/b", "size": 1}}
    assert connection.calls == [(CREATE, {"mappings": wanted})]


def large(count: int = 3000) -> dict[str, str]:
    return {f"/dest/{n}": "/source" * 60 + f"/{n}" for n in range(count)}


@pytest.mark.parametrize("turned", [True, False])
def test_large_one_goes_in_pieces(turned: bool) -> None:
    connection = FakeConnection()
    connection.script(CREATE, {"manifestId": "2", "status": "pending"})
    connection.handle(ADD, lambda arguments: {**PENDING, "more": arguments["more"]})
    mappings = large()
    send = fake_api(connection).send
    if turned:
        found = send.createManifest({src: dest for dest, src in mappings.items()})
    else:
        found = send.createManifest(mappings=mappings, symlinkOptions=3)
    assert found["manifestId"] == "2"
    assert [name for name, _ in connection.calls] == [CREATE, *[ADD] * (len(connection.calls) - 1)]
    sent = [arguments for _, arguments in connection.calls]
    assert [each["more"] for each in sent] == [*[True] * (len(sent) - 1), False]
    assert len(sent) > 2
    assert all(each["manifestId"] == "2" for each in sent[1:])
    together: dict[str, str] = {}
    for each in sent:
        assert len(json.dumps(each)) < 1_000_000
        together.update(each["mappings"])
    assert together == mappings
    assert list(together) == list(mappings)


@pytest.mark.parametrize("error", [CommandError("no such source"), CallTimeoutError("none")])
def test_large_one_that_fails_is_deleted(error: Exception) -> None:
    connection = FakeConnection()
    connection.script(CREATE, PENDING)
    connection.script(ADD, PENDING, error)
    connection.script("send.deleteManifest", None)
    with pytest.raises(type(error), match=str(error)):
        fake_api(connection).send.createManifest(mappings=large())
    assert connection.calls[-1] == ("send.deleteManifest", {"manifestId": "2"})


def test_large_one_that_cannot_even_be_deleted() -> None:
    connection = FakeConnection()
    connection.script(CREATE, PENDING)
    connection.script(ADD, CommandError("no such source"))
    with pytest.raises(CommandError, match="no such source"):
        fake_api(connection).send.createManifest(mappings=large())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "needs one of 'mappings' and 'fileMappings'"),
        ({"mappings": {}, "fileMappings": {}}, "needs one of"),
        ({"mappings": ["a"]}, "'mappings' is a value of type list, but must be a dict"),
        ({"mappings": {1: "/a"}}, "'mappings' has the path 1, which is no text"),
        ({"mappings": {"a": 1}}, "'mappings' has the path 1"),
        ({"fileMappings": {"/a": "x", "/b": "x"}}, "maps both '/a' and '/b' to 'x'"),
        ({"fileMappings": {"/a": {"src": "x"}}}, "maps '/a' to a value of type dict, not to text"),
        ({"mappings": {"a": {"src": {1}}}}, "mapping of 'a' cannot be sent"),
        ({"mappings": {"a": "x" * (MAX_SIZE_OF_ONE + 1)}}, "mapping of 'a' takes 900009 bytes"),
    ],
)
def test_mappings_that_are_none(arguments: dict[str, Any], text: str) -> None:
    connection = FakeConnection()
    with pytest.raises(CommandError, match=text):
        fake_api(connection).send.createManifest(**arguments)
    assert connection.calls == []


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=40), max_size=60), st.integers(9, 300))
def test_pieces_are_the_whole(mappings: dict[str, str], size: int) -> None:
    found = list(pieces(mappings, size))
    assert [each for piece in found for each in piece.items()] == list(mappings.items())
    assert found
    assert all(found) or found == [{}]
    for piece in found:
        assert len(piece) == 1 or len(json.dumps(piece, ensure_ascii=False).encode()) <= 2 * size


def test_size_of_pieces_leaves_room() -> None:
    assert PIECE_SIZE + MAX_SIZE_OF_ONE > 1_000_000 > max(PIECE_SIZE, MAX_SIZE_OF_ONE)
