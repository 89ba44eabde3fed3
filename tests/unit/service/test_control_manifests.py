import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.control.constants import MAX_PAGE, SYMLINK_FOLLOW, SYMLINK_IGNORE
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.sandboxes import Sandboxes
from dxlfiletransferservice.control.manifests import manifestfilling
from dxlfiletransferservice.control.manifests.manifestcommands import ManifestCommands
from dxlfiletransferservice.control.manifests.manifestfilling import ManifestFilling
from dxlfiletransferservice.control.manifests.manifestrows import (
    clear,
    insert_directories,
    insert_files,
)
from dxlfiletransferservice.control.manifests.manifests import Manifests
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import (
    manifest_directories,
    manifest_files,
    manifest_mappings,
    manifests,
)
from dxlfiletransferservice.control.upkeep.events import EventLog
from tests.unit.service.calling import ANN, BOB, ROOT
from tests.unit.service.manifesting import ManifestWorld, manifest_world
from tests.waiting import wait_until

TOKEN = Principal("ann", token="t1", token_session="s1")
OTHER_TOKEN = Principal("ann", token="t2")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ManifestWorld]:
    with manifest_world(tmp_path) as found:
        yield found


@pytest.fixture
def resting(tmp_path: Path) -> Iterator[ManifestWorld]:
    """Give a world that does not list files before it is told to."""
    with manifest_world(tmp_path, started=False) as found:
        yield found


def refused(act: Callable[[], Any]) -> tuple[ErrorKind, str]:
    with pytest.raises(CommandError) as caught:
        act()
    return caught.value.kind, caught.value.message


def count(world: ManifestWorld, table: Any) -> int:
    with world.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def test_a_new_manifest_is_pending(resting: ManifestWorld) -> None:
    resting.write("readme.txt")
    made = resting.create({"/data/docs/readme.txt": "/readme.txt"})
    assert made == {
        "manifestId": "1",
        "status": "pending",
        "processing": True,
        "errorMessage": None,
        "totalFiles": None,
        "totalSize": None,
        "owner": "ann",
        "ownerToken": None,
        "ownerTokenSession": None,
        "userData": {},
    }
    assert resting.call("getManifest", manifestId=made) == made
    assert resting.events.entries == [("manifestCreated", made, "ann", None)]


def test_it_is_complete_when_its_files_are_listed(world: ManifestWorld) -> None:
    world.write("readme.txt", content=b"x" * 1091)
    found = world.made({"/data/docs/readme.txt": "/readme.txt"})
    assert (found["status"], found["totalFiles"], found["totalSize"]) == ("complete", 1, 1091)
    assert world.events.names() == ["manifestCreated", "manifestUpdated"]
    assert world.events.entries[1] == ("manifestUpdated", found, "ann", None)
    world.filling.close()


def test_what_a_token_makes_is_its_own(world: ManifestWorld) -> None:
    world.write("a")
    found = world.made({"a": "/a"}, TOKEN)
    assert (found["ownerToken"], found["ownerTokenSession"]) == ("t1", "s1")
    assert world.events.entries[0][2:] == ("ann", "t1")
    assert world.rooms.guarded == [("ann", "t1")]


def test_the_same_call_makes_one_manifest(world: ManifestWorld) -> None:
    world.write("a")
    first = world.create({"a": "/a"}, call_id="c")
    world.ended(first)
    shutil.rmtree(world.files_root)
    again = world.create({"a": "/a"}, call_id="c")
    assert again["manifestId"] == first["manifestId"]
    assert again["status"] == "complete"
    assert count(world, manifests) == 1


def test_the_same_call_twice_at_the_same_time_makes_one_manifest(
    resting: ManifestWorld, mocker: MockerFixture
) -> None:
    first = resting.create({"a": {"src": "/a"}}, call_id="c")
    made_by = resting.manifests.made_by
    mocker.patch.object(resting.manifests, "made_by", side_effect=[None, made_by(ANN, "c")])
    assert resting.create({"a": {"src": "/a"}}, call_id="c") == first
    assert count(resting, manifests) == 1


def test_the_older_file_mappings_work(world: ManifestWorld) -> None:
    world.write("a")
    made = world.call("createManifest", fileMappings={"/a": "/to"})
    assert world.ended(made)["totalFiles"] == 1
    assert [each.dest for each in world.listed(made)] == ["to"]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {},
            ErrorKind.INVALID,
            (
                "name what the manifest is to hold either as mappings, from destinations to "
                "sources, or as fileMappings, from sources to destinations"
            ),
        ),
        ({"mappings": {}}, ErrorKind.INVALID, "a manifest needs at least one mapping"),
        (
            {"mappings": {"a": "/no"}},
            ErrorKind.INVALID,
            "the source '/no' of the mapping to 'a' does not exist",
        ),
        (
            {"mappings": {"a": {"src": "/a"}}, "symlinkOptions": 4},
            ErrorKind.INVALID,
            (
                "the argument 'symlinkOptions' of send.createManifest is 4; allowed is one of "
                "0, 1, 2, 3"
            ),
        ),
        (
            {"mappings": {"a": {"src": "/a"}}, "more": 1},
            ErrorKind.INVALID,
            "the argument 'more' of send.createManifest is 1; allowed is true or false",
        ),
        (
            {"mappings": {"a": {"src": "/a"}}, "other": 1},
            ErrorKind.INVALID,
            (
                "send.createManifest takes no argument 'other'; it takes fileMappings, mappings, "
                "more, symlinkOptions"
            ),
        ),
        (
            {"mappings": {f"{number}": {"src": "/a"} for number in range(101)}},
            ErrorKind.INVALID,
            (
                "a manifest takes 100 mappings at most; name directories instead of the files in "
                "them"
            ),
        ),
    ],
)
def test_what_is_wrong_makes_no_manifest(
    resting: ManifestWorld, arguments: dict[str, Any], kind: ErrorKind, text: str
) -> None:
    assert refused(lambda: resting.call("createManifest", **arguments)) == (kind, text)
    assert count(resting, manifests) == 0
    assert resting.events.entries == []


def test_links_are_followed_unless_the_caller_wishes_otherwise(world: ManifestWorld) -> None:
    world.write("d/a")
    (world.files_root / "d/link").symlink_to("a")
    for options, names in (
        (None, ["d/a", "d/link"]),
        (SYMLINK_FOLLOW, ["d/a", "d/link"]),
        (SYMLINK_IGNORE, ["d/a"]),
    ):
        found = world.made({"d": "/d"}, symlinkOptions=options)
        assert [each.dest for each in world.listed(found)] == names


def test_what_cannot_be_listed_is_an_error_of_the_manifest(world: ManifestWorld) -> None:
    world.write("d/a", "d/e/b")
    (world.files_root / "d/link").symlink_to("nowhere")
    found = world.made({"/to": "/d"})
    assert (found["status"], found["processing"], found["totalFiles"]) == ("error", False, None)
    assert found["errorMessage"] == (
        "'/d/link' is a link that cannot be followed (leads nowhere); leave links out by "
        "symlinkOptions, or remove it"
    )
    wait_until(lambda: count(world, manifest_files) + count(world, manifest_directories) == 0)
    assert world.events.entries[-1] == ("manifestUpdated", found, "ann", None)


def test_a_source_that_vanishes_is_an_error_of_the_manifest(resting: ManifestWorld) -> None:
    resting.write("d/a")
    made = resting.create({"/to": "/d"})
    shutil.rmtree(resting.files_root / "d")
    resting.filling.start()
    assert resting.ended(made)["errorMessage"] == "'/d' does not exist any more"


def test_two_mappings_that_give_the_same_file_are_an_error(world: ManifestWorld) -> None:
    world.write("d/a/b", "e")
    found = world.made({"/to": "/d", "/to/a/b": "/e"})
    assert found["errorMessage"] == (
        "two mappings have the same destination, 'to/a/b', and at least one of them has a file "
        "there"
    )


def test_a_user_who_is_gone_is_an_error_of_the_manifest(
    resting: ManifestWorld, mocker: MockerFixture
) -> None:
    made = resting.create({"a": {"src": "/a"}})
    mocker.patch.object(resting.rooms, "guard_for", side_effect=CommandError("no such user"))
    resting.filling.start()
    assert resting.ended(made)["errorMessage"] == "no such user"


def test_sizes_that_cannot_be_counted_are_an_error_of_the_manifest(world: ManifestWorld) -> None:
    largest = {"src": "/s", "size": 2**63 - 1}
    assert world.made({"a": largest})["totalSize"] == 2**63 - 1
    found = world.made({"a": largest, "b": {"src": "/s", "size": 1}})
    assert found["errorMessage"] == (
        "its files are declared to have more bytes than can be counted"
    )


def test_an_unforeseen_failure_is_told_without_details(
    resting: ManifestWorld, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    made = resting.create({"a": {"src": "/a"}})
    mocker.patch.object(resting.rooms, "guard_for", side_effect=RuntimeError("secret"))
    resting.filling.start()
    found = resting.ended(made)
    assert found["errorMessage"] == "the server failed to list its files; its log says why"
    assert "The manifest 1 could not be filled" in caplog.text


def test_a_database_that_cannot_be_written_for_a_while_is_waited_for(
    resting: ManifestWorld, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch.object(manifestfilling, "RETRY_SECONDS", 0.01)
    failures = iter([OperationalError("insert", {}, Exception("disk full"))] * 2)
    real = insert_files

    def insert_or_fail(*arguments: Any) -> None:
        for failure in failures:
            raise failure
        real(*arguments)

    mocker.patch.object(manifestfilling, "insert_files", insert_or_fail)
    made = resting.create({"a": {"src": "/a"}})
    resting.filling.start()
    assert resting.ended(made)["status"] == "complete"
    assert "is begun anew in a while" in caplog.text


def test_two_manifests_are_listed_at_once(resting: ManifestWorld) -> None:
    resting.write("d/a")
    resting.rooms.gate.clear()
    slow = resting.create({"d": "/d"})
    resting.filling.start()
    quick = resting.create({"b": {"src": "/b"}})
    assert resting.ended(quick)["status"] == "complete"
    assert resting.call("getManifest", manifestId=slow)["processing"]
    resting.rooms.gate.set()
    assert resting.ended(slow)["status"] == "complete"


def test_a_killed_server_begins_anew(resting: ManifestWorld) -> None:
    resting.write("d/a/b", "d/c")
    made = resting.create({"to": "/d"})
    # What a server leaves that is killed in the middle.
    left = [(0, 0, "to/a", "b", 5, False, False, 7), (1, 0, "to", "gone", 5, False, False, 7)]
    with resting.database.write() as connection:
        insert_files(connection, 1, left)
        insert_directories(connection, 1, [(0, "", "to"), (1, "to", "a")])
    resting.filling.start()
    found = resting.ended(made)
    assert (found["totalFiles"], found["totalSize"]) == (2, 2)
    assert [each.dest for each in resting.listed(made)] == ["to/a/b", "to/c"]
    assert [each.name for each in resting.files.children(1, "to", "", 9)] == ["a", "c"]


def test_a_server_that_ends_meanwhile_begins_anew_at_the_next_start(
    resting: ManifestWorld,
) -> None:
    resting.write("d/a", "d/e/b")
    resting.rooms.gate.clear()
    made = resting.create({"to": "/d"})
    resting.filling.start()
    wait_until(lambda: bool(resting.rooms.guarded))
    closing = threading.Thread(target=resting.filling.close)
    closing.start()
    wait_until(lambda: resting.filling._closed)
    resting.rooms.gate.set()
    closing.join(30)
    assert resting.call("getManifest", manifestId=made)["status"] == "pending"
    assert count(resting, manifest_files) == 0
    resting.begin()
    resting.filling.start()
    assert resting.ended(made)["totalFiles"] == 2


def test_closing_what_was_never_started_is_no_mistake(resting: ManifestWorld) -> None:
    resting.filling.close()
    resting.filling.close()


def test_more_files_than_fit_into_one_transaction(
    world: ManifestWorld, mocker: MockerFixture
) -> None:
    mocker.patch.object(manifestfilling, "ROWS_AT_ONCE", 3)
    world.write(*(f"d/{number % 4}/{number:03d}" for number in range(21)))
    found = world.made({"to": "/d"})
    assert (found["totalFiles"], found["totalSize"]) == (21, 21)
    listed = world.listed(found)
    assert [each.number for each in listed] == list(range(21))
    assert [each.dest for each in listed] == sorted(each.dest for each in listed)
    assert count(world, manifest_directories) == 5


def test_a_deleted_manifest_is_not_to_be_seen(world: ManifestWorld) -> None:
    world.write("a")
    made = world.made({"a": "/a"})
    assert world.call("deleteManifest", manifestId=made) is None
    text = "there is no manifest '1'"
    for command in ("getManifest", "getManifestFiles", "deleteManifest"):
        assert refused(partial(world.call, command, manifestId="1")) == (
            ErrorKind.NOT_FOUND,
            text,
        )
    assert world.call("getManifests") == []
    assert world.events.names()[-1] == "manifestDeleted"
    # A transfer that sends from it goes on.
    assert [each.dest for each in world.listed(made)] == ["a"]


def test_a_manifest_can_be_deleted_while_its_files_are_listed(
    resting: ManifestWorld, mocker: MockerFixture
) -> None:
    mocker.patch.object(manifestfilling, "ROWS_AT_ONCE", 2)
    resting.write("d/1", "d/2", "d/25", "d/3/4", "d/5", "d/6")
    made = resting.create({"to": "/d"})
    inserting = mocker.spy(manifestfilling, "insert_files")

    def delete(path: str) -> None:
        if path.endswith("/3"):
            assert count(resting, manifest_files) == 2
            resting.call("deleteManifest", manifestId=made)

    resting.rooms.looked_at = delete
    resting.filling.start()
    wait_until(lambda: _status(resting, 1) == "error")
    wait_until(lambda: count(resting, manifest_files) == 0)
    assert inserting.call_count == 1
    assert "manifestUpdated" not in resting.events.names()


def _status(world: ManifestWorld, number: int) -> str | None:
    with world.database.read() as connection:
        found: str | None = connection.scalar(
            select(manifests.c.status).where(manifests.c.id == number)
        )
        return found


def test_clearing_goes_in_small_steps(resting: ManifestWorld) -> None:
    rows = [(number, 0, "", f"{number}", 1, False, False, None) for number in range(10)]
    resting.create({"a": {"src": "/a"}})
    with resting.database.write() as connection:
        insert_files(connection, 1, rows)
        insert_files(connection, 2, rows)
        insert_directories(connection, 1, [(number, "", f"{number}") for number in range(4)])
    assert len(list(clear(resting.database, 1, at_once=3))) == 4 + 2
    assert count(resting, manifest_files) == 10
    assert count(resting, manifest_directories) == 0


def test_what_is_left_of_a_manifest_goes_with_it(resting: ManifestWorld) -> None:
    resting.create({"a": {"src": "/a"}})
    with resting.database.write() as connection:
        insert_directories(connection, 1, [(0, "", "x")])
        connection.execute(manifests.delete())
    assert count(resting, manifest_mappings) + count(resting, manifest_directories) == 0


# Mappings in pieces


def test_mappings_can_come_in_pieces(world: ManifestWorld) -> None:
    world.write("d/a", "b")
    made = world.create({"to": "/d"}, more=True)
    part = world.call("addManifestMappings", manifestId=made, mappings={"b": "/b"}, more=True)
    assert part == made
    assert world.manifests.get(ANN, 1, shown="1")["status"] == "pending"
    last = {"to/z": {"src": "/z", "size": 5}}
    world.call("addManifestMappings", manifestId="1", mappings=last)
    assert world.ended(made)["totalFiles"] == 3
    assert [each.dest for each in world.listed(made)] == ["b", "to/a", "to/z"]


def test_a_manifest_in_preparation_is_not_listed(resting: ManifestWorld) -> None:
    made = resting.create({}, more=True)
    resting.filling.start()
    assert resting.ended(resting.create({"b": {"src": "/b"}}))["status"] == "complete"
    assert resting.call("getManifest", manifestId=made)["processing"]
    resting.call("addManifestMappings", manifestId=made, mappings={"a": {"src": "/a"}})
    assert resting.ended(made)["totalFiles"] == 1


def test_the_same_call_adds_its_mappings_once(world: ManifestWorld) -> None:
    made = world.create({"a": {"src": "/a"}}, more=True)
    for _ in range(3):
        world.call(
            "addManifestMappings",
            call_id="c",
            manifestId=made,
            mappings={"b": {"src": "/b"}},
            more=False,
        )
    assert world.ended(made)["totalFiles"] == 2
    # The call that made it may come again as well.
    assert world.manifests.made_by(ANN, "c") is None
    assert count(world, manifest_mappings) == 2


def test_mappings_that_are_not_wanted_are_refused(resting: ManifestWorld) -> None:
    mappings = {"a": {"src": "/a"}}
    done = resting.create(mappings)
    waiting = resting.create(mappings, more=True)

    def add(manifest: Any, mappings: Any, who: Principal = ANN) -> tuple[ErrorKind, str]:
        return refused(
            lambda: resting.call("addManifestMappings", who, manifestId=manifest, mappings=mappings)
        )

    assert add(done, {"b": {"src": "/b"}}) == (
        ErrorKind.STATE,
        "the manifest 1 takes no further mappings: the last ones have come",
    )
    assert add(waiting, {"b": {"src": "/b"}, "/a": {"src": "/c"}}) == (
        ErrorKind.INVALID,
        "two mappings have the same destination, '/a'",
    )
    many = {f"b{number}": {"src": "/b"} for number in range(100)}
    assert add(waiting, many)[1].startswith("a manifest takes 100 mappings at most")
    assert add(waiting, {"b": "/no"})[1] == "the source '/no' of the mapping to 'b' does not exist"
    for manifest in ("7", "x", waiting):
        who = BOB if manifest == waiting else ANN
        assert add(manifest, {"b": {"src": "/b"}}, who)[0] is ErrorKind.NOT_FOUND
    assert count(resting, manifest_mappings) == 2
    resting.call("addManifestMappings", manifestId=waiting, mappings={"b": {"src": "/b"}})
    assert count(resting, manifest_mappings) == 3


def test_an_abandoned_preparation_goes_after_an_hour(world: ManifestWorld) -> None:
    made = world.create({"a": {"src": "/a"}}, more=True)
    world.clock.pass_by(3000)
    world.call("addManifestMappings", manifestId=made, mappings={"b": {"src": "/b"}}, more=True)
    world.clock.pass_by(3000)
    world.manifests.maintain()
    assert world.call("getManifest", manifestId=made)["processing"]
    world.clock.pass_by(601)
    other = world.made({"a": {"src": "/a"}})
    world.manifests.maintain()
    world.manifests.maintain()
    assert [each["manifestId"] for each in world.call("getManifests")] == [other["manifestId"]]
    assert world.events.names().count("manifestDeleted") == 1
    assert (
        refused(
            lambda: world.call(
                "addManifestMappings", manifestId=made, mappings={"c": {"src": "/c"}}
            )
        )[0]
        is ErrorKind.NOT_FOUND
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(st.text("ab-/\x01", min_size=1, max_size=6), min_size=1, max_size=30),
    st.integers(1, 7),
)
def test_pieces_make_the_same_manifest_as_one_call(
    world: ManifestWorld, wanted: set[str], size: int
) -> None:
    names = sorted({"/".join(part for part in each.split("/") if part) for each in wanted} - {""})
    mappings = [(name, {"src": f"/{name}"}) for name in names]
    if not mappings:
        return
    whole = world.made(dict(mappings))
    parts = [dict(mappings[at : at + size]) for at in range(0, len(mappings), size)]
    made = world.create(parts[0], more=len(parts) > 1)
    for number, part in enumerate(parts[1:], 2):
        more = number < len(parts)
        world.call("addManifestMappings", manifestId=made, mappings=part, more=more)
    assert world.ended(made)["totalFiles"] == whole["totalFiles"]
    assert [each.dest for each in world.listed(made)] == [each.dest for each in world.listed(whole)]


# Lists


def test_manifests_are_listed_page_by_page(resting: ManifestWorld) -> None:
    for _ in range(7):
        resting.create({"a": {"src": "/a"}})

    def ids(**arguments: Any) -> list[str]:
        return [each["manifestId"] for each in resting.call("getManifests", **arguments)]

    assert ids() == ["1", "2", "3", "4", "5", "6", "7"]
    assert ids(limit=2) == ["1", "2"]
    assert ids(after="2", limit=2) == ["3", "4"]
    assert ids(after={"manifestId": "2"}, before="5") == ["3", "4"]
    assert ids(limit=0, after="6") == ["7"]
    assert ids(after="7") == []
    kind, text = refused(lambda: ids(limit=-1))
    assert kind is ErrorKind.INVALID
    assert text.startswith("the argument 'limit' of send.getManifests is -1")


def test_a_page_is_small_whatever_is_in_it(resting: ManifestWorld) -> None:
    with resting.database.write() as connection:
        connection.execute(
            insert(manifests),
            [
                {
                    **ANN.columns(),
                    "status": "complete",
                    "symlink_options": 3,
                    "user_data": {"key": "\n" * 4096},
                }
            ]
            * (MAX_PAGE + 1),
        )
    seen = 0
    while page := resting.call("getManifests", after=str(seen)):
        assert len(page) <= MAX_PAGE
        assert len(json.dumps(page)) < 512 * 1024
        assert [each["manifestId"] for each in page] == [
            str(seen + number) for number in range(1, len(page) + 1)
        ]
        seen += len(page)
    assert seen == MAX_PAGE + 1


def test_the_files_of_a_manifest_are_listed_as_they_were_named(world: ManifestWorld) -> None:
    world.write("docs/readme.txt", "docs/empty/", "tool", content=b"123")
    (world.files_root / "tool").chmod(0o755)
    found = world.made({"/project": "/docs", "tool": "tool", "/z": {"src": "/z", "size": 5}})
    listed = world.call("getManifestFiles", manifestId=found)
    times = [each.pop("modificationTime") for each in listed["fileMappings"]]
    common = {"isEmptyDir": False, "executable": False}
    assert listed == {
        "manifestId": "1",
        "fileMappings": [
            {
                "srcPath": "/docs/empty",
                "destPath": "/project/empty",
                "fileSize": 0,
                **common,
                "isEmptyDir": True,
            },
            {
                "srcPath": "/docs/readme.txt",
                "destPath": "/project/readme.txt",
                "fileSize": 3,
                **common,
            },
            {"srcPath": "tool", "destPath": "tool", "fileSize": 3, **common, "executable": True},
            {"srcPath": "/z", "destPath": "/z", "fileSize": 5, **common},
        ],
    }
    assert [time is None for time in times] == [True, False, False, True]


def test_the_files_of_a_manifest_are_listed_page_by_page(world: ManifestWorld) -> None:
    world.write(*(f"d/{number:04d}" for number in range(MAX_PAGE + 20)))
    made = world.made({"d": "/d"})

    def numbers(**arguments: Any) -> list[int]:
        found = world.call("getManifestFiles", manifestId=made, **arguments)["fileMappings"]
        return [int(each["destPath"].removeprefix("d/")) for each in found]

    assert numbers() == list(range(MAX_PAGE))
    assert numbers(limit=3) == [0, 1, 2]
    assert numbers(after=2, limit=2) == [3, 4]
    assert numbers(after=MAX_PAGE - 1) == list(range(MAX_PAGE, MAX_PAGE + 20))
    assert numbers(after=MAX_PAGE + 19) == []
    assert numbers(after=-1, limit=0) == list(range(MAX_PAGE))


def test_a_page_of_files_is_small_whatever_their_names(resting: ManifestWorld) -> None:
    name = "\n" * 255 + "/"
    long = {f"{number:03d}/" + name * 10: {"src": "/" + name * 15} for number in range(99)}
    made = resting.create(long)
    resting.filling.start()
    resting.ended(made)
    seen = 0
    pages = 0
    while page := resting.call("getManifestFiles", manifestId=made, after=seen - 1)["fileMappings"]:
        assert len(json.dumps(page)) < 512 * 1024
        seen += len(page)
        pages += 1
    assert seen == 99
    assert pages > 1


def test_files_are_told_when_the_manifest_is_complete(resting: ManifestWorld) -> None:
    resting.write("d/a")
    made = resting.create({"d": "/d"})
    bad = resting.create({"e": "/d"})

    def listed(manifest: Any) -> Any:
        return resting.call("getManifestFiles", manifestId=manifest)

    assert refused(lambda: listed(made)) == (
        ErrorKind.STATE,
        "the files of manifest 1 are still being listed: wait until it is complete",
    )
    shutil.rmtree(resting.files_root)
    resting.filling.start()
    resting.ended(bad)
    assert refused(lambda: listed(bad)) == (
        ErrorKind.STATE,
        "the manifest 2 could not be made: '/d' does not exist any more",
    )


# Who may do what

SHARED = Principal("ann", token="link", manifest_id=1)
"""A shared token for the first manifest."""


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        (ANN, ["1", "2", "3"]),
        (BOB, ["4"]),
        (ROOT, ["1", "2", "3", "4"]),
        (TOKEN, ["2"]),
        (OTHER_TOKEN, ["3"]),
        (SHARED, ["1"]),
        (Principal("link"), []),
    ],
)
def test_everybody_sees_his_own(resting: ManifestWorld, who: Principal, seen: list[str]) -> None:
    for owner in (ANN, TOKEN, OTHER_TOKEN, BOB):
        resting.create({"a": {"src": "/a"}}, owner)
    resting.filling.start()
    for number in "1234":
        resting.ended(number, ROOT)
    assert [each["manifestId"] for each in resting.call("getManifests", who)] == seen
    for number in "1234":
        for command in ("getManifest", "getManifestFiles"):
            if number in seen:
                found = resting.call(command, who, manifestId=number)
                assert found["manifestId"] == number
            else:
                assert refused(partial(resting.call, command, who, manifestId=number)) == (
                    ErrorKind.NOT_FOUND,
                    f"there is no manifest '{number}'",
                )
    for number in "1234":
        if number not in seen:
            act = partial(resting.call, "deleteManifest", who, manifestId=number)
            wanted = ErrorKind.NOT_ALLOWED if who is SHARED else ErrorKind.NOT_FOUND
            assert refused(act)[0] is wanted
    if who is not SHARED:
        for number in seen:
            resting.call("deleteManifest", who, manifestId=number)
        assert resting.call("getManifests", who) == []


def test_a_shared_token_sees_no_paths_of_the_server(world: ManifestWorld) -> None:
    world.write("private/readme.txt")
    found = world.made({"/docs": "/private"})
    listed = world.call("getManifestFiles", SHARED, manifestId=found)
    (file,) = listed["fileMappings"]
    assert (file["srcPath"], file["destPath"]) == ("/docs/readme.txt", "/docs/readme.txt")
    assert "private" not in json.dumps(listed)
    assert world.call("getManifest", SHARED, manifestId=found)["totalFiles"] == 1


def test_a_shared_token_sees_no_error_message(world: ManifestWorld) -> None:
    world.write("private/a")
    (world.files_root / "private/link").symlink_to("nowhere")
    found = world.made({"/docs": "/private"})
    assert "private" in found["errorMessage"]
    assert world.call("getManifest", SHARED, manifestId=found)["errorMessage"] is None
    kind, text = refused(lambda: world.call("getManifestFiles", SHARED, manifestId=found))
    assert kind is ErrorKind.STATE
    assert "private" not in text


def test_a_shared_token_makes_and_deletes_nothing(world: ManifestWorld) -> None:
    world.write("a")
    made = world.made({"a": "/a"})
    for command, arguments in (
        ("createManifest", {"mappings": {"a": "/a"}}),
        ("addManifestMappings", {"manifestId": made, "mappings": {"b": "/a"}}),
        ("deleteManifest", {"manifestId": made}),
    ):
        kind, _ = refused(partial(world.call, command, SHARED, **arguments))
        assert kind is ErrorKind.NOT_ALLOWED
    assert len(world.call("getManifests")) == 1


@pytest.mark.parametrize(
    ("permission", "commands"),
    [("download", {"createManifest", "addManifestMappings"}), ("delete", {"deleteManifest"})],
)
def test_an_api_token_needs_permissions(
    resting: ManifestWorld, permission: str, commands: set[str]
) -> None:
    may = Principal("ann", token="t", permissions=frozenset({permission}))
    all_arguments: dict[str, dict[str, Any]] = {
        "createManifest": {"mappings": {"a": {"src": "/a"}}},
        "addManifestMappings": {"manifestId": "1", "mappings": {"b": {"src": "/b"}}},
        "deleteManifest": {"manifestId": "1"},
    }
    resting.create({"a": {"src": "/a"}}, Principal("ann", token="t"), more=True)
    for command, arguments in all_arguments.items():
        if command in commands:
            resting.call(command, may, **arguments)
        else:
            kind, text = refused(partial(resting.call, command, may, **arguments))
            assert kind is ErrorKind.NOT_ALLOWED
            assert text.startswith("this token does not permit to ")


def test_nobody_gets_anything_without_logging_on(resting: ManifestWorld) -> None:
    resting.create({"a": {"src": "/a"}})
    for command in resting.commands.handlers:
        kind, _ = refused(
            partial(resting.call, command.removeprefix("send."), None, manifestId="1")
        )
        assert kind is ErrorKind.NOT_AUTHENTICATED


# With the real sandboxes and event log


def test_a_user_in_a_sandbox_sees_his_own_paths_only(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    (storage / "docs").mkdir(parents=True)
    (storage / "docs/a").write_text("a")
    (storage / "docs/out").symlink_to(tmp_path)
    (tmp_path / "other").write_text("other")
    database = Database(f"sqlite:///{tmp_path / 'server.db'}")
    sandboxes = Sandboxes(database)
    sandboxes.set("", {"mine": str(storage)})
    log = EventLog(database)
    filling = ManifestFilling(database, sandboxes, log)
    found = Manifests(database, log, filling.wake)
    with manifest_world(tmp_path) as world:
        world.commands.add(ManifestCommands(found, world.files, sandboxes))
        filling.start()
        try:
            failed = world.made({"/to": "/mine/docs"})
            assert failed["errorMessage"] == (
                "'/mine/docs/out' is not among what may be sent from this server"
            )
            done = world.made({"/to": "/mine/docs"}, symlinkOptions=SYMLINK_IGNORE)
            listed = world.call("getManifestFiles", manifestId=done)["fileMappings"]
            assert [each["srcPath"] for each in listed] == ["/mine/docs/a"]
            assert [each.src for each in world.listed(done)] == [str(storage / "docs/a")]
            for source in ("/other", str(tmp_path / "other"), "/mine/../other"):
                kind, text = refused(partial(world.create, {"/x": source}))
                assert kind is ErrorKind.NOT_ALLOWED
                assert text.startswith("the mapping to '/x' is not possible: the path ")
        finally:
            filling.close()
            log.close()
            database.close()


def test_what_another_thread_has_filled_meanwhile_is_left_alone(
    world: ManifestWorld, mocker: MockerFixture
) -> None:
    world.write("a")
    manifest = world.made({"a": "/a"})
    cleared = mocker.spy(manifestfilling, "clear")
    # It was looked for before the other thread was done, and is taken afterwards.
    world.filling._fill(int(manifest["manifestId"]))
    assert cleared.call_count == 0
    assert world.ended(manifest) == manifest
    assert [file.dest for file in world.listed(manifest)] == ["a"]
