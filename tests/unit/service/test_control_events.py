"""The event log, and the same events on the fabric."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dxlclient.exceptions import DxlException
from dxlclient.message import Event as DxlEvent
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.pages import MAX_PAGE_BYTES
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import events as table
from dxlfiletransferservice.control.upkeep.eventbus import EventBus, public_part
from dxlfiletransferservice.control.upkeep.eventcommands import EventCommands
from dxlfiletransferservice.control.upkeep.eventdata import MAX_DATA, without_secrets
from dxlfiletransferservice.control.upkeep.events import Event, EventLog
from tests.unit.service.calling import ANN, BOB, ROOT, Clock, call, opened
from tests.waiting import TIMEOUT, wait_until

TOKEN = Principal("ann", token="t1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.fixture
def log(database: Database) -> Iterator[EventLog]:
    log = EventLog(database, clock=Clock())
    log.start()
    yield log
    log.close()


def asked(log: EventLog, principal: Principal | None = ANN, **arguments: Any) -> Any:
    made = call("server.getEventLog", arguments, principal=principal)
    return EventCommands(log).handlers()["server.getEventLog"](made)


def names(log: EventLog, principal: Principal, **arguments: Any) -> list[str]:
    return [entry["_event"] for entry in asked(log, principal, **arguments)]


def test_an_entry_tells_the_event_the_time_and_the_structure(log: EventLog) -> None:
    log.record("transferUpdated", {"transferId": "17", "status": "sending"}, owner="ann")
    assert asked(log) == [
        {
            "_event": "transferUpdated",
            "_timestamp": Clock().now,
            "_id": "1",
            "transferId": "17",
            "status": "sending",
        }
    ]


def test_everybody_sees_his_own_and_superusers_see_all(log: EventLog) -> None:
    log.record("serverStarted", {})
    log.record("a", {}, owner="ann")
    log.record("t1", {}, owner="ann", owner_token="t1")
    log.record("t2", {}, owner="ann", owner_token="t2")
    log.record("b", {}, owner="bob")
    assert names(log, ROOT) == ["serverStarted", "a", "t1", "t2", "b"]
    assert names(log, ANN) == ["a", "t1", "t2"]
    assert names(log, TOKEN) == ["t1"]
    assert names(log, BOB) == ["b"]
    assert names(log, Principal("eve")) == []


def test_a_shared_token_and_nobody_are_refused(log: EventLog) -> None:
    with pytest.raises(CommandError) as caught:
        asked(log, Principal("ann", token="t1", manifest_id=3))
    assert caught.value.kind is ErrorKind.NOT_ALLOWED
    with pytest.raises(CommandError) as caught:
        asked(log, None)
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED


def test_pages_follow_each_other(log: EventLog) -> None:
    for number in range(7):
        log.record(f"e{number}", {}, owner="ann")
    first = asked(log, limit=3)
    assert [each["_event"] for each in first] == ["e0", "e1", "e2"]
    assert names(log, ANN, after=first[-1], limit=3) == ["e3", "e4", "e5"]
    assert names(log, ANN, after=first[-1]["_id"], before=6) == ["e3", "e4"]
    assert names(log, ANN, limit=0, after=6) == ["e6"]


def test_a_page_fits_into_an_answer(log: EventLog) -> None:
    for _ in range(30):
        log.record("e", {"userData": {"a": "x" * 30_000}}, owner="ann")
    found: list[Any] = []
    while page := asked(log, **({"after": found[-1]} if found else {})):
        assert len(json.dumps(page)) <= MAX_PAGE_BYTES + 1024
        found += page
    assert len(found) == 30


@pytest.mark.parametrize("arguments", [{"limit": -1}, {"limit": "x"}, {"after": 1.5}, {"zzz": 1}])
def test_wrong_arguments_are_refused(log: EventLog, arguments: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as caught:
        asked(log, **arguments)
    assert caught.value.kind is ErrorKind.INVALID


def test_events_outlive_the_server(database: Database) -> None:
    first = EventLog(database)
    first.record("early", {}, owner="ann")
    first.start()
    first.record("late", {}, owner="ann")
    first.close()
    second = EventLog(database)
    second.start()
    assert names(second, ANN) == ["early", "late"]
    second.close()


def test_only_the_newest_are_kept(database: Database) -> None:
    log = EventLog(database, most_kept=10)
    log.start()
    for number in range(35):
        log.record(f"e{number}", {}, owner="ann")
        if number % 7 == 0:
            assert log.flush(TIMEOUT)
    assert log.flush(TIMEOUT)
    assert names(log, ANN) == [f"e{number}" for number in range(25, 35)]
    log.close()


class FailingWrites:
    """Stands before a database that does not take writes for a while."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.failing = threading.Event()
        self.failed = threading.Event()

    def read(self) -> Any:
        return self._database.read()

    def write(self) -> Any:
        if self.failing.is_set():
            self.failed.set()
            raise OperationalError("commit", {}, OSError("disk full"))
        return self._database.write()


def test_a_disk_that_is_full_for_a_while_costs_no_event(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingWrites(database)
    failing.failing.set()
    log = EventLog(failing)  # type: ignore[arg-type]
    log.start()
    log.record("kept", {}, owner="ann")
    assert failing.failed.wait(TIMEOUT)
    failing.failing.clear()
    log.close()
    assert "disk full" in caplog.text
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(table)) == 1


def test_what_waits_is_bounded(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(database, most_waiting=5)
    for number in range(9):
        log.record(f"e{number}", {}, owner="ann")
    log.start()
    assert log.flush(TIMEOUT)
    log.record("after", {}, owner="ann")
    assert names(log, ANN) == ["e0", "e1", "e2", "e3", "e4", "after"]
    assert "4 events were too many" in caplog.text
    log.close()


def test_flush_says_when_it_takes_too_long(database: Database) -> None:
    log = EventLog(database)
    assert log.flush(0.0)
    log.record("e", {})
    assert not log.flush(0.01)


def test_the_caller_may_go_on_changing_his_structure(log: EventLog) -> None:
    structure = {"userData": {"a": "old"}}
    log.record("e", structure, owner="ann")
    structure["userData"]["a"] = "new"
    assert asked(log)[0]["userData"] == {"a": "old"}


SECRETS = {
    "password": "s3cret",
    "passwordHash": "s3cret",
    "newPassword": "s3cret",
    "PASSWORD": "s3cret",
    "ticket": "s3cret",
    "secretKey": "s3cret",
    "secret_hash": "s3cret",
    "accessKeyId": "s3cret",
    "sessionToken": "s3cret",
    "credentials": "s3cret",
    "privateKey": "s3cret",
    "token": "id.s3cret",
    "ownerToken": "id.s3cret",
}


@pytest.mark.parametrize("nested", [False, True])
def test_secrets_are_left_out(log: EventLog, nested: bool) -> None:
    data: dict[str, Any] = {"list": [SECRETS], "inner": SECRETS} if nested else SECRETS
    log.record("e", {**data, "passwordRequired": True, "status": "x"}, owner="ann")
    entry = asked(log)[0]
    assert "s3cret" not in json.dumps(entry)
    assert entry["passwordRequired"] is True
    shown = entry["inner"] if nested else entry
    assert shown["token"] == shown["ownerToken"] == "id"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_whatever_it_is_given_json_can_hold_it(data: dict[str, Any]) -> None:
    kept = without_secrets(data)
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


def test_too_long_a_structure_loses_its_longest_fields() -> None:
    data = {"transferId": "1", "userData": {"a": "x" * MAX_DATA}, "status": "pending"}
    assert without_secrets(data) == {"transferId": "1", "status": "pending"}


# On the fabric.


class Fabric:
    """Takes DXL events, unless it is told to fail."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.sent: list[DxlEvent] = []
        self.fail = fail
        self.hold = threading.Event()
        self.hold.set()

    def send(self, event: DxlEvent) -> None:
        self.hold.wait(TIMEOUT)
        if self.fail is not None:
            raise self.fail
        self.sent.append(event)


@pytest.fixture
def bus() -> Iterator[Callable[[Fabric], EventBus]]:
    buses: list[EventBus] = []

    def make(fabric: Fabric) -> EventBus:
        bus = EventBus(fabric.send, server_id="{id}", server_uid="uid")
        bus.start()
        buses.append(bus)
        return bus

    yield make
    for each in buses:
        each.close()


def test_an_event_on_the_fabric_tells_what_is_under_way(
    bus: Callable[[Fabric], EventBus], database: Database
) -> None:
    fabric = Fabric()
    log = EventLog(database, listeners=[bus(fabric).put], clock=Clock())
    structure = {
        "transferId": "17",
        "status": "error",
        "processing": False,
        "endTime": 5,
        "owner": "ann",
        "errorMessage": "cannot read /home/ann/plan.txt",
        "destinationPath": "secret/plans",
        "userData": {"customer": "x"},
        "description": "for x",
        "password": "y",
    }
    log.record("transferUpdated", structure, owner="ann")
    wait_until(lambda: len(fabric.sent) == 1)
    sent = fabric.sent[0]
    expected = "/opendxl-file-transfer/event/transfer-server/transferUpdated"
    assert sent.destination_topic == expected
    assert json.loads(sent.payload) == {
        "event": "transferUpdated",
        "timestamp": Clock().now,
        "owner": "ann",
        "transferId": "17",
        "status": "error",
        "processing": False,
        "endTime": 5,
        "serverId": "{id}",
        "serverUid": "uid",
    }


@pytest.mark.parametrize("error", [DxlException("not connected"), OSError("gone")])
def test_a_fabric_that_fails_harms_nobody(
    bus: Callable[[Fabric], EventBus], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    fabric = Fabric(error)
    made = bus(fabric)
    made.put(Event("first", 0, {}))
    wait_until(lambda: str(error) in caplog.text)
    fabric.fail = None
    made.put(Event("second", 0, {}))
    wait_until(lambda: len(fabric.sent) == 1)


def test_a_fabric_that_hangs_holds_nobody_up(
    bus: Callable[[Fabric], EventBus], mocker: Any
) -> None:
    mocker.patch("dxlfiletransferservice.control.upkeep.eventbus.MAX_WAITING", 3)
    fabric = Fabric()
    fabric.hold.clear()
    made = bus(fabric)
    for number in range(100):
        made.put(Event(f"e{number}", 0, {}))
    fabric.hold.set()
    made.close()
    assert 3 <= len(fabric.sent) <= 4


def test_what_waits_at_the_end_is_sent(bus: Callable[[Fabric], EventBus]) -> None:
    fabric = Fabric()
    made = bus(fabric)
    for number in range(20):
        made.put(Event(f"e{number}", 0, {}))
    made.close()
    assert len(fabric.sent) == 20
    made.put(Event("late", 0, {}))
    assert len(fabric.sent) == 20


@given(st.dictionaries(st.text(), st.text(min_size=1)))
def test_only_listed_fields_leave_the_server(data: dict[str, str]) -> None:
    shown = public_part(Event("e", 1, {**data, "srcPath": "/x", "destPath": "/y"}))
    assert set(shown) <= {"event", "timestamp", "owner"} | set(data)
    assert "/x" not in shown.values()
