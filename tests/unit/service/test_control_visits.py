"""Sessions in which commands are called: what comes again, what fails, who may."""

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import (
    CallAnswer,
    CallRequest,
    LeaveRequest,
    Outcome,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, SessionPurpose
from dxlfiletransferservice.admission.seams import Peer, Visit
from dxlfiletransferservice.control.commands import Call, Commands, Handler, Login, not_found
from dxlfiletransferservice.control.keptanswers import KEPT_EACH, LARGEST_KEPT
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.visits import ControlPurpose

PEER = Peer(client_id="{client}", public_key="key")
WITH_TICKET = Admission(admission_id="1", purpose=SessionPurpose.CONTROL, ticket="good")


class Group:
    """Commands of which a test says what they do."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers = {f"test.{name}": handler for name, handler in handlers.items()}

    def handlers(self) -> Mapping[str, Handler]:
        return self._handlers


class Tickets:
    """Takes one ticket."""

    def by_ticket(self, ticket: str) -> Principal:
        if ticket != "good":
            raise AuthenticationError("the ticket has expired: log on again")
        return Principal(user="anna")

    def __init__(self) -> None:
        self.revoked = False

    def refresh(self, login: Login) -> None:
        if self.revoked:
            login.principal = login.ticket = None


def visit(
    ticket: str | None = "good", tickets: Tickets | None = None, **handlers: Handler
) -> Visit:
    admission = Admission(admission_id="1", purpose=SessionPurpose.CONTROL, ticket=ticket)
    return control_purpose(tickets, **handlers).admit(admission, PEER, "0" * 32)


def control_purpose(tickets: Tickets | None = None, **handlers: Handler) -> ControlPurpose:
    commands = Commands()
    commands.add(Group(**handlers))
    return ControlPurpose(commands, tickets or Tickets())


def call(
    session: Visit,
    command: str,
    call_id: str | None = None,
    payload: bytes | None = None,
    **values: Any,
) -> tuple[bool, Any]:
    request = CallRequest(
        call_id=call_id or uuid.uuid4().hex,
        command=command,
        payload=json.dumps(values).encode() if payload is None else payload,
    )
    answer = decode(CallAnswer, session.answer(Verb.CALL, encode(request)))
    return answer.failed, json.loads(bytes(answer.payload))


def counting(into: list[str]) -> Callable[[Call], Any]:
    def handler(found: Call) -> Any:
        into.append(found.call_id)
        return {"user": found.principal.user, "number": len(into)}

    return handler


def test_a_command_is_carried_out_for_who_has_logged_on() -> None:
    session = visit(do=counting([]))
    assert call(session, "test.do") == (False, {"user": "anna", "number": 1})


def test_the_same_call_is_carried_out_once() -> None:
    done: list[str] = []
    session = visit(do=counting(done))
    call_id = uuid.uuid4().hex
    assert call(session, "test.do", call_id) == call(session, "test.do", call_id)
    assert len(done) == 1


def test_the_same_call_is_not_carried_out_beside_itself() -> None:
    begun, end = threading.Event(), threading.Event()
    session: Visit

    def slow(_: Call) -> str:
        begun.set()
        assert end.wait(10)
        return "done"

    session = visit(do=slow)
    call_id = uuid.uuid4().hex
    thread = threading.Thread(target=call, args=(session, "test.do", call_id))
    thread.start()
    assert begun.wait(10)
    with pytest.raises(RefusedError) as caught:
        call(session, "test.do", call_id)
    assert caught.value.means(ErrorCode.BUSY)
    end.set()
    thread.join(10)
    assert call(session, "test.do", call_id) == (False, "done")


def test_answers_are_not_kept_without_end() -> None:
    done: list[str] = []
    session = visit(do=counting(done))
    first = uuid.uuid4().hex
    call(session, "test.do", first)
    for _ in range(KEPT_EACH):
        call(session, "test.do")
    call(session, "test.do", first)
    assert len(done) == KEPT_EACH + 2


def test_what_is_kept_goes_with_its_session() -> None:
    purpose = control_purpose(do=lambda _: "x" * (LARGEST_KEPT - 1000))
    sessions = [purpose.admit(WITH_TICKET, PEER, f"{number:032x}") for number in range(3)]
    for session in sessions:
        for _ in range(KEPT_EACH):
            call(session, "test.do")
    assert len(purpose._kept) == 3 * 4

    for session in sessions:
        session.left(None, "")
        call(session, "test.do")
    assert len(purpose._kept) == 0


def test_who_has_not_logged_on_calls_nothing() -> None:
    done: list[str] = []
    failed, error = call(visit(ticket=None, do=counting(done)), "test.do")
    assert (failed, error["kind"], done) == (True, "notAuthenticated", [])


def test_who_lost_his_rights_meanwhile_calls_nothing_any_more() -> None:
    done: list[str] = []
    tickets = Tickets()
    session = visit(tickets=tickets, do=counting(done))
    assert not call(session, "test.do")[0]
    tickets.revoked = True
    failed, error = call(session, "test.do")
    assert (failed, error["kind"], len(done)) == (True, "notAuthenticated", 1)


def test_a_ticket_that_is_not_good_is_refused() -> None:
    with pytest.raises(RefusedError, match="log on again") as caught:
        visit(ticket="old")
    assert caught.value.means(ErrorCode.DENIED)


def test_a_refused_command_is_an_answer() -> None:
    def refuse(_: Call) -> None:
        raise not_found("transfer", "17")

    assert call(visit(do=refuse), "test.do") == (
        True,
        {"kind": "notFound", "message": "there is no transfer '17'"},
    )


def test_a_command_that_fails_tells_no_more_than_that(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Call) -> None:
        raise ZeroDivisionError("a secret")

    failed, error = call(visit(do=fail), "test.do")
    assert (failed, error["kind"]) == (True, "internal")
    assert "secret" not in error["message"]
    assert "test.do" in caplog.text


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"1", b"[" * 100_000])
def test_arguments_that_are_none_are_refused(payload: bytes) -> None:
    failed, error = call(visit(do=counting([])), "test.do", payload=payload)
    assert (failed, error["kind"]) == (True, "invalid")


def test_an_unknown_command_is_named() -> None:
    failed, error = call(visit(), "test.undo")
    assert (failed, error["kind"]) == (True, "unknownCommand")
    assert "'test.undo'" in error["message"]


def test_nothing_but_calls_is_taken() -> None:
    with pytest.raises(RefusedError, match="takes calls"):
        visit().answer(Verb.STAT, encode(StatRequest(name="a")))


def test_leaving_is_answered() -> None:
    session = visit()
    answer = session.answer(Verb.LEAVE, encode(LeaveRequest(outcome=Outcome.COMPLETE)))
    assert decode(DoneAnswer, answer) == DoneAnswer()
    session.left(Outcome.COMPLETE, "")


def test_an_argument_error_names_the_command() -> None:
    def take(found: Call) -> None:
        found.arguments.text("name")

    failed, error = call(visit(do=take), "test.do", name=7)
    assert failed
    assert "test.do" in error["message"]
    assert isinstance(CommandError("x"), Exception)
