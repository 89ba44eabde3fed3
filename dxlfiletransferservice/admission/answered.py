"""Remembers the answers to handshakes, so that one that comes again gets the same. No I/O."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

ANSWERS_REMEMBERED: Final = 1024
"""Handshakes whose answers are remembered: some hundred bytes each, a few kilobytes at most.

One comes again within seconds, if its answer got lost. If it was forgotten by then, the peer is
admitted a second time, which does no harm: the first session ends unused.
"""

WAIT_SECONDS: Final = 5.0
"""Seconds that a handshake waits for itself, when it came again while it is being answered: longer
than it takes to check a password."""

_RETRY_AFTER: Final = 1.0


@dataclass(slots=True)
class _Turn:
    done: threading.Event = field(default_factory=threading.Event)
    answer: bytes | None = None


class AnsweredHandshakes:
    """Lets each handshake be answered once. Safe for several threads.

    Args:
        most: How many are remembered.
    """

    def __init__(self, most: int = ANSWERS_REMEMBERED) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._turns: OrderedDict[bytes, _Turn] = OrderedDict()

    def begin(self, message: Payload) -> bytes | None:
        """Ask whether to answer a handshake; if so, :meth:`end` has to follow.

        Returns:
            The answer that it had before; ``None`` if it is to be answered now.

        Raises:
            RefusedError: ``BUSY`` if it is being answered, and that takes long.
        """
        key = _key(message)
        with self._guard:
            turn = self._turns.get(key)
            if turn is None:
                self._turns[key] = _Turn()
                return None
        turn.done.wait(WAIT_SECONDS)
        if turn.answer is None:
            text = "the same handshake is being answered, or could not be"
            raise RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)
        return turn.answer

    def end(self, message: Payload, answer: bytes | None) -> None:
        """Note the answer to a handshake; ``None`` if it had none and may come again."""
        key = _key(message)
        with self._guard:
            turn = self._turns.get(key)
            if turn is not None:
                turn.answer = answer
                turn.done.set()
                if answer is None:
                    del self._turns[key]
            self._forget()

    def _forget(self) -> None:
        """Forget the oldest answers; handshakes that are being answered stay."""
        for key in list(self._turns)[: max(0, len(self._turns) - self._most)]:
            if self._turns[key].done.is_set():
                del self._turns[key]


def _key(message: Payload) -> bytes:
    return hashlib.sha256(message).digest()
