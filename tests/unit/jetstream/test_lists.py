from typing import Any

import pytest

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import CommandError, ControlError
from dxlfiletransferclient.control.paging import paged
from tests.unit.jetstream.fakeconnection import FakeConnection, fake_api

LISTS = [
    ("send.getDestinations", "destinationId"),
    ("send.getConnections", "connectionId"),
    ("send.getManifests", "manifestId"),
    ("send.getSharedTokens", "token"),
    ("send.getTransfers", "transferId"),
    ("server.getAPITokens", "token"),
    ("server.getEventLog", "_id"),
]


def serving(connection: FakeConnection, command: str, field: str, count: int, most: int) -> None:
    """Have a list of some structures served in pages of at most some."""
    everything = [{field: str(number)} for number in range(1, count + 1)]

    def page(arguments: dict[str, Any]) -> list[dict[str, str]]:
        after = int(arguments.get("after", 0))
        return everything[after:][: min(arguments["limit"], most)]

    connection.handle(command, page)


@pytest.mark.parametrize(("command", "field"), LISTS)
@pytest.mark.parametrize("limit", [None, 0, 1, 499, 500, 501, 1234, 2000])
def test_pages_until_the_limit_or_the_end(command: str, field: str, limit: int | None) -> None:
    connection = FakeConnection()
    serving(connection, command, field, 1234, MAX_PAGE)
    interface, name = command.split(".")
    options = {} if limit is None else {"limit": limit}
    found = getattr(getattr(fake_api(connection), interface), name)(**options)
    assert [each[field] for each in found] == [str(n) for n in range(1, 1235)][: limit or None]
    assert all(each["limit"] <= MAX_PAGE for each in connection.of(command))


def test_pages_that_are_shorter_than_they_could_be() -> None:
    connection = FakeConnection()
    serving(connection, "send.getTransfers", "transferId", 20, 3)
    assert len(fake_api(connection).send.getTransfers()) == 20


def test_filters_go_along_with_each_page() -> None:
    connection = FakeConnection()
    connection.script(
        "send.getTransfers", [{"transferId": "4"}, {"transferId": "5"}], [{"transferId": "7"}], []
    )
    found = fake_api(connection).send.getTransfers(
        {"destinationId": "42", "connectionId": "1"}, before={"transferId": "9"}, after="3"
    )
    assert [each["transferId"] for each in found] == ["4", "5", "7"]
    same = {"destinationId": "42", "before": "9", "limit": MAX_PAGE}
    assert connection.of("send.getTransfers") == [
        {"after": after, **same} for after in ("3", "5", "7")
    ]


@pytest.mark.parametrize("limit", [-1, "3", True])
@pytest.mark.parametrize("name", ["getTransfers", "getDestinations", "getSharedTokens"])
def test_limit_that_is_none(name: str, limit: Any) -> None:
    connection = FakeConnection()
    send = fake_api(connection).send
    with pytest.raises(CommandError, match=f"argument 'limit' of send.{name} is {limit!r}"):
        getattr(send, name)(limit=limit)
    with pytest.raises(CommandError, match="argument 'limit' of send"):
        send.getManifestFiles("2", limit)
    assert connection.calls == []


def test_server_that_goes_round_in_circles() -> None:
    connection = FakeConnection()
    connection.handle("send.getTransfers", lambda _arguments: [{"transferId": "1"}])
    with pytest.raises(ControlError, match="does not go on with its list after '1'"):
        fake_api(connection).send.getTransfers()


def test_server_that_sends_more_than_it_should() -> None:
    pages = [[1, 2, 3], [4, 5, 6], []]
    assert list(paged(lambda _after, _most: pages.pop(0), lambda each: each, limit=4)) == [
        1,
        2,
        3,
        4,
    ]


def test_nothing_is_fetched_before_it_is_needed() -> None:
    asked: list[int | None] = []

    def fetch(after: int | None, _most: int) -> list[int]:
        asked.append(after)
        return [(after or 0) + 1]

    items = paged(fetch, lambda each: each)
    assert asked == []
    assert [next(items), next(items)] == [1, 2]
    assert asked == [None, 1]


def test_entries_of_the_event_log() -> None:
    connection = FakeConnection()
    connection.script("server.getEventLog", [])
    assert fake_api(connection).server.getEventLog({"_id": 9, "_event": "a"}, 3, 7) == []
    assert connection.of("server.getEventLog") == [{"before": 9, "after": 3, "limit": 7}]


def test_users_and_sandboxes() -> None:
    connection = FakeConnection()
    connection.script("server.getUsers", [{"userName": "ann"}], [{"userName": "bob"}], [])
    sandbox = {"": {"type": "File", "path": "/srv"}}
    connection.script("server.getSandboxMappings", {"": sandbox}, {"ann": sandbox}, {})
    server = fake_api(connection).server
    assert [each["userName"] for each in server.getUsers()] == ["ann", "bob"]
    assert server.getSandboxMappings() == {"": sandbox, "ann": sandbox}
    pages = connection.of("server.getSandboxMappings")
    assert [each.get("after") for each in pages] == [None, "", "ann"]


def files(first: int, count: int) -> dict[str, Any]:
    return {"fileMappings": [{"destPath": f"f{n}"} for n in range(first, first + count)]}


def test_files_of_a_manifest() -> None:
    connection = FakeConnection()
    connection.script("send.getManifestFiles", files(0, 500), files(500, 200), files(0, 0))
    found = fake_api(connection).send.getManifestFiles({"manifestId": "2"})
    assert found["manifestId"] == "2"
    assert [each["destPath"] for each in found["fileMappings"]] == [f"f{n}" for n in range(700)]
    asked = [each.get("after") for each in connection.of("send.getManifestFiles")]
    assert asked == [None, 499, 699]


def test_some_files_of_a_manifest() -> None:
    connection = FakeConnection()
    connection.script("send.getManifestFiles", files(0, 500), files(500, 100))
    assert len(fake_api(connection).send.getManifestFiles(2, 600)["fileMappings"]) == 600
    assert [each["limit"] for each in connection.of("send.getManifestFiles")] == [500, 100]
