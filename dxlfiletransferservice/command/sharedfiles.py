"""Gets the files that a shared token opens."""

import json
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.errors import FileTransferError, brief
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferclient.outcomes import OutcomeCallback, TransferReport
from dxlfiletransferclient.progress import ProgressCallback
from dxlfiletransferclient.protocol.messages import DoneAnswer, ListAnswer, ListRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import LeaveRequest, Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import Receiver, StoredFile
from dxlfiletransferclient.receiving.stores import Stores
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.keys import KEY_BYTES, PrivateKey
from dxlfiletransferclient.sealing.passage import Passage
from dxlfiletransferservice.control.identity.wronglogins import WRONG_TOKEN

NEEDS_PASSWORD: Final = "needs its password"  # noqa: S105 - a text, no password
"""What a server says, among other words, of a right token without its password."""

_FOR_EVER: Final = 1e9
"""Seconds that never pass: no other server can take the place of the one that knows the token."""

_ID_BYTES: Final = 16

logger = logging.getLogger(__name__)


class NoTokenServerError(FileTransferError):
    """There is no server to show a token to; the text says what helps."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a token opens, and where.

    Attributes:
        instance: The server that knows the token.
        own: The key that is shown there.
        admission: What is said there.
    """

    instance: Instance
    own: PrivateKey
    admission: Admission

    def engine(
        self, bus: Bus, options: EngineOptions, cancel: Cancellation | None = None
    ) -> Engine:
        """Return an engine that asks that server, in a session."""
        passage = Passage(self.own, self.admission, peer_key=self.instance.hello.public_key)
        engine = Engine(
            bus,
            DEFAULT_STORE_TOPIC,
            options=replace(options, failover_after=_FOR_EVER),
            cancel=cancel,
            passage=passage,
        )
        engine.connect()
        engine.pin(self.instance)
        return engine


class SharedFiles:
    """The files that a token opens; has those methods of ``FileTransferClient`` that get them.

    Args:
        bus: A bus that is connected.
        opened: What :func:`opened` returned.
    """

    def __init__(self, bus: Bus, opened: Opened) -> None:
        self._bus = bus
        self._opened = opened

    def get(
        self,
        names: Sequence[str],
        target: str = ".",
        *,
        options: GetOptions,
        progress: ProgressCallback,
        on_outcome: OutcomeCallback,
        cancel: Cancellation,
    ) -> TransferReport:
        """Get files and directories; see ``FileTransferClient.get``."""
        receiver = _SharedReceiver(
            self._bus,
            self._opened,
            options=options,
            progress=progress,
            on_outcome=on_outcome,
            cancel=cancel,
        )
        report = receiver.get(names, target)
        receiver.leave()
        return report

    def stat(self, name: str) -> StoredFile:
        """Return what has a name; see ``FileTransferClient.stat``."""
        receiver = _SharedReceiver(self._bus, self._opened)
        found = receiver.stat(name)
        receiver.leave()
        return found


class _SharedReceiver(Receiver):
    """Receives from the server that knows a token, and from no other."""

    def __init__(
        self,
        bus: Bus,
        opened: Opened,
        *,
        options: GetOptions | None = None,
        cancel: Cancellation | None = None,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
    ) -> None:
        super().__init__(
            bus, options=options, cancel=cancel, progress=progress, on_outcome=on_outcome
        )
        self._opened = opened
        self._engine: Engine | None = None

    def leave(self) -> None:
        """End the session of the last call."""
        if self._engine is not None:
            _leave(self._engine)

    def _connected(self, key: str, *verbs: Verb) -> tuple[Engine, Stores]:  # noqa: ARG002
        engine = self._opened.engine(self._bus, self._options.engine, self._cancel)
        self._engine = engine
        return engine, _OnlyStore(engine, verbs)


class _OnlyStore(Stores):
    """The one store that has the files of a token: what is not there is nowhere."""

    def turns(self) -> Iterator[Instance]:
        """Yield the instance in use."""
        yield self.in_use


def open_token(
    bus: Bus,
    token: str,
    call: Sequence[str],
    *,
    server: str | None = None,
    password: Callable[[], str],
    options: EngineOptions,
) -> Opened:
    """Find the server that knows a token, and begin a download there, or go on with one.

    Args:
        bus: A bus that is connected.
        token: The token as a whole.
        call: What tells this download from others; the same download is counted once.
        server: Name, uid or public key of the server; by default all of the fabric are asked, one
            after the other.
        password: Returns the password of the token, if it needs one.
        options: Sizes and times.

    Raises:
        NoTokenServerError: There is no such server.
        RefusedError: The token or the password is wrong, or it cannot be used any more.
        FileTransferError: The fabric or the server cannot be reached.
    """
    own, admission_id = identity_of(token, call)
    admission = Admission(
        admission_id=admission_id,
        purpose=SessionPurpose.DOWNLOAD,
        cipher=Cipher.AES_256,
        token=token,
    )
    refusals: list[RefusedError] = []
    for instance in _candidates(bus, server, options):
        found = Opened(instance, own, admission)
        try:
            try:
                _try(bus, found, options)
            except RefusedError as error:
                if not error.means(ErrorCode.DENIED) or NEEDS_PASSWORD not in error.message:
                    raise
                found = replace(found, admission=replace(admission, password=password()))
                _try(bus, found, options)
        except RefusedError as error:
            logger.debug("%s refuses the token", brief(instance.hello.server_name or ""))
            refusals.append(error)
        else:
            return found
    # One that says more than that it does not know the token is the one that made it.
    raise next((each for each in refusals if each.message != WRONG_TOKEN), refusals[0])


def identity_of(token: str, call: Collection[str]) -> tuple[PrivateKey, str]:
    """Return the key and the admission id of a download: the same ones for the same call.

    A server counts what comes from one key under one id as one download, so that a repeated command
    goes on. The key is derived from the token, which nobody else should have, and never kept.

    Args:
        token: The token as a whole.
        call: What tells the download from others.

    Example:
        >>> own, admission_id = identity_of("1-0a.secret", ["/copies", "report.pdf"])
        >>> identity_of("1-0a.secret", ["/copies", "report.pdf"])[1] == admission_id
        True
    """
    context = json.dumps(["dxlft download", socket.gethostname(), *call]).encode()
    derivation = HKDF(SHA256(), length=KEY_BYTES + _ID_BYTES, salt=None, info=context)
    derived = derivation.derive(token.encode("utf-8", "surrogatepass"))
    return PrivateKey.from_bytes(derived[:KEY_BYTES]), derived[KEY_BYTES:].hex()


def call_of(names: Sequence[str], target: str) -> list[str]:
    """Return what tells a download from others: where it goes, and what of it is wanted."""
    return [os.path.realpath(target), *sorted(set(names))]


def _try(bus: Bus, opened: Opened, options: EngineOptions) -> None:
    """Ask for the first name that a token opens, which shows whether it does."""
    engine = opened.engine(bus, options)
    engine.ask(Verb.LIST, ListRequest(limit=1), ListAnswer)
    _leave(engine)


def _leave(engine: Engine) -> None:
    """End a session; a server that does not hear it finds out by itself."""
    try:
        engine.ask(Verb.LEAVE, LeaveRequest(outcome=Outcome.COMPLETE), DoneAnswer)
    except FileTransferError as error:
        logger.debug("could not take leave: %s", error)


def _candidates(bus: Bus, server: str | None, options: EngineOptions) -> list[Instance]:
    engine = Engine(bus, DEFAULT_STORE_TOPIC, options=options)
    engine.connect()
    found: dict[str, Instance] = {}
    for each in engine.instances:
        key = each.hello.public_key
        if key is not None and each.offers(Verb.ADMIT) and each.offers(Verb.SEALED):
            found.setdefault(key, each)
    if not found:
        raise NoTokenServerError(
            "no service on this fabric opens tokens: is a transfer server (dxlft server) running, "
            "connected to it, and new enough?"
        )
    if server is None:
        return list(found.values())
    named = [each for each in found.values() if server in _names(each)]
    if not named:
        raise NoTokenServerError(
            f"no transfer server on this fabric has the name, uid or public key {brief(server)}"
        )
    return named


def _names(instance: Instance) -> tuple[str | None, ...]:
    hello = instance.hello
    return hello.public_key, hello.server_uid, hello.server_name
