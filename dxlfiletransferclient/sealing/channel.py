"""The two ends of a session after the handshake. No input or output."""

import itertools
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.protocol.coding import decode, decode_refusal, encode, encode_refusal
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import SealedAnswer, SealedRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferclient.sealing.ciphers import DirectionCipher, SealedContent
from dxlfiletransferclient.sealing.handshake import SessionKeys
from dxlfiletransferclient.sealing.heads import (
    answer_head,
    read_answer_head,
    read_request_head,
    request_head,
)
from dxlfiletransferclient.sealing.replays import ReplayWindow

MOST_MESSAGES: Final = 2**32
"""Requests of one session, after which the initiator asks for another one with other keys.

At one megabyte each these are 4 PiB, or 2^48 blocks of AES; the chance that all of them together
tell anything is below 2^-32 then. At 10,000 requests per second they last for five days.
"""

MOST_OPEN: Final = 4096
"""Requests that may have been opened and not answered. A service works at some tens at a time;
those that it never answers are forgotten, the oldest first."""

_SPARE_MESSAGES: Final = 2**16
"""Requests that are still sealed when there should be another session: those under way."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that came in a session.

    Attributes:
        number: Its number, which the answer is sealed for.
        verb: What it asks for.
        parcel: What it carries; the payload may be a view into a larger piece of memory.
    """

    number: int
    verb: Verb
    parcel: Parcel


class RequestingChannel:
    """The end that asks. Safe for several threads.

    Args:
        session: Name of the session.
        cipher: What protects it.
        keys: What both ends have in common.

    Attributes:
        session: Name of the session.
        cipher: What protects it.
    """

    def __init__(self, session: str, cipher: Cipher, keys: SessionKeys) -> None:
        self.session = session
        self.cipher = cipher
        self._requests = DirectionCipher(cipher, keys.request_key(cipher))
        self._answers = DirectionCipher(cipher, keys.answer_key(cipher))
        self._numbers = itertools.count(1)
        self._last = 0

    @property
    def spent(self) -> bool:
        """Whether it has sealed so much that another session should take its place."""
        return self._last >= MOST_MESSAGES

    def seal(self, verb: Verb, parcel: Parcel) -> tuple[int, Parcel]:
        """Seal a request; one that is sent again is sealed again.

        Args:
            verb: What it asks for.
            parcel: What it carries.

        Returns:
            The number that the answer will have, and what is sent as ``sealed``.
        """
        number = self._last = next(self._numbers)
        if number > MOST_MESSAGES + _SPARE_MESSAGES:
            raise RuntimeError("too many requests were sealed with the keys of one session")
        content = self._requests.seal(number, request_head(verb, parcel.fields), parcel.payload)
        request = SealedRequest(
            session=self.session,
            number=number,
            inner=content.inner,
            tag=content.tag,
            payload=content.payload,
        )
        unchanged = content.payload is parcel.payload
        return number, encode(request, digest=parcel.digest if unchanged else None)

    def open(self, answer: Parcel, numbers: Collection[int]) -> Parcel:
        """Return what the answer to a request carries inside.

        Args:
            answer: What came.
            numbers: Under which numbers the request was sent.

        Raises:
            RefusedError: What the peer has refused the request with; or ``CORRUPT`` if the answer
                is none to this request, was damaged or forged.
        """
        found = self.unseal(answer, numbers)
        if isinstance(found, RefusedError):
            raise found
        return found

    def unseal(self, answer: Parcel, numbers: Collection[int]) -> Parcel | RefusedError:
        """Return what :meth:`open` returns, or the refusal that comes from the peer for sure.

        Raises:
            RefusedError: ``CORRUPT`` as there.
        """
        try:
            sealed = decode(SealedAnswer, answer)
        except RefusedError as error:
            # Whatever it is, the peer has not sent it.
            raise RefusedError(ErrorCode.CORRUPT, f"no sealed answer: {error}") from error
        if sealed.number not in numbers:
            raise RefusedError(ErrorCode.CORRUPT, "it answers another request")
        content = SealedContent(sealed.inner, sealed.tag, sealed.payload)
        try:
            head, payload = self._answers.open(sealed.number, content)
            refused, fields = read_answer_head(head)
        except ValueError as error:
            text = f"the answer was damaged or forged: {error}"
            raise RefusedError(ErrorCode.CORRUPT, text) from error
        parcel = Parcel(fields, payload)
        return decode_refusal(parcel) if refused else parcel


class AnsweringChannel:
    """The end that answers. Safe for several threads.

    Whoever has one answers these in the clear, with the general meaning of the code as text:
    ``BUSY``, ``CORRUPT``, ``CLOSING`` and ``UNKNOWN_SESSION``, and whatever is not about a request
    that could be opened. The peer believes nobody in the clear more than that it should try again.
    Everything else is sealed for the request that it answers.

    Args:
        session: Name of the session.
        cipher: What protects it.
        keys: What both ends have in common.

    Attributes:
        session: Name of the session.
        cipher: What protects it.
    """

    def __init__(self, session: str, cipher: Cipher, keys: SessionKeys) -> None:
        self.session = session
        self.cipher = cipher
        self._requests = DirectionCipher(cipher, keys.request_key(cipher))
        self._answers = DirectionCipher(cipher, keys.answer_key(cipher))
        self._lock = threading.Lock()
        self._taken = ReplayWindow()
        self._open: dict[int, None] = {}

    def open(self, request: SealedRequest, *, digest: str | None = None) -> Opened:
        """Return what a request carries inside; each can be opened once.

        Args:
            request: What came.
            digest: The digest of its payload, where it was computed.

        Raises:
            RefusedError: ``CORRUPT`` if it was damaged or forged; ``INVALID`` if it came before, or
                says what cannot be asked.
        """
        number = request.number
        with self._lock:
            fresh = self._taken.may(number)
        if not fresh or number > MOST_MESSAGES + _SPARE_MESSAGES:
            raise _replayed()
        content = SealedContent(request.inner, request.tag, request.payload)
        try:
            head, payload = self._requests.open(number, content)
        except ValueError as error:
            raise RefusedError(ErrorCode.CORRUPT, ErrorCode.CORRUPT.meaning) from error
        # Only now: what was not sealed by the peer must not use up its numbers.
        with self._lock:
            if not self._taken.take(number):
                raise _replayed()
            self._open[number] = None
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        try:
            verb, fields = read_request_head(head)
        except ValueError as error:
            self.drop(number)
            raise RefusedError(ErrorCode.INVALID, f"no valid request: {error}") from error
        known = digest if payload is request.payload else None
        return Opened(number, verb, Parcel(fields, payload, known))

    def seal(self, number: int, answer: Parcel | RefusedError) -> Parcel:
        """Seal the answer to a request that was opened, once.

        Args:
            number: The number of the request.
            answer: What it carries, or what the request is refused with.

        Raises:
            RuntimeError: The request was not opened, or is answered already: the same number must
                never seal two things.
        """
        with self._lock:
            if number not in self._open:
                raise RuntimeError("a request that was opened is answered once")
            del self._open[number]
        refused = isinstance(answer, RefusedError)
        parcel = encode_refusal(answer) if isinstance(answer, RefusedError) else answer
        head = answer_head(parcel.fields, refused=refused)
        content = self._answers.seal(number, head, parcel.payload)
        sealed = SealedAnswer(
            number=number, inner=content.inner, tag=content.tag, payload=content.payload
        )
        return encode(sealed)

    def drop(self, number: int) -> None:
        """Note that a request is answered in the clear, or not at all."""
        with self._lock:
            self._open.pop(number, None)


def _replayed() -> RefusedError:
    return RefusedError(ErrorCode.INVALID, "the request has come before")
