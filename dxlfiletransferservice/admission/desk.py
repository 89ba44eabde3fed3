"""Lets peers into sessions, and answers what they ask there."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer
from dxlfiletransferclient.protocol.parcels import DIGEST, Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy
from dxlfiletransferclient.protocol.sessions import (
    AdmitAnswer,
    AdmitRequest,
    LeaveRequest,
    Outcome,
    SealedRequest,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Admitted, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.channel import AnsweringChannel, Opened
from dxlfiletransferclient.sealing.handshake import Responder
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.admission.answered import AnsweredHandshakes
from dxlfiletransferservice.admission.seams import Peer, Purpose
from dxlfiletransferservice.admission.sessiontable import MOST_SESSIONS, Session, SessionTable
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.publictext import printable
from dxlfiletransferservice.verbhandlers import BUSY_SECONDS, LARGE_ANSWERS

_SESSION_BYTES: Final = 16
"""Bytes of the name of a session: nobody guesses one, and no two are the same."""

_IN_THE_CLEAR: Final = (
    ErrorCode.BUSY,
    ErrorCode.CLOSING,
    ErrorCode.CORRUPT,
    ErrorCode.UNKNOWN_SESSION,
)
"""What says only that the peer should try again; see ``sealing.channel.AnsweringChannel``."""

_logger = logging.getLogger(__name__)


class AdmissionDesk:
    """Answers ``admit`` and ``sealed``. Safe for several threads.

    A session is not bound to a client of the fabric: that its requests can be opened shows that
    they are from whom it was made with, also after he has connected anew.

    Args:
        private_key: The server's key.
        purposes: Who decides about each purpose that sessions may have here.
        minimum: The least protection that sessions have, whatever peers ask for.
        clock: Returns the time in seconds since 1970.
        most_sessions: Sessions at the same time.

    Example:
        >>> desk = AdmissionDesk(key, {SessionPurpose.CONTROL: purpose})  # doctest: +SKIP
    """

    def __init__(
        self,
        private_key: PrivateKey,
        purposes: Mapping[SessionPurpose, Purpose],
        *,
        minimum: Cipher = Cipher.NONE,
        clock: Callable[[], float] = time.time,
        most_sessions: int = MOST_SESSIONS,
    ) -> None:
        self._private_key = private_key
        self._purposes = dict(purposes)
        self._minimum = minimum
        self._clock = clock
        self._sessions = SessionTable(most_sessions)
        self._answered = AnsweredHandshakes()
        self._log = BoundedLog(_logger)
        self._closed = False

    def __len__(self) -> int:
        """Return how many sessions there are."""
        return len(self._sessions)

    def admit(self, parcel: Parcel, client_id: str) -> Parcel:
        """Begin a session, or say to the peer alone why not.

        Args:
            parcel: What the request carries.
            client_id: From which client of the fabric it comes.

        Raises:
            RefusedError: It is no handshake with this server, or cannot be answered at the moment.
        """
        self._check_open()
        message = decode(AdmitRequest, parcel).payload
        known = self._answered.begin(message)
        if known is not None:
            return encode(AdmitAnswer(payload=known))
        remembered: bytes | None = None
        try:
            responder = Responder(self._private_key)
            admission = responder.read(message)
            try:
                answer = remembered = self._admitted(responder, admission, client_id)
            except RefusedError as error:
                self._note(client_id, error)
                answer = responder.write_refusal(error)
                if error.remedy is Remedy.NONE:
                    # A wrong password, say, counts once, however often it comes.
                    remembered = answer
            except Exception as error:  # noqa: BLE001 - it is logged, and the peer is told
                self._failed("admit", client_id, error)
                internal = RefusedError(ErrorCode.INTERNAL, ErrorCode.INTERNAL.meaning)
                answer = responder.write_refusal(internal)
            return encode(AdmitAnswer(payload=answer))
        finally:
            self._answered.end(message, remembered)

    def sealed(self, parcel: Parcel, client_id: str, *, crowded: bool = False) -> Parcel:
        """Carry out a request in a session, and seal the answer.

        Args:
            parcel: What the request carries.
            client_id: From which client of the fabric it comes.
            crowded: Whether so many answers wait to be sent that there should be no more large
                ones.

        Raises:
            RefusedError: There is no such session, the request was damaged or comes a second time,
                or it cannot be carried out at the moment.
        """
        self._check_open()
        request = decode(SealedRequest, parcel)
        session = self._sessions.enter(request.session)
        try:
            opened = session.channel.open(request, digest=parcel.fields.get(DIGEST))
            self._sessions.opened(session, self._clock())
            answer = self._outcome(session, opened, client_id, crowded=crowded)
            return session.channel.seal(opened.number, answer)
        finally:
            self._sessions.leave(session)

    def maintain(self, now: float) -> None:
        """End the sessions that were silent for too long.

        Args:
            now: The time in seconds since 1970.
        """
        for session in self._sessions.ended(now):
            self._end(session)

    def close(self) -> None:
        """End all sessions and take no more requests; may be repeated."""
        self._closed = True
        for session in self._sessions.clear():
            self._end(session)

    def _check_open(self) -> None:
        if self._closed:
            raise RefusedError(ErrorCode.CLOSING, ErrorCode.CLOSING.meaning)

    def _admitted(self, responder: Responder, text: bytes, client_id: str) -> bytes:
        admission = Admission.from_bytes(text)
        purpose = self._purposes.get(admission.purpose)
        if purpose is None:
            reason = f"this server has no sessions for the purpose {admission.purpose!s}"
            raise RefusedError(ErrorCode.NOT_ALLOWED, reason)
        gone = self._sessions.reserve(self._clock())
        if gone is not None:
            self._end(gone)
        try:
            name = secrets.token_hex(_SESSION_BYTES)
            peer = Peer(client_id, responder.peer)
            visit = purpose.admit(admission, peer, name)
            try:
                cipher = max(admission.cipher, self._minimum)
                admitted = Admitted(session=name, cipher=cipher)
                answer, keys = responder.write(admitted.to_bytes())
                channel = AnsweringChannel(name, cipher, keys)
            except BaseException:
                visit.left(None, "")
                raise
        except BaseException:
            self._sessions.release()
            raise
        self._sessions.add(Session(channel, visit, self._clock()))
        if self._closed:
            # It has come between the check and the end.
            self.close()
        return answer

    def _outcome(
        self, session: Session, opened: Opened, client_id: str, *, crowded: bool
    ) -> Parcel | RefusedError:
        """Return what a request is answered with, if that is to be sealed."""
        try:
            if crowded and opened.verb in LARGE_ANSWERS:
                text = "too many answers wait to be sent"
                raise RefusedError(ErrorCode.BUSY, text, BUSY_SECONDS)
            return self._carried_out(session, opened)
        except RefusedError as error:
            self._note(client_id, error)
            code = ErrorCode.of(error.code)
            if code in _IN_THE_CLEAR:
                session.channel.drop(opened.number)
                raise RefusedError(code, code.meaning, error.retry_after) from error
            return error
        except Exception as error:  # noqa: BLE001 - it is logged, and the peer is told
            self._failed(opened.verb, client_id, error)
            return RefusedError(ErrorCode.INTERNAL, ErrorCode.INTERNAL.meaning)

    def _carried_out(self, session: Session, opened: Opened) -> Parcel:
        if opened.verb is Verb.LEAVE:
            leaving = decode(LeaveRequest, opened.parcel)
            with session.turn:
                if not session.left:
                    session.visit.left(leaving.outcome, leaving.text)
                    session.left = True
            return encode(DoneAnswer())
        if session.left:
            raise RefusedError(ErrorCode.UNKNOWN_SESSION, ErrorCode.UNKNOWN_SESSION.meaning)
        return session.visit.answer(opened.verb, opened.parcel)

    def _end(self, session: Session, outcome: Outcome | None = None) -> None:
        with session.turn:
            if session.left:
                return
            session.left = True
            try:
                session.visit.left(outcome, "")
            except Exception as error:  # noqa: BLE001 - it is logged; the session has ended
                self._failed("end", "", error)

    def _note(self, client_id: str, error: RefusedError) -> None:
        # Its text is for the peer alone, and may tell names of files.
        code = ErrorCode.of(error.code)
        level = logging.DEBUG if error.remedy is not Remedy.NONE else logging.INFO
        shown = code.name if code is not None else str(error.code)
        self._log.write(level, "Refused a peer at client %s: %s", printable(client_id), shown)

    def _failed(self, what: str, client_id: str, error: BaseException) -> None:
        text = "A session of client %s has failed in a way not foreseen (%s)"
        self._log.write(logging.ERROR, text, printable(client_id), what, error=error)
