"""Requests: noted, carried out in order, asked about, gone on with after a restart."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Call, Handler, Login
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.superusers import require_superuser
from dxlfiletransferservice.control.tables import requests as table
from dxlfiletransferservice.control.upkeep import requests as requests_module
from dxlfiletransferservice.control.upkeep.requestcommands import RequestCommands
from dxlfiletransferservice.control.upkeep.requestqueue import RequestQueue
from dxlfiletransferservice.control.upkeep.requests import (
    MAX_RESULT,
    RESULT_LIFETIME,
    Refresh,
    Requests,
)
from tests.unit.service.calling import ANN, BOB, ROOT, Clock, call, opened, unchanged
from tests.waiting import TIMEOUT, wait_until


class Desk:
    """Requests of a server that can be killed and started again."""

    def __init__(self, database: Database, clock: Clock, **options: int) -> None:
        self.database = database
        self.clock = clock
        self.requests = Requests(database, clock=clock, **options)
        self.commands = RequestCommands(self.requests).handlers()

    def start(self, refresh: Refresh = unchanged, **handlers: Handler) -> None:
        named = {f"test.{name}": handler for name, handler in handlers.items()}
        self.requests.start(named, refresh)

    def submit(self, run: Callable[[], Any], **options: Any) -> int:
        store = options.pop("store_arguments", True)
        made = call("test.do", options.pop("arguments", None), **options)
        return self.requests.submit(made, run, store_arguments=store)["requestId"]

    def status(self, request_id: object, **options: Any) -> Any:
        asked = call("server.getRequestStatus", {"requestId": request_id}, **options)
        return self.commands["server.getRequestStatus"](asked)

    def result(self, request_id: object, **options: Any) -> Any:
        asked = call("server.getRequestResult", {"requestId": request_id}, **options)
        return self.commands["server.getRequestResult"](asked)

    def wait(self, request_id: int, **options: Any) -> Any:
        wait_until(lambda: not self.status(request_id, **options)["processing"])
        return self.status(request_id, **options)

    def rows(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(table).order_by(table.c.id)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.fixture
def desk(database: Database, clock: Clock) -> Iterator[Desk]:
    desk = Desk(database, clock)
    desk.start()
    yield desk
    desk.requests.close()


def fail(error: Exception) -> Callable[[], Any]:
    def run() -> Any:
        raise error

    return run


def test_the_first_request_has_the_number_1_and_ends_with_its_result(desk: Desk) -> None:
    made = desk.requests.submit(call("test.do"), lambda: {"sendRateMax": 750000.0})
    assert made == {"requestId": 1}
    assert desk.wait(1) == {"status": "complete", "processing": False, "errorMessage": ""}
    assert desk.result(1) == {"sendRateMax": 750000.0}
    assert desk.result(made) == desk.result("1") == desk.result(1)


def test_a_request_may_have_no_result(desk: Desk) -> None:
    number = desk.submit(lambda: None)
    desk.wait(number)
    assert desk.result(number) is None


def test_a_failed_request_has_a_text_and_raises_its_error(desk: Desk) -> None:
    number = desk.submit(fail(CommandError("there is no transfer '9'", ErrorKind.NOT_FOUND)))
    text = "there is no transfer '9'"
    assert desk.wait(number) == {"status": "error", "processing": False, "errorMessage": text}
    with pytest.raises(CommandError, match="there is no transfer '9'") as caught:
        desk.result(number)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_wrong_password_stays_an_authentication_error(desk: Desk) -> None:
    number = desk.submit(fail(AuthenticationError("user or password is wrong")))
    desk.wait(number)
    with pytest.raises(AuthenticationError, match="user or password"):
        desk.result(number)


def test_what_nobody_foresaw_goes_to_the_log_and_not_to_the_caller(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    number = desk.submit(fail(RuntimeError("/srv/secret/path")))
    status = desk.wait(number)
    assert status["errorMessage"] == "the server failed to carry out test.do; its log says why"
    with pytest.raises(CommandError) as caught:
        desk.result(number)
    assert caught.value.kind is ErrorKind.INTERNAL
    assert any(each.exc_info for each in caplog.records)


@pytest.mark.parametrize("result", [object(), "x" * (MAX_RESULT + 1)])
def test_a_result_that_cannot_be_answered_is_an_error(desk: Desk, result: object) -> None:
    number = desk.submit(lambda: result)
    assert desk.wait(number)["status"] == "error"


def test_a_pending_request_says_so(desk: Desk) -> None:
    go_on = threading.Event()
    number = desk.submit(lambda: go_on.wait(TIMEOUT))
    assert desk.status(number) == {"status": "pending", "processing": True, "errorMessage": ""}
    with pytest.raises(CommandError, match="has not ended yet") as caught:
        desk.result(number)
    assert caught.value.kind is ErrorKind.STATE
    go_on.set()
    desk.wait(number)
    assert desk.result(number) is True


def test_the_same_call_makes_one_request(desk: Desk) -> None:
    runs: list[int] = []
    numbers = {desk.submit(lambda: runs.append(1), call_id="a" * 32) for _ in range(3)}
    assert len(numbers) == 1
    desk.wait(numbers.pop())
    assert desk.submit(lambda: runs.append(1), call_id="a" * 32)
    desk.wait(desk.submit(lambda: None))
    assert runs == [1]


def test_the_same_call_from_many_threads_is_carried_out_once(desk: Desk) -> None:
    runs: list[int] = []
    numbers: list[int] = []
    begin = threading.Barrier(8)

    def submit() -> None:
        begin.wait(TIMEOUT)
        numbers.append(desk.submit(lambda: runs.append(1), call_id="b" * 32))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(numbers) == 8
    assert len(set(numbers)) == 1
    desk.wait(numbers[0])
    desk.wait(desk.submit(lambda: None))
    assert runs == [1]


def test_a_request_that_ends_while_its_call_comes_again_is_carried_out_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    go = threading.Event()

    def run() -> None:
        assert go.wait(TIMEOUT)
        runs.append(1)

    number = desk.submit(run, call_id="same")
    found_of = requests_module._of_call

    def slow(connection: Connection, made: Call) -> Any:
        found = found_of(connection, made)
        go.set()
        wait_until(lambda: not desk.requests._known)
        return found

    monkeypatch.setattr(requests_module, "_of_call", slow)
    assert desk.submit(run, call_id="same") == number
    assert not desk.requests._known
    assert runs == [1]


def test_a_call_id_of_somebody_else_opens_nothing(desk: Desk) -> None:
    number = desk.submit(lambda: "mine", call_id="c" * 32)
    desk.wait(number)
    with pytest.raises(CommandError, match="used for another call") as caught:
        desk.submit(lambda: "not mine", principal=BOB, call_id="c" * 32)
    assert str(number) not in str(caught.value)


TOKEN = Principal("ann", token="t1", token_session="x")
OTHER_TOKEN = Principal("ann", token="t2", token_session="y")


@pytest.mark.parametrize(
    ("maker", "asker", "seen"),
    [
        (ANN, ANN, True),
        (ANN, BOB, False),
        (ANN, ROOT, True),
        (ANN, None, False),
        (ANN, TOKEN, False),
        (TOKEN, TOKEN, True),
        (TOKEN, OTHER_TOKEN, False),
        (TOKEN, ANN, True),
        (None, None, False),
        (None, ANN, False),
        (None, ROOT, True),
    ],
)
def test_who_is_shown_a_request_of_another_session(
    desk: Desk, maker: Principal | None, asker: Principal | None, seen: bool
) -> None:
    number = desk.submit(lambda: 1, principal=maker, session="first")
    wait_until(lambda: not desk.status(number, principal=ROOT)["processing"])
    if seen:
        assert desk.result(number, principal=asker, session="second") == 1
        return
    for ask in (desk.status, desk.result):
        with pytest.raises(CommandError) as caught:
            ask(number, principal=asker, session="second")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert str(caught.value) == f"there is no request {number}"


def test_a_session_sees_what_it_asked_for_before_log_on(desk: Desk) -> None:
    number = desk.submit(lambda: None, principal=None, session="mine")
    desk.wait(number, principal=None, session="mine")
    assert desk.result(number, principal=ANN, session="mine") is None


@pytest.mark.parametrize("request_id", [7, "7", "x", {"requestId": 9}, -1, 2**70])
def test_an_unknown_request_is_not_found(desk: Desk, request_id: object) -> None:
    with pytest.raises(CommandError, match="there is no request") as caught:
        desk.status(request_id)
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("request_id", [None, 1.5, True, [], {}])
def test_what_is_no_id_is_refused(desk: Desk, request_id: object) -> None:
    with pytest.raises(CommandError, match="requestId") as caught:
        desk.result(request_id)
    assert caught.value.kind is ErrorKind.INVALID


def test_a_request_expires_an_hour_after_its_end(desk: Desk, clock: Clock) -> None:
    number = desk.submit(lambda: 5)
    desk.wait(number)
    clock.pass_by(RESULT_LIFETIME - 1)
    assert desk.result(number) == 5
    clock.pass_by(2)
    with pytest.raises(CommandError, match="there is no request 1"):
        desk.result(number)


def test_one_caller_s_requests_are_carried_out_in_order(desk: Desk) -> None:
    order: list[int] = []
    for each in range(50):
        last = desk.submit(lambda each=each: order.append(each))  # type: ignore[misc]
    desk.wait(last)
    assert order == list(range(50))


def test_others_do_not_wait_for_a_caller_who_asks_for_a_lot(desk: Desk) -> None:
    go_on = threading.Event()
    numbers = [desk.submit(lambda: go_on.wait(TIMEOUT)) for _ in range(20)]
    other = desk.submit(lambda: "at once", principal=BOB)
    desk.wait(other, principal=BOB)
    assert desk.status(numbers[0])["processing"]
    go_on.set()
    desk.wait(numbers[-1])


def test_too_many_requests_are_refused_and_taken_again_later(
    database: Database, clock: Clock
) -> None:
    desk = Desk(database, clock, most=3, most_each=2)
    desk.start()
    go_on = threading.Event()
    numbers = [desk.submit(lambda: go_on.wait(TIMEOUT)) for _ in range(2)]
    with pytest.raises(CommandError, match="try again later") as caught:
        desk.submit(lambda: None)
    assert caught.value.kind is ErrorKind.BUSY
    desk.submit(lambda: None, principal=BOB)
    go_on.set()
    desk.wait(numbers[-1])
    wait_until(lambda: len(desk.requests._queue) == 0)
    desk.wait(desk.submit(lambda: None))
    assert len(desk.rows()) == 4
    desk.requests.close()


def test_a_request_that_came_before_is_found_where_no_other_has_room(
    database: Database, clock: Clock
) -> None:
    desk = Desk(database, clock, most=1)
    desk.start()
    go_on = threading.Event()
    first = desk.submit(lambda: go_on.wait(TIMEOUT), call_id="d" * 32)
    assert desk.submit(lambda: None, call_id="d" * 32) == first
    go_on.set()
    desk.requests.close()


def test_after_a_restart_requests_are_carried_out_as_their_callers(
    database: Database, clock: Clock
) -> None:
    token = Principal(
        "ann",
        token="t1",
        token_session="x",
        permissions=frozenset({"upload", "delete"}),
        path="docs",
        manifest_id=3,
    )
    killed = Desk(database, clock)
    for value, principal in ((1, token), (2, ANN)):
        made = call("test.do", {"value": value}, principal=principal)
        killed.requests.submit(made, lambda: "never")
    calls: list[tuple[Principal | None, int]] = []
    again = Desk(database, clock)

    def handler(made: Call) -> dict[str, int]:
        value = made.arguments.integer("value", least=0, most=9)
        calls.append((made.login.principal, value))
        return again.requests.submit(made, lambda: value * 10)

    again.start(do=handler)
    again.wait(2)
    assert calls == [(token, 1), (ANN, 2)]
    assert again.result(1, principal=token) == 10
    assert again.result(2) == 20
    assert len(again.rows()) == 2
    again.requests.close()
    third = Desk(database, clock)
    third.start(do=handler)
    assert len(calls) == 2
    third.requests.close()


def test_after_a_restart_nobody_has_rights_that_he_has_lost(
    database: Database, clock: Clock
) -> None:
    killed = Desk(database, clock)
    for principal in (ROOT, BOB):
        killed.submit(lambda: None, principal=principal)
    calls: list[Principal | None] = []
    demoted = Principal("root")
    again = Desk(database, clock)

    def handler(made: Call) -> dict[str, int]:
        calls.append(made.login.principal)
        require_superuser(made)
        return again.requests.submit(made, lambda: None)

    again.start({ROOT: demoted}.get, do=handler)
    assert calls == [demoted]
    with pytest.raises(CommandError, match="only a superuser"):
        again.result(1, principal=demoted)
    with pytest.raises(AuthenticationError, match="the user or token is gone"):
        again.result(2, principal=BOB)
    again.requests.close()


def test_what_was_noted_without_arguments_ends_with_a_word_on_what_to_do(
    database: Database, clock: Clock
) -> None:
    killed = Desk(database, clock)
    secret = {"userName": "ann", "password": "s3cret"}
    number = killed.submit(lambda: None, arguments=secret, principal=None, store_arguments=False)
    assert "s3cret" not in repr(killed.rows())
    again = Desk(database, clock)
    again.start(do=lambda _: pytest.fail("it has no arguments"))
    status = again.status(number, principal=None)
    assert status["status"] == "error"
    assert "call it again" in status["errorMessage"]
    again.requests.close()


def test_a_call_that_is_faster_than_the_start_is_carried_out(
    database: Database, clock: Clock
) -> None:
    desk = Desk(database, clock)
    go = threading.Event()
    number = desk.submit(lambda: go.wait(TIMEOUT), principal=None, store_arguments=False)
    desk.start()
    assert desk.status(number, principal=None)["status"] == "pending"
    go.set()
    assert desk.wait(number, principal=None)["status"] == "complete"
    desk.requests.close()


def test_a_command_that_is_not_possible_any_more_ends_its_request(
    database: Database, clock: Clock
) -> None:
    killed = Desk(database, clock)
    gone, broken = killed.submit(lambda: None), killed.submit(lambda: None)
    failures: Iterator[Exception] = iter(
        [CommandError("there is no transfer 4", ErrorKind.NOT_FOUND), RuntimeError("bug")]
    )

    def handler(_: Call) -> None:
        raise next(failures)

    again = Desk(database, clock)
    again.start(do=handler)
    assert again.status(gone)["errorMessage"] == "there is no transfer 4"
    assert "its log says why" in again.status(broken)["errorMessage"]
    again.requests.close()


def test_a_command_that_is_not_known_any_more_ends_its_request(
    database: Database, clock: Clock
) -> None:
    number = Desk(database, clock).submit(lambda: None)
    again = Desk(database, clock)
    again.start()
    assert again.status(number)["status"] == "error"
    again.requests.close()


def test_arguments_are_forgotten_when_a_request_has_ended(desk: Desk) -> None:
    number = desk.submit(lambda: None, arguments={"value": "mine"})
    desk.wait(number)
    assert "mine" not in repr(desk.rows())


def test_the_end_leaves_what_waits_for_the_next_start(database: Database, clock: Clock) -> None:
    desk = Desk(database, clock, threads=1)
    desk.start()
    begun, go_on = threading.Event(), threading.Event()

    def run() -> str:
        begun.set()
        go_on.wait(TIMEOUT)
        return "done"

    first = desk.submit(run)
    second = desk.submit(lambda: "later")
    assert begun.wait(TIMEOUT)
    go_on_later = threading.Timer(0.05, go_on.set)
    go_on_later.start()
    desk.requests.close()
    go_on_later.join(TIMEOUT)
    assert desk.result(first) == "done"
    assert desk.status(second)["processing"]
    with pytest.raises(CommandError, match="try again later"):
        desk.submit(lambda: None)


class FailingWrites:
    """Stands before a database that does not take writes for a while."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.failing = False

    def read(self) -> Any:
        return self._database.read()

    def write(self) -> Any:
        if self.failing:
            raise OperationalError("commit", {}, OSError("disk full"))
        return self._database.write()


def test_an_end_that_cannot_be_noted_is_noted_later(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingWrites(database)
    desk = Desk(failing, clock)  # type: ignore[arg-type]
    desk.start()
    go_on = threading.Event()
    number = desk.submit(lambda: go_on.wait(TIMEOUT))
    failing.failing = True
    go_on.set()
    desk.wait(number)
    assert desk.result(number) is True
    assert "disk full" in caplog.text
    desk.requests.maintain()
    assert desk.rows()[0].status == "pending"
    failing.failing = False
    desk.requests.maintain()
    assert desk.rows()[0].status == "complete"
    assert desk.result(number) is True
    desk.requests.close()


def test_a_request_that_could_not_be_noted_takes_no_room(database: Database, clock: Clock) -> None:
    failing = FailingWrites(database)
    desk = Desk(failing, clock, most=1)  # type: ignore[arg-type]
    failing.failing = True
    for _ in range(3):
        with pytest.raises(OperationalError):
            desk.submit(lambda: None)
    failing.failing = False
    assert desk.submit(lambda: None) == 1


def test_the_status_in_the_database_is_what_is_told(desk: Desk) -> None:
    number = desk.submit(lambda: 1)
    desk.wait(number)
    with desk.database.write() as connection:
        values = {"status": "error", "error_kind": "notAKind", "error_message": "odd"}
        connection.execute(update(table).values(values))
    with pytest.raises(CommandError, match="odd") as caught:
        desk.result(number)
    assert caught.value.kind is ErrorKind.INTERNAL


def test_log_on_by_a_request_changes_the_session(desk: Desk) -> None:
    login = Login("s9", "{peer}")
    made = Call(login, call("test.do").arguments, "e" * 32)

    def run() -> None:
        login.principal = ANN

    number = desk.requests.submit(made, run, store_arguments=False)["requestId"]
    desk.wait(number, principal=None, session="s9")
    assert login.principal is ANN
    assert desk.requests.submit(made, run, store_arguments=False)["requestId"] == number


ITEMS = st.lists(st.sampled_from("abc"), max_size=40)


@given(ITEMS, st.integers(1, 4))
def test_each_caller_s_items_come_in_order_and_one_at_a_time(keys: list[str], hands: int) -> None:
    queue: RequestQueue[int] = RequestQueue(len(keys) + 1, len(keys) + 1)
    for number, key in enumerate(keys):
        assert queue.reserve(key)
        queue.add(key, number)
    taken: list[tuple[str, int]] = []
    held: list[str] = []
    while len(queue):
        while len(held) < hands and (found := queue.take()) is not None:
            assert found[0] not in held
            held.append(found[0])
            taken.append(found)
        queue.done(held.pop(0))
    assert sorted(number for _, number in taken) == list(range(len(keys)))
    for key in "abc":
        mine = [number for each, number in taken if each == key]
        assert mine == [number for number, each in enumerate(keys) if each == key]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_places_are_bounded_and_given_back(keys: list[str]) -> None:
    queue: RequestQueue[None] = RequestQueue(6, 3)
    held = [key for key in keys if queue.reserve(key)]
    assert len(queue) == len(held) <= 6
    assert all(held.count(key) <= 3 for key in "abc")
    for key in held:
        queue.release(key)
    assert len(queue) == 0
    assert queue._places == {}


def test_callers_have_their_turn_one_after_another() -> None:
    queue: RequestQueue[str] = RequestQueue(10, 10)
    for item in ("a1", "a2", "a3", "b1", "b2", "c1"):
        queue.reserve(item[0])
        queue.add(item[0], item)
    order = []
    while (found := queue.take()) is not None:
        order.append(found[1])
        queue.done(found[0])
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]
