from typing import Any

import pytest

from dxlfiletransferclient.control.errors import (
    AuthenticationError,
    CallTimeoutError,
    CommandError,
    ConnectionLostError,
    ErrorKind,
    NotConnectedError,
    WaitTimeoutError,
)
from jetstream.pauses import BLIND_PAUSE, SHORTEST_AHEAD
from jetstream.syncinterface import OUTAGE_SECONDS
from tests.unit.jetstream.fakeconnection import FakeConnection, FakeTime, fake_api

PENDING = {"status": "pending", "processing": True, "errorMessage": ""}
DONE = {"status": "complete", "processing": False, "errorMessage": ""}


def test_wait_for_a_transfer() -> None:
    connection, time = FakeConnection(), FakeTime()
    sending = {"transferId": "17", "status": "sending", "processing": True}
    suspended = {"transferId": "17", "status": "suspended", "processing": False}
    connection.script("send.getTransfer", *[sending] * 30, suspended)
    assert fake_api(connection, time).send.waitForTransfer(sending) == suspended
    assert connection.calls == [("send.getTransfer", {"transferId": "17"})] * 31
    assert time.slept[0] == pytest.approx(0.01)
    assert time.slept == sorted(time.slept)
    assert max(time.slept) == BLIND_PAUSE


def test_waiting_for_a_transfer_that_tells_how_far_it_is_takes_few_questions() -> None:
    connection, time = FakeConnection(), FakeTime()
    begin = time.now
    whole = 600

    def state(_arguments: dict[str, Any]) -> dict[str, Any]:
        done = min(int(time.now - begin), whole)
        sent = {"totalBlocks": whole, "blocksAcked": done}
        return {"status": "sending", "processing": time.now < begin + whole + 0.2, **sent}

    connection.handle("send.getTransfer", state)
    fake_api(connection, time).send.waitForTransfer("17")
    assert len(connection.calls) < 1.1 * whole
    assert time.now - begin - whole < 0.2 + 2 * SHORTEST_AHEAD


def test_wait_for_a_transfer_of_nothing() -> None:
    connection = FakeConnection()
    empty = {"status": "sending", "processing": True, "totalBlocks": 0, "blocksAcked": 0}
    connection.script("send.getTransfer", empty, empty, DONE)
    assert fake_api(connection).send.waitForTransfer("17") == DONE


def test_wait_for_a_manifest() -> None:
    connection = FakeConnection()
    pending = {"manifestId": "2", "status": "pending", "processing": True}
    failed = {"manifestId": "2", "status": "error", "processing": False}
    connection.script("send.getManifest", pending, failed)
    assert fake_api(connection).send.waitForManifest("2") == failed


def test_wait_that_takes_too_long() -> None:
    connection, time = FakeConnection(), FakeTime()
    connection.handle("send.getTransfer", lambda _arguments: {**PENDING, "status": "sending"})
    api = fake_api(connection, time, wait=60)
    with pytest.raises(WaitTimeoutError, match="transfer '17' is still 'sending' after 60 s") as c:
        api.send.waitForTransfer("17")
    assert isinstance(c.value, TimeoutError)
    assert time.now == pytest.approx(1060)


@pytest.mark.parametrize(
    "error",
    [
        CallTimeoutError("no answer"),
        ConnectionLostError("lost"),
        CommandError("too much to do", ErrorKind.BUSY),
    ],
)
def test_wait_bears_a_server_that_is_away(error: Exception) -> None:
    connection, time = FakeConnection(), FakeTime()
    connection.script("send.getTransfer", PENDING, error, error, error, DONE)
    assert fake_api(connection, time).send.waitForTransfer("17") == DONE
    connection.handle("send.getTransfer", lambda _arguments: raising(error))
    begin = time.now
    with pytest.raises(type(error)):
        fake_api(connection, time).send.waitForTransfer("17")
    assert OUTAGE_SECONDS <= time.now - begin < OUTAGE_SECONDS + 1


def raising(error: Exception) -> None:
    raise error


def test_wait_with_a_limit_does_not_bear_it_for_longer() -> None:
    connection, time = FakeConnection(), FakeTime()
    connection.handle("send.getTransfer", lambda _arguments: raising(CallTimeoutError("none")))
    with pytest.raises(CallTimeoutError):
        fake_api(connection, time, wait=10).send.waitForTransfer("17")
    assert time.now - 1000 < 11


@pytest.mark.parametrize(
    "error",
    [
        CommandError("there is no transfer '17'", ErrorKind.NOT_FOUND),
        AuthenticationError("log on"),
        NotConnectedError("it was ended"),
    ],
)
def test_wait_ends_with_other_errors(error: Exception) -> None:
    connection, time = FakeConnection(), FakeTime()
    connection.script("send.getTransfer", PENDING, error)
    with pytest.raises(type(error), match=str(error)):
        fake_api(connection, time).send.waitForTransfer("17")


@pytest.mark.parametrize("request_id", [7, {"requestId": 7}])
@pytest.mark.parametrize("name", ["send", "server"])
def test_requests(name: str, request_id: Any) -> None:
    connection = FakeConnection()
    connection.script("server.getRequestStatus", PENDING, PENDING, DONE)
    connection.script("server.getRequestResult", {"sendRateMax": 750000.0})
    interface = getattr(fake_api(connection), name)
    assert interface.getRequestStatus(request_id) == PENDING
    assert interface.getRequestResult(request_id) == {"sendRateMax": 750000.0}
    assert {arguments["requestId"] for _, arguments in connection.calls} == {7}


def test_request_that_has_failed() -> None:
    connection = FakeConnection()
    connection.script("server.getRequestStatus", {**DONE, "status": "error"})
    failure = CommandError("it is not suspended", ErrorKind.STATE)
    connection.script("server.getRequestResult", failure)
    with pytest.raises(CommandError, match="it is not suspended"):
        fake_api(connection).send.getRequestResult(7)


def test_log_on() -> None:
    connection = FakeConnection()
    server = fake_api(connection).server
    server.auth("ann", "secret")
    server.auth(token="abc.def", password="x")
    assert connection.logs_on == [
        {"userName": "ann", "password": "secret", "token": None},
        {"userName": None, "password": "x", "token": "abc.def"},
    ]
    assert connection.calls == []


def test_log_on_later() -> None:
    connection = FakeConnection()
    connection.script("server.authAsync", {"requestId": 1})
    connection.script("server.getRequestStatus", PENDING, DONE, DONE)
    connection.script("server.getRequestResult", None)
    connection.script("server.ticket", {"ticket": "the ticket"})
    server = fake_api(connection).server
    request = server.authAsync("ann", "secret")
    assert request == {"requestId": 1}
    assert connection.calls == [("server.authAsync", {"userName": "ann", "password": "secret"})]
    assert server.getRequestStatus(request) == PENDING
    assert connection.tickets == []
    assert server.getRequestStatus(request) == DONE
    assert connection.tickets == ["the ticket"]
    assert server.getRequestResult(request) is None
    assert connection.tickets == ["the ticket"]


def test_log_on_later_that_fails() -> None:
    connection = FakeConnection()
    connection.script("server.authAsync", {"requestId": 1})
    connection.script("server.getRequestStatus", {**DONE, "status": "error"})
    connection.script("server.getRequestResult", AuthenticationError("the password is wrong"))
    connection.script("server.ticket", AuthenticationError("log on first"))
    server = fake_api(connection).server
    with pytest.raises(AuthenticationError, match="the password is wrong"):
        server.getRequestResult(server.authAsync("ann", "guess"))
    assert connection.tickets == []
