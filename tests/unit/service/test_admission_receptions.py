"""How far transfers from others are, and what becomes of them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME
from dxlfiletransferservice.admission.rates import RateWindow
from dxlfiletransferservice.admission.receptions import Newcomer, Reception, Receptions
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.tables import receptions
from tests.unit.service.admitting import START, Seconds, denied

START_US = round(START * 1e6)


class World:
    def __init__(self, directory: Path) -> None:
        self.database = Database(f"sqlite:///{directory}/server.db")
        self.clock = Seconds()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.start()

    def start(self) -> None:
        self.receptions = Receptions(
            self.database,
            on_started=lambda found: self.told.append(("started", dict(found))),
            on_ended=lambda found: self.told.append(("ended", dict(found))),
            clock=self.clock,
        )

    def begin(self, transfer_id: str = "17", sender: str = "key", size: int = 100) -> Reception:
        return self.receptions.begin(
            Newcomer(
                sender_key=sender,
                transfer_id=transfer_id,
                user=None,
                total_size=size,
                destination_path="in",
                client_id="client",
            )
        )

    def only(self) -> dict[str, Any]:
        (found,) = self.receptions.transfers()
        return found

    def row(self) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(receptions)).one()

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


def test_a_reception(world: World) -> None:
    reception = world.begin()
    world.clock.now += 2
    reception.received(10)
    reception.received(0)

    assert world.only() == {
        "receptionId": "1",
        "transferId": "17",
        "status": "receiving",
        "errorMessage": "",
        "totalSize": 100,
        "bytesReceived": 10,
        "destinationPath": "in",
        "userName": None,
        "sourceIP": "client",
        "sourcePort": None,
        "sourcePublicKey": "key",
        "startTime": START_US,
        "lastRecvTime": START_US + 2_000_000,
        "lastSendTime": START_US + 2_000_000,
        "lastErrorTime": None,
    }
    reception.left(Outcome.COMPLETE, "")
    assert world.only()["status"] == "complete"
    assert world.names() == ["started", "ended"]
    assert world.told[1][1] == world.only()


def test_figures_are_written_every_few_seconds(world: World) -> None:
    reception = world.begin()
    reception.received(10)
    world.receptions.maintain(world.clock.now + 1)
    assert world.row().bytes_received == 0

    world.receptions.maintain(world.clock.now + 5)
    assert world.row().bytes_received == 10
    reception.received(5)
    world.receptions.close()
    assert world.row().bytes_received == 15


def test_a_session_after_another_goes_on(world: World) -> None:
    world.begin().received(10)
    second = world.begin()
    second.received(20)

    assert world.only()["bytesReceived"] == 30
    assert world.names() == ["started"]


def test_after_a_restart_it_goes_on(world: World) -> None:
    reception = world.begin()
    reception.received(10)
    reception.left(None, "")
    world.start()
    world.begin().received(20)

    assert world.only()["bytesReceived"] == 30
    assert world.only()["lastErrorTime"] == START_US
    assert world.names() == ["started"]


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [
        (Outcome.COMPLETE, "complete", ["started", "ended"]),
        (Outcome.ERROR, "error", ["started", "ended"]),
        (Outcome.PAUSED, "receiving", ["started"]),
        (None, "receiving", ["started"]),
    ],
)
def test_endings(world: World, outcome: Outcome | None, status: str, told: list[str]) -> None:
    reception = world.begin()
    reception.left(outcome, "the source has vanished")

    found = world.only()
    assert (found["status"], world.names()) == (status, told)
    assert found["errorMessage"] == ("the source has vanished" if status == "error" else "")
    assert (found["lastErrorTime"] is None) == (outcome is not None)


def test_an_end_that_is_told_again_is_none(world: World) -> None:
    world.begin().left(Outcome.COMPLETE, "")
    # The answer got lost, and the sender was admitted anew to say it again.
    world.begin().left(Outcome.COMPLETE, "")
    world.begin().left(Outcome.ERROR, "no")
    world.begin().left(None, "")

    assert world.names() == ["started", "ended"]
    assert world.only()["status"] == "complete"


def test_a_dead_session_does_not_undo_the_end(world: World) -> None:
    dead, alive = world.begin(), world.begin()
    alive.left(Outcome.COMPLETE, "")
    dead.left(None, "")

    found = world.only()
    assert (found["status"], found["lastErrorTime"]) == ("complete", None)


def test_a_request_slower_than_the_end_of_its_session_begins_nothing(world: World) -> None:
    session = world.begin()
    session.received(10)
    session.left(Outcome.COMPLETE, "")

    session.received(0)

    assert world.only()["status"] == "complete"
    assert world.names() == ["started", "ended"]


def test_one_that_has_ended_begins_anew_with_its_first_request(world: World) -> None:
    first = world.begin()
    first.received(10)
    first.left(Outcome.ERROR, "no")
    world.clock.now += 60
    again = world.begin(size=200)
    assert world.only()["status"] == "error"

    again.received(5)

    found = world.only()
    assert (found["status"], found["bytesReceived"]) == ("receiving", 5)
    assert (found["errorMessage"], found["totalSize"]) == ("", 200)
    assert found["startTime"] == START_US + 60_000_000
    assert world.names() == ["started", "ended", "started"]
    again.left(Outcome.COMPLETE, "")
    assert world.names()[-1] == "ended"


def test_what_nobody_goes_on_with_is_given_up(world: World) -> None:
    silent, alive = world.begin("1"), world.begin("2")
    silent.received(1)
    silent.left(None, "")
    later = world.clock.now + DEFAULT_LIFETIME

    world.receptions.maintain(later)
    assert {found["status"] for found in world.receptions.transfers()} == {"receiving"}
    world.receptions.maintain(later + 100)

    statuses = {found["transferId"]: found["status"] for found in world.receptions.transfers()}
    assert statuses == {"1": "error", "2": "receiving"}
    assert world.told[-1][1]["errorMessage"] == "nothing has come for 24 hours"
    alive.left(Outcome.COMPLETE, "")


def test_lists_are_paged(world: World) -> None:
    for number in range(10):
        world.begin(str(number))

    def ids(**page: int) -> list[str]:
        return [found["transferId"] for found in world.receptions.transfers(**page)]

    assert ids() == [str(number) for number in range(10)]
    # Without a place to begin, the last ones are what somebody wants to see.
    assert ids(limit=3) == ["7", "8", "9"]
    assert ids(after=0, limit=3) == ["0", "1", "2"]
    assert ids(after=8) == ["8", "9"]
    assert ids(before=3) == ["0", "1"]
    assert ids(before=9, after=6) == ["6", "7"]


def test_answers_stay_small(world: World) -> None:
    with world.database.write() as connection:
        for number in range(300):
            connection.execute(
                receptions.insert().values(
                    sender_key="key",
                    transfer_id=str(number),
                    status="receiving",
                    destination_path="ä" * 1365,
                    created=1,
                )
            )
    page = world.receptions.transfers(after=0)

    assert len(page) < 300
    assert sum(len(str(found)) for found in page) < 512 * 1024
    assert world.receptions.transfers(after=int(page[-1]["receptionId"]))


def test_sources(world: World) -> None:
    one, two = world.begin("1"), world.begin("2")
    other = world.begin("1", sender="another")
    world.begin("3").left(Outcome.COMPLETE, "")
    world.begin("4").left(None, "")
    world.clock.now += 10
    one.received(1250)
    two.left(Outcome.ERROR, "no")
    other.left(None, "")
    world.receptions.maintain(world.clock.now)

    another, mine = world.receptions.sources()

    assert mine == {
        "sourceIP": "client",
        "sourcePort": None,
        "activeTransferCount": 1,
        "inactiveTransferCount": 1,
        "completeTransferCount": 1,
        "errorTransferCount": 1,
        "aveRecvRate": 1.0,
        "aveRecvRateWindow": 1.0,
        "destinationPublicKey": "key",
        "encryptedConnectionState": "connected",
        "encryptionEnabled": True,
    }
    assert another["encryptedConnectionState"] == "disconnected"
    assert (another["activeTransferCount"], another["inactiveTransferCount"]) == (0, 1)
    assert (another["aveRecvRate"], another["aveRecvRateWindow"]) == (0.0, 0.0)


def test_rates_are_of_the_last_seconds() -> None:
    window = RateWindow()
    for second in range(100):
        window.add(100, 1000.0 + second)
        window.add(100, 1000.5 + second)
    assert window.rate(1099.9) == 200.0
    assert window.rate(1104.0) == 100.0
    assert window.rate(1200.0) == 0.0


def test_a_database_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reception = world.begin()
    reception.received(10)

    def fails() -> Any:
        raise OperationalError("write", {}, Exception("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(world.database, "write", fails)
        with denied(ErrorCode.BUSY):
            world.begin("18")
        with denied(ErrorCode.BUSY):
            reception.left(Outcome.COMPLETE, "")
        world.receptions.maintain(world.clock.now + 5)
        world.receptions.close()

    world.receptions.maintain(world.clock.now + 10)
    assert world.row().bytes_received == 10
    reception.left(Outcome.COMPLETE, "")
    assert world.names() == ["started", "ended"]


def test_hooks_that_fail_do_no_harm(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.receptions = Receptions(world.database, on_ended=lambda _: 1 / 0, clock=world.clock)  # type: ignore[arg-type]
    world.begin().left(Outcome.COMPLETE, "")

    assert world.only()["status"] == "complete"
    assert "ZeroDivisionError" in caplog.text


def test_many_threads(world: World) -> None:
    def run(number: int) -> None:
        for _ in range(5):
            reception = world.begin(str(number % 2))
            reception.received(1)
            reception.left(Outcome.PAUSED, "")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    with world.database.read() as connection:
        assert connection.scalar(select(func.sum(receptions.c.bytes_received))) == 20
    assert world.names() == ["started"] * 2
