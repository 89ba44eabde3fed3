"""Calls the commands of a transfer server, in a session that nobody else can read."""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from dxlfiletransferclient.control.callcoding import arguments_of, result_of
from dxlfiletransferclient.control.constants import API_VERSION, DEFAULT_TIMEOUT_SECONDS
from dxlfiletransferclient.control.errors import (
    ApiVersionError,
    AuthenticationError,
    CallTimeoutError,
    ConnectError,
    ConnectionLostError,
    ControlError,
    NotConnectedError,
)
from dxlfiletransferclient.control.names import CONTROL_TOPIC
from dxlfiletransferclient.control.serverchoice import chosen, shown
from dxlfiletransferclient.errors import FileTransferError, brief
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.exchange.question import QuestionJob
from dxlfiletransferclient.protocol.messages import DoneAnswer, HelloAnswer, Message
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import CallAnswer, CallRequest, LeaveRequest, Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.guardedjob import GuardedJob
from dxlfiletransferclient.sealing.keys import PrivateKey, check_public_key
from dxlfiletransferclient.sealing.passage import Passage

GOODBYE_SECONDS: Final = 2.0
"""Seconds that taking leave may take; a server that does not hear it finds out by itself."""

_FOR_EVER: Final = 1e9
"""Seconds that never pass. Calls have time limits of their own, and the ids of one server mean
something else at another one, so that no other one may take its place."""

_LOG_ON: Final = "server.auth"

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)


class ControlClient:
    """Calls the commands of one transfer server.

    Whatever gets lost on the way is sent again, and carried out once. When the server was started
    anew, the next call begins a new session, and goes on as who had logged on. All methods may be
    called from any thread; calls are made one after another.

    Args:
        bus: What it asks on.
        server: Name or uid of the server; may be left out where the fabric has only one.
        public_key: The key that the server must have; by default the one that it tells at first.
        ticket: Of an earlier log-on, to go on as who had logged on there.
        timeout: Seconds in which the server has to be found, and each call has to be answered.

    Raises:
        ValueError: The key is none.

    Example:
        >>> client = ControlClient(bus)  # doctest: +SKIP
        >>> client.connect()  # doctest: +SKIP
        >>> client.log_on({"userName": "jsmith", "password": "secret"})  # doctest: +SKIP
        >>> client.call("send.getTransfer", {"transferId": "17"})  # doctest: +SKIP
        {'transferId': '17', 'processing': True, 'status': 'sending', ...}
    """

    def __init__(
        self,
        bus: Bus,
        *,
        server: str | None = None,
        public_key: str | None = None,
        ticket: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._bus = bus
        self._server = server
        self._public_key = None if public_key is None else check_public_key(public_key)
        self._ticket = ticket
        self._own_ticket = False
        self._timeout = timeout
        self._cancel = Cancellation()
        self._lock = threading.Lock()
        self._admission_id = uuid.uuid4().hex
        self._passage: Passage | None = None
        self._engine = Engine(
            bus,
            CONTROL_TOPIC,
            options=EngineOptions(
                patience=_FOR_EVER, failover_after=_FOR_EVER, connect_timeout=timeout
            ),
            cancel=self._cancel,
        )

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the fabric; one that was lost may come back."""
        return self._passage is not None and not self._cancel.cancelled and self._bus.connected

    @property
    def hello(self) -> HelloAnswer:
        """What the server said about itself, last time that it was asked; connect first."""
        return self._engine.hello

    def connect(self) -> Mapping[str, Any]:
        """Find the server, agree on keys with it, and check that it speaks the same control API.

        Returns:
            The server information.

        Raises:
            ServerChoiceError: There are several servers, or none of the name.
            ApiVersionError: It speaks another level of the control API.
            ConnectError: Nobody answers, or the server has another key; the text says what helps.
            AuthenticationError: The ticket is not good any more.
        """
        with self._turn(self._timeout, "connect"):
            self._find()
        try:
            information = self.call("server.getServerInfo")
        except ConnectError:
            raise
        except (CallTimeoutError, ConnectionLostError) as error:
            raise ConnectError(str(error)) from error
        if not isinstance(information, dict):
            raise ApiVersionError(
                f"{shown(self.hello)} tells nothing about itself: use its release"
            )
        level = information.get("apiVersion")
        if level != API_VERSION:
            raise ApiVersionError(
                f"{shown(self.hello)} speaks level {brief(level)} of the control API, and this "
                f"program level {API_VERSION}: use the same release on both sides"
            )
        return information

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Call a command and return its result.

        Args:
            command: Its full name, such as ``send.getTransfer``.
            arguments: Its arguments; whatever JSON can hold.
            timeout: Seconds in which it has to be answered; otherwise as long as any call.

        Raises:
            CommandError: The server refuses it, or the arguments cannot be sent.
            AuthenticationError: The server wants to know first who calls; or the log-on has ended.
            CallTimeoutError: There was no answer in time.
            ConnectionLostError: The connection was lost and did not come back in time.
            NotConnectedError: Nobody is connected.
        """
        request = CallRequest(
            call_id=uuid.uuid4().hex, command=command, payload=arguments_of(command, arguments)
        )
        limit = self._timeout if timeout is None else timeout
        with self._turn(limit, command):
            answer = self._carried_out(request, self._bus.now() + limit)
        return result_of(command, answer)

    def log_on(self, arguments: Mapping[str, Any]) -> None:
        """Log on; from then on, calls are made as who has logged on.

        Args:
            arguments: Those of ``server.auth``: ``userName``, ``password``, ``token``.

        Raises:
            AuthenticationError: They are not right.
            ControlError: As :meth:`call`.
        """
        found = self.call(_LOG_ON, arguments)
        ticket = found.get("ticket") if isinstance(found, dict) else None
        if isinstance(ticket, str):
            self.adopt(ticket)

    def adopt(self, ticket: str) -> None:
        """Use the ticket of a log-on in the next session; taking leave gives it up.

        Args:
            ticket: What the server gave out for the log-on. It is kept in memory only.
        """
        self._ticket = ticket
        self._own_ticket = True

    def close(self) -> None:
        """Take leave, and end calls of other threads; the bus stays open."""
        if self._cancel.cancelled:
            return
        try:
            self._take_leave()
        except FileTransferError as error:
            logger.debug("could not take leave of the transfer server: %s", error)
        finally:
            self._ticket = None
            self._cancel.cancel()

    def _find(self) -> None:
        """Find the server to call."""
        if self._passage is not None:
            return
        try:
            self._engine.connect()
        except RefusedError as error:
            if not error.means(ErrorCode.NO_SERVICE):
                raise
            raise ConnectError(
                "there is no transfer server on this fabric: is one running (dxlft server), "
                "connected to it, and new enough?"
            ) from error
        self._engine.pin(chosen(self._engine.instances, self._server))
        # Whoever takes its place later must prove to be the same one.
        peer = self._public_key or self.hello.public_key
        if peer is None:
            raise ConnectError(f"{shown(self.hello)} tells no key: it is too old, or set up wrong")
        try:
            self._public_key = check_public_key(peer)
        except ValueError as error:
            raise ConnectError(f"{shown(self.hello)} tells no valid key: {error}") from error
        self._passage = Passage(
            PrivateKey.generate(),
            self._admission,
            peer_key=self._public_key,
            hello=lambda: self.hello,
        )

    def _admission(self) -> Admission:
        return Admission(
            admission_id=self._admission_id,
            purpose=SessionPurpose.CONTROL,
            cipher=Cipher.AES_256,
            ticket=self._ticket,
        )

    def _carried_out(self, request: CallRequest, deadline: float) -> CallAnswer:
        try:
            return self._ask(Verb.CALL, request, CallAnswer, deadline)
        except RefusedError as error:
            if not error.means(ErrorCode.DENIED) or self._is_another:
                raise
            if self._ticket is None:
                raise AuthenticationError(str(error)) from error
            ended = AuthenticationError(f"the log-on has ended ({error}): log on again")
            self._forget_log_on()
            if request.command != _LOG_ON:
                raise ended from error
        return self._ask(Verb.CALL, request, CallAnswer, deadline)

    def _ask(self, verb: Verb, request: Message, kind: type[M], deadline: float) -> M:
        self._way.forgive()  # what one call was refused need not be refused the next one
        question = QuestionJob(verb, request, kind)
        what = request.command if isinstance(request, CallRequest) else verb.value
        self._engine.run(
            [GuardedJob(question, self._way)], each_round=lambda: self._check(deadline, what)
        )
        return question.result()

    @property
    def _is_another(self) -> bool:
        """Whether what answers now has another key than the server that was connected to."""
        return self.hello.public_key != self._public_key

    @property
    def _way(self) -> Passage:
        if self._passage is None:
            raise NotConnectedError("no transfer server was looked for yet: connect first")
        return self._passage

    def _check(self, deadline: float, what: str) -> None:
        """Raise if the time of a call is over."""
        if self._bus.now() < deadline:
            return
        if not self._bus.connected:
            raise ConnectionLostError(
                "the connection to the broker was lost and has not come back in time; "
                f"{what} may have been carried out: is the server running, and the network up?"
            )
        raise CallTimeoutError(
            f"{shown(self.hello)} has not answered in time; {what} may have been carried out: is "
            "it running, connected, and not overloaded?"
        )

    def _forget_log_on(self) -> None:
        self._ticket = None
        self._own_ticket = False
        self._way.reset()

    def _take_leave(self) -> None:
        passage = self._passage
        if passage is None or passage.session is None or not self._bus.connected:
            return
        deadline = self._bus.now() + GOODBYE_SECONDS
        with self._turn(GOODBYE_SECONDS, "leave"):
            if self._own_ticket:
                request = CallRequest(call_id=uuid.uuid4().hex, command="server.logout")
                self._ask(Verb.CALL, request, CallAnswer, deadline)
            self._ask(Verb.LEAVE, LeaveRequest(outcome=Outcome.COMPLETE), DoneAnswer, deadline)

    @contextmanager
    def _turn(self, timeout: float, what: str) -> Iterator[None]:
        """Wait until no other thread calls, and give errors the words of this module.

        Args:
            timeout: Seconds to wait.
            what: What is to be done then.
        """
        if not self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            raise CallTimeoutError(
                f"{what} was not called: calls of other threads have taken {timeout:g} s"
            )
        try:
            yield
        except ControlError:
            raise
        except FileTransferError as error:
            raise self._translated(error) from error
        finally:
            self._lock.release()

    def _translated(self, error: FileTransferError) -> ControlError:
        if isinstance(error, TransferCancelledError):
            return NotConnectedError("the connection to the transfer server was ended")
        if self._passage is None:
            return ConnectError(str(error))
        if self._is_another or (isinstance(error, RefusedError) and error.means(ErrorCode.CIPHER)):
            return ConnectError(f"{shown(self.hello)} cannot be called: {error}")
        return ControlError(f"{shown(self.hello)} cannot carry out the call: {error}")
