"""Answers to calls that are kept for a while, in case the calls come again. No input or output."""

import threading
from collections import OrderedDict
from typing import Final

from dxlfiletransferclient.protocol.parcels import Parcel

KEPT_EACH: Final = 16
"""Answers of a session that are kept, for calls that come again because the answer got lost.

A program has one call under way at a time, so one would do; more cost memory only.
"""

LARGEST_KEPT: Final = 64 * 1024
"""Bytes of an answer that is kept. Longer ones are those of commands that only look, and looking
again does no harm."""

BYTES_EACH: Final = 256 * 1024
"""Bytes that the answers of a session may take."""

BYTES_TOTAL: Final = 32 * 1024 * 1024
"""Bytes that the answers of all sessions may take. A call comes again within seconds, and to fill
this takes longer, so what is dropped for it is not missed."""

OVERHEAD: Final = 512
"""Bytes that an answer takes besides what it says, about."""

_Key = tuple[str, str]


class KeptAnswers:
    """Keeps the last answers of all sessions. Safe for several threads.

    Args:
        total: Bytes that they may take together.
    """

    def __init__(self, total: int = BYTES_TOTAL) -> None:
        self._most = total
        self._lock = threading.Lock()
        self._total = 0
        # The oldest first, both altogether and of each session.
        self._answers: OrderedDict[_Key, Parcel] = OrderedDict()
        self._sessions: dict[str, OrderedDict[str, int]] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        with self._lock:
            return len(self._answers)

    def get(self, session: str, call_id: str) -> Parcel | None:
        """Return the answer to a call; ``None`` if none is kept."""
        with self._lock:
            return self._answers.get((session, call_id))

    def keep(self, session: str, call_id: str, answer: Parcel) -> None:
        """Keep the answer to a call, unless it is too long, and drop older ones for it."""
        if len(answer.payload) > LARGEST_KEPT:
            return
        with self._lock:
            self._drop(session, call_id)
            size = len(answer.payload) + OVERHEAD
            own = self._sessions.setdefault(session, OrderedDict())
            own[call_id] = size
            self._answers[session, call_id] = answer
            self._total += size
            while len(own) > KEPT_EACH or sum(own.values()) > BYTES_EACH:
                self._drop(session, next(iter(own)))
            while self._total > self._most:
                self._drop(*next(iter(self._answers)))

    def forget(self, session: str) -> None:
        """Drop the answers of a session."""
        with self._lock:
            for call_id in list(self._sessions.get(session, ())):
                self._drop(session, call_id)

    def _drop(self, session: str, call_id: str) -> None:
        if self._answers.pop((session, call_id), None) is None:
            return
        own = self._sessions[session]
        self._total -= own.pop(call_id)
        if not own:
            del self._sessions[session]
