from typing import Any

import pytest

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from jetstream import Helper, TransferObject
from tests.unit.jetstream.fakeconnection import FakeConnection, fake_api


def test_mappings() -> None:
    assert Helper.getFileMappings(["/a/b", "/c"]) == {"/a/b": "/a/b", "/c": "/c"}
    assert Helper.getFileMappings(["/a/b/c", "/a/d"], "/a") == {"b/c": "/a/b/c", "d": "/a/d"}
    with pytest.raises(ValueError, match="/b does not lie below /a"):
        Helper.getFileMappings(["/b"], relative_to="/a")
    assert Helper.getFileMappings(["/a/..b"], "/a") == {"..b": "/a/..b"}


@pytest.mark.parametrize(
    ("read", "write", "flags"), [(True, True, 7), (True, False, 1), (False, True, 6)]
)
def test_flags(read: bool, write: bool, flags: int) -> None:
    assert Helper.getTransferFlags(read, write) == flags


def test_filtered_files() -> None:
    connection = FakeConnection()
    manifests = [{"manifestId": str(n), "status": "complete"} for n in range(1, 4)]
    manifests.append({"manifestId": "4", "status": "pending"})
    connection.script("send.getManifests", manifests, [])

    def files(arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["manifestId"] == "2":
            raise CommandError("there is no manifest '2'", ErrorKind.NOT_FOUND)
        if "after" in arguments:
            return {"fileMappings": []}
        names = {"1": ["a.csv", "b"], "3": ["c"]}[arguments["manifestId"]]
        return {"fileMappings": [{"destPath": name} for name in names]}

    connection.handle("send.getManifestFiles", files)
    helper = Helper(fake_api(connection))
    found = helper.getFilteredManifestFiles(lambda each: each["destPath"].endswith(".csv"))
    assert found == [{"manifestId": "1", "fileMappings": [{"destPath": "a.csv"}]}]


def test_filtered_files_with_an_error() -> None:
    connection = FakeConnection()
    connection.script("send.getManifests", [{"manifestId": "1", "status": "complete"}], [])
    connection.script("send.getManifestFiles", CommandError("busy", ErrorKind.BUSY))
    with pytest.raises(CommandError, match="busy"):
        Helper(fake_api(connection)).getFilteredManifestFiles(bool)


def sending(status: str) -> FakeConnection:
    connection = FakeConnection()
    pending = {"manifestId": "2", "status": "pending", "processing": True}
    done = {"manifestId": "2", "status": status, "processing": False, "errorMessage": "gone"}
    connection.script("send.createManifest", pending)
    connection.script("send.getManifest", pending, done)
    connection.script("send.createDestination", {"destinationId": "42"})
    connection.script("send.createTransfer", {"transferId": "17", "destinationId": "42"})
    return connection


def test_send_files() -> None:
    connection = sending("complete")
    helper = Helper(fake_api(connection))
    sent = helper.sendFiles(["/data/a"], "there", "in", "/data", userName="ann", priority=1)
    assert (sent.destinationId, sent.transferId) == ("42", "17")
    assert connection.of("send.createManifest") == [{"mappings": {"a": "/data/a"}}]
    assert connection.of("send.createDestination") == [{"destinationAddress": "there"}]
    assert connection.of("send.createTransfer") == [
        {
            "destinationId": "42",
            "manifestId": "2",
            "destinationPath": "in",
            "userName": "ann",
            "priority": 1,
        }
    ]


def test_send_files_by_mappings_to_a_known_destination() -> None:
    connection = sending("complete")
    Helper(fake_api(connection)).sendFiles({"a": "/x"}, {"destinationId": "42"})
    assert connection.of("send.createManifest") == [{"mappings": {"a": "/x"}}]
    assert connection.of("send.createDestination") == []


def test_send_files_that_are_not_there() -> None:
    with pytest.raises(CommandError, match="the files cannot be sent: gone"):
        Helper(fake_api(sending("error"))).sendFiles(["/data/a"], "there")


@pytest.mark.parametrize(
    ("status", "acked", "total", "progress"),
    [
        ("pending", 0, 8, 0.0),
        ("sending", 3, 8, 37.5),
        ("sending", 8, 8, 99.9),
        ("sending", 9, 8, 99.9),
        ("complete", 8, 8, 100.0),
        ("pending", 0, 0, 0.0),
        ("complete", 0, 0, 100.0),
        ("error", 4, 8, 50.0),
    ],
)
def test_transfer_object(status: str, acked: int, total: int, progress: float) -> None:
    connection = FakeConnection()
    structure = {"status": status, "blocksAcked": acked, "totalBlocks": total}
    connection.script("send.getTransfer", *[structure] * 3)
    found = TransferObject(fake_api(connection), {"destinationId": "42"}, {"transferId": "17"})
    assert found.getProgress() == progress
    assert found.getStatus() == status
    assert found.getRawStats() == structure
    assert connection.of("send.getTransfer") == [{"transferId": "17"}] * 3
