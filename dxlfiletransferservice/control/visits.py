"""Sessions in which commands of the control API are called."""

import json
import logging
import threading
from typing import Any, Final, Protocol

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import CallAnswer, CallRequest, Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission
from dxlfiletransferservice.admission.seams import Peer, Visit
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.commands import Commands, Login
from dxlfiletransferservice.control.keptanswers import KeptAnswers
from dxlfiletransferservice.control.principals import Principal

RETRY_SECONDS: Final = 0.1
"""Seconds after which a call that came again while it is being carried out may come again."""

_logger = logging.getLogger(__name__)


class TicketAccess(Protocol):
    """What is needed of :class:`~.access.ControlAccess`."""

    def by_ticket(self, ticket: str) -> Principal:
        """Return who has logged on with this ticket, or raise ``AuthenticationError``."""
        ...

    def refresh(self, login: Login) -> None:
        """Take the rights away from a session that it does not have any more."""
        ...


class ControlPurpose:
    """Lets everybody in, to log on there; an ``admission.seams.Purpose``.

    Args:
        commands: The commands.
        access: Checks the tickets of those who have logged on before.
    """

    def __init__(self, commands: Commands, access: TicketAccess) -> None:
        self._commands = commands
        self._access = access
        self._kept = KeptAnswers()
        self._log = BoundedLog(_logger)

    def admit(self, admission: Admission, peer: Peer, session: str) -> Visit:
        """Begin a session.

        Raises:
            RefusedError: ``DENIED`` for a ticket that is not good any more.
        """
        login = Login(session=session, peer=peer.client_id)
        if admission.ticket is not None:
            try:
                login.principal = self._access.by_ticket(admission.ticket)
            except CommandError as error:
                raise RefusedError(ErrorCode.DENIED, error.message) from error
            login.ticket = admission.ticket
        return _ControlVisit(self._commands, self._access, login, self._kept, self._log)


class _ControlVisit:
    """One session of a program."""

    def __init__(
        self,
        commands: Commands,
        access: TicketAccess,
        login: Login,
        kept: KeptAnswers,
        log: BoundedLog,
    ) -> None:
        self._commands = commands
        self._access = access
        self._login = login
        self._session = login.session
        self._kept = kept
        self._log = log
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._over = False

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out a call."""
        if verb is Verb.LEAVE:
            return encode(DoneAnswer())
        if verb is not Verb.CALL:
            raise RefusedError(ErrorCode.NOT_ALLOWED, f"this session takes calls, and no {verb}")
        call = decode(CallRequest, request)
        with self._lock:
            known = self._kept.get(self._session, call.call_id)
            if known is not None:
                return known
            if call.call_id in self._under_way:
                text = "the same call is being carried out"
                raise RefusedError(ErrorCode.BUSY, text, RETRY_SECONDS)
            self._under_way.add(call.call_id)
        answer = None
        try:
            answer = encode(self._carried_out(call))
            return answer
        finally:
            self._keep(call.call_id, answer)

    def left(self, outcome: Outcome | None, text: str) -> None:  # noqa: ARG002
        """Forget everything; whoever comes back shows the ticket."""
        with self._lock:
            self._over = True
            self._kept.forget(self._session)

    def _carried_out(self, call: CallRequest) -> CallAnswer:
        try:
            values = json.loads(bytes(call.payload))
            self._access.refresh(self._login)
            found = self._commands.carry_out(call.command, values, self._login, call.call_id)
        except CommandError as error:
            return _failed(error)
        except (ValueError, RecursionError):
            return _failed(CommandError(f"the arguments of {brief(call.command)} are no JSON"))
        except Exception as error:  # noqa: BLE001 - it is logged, and the next call is served
            command = brief(call.command)
            self._log.write(
                logging.ERROR, "The command %s failed: %s", command, "not foreseen", error=error
            )
            text = f"the server failed to carry out {command}; its log says why"
            return _failed(CommandError(text, ErrorKind.INTERNAL))
        return CallAnswer(payload=_json(found))

    def _keep(self, call_id: str, answer: Parcel | None) -> None:
        with self._lock:
            self._under_way.discard(call_id)
            if answer is not None and not self._over:
                self._kept.keep(self._session, call_id, answer)


def _failed(error: CommandError) -> CallAnswer:
    return CallAnswer(failed=True, payload=_json({"kind": error.kind, "message": error.message}))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
