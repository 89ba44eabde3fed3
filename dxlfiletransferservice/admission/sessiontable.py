"""The sessions of a server, in bounded number. No input or output; times are passed in."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.channel import AnsweringChannel
from dxlfiletransferservice.admission.seams import Visit

MOST_SESSIONS: Final = 4096
"""Sessions at the same time: some tens of kilobytes each, beside what their holders have open."""

SILENT_SECONDS: Final = 15 * 60.0
"""Seconds without a request after which a session ends. Who comes later asks to be admitted again,
which costs a way there and back."""

UNUSED_SECONDS: Final = 2 * 60.0
"""Seconds after which a session ends in which nothing was ever asked: the answer to its handshake
got lost, or somebody has repeated a handshake of another one and cannot use what came of it."""

LINGER_SECONDS: Final = 60.0
"""Seconds for which a session is remembered that its peer has left, in case that comes again."""

YIELDING_SECONDS: Final = 60.0
"""Seconds without a request after which a session makes room for another one if there is none."""

_RETRY_AFTER: Final = 5.0


@dataclass(slots=True, eq=False)
class Session:
    """One session.

    Attributes:
        channel: Opens its requests and seals the answers.
        visit: What it is good for.
        used: When the last request came, in seconds.
        proven: Whether there was one, which shows that the peer has the keys.
        left: Whether the peer has left it.
        requests: How many are being carried out.
        turn: Held while it is being left.
    """

    channel: AnsweringChannel
    visit: Visit
    used: float
    proven: bool = False
    left: bool = False
    requests: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)


class SessionTable:
    """Finds sessions by their names, and says which have to go. Safe for several threads.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._coming = 0

    def __len__(self) -> int:
        """Return how many there are."""
        with self._guard:
            return len(self._sessions)

    def reserve(self, now: float) -> Session | None:
        """Make room for a session, which :meth:`add` or :meth:`release` has to follow.

        Returns:
            The session that has to go for it, to be told so; mostly none.

        Raises:
            RefusedError: ``BUSY`` if all are in use.
        """
        with self._guard:
            gone: Session | None = None
            if len(self._sessions) + self._coming >= self._most:
                name = self._least(now)
                if name is None:
                    text = f"{self._most} sessions are in use; try again later"
                    raise RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)
                gone = self._sessions.pop(name)
            self._coming += 1
            return gone

    def release(self) -> None:
        """Give a reserved place back."""
        with self._guard:
            self._coming -= 1

    def add(self, session: Session) -> None:
        """Take a session into a place that was reserved."""
        with self._guard:
            self._coming -= 1
            self._sessions[session.channel.session] = session

    def enter(self, name: str) -> Session:
        """Begin a request in a session, which :meth:`leave` has to follow.

        Raises:
            RefusedError: ``UNKNOWN_SESSION``.
        """
        with self._guard:
            session = self._sessions.get(name)
            if session is None:
                raise RefusedError(ErrorCode.UNKNOWN_SESSION, ErrorCode.UNKNOWN_SESSION.meaning)
            session.requests += 1
            return session

    def opened(self, session: Session, now: float) -> None:
        """Note that a request was really from the peer."""
        with self._guard:
            session.used = max(session.used, now)
            session.proven = True

    def leave(self, session: Session) -> None:
        """End a request in a session."""
        with self._guard:
            session.requests -= 1

    def ended(self, now: float) -> list[Session]:
        """Take out the sessions whose time is over, and return them."""
        with self._guard:
            names = [name for name, each in self._sessions.items() if _is_over(each, now)]
            return [self._sessions.pop(name) for name in names]

    def clear(self) -> list[Session]:
        """Take out all sessions, and return them."""
        with self._guard:
            found, self._sessions = list(self._sessions.values()), {}
            return found

    def _least(self, now: float) -> str | None:
        """Return the name of the session that is needed least; ``None`` if all are in use."""
        idle = [(name, each) for name, each in self._sessions.items() if not each.requests]
        return (
            _oldest((name, each) for name, each in idle if each.left)
            or _oldest((name, each) for name, each in idle if not each.proven)
            or _oldest((name, each) for name, each in idle if now - each.used >= YIELDING_SECONDS)
        )


def _oldest(found: Iterable[tuple[str, Session]]) -> str | None:
    name, _ = min(found, key=lambda each: each[1].used, default=(None, None))
    return name


def _is_over(session: Session, now: float) -> bool:
    if session.requests:
        return False
    if session.left:
        return now - session.used >= LINGER_SECONDS
    return now - session.used >= (SILENT_SECONDS if session.proven else UNUSED_SECONDS)
