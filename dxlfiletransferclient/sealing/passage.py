"""How one end gets into a session, and into the next one when it is lost. No input or output."""

import math
from collections.abc import Callable
from typing import Final

from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.exchange.pausing import delay
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy
from dxlfiletransferclient.protocol.sessions import AdmitAnswer, AdmitRequest, check_session
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Admitted, Cipher
from dxlfiletransferclient.sealing.channel import RequestingChannel
from dxlfiletransferclient.sealing.handshake import Initiator, SessionKeys
from dxlfiletransferclient.sealing.keys import PrivateKey, check_public_key

MOST_LOSSES: Final = 5
"""Sessions in a row that may be lost before anything was answered in them. A service that was
restarted loses one; more than some show that it keeps none, and asking for ever would hide that."""

MOST_UNPROVEN: Final = 5
"""Times in a row that something may be refused in the clear. Anybody on the way can do that, so it
counts as an accident at first; with the pauses between them these are about eight seconds."""


class Passage:
    """Keeps one end in a session: asks to be admitted, and again when the session is lost.

    Several jobs of one engine may share it (:class:`~.guardedjob.GuardedJob`). It is not for
    several threads, but what its properties tell may be looked at by any.

    Args:
        own: The key that this end shows; a new one for somebody who need not be known again.
        admission: What it wants and shows; a function is called for each handshake.
        peer_key: The public key that the other end must have; by default the one that it says it
            has, which is to trust whoever runs the brokers on the way.
        hello: Returns what the other end says about itself; :meth:`follow` tells it later.

    Raises:
        ValueError: ``peer_key`` is no public key.

    Example:
        >>> passage = Passage(key, Admission(admission_id="7", purpose=SessionPurpose.CONTROL))
        ... # doctest: +SKIP
        >>> engine = Engine(bus, CONTROL_TOPIC, passage=passage)  # doctest: +SKIP
    """

    def __init__(
        self,
        own: PrivateKey,
        admission: Admission | Callable[[], Admission],
        *,
        peer_key: str | None = None,
        hello: Callable[[], HelloAnswer] | None = None,
    ) -> None:
        self._own = own
        self._admission = admission
        self._expected = None if peer_key is None else check_public_key(peer_key)
        self._hello = hello
        self._channel: RequestingChannel | None = None
        self._handshake: _Handshake | None = None
        self._refusal: RefusedError | None = None
        self._asker: Job | None = None
        self._losses = 0
        self._unproven = 0
        self._ask_at = -math.inf
        self._peer = self._expected

    @property
    def peer(self) -> str | None:
        """Public key of the other end; unless it was named, ``None`` until the first question."""
        return self._peer

    @property
    def session(self) -> str | None:
        """Name of the session; ``None`` while there is none."""
        return None if self._channel is None else self._channel.session

    @property
    def cipher(self) -> Cipher | None:
        """What protects the session; ``None`` while there is none."""
        return None if self._channel is None else self._channel.cipher

    @property
    def channel(self) -> RequestingChannel | None:
        """What seals requests; ``None`` while one has to ask to be admitted."""
        if self._channel is not None and self._channel.spent:
            self._channel = None
        return self._channel

    def follow(self, hello: Callable[[], HelloAnswer]) -> None:
        """Take what the other end says about itself from here, if nothing else was named."""
        self._hello = self._hello or hello

    def reset(self) -> None:
        """Begin anew: forget the session, and what was refused."""
        self._channel = None
        self._losses = 0
        self.forgive()

    def forgive(self) -> None:
        """Forget that admission was refused or is being asked for, and keep a session."""
        self._handshake = None
        self._refusal = None
        self._asker = None
        self._unproven = 0
        self._ask_at = -math.inf

    def moved(self) -> None:
        """Hear that the service is another one, or was started again.

        Raises:
            RefusedError: As :meth:`lost`.
        """
        self.forgive()
        if self._channel is not None:
            self.lost(self._channel)

    # What guarded jobs do with it.

    def claim(self, asker: Job, now: float) -> bool:
        """Return whether a job shall ask to be admitted; it does so alone, and the others wait.

        Raises:
            RefusedError: Nobody can be admitted: it was refused, the service admits nobody, or has
                another key than it should have.
        """
        if self._refusal is not None:
            raise _same(self._refusal)
        if self._asker is not None and not self._asker.finished:
            return False
        if now < self._ask_at:
            return False
        self._peer = self._key_of_peer()
        self._asker = asker
        return True

    def due(self) -> float | None:
        """When to call :meth:`claim` again; ``None`` as long as somebody asks."""
        if self._asker is not None and not self._asker.finished:
            return None
        return self._ask_at

    def gave_up(self, asker: Job) -> None:
        """Hear that a job asks no more."""
        if self._asker is asker:
            self._asker = None

    def knock(self) -> Parcel:
        """Return the request to be admitted; the same one until it is answered."""
        if self._handshake is None:
            given = self._admission
            admission = given() if callable(given) else given
            self._handshake = _Handshake(self._own, self._key_of_peer(), admission)
        return encode(AdmitRequest(payload=self._handshake.message))

    def admitted(self, answer: Parcel) -> None:
        """Hear the answer.

        Raises:
            RefusedError: It is refused, which goes for everybody who waits; with the remedy to
                repeat if the answer was damaged or forged, or the other end says so.
        """
        if self._handshake is None:
            raise RefusedError(ErrorCode.CORRUPT, "nobody waits for this answer any more")
        handshake = self._handshake
        payload = decode(AdmitAnswer, answer).payload
        try:
            self._channel = handshake.channel(payload)
        except RefusedError as error:
            if not handshake.initiator.over:
                raise
            self._handshake = None
            if error.remedy is not Remedy.NONE:
                raise passing(error) from error
            self._asker = None
            self._refusal = _same(error)
            raise
        self._handshake = None
        self._asker = None
        self._unproven = 0

    def put_off(self, error: RefusedError, now: float) -> None:
        """Hear that admission was refused in the clear, which anybody on the way can do.

        Raises:
            RefusedError: It was too often.
        """
        self._asker = None
        self._handshake = None
        self._unproven += 1
        if self._unproven > MOST_UNPROVEN:
            self._unproven = 0
            self._refusal = unproven(error)
            raise _same(self._refusal)
        self._ask_at = now + delay(self._unproven)

    def lost(self, channel: RequestingChannel) -> None:
        """Hear that the other end does not know a session any more.

        Raises:
            RefusedError: It was the last one of too many in a row.
        """
        if channel is not self._channel:
            return
        self._channel = None
        self._losses += 1
        if self._losses > MOST_LOSSES:
            self._losses = 0
            raise RefusedError(
                ErrorCode.UNKNOWN_SESSION,
                f"the service has forgotten {MOST_LOSSES + 1} sessions in a row before it answered "
                "anything in them: its log may tell why",
            )

    def heard(self) -> None:
        """Hear that something was answered in the session."""
        self._losses = 0

    def _key_of_peer(self) -> str:
        if self._hello is None:
            raise RuntimeError("a passage has to know whom it leads to")
        hello = self._hello()
        if not {Verb.ADMIT, Verb.SEALED} <= set(hello.verbs.split()):
            raise RefusedError(
                ErrorCode.CIPHER,
                "the service admits nobody to sessions, so nothing can be proven or encrypted: it "
                "is no transfer server, or too old. Nothing was sent",
            )
        told = None if hello.public_key is None else _checked(hello.public_key)
        expected = self._expected or told
        if expected is None:
            raise RefusedError(ErrorCode.CIPHER, "the service does not tell its public key")
        if told is not None and told != expected:
            raise RefusedError(
                ErrorCode.DENIED,
                f"the receiver has the public key {told}, but must have {expected}: it is another "
                "one, or was set up anew. Nothing was sent",
            )
        return expected


class _Handshake:
    """One request to be admitted."""

    def __init__(self, own: PrivateKey, peer: str, admission: Admission) -> None:
        self._asked = admission.cipher
        self.initiator = Initiator(own, peer)
        try:
            self.message = self.initiator.write(admission.to_bytes())
        except ValueError as error:
            raise RefusedError(ErrorCode.INVALID, f"this cannot be asked for: {error}") from error

    def channel(self, payload: bytes | bytearray | memoryview) -> RequestingChannel:
        """Return the session that the answer begins, or raise what it refuses it with."""
        text, keys = self.initiator.read(payload)
        admitted = Admitted.from_bytes(text)
        return _channel(admitted, self._asked, keys)


def _channel(admitted: Admitted, asked: Cipher, keys: SessionKeys) -> RequestingChannel:
    if admitted.cipher < asked:
        raise RefusedError(
            ErrorCode.CIPHER,
            f"the receiver would protect what is sent by cipher {int(admitted.cipher)}, but "
            f"{int(asked)} is the least that will do: nothing was sent",
        )
    try:
        check_session(admitted.session)
    except ValueError as error:
        raise RefusedError(ErrorCode.INVALID, f"no valid answer: {error}") from error
    return RequestingChannel(admitted.session, admitted.cipher, keys)


def passing(error: RefusedError) -> RefusedError:
    """Return an error of the peer so that the engine sends the same request again."""
    if error.remedy is Remedy.REPEAT:
        return error
    return RefusedError(ErrorCode.BUSY, error.message, error.retry_after)


def unproven(error: RefusedError) -> RefusedError:
    """Return the error to give up with when something was refused in the clear too often."""
    return RefusedError(
        error.code,
        f"{error.message} (said {MOST_UNPROVEN + 1} times without proof of who says it: the "
        "service cannot read what is sent to it, or somebody on the way interferes)",
    )


def _same(error: RefusedError) -> RefusedError:
    """Return another one, since each that is raised gathers a traceback of its own."""
    return RefusedError(error.code, error.message, error.retry_after)


def _checked(key: str) -> str:
    try:
        return check_public_key(key)
    except ValueError as error:
        raise RefusedError(ErrorCode.CIPHER, f"the service tells no valid key: {error}") from error
