"""The requests that were asked for and not answered yet. No input or output."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from dxlfiletransferclient.exchange.deadlines import Deadlines
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.waiting import WaitingLine
from dxlfiletransferclient.exchange.window import Departure, RoundTrip, Window

MOST_PENDING: Final = 512
"""Requests that may be pending, however small they are: each costs about a kilobyte here, and a
place in queues of 1000 that the official client keeps."""

MOST_LATE: Final = 2
"""Earlier attempts of one request whose answers are still welcome; each costs a token."""

Owner = TypeVar("Owner")
"""Whose requests they are, whatever that is to the caller."""


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One message that carried a request.

    Attributes:
        token: What its answer will bear.
        departure: What the window remembers of it.
    """

    token: int
    departure: Departure


@dataclass(slots=True, eq=False)
class Pending(Generic[Owner]):
    """A request without an answer: flying, or waiting to be sent (again).

    Attributes:
        owner: Whose it is.
        ask: What is asked.
        repeats: How often it was sent in vain.
        setbacks: How often in a row it was refused for the time being, or damaged.
        flying: The last attempt, while its answer may still come in time.
        late: Earlier attempts, whose answers count if they come after all.
    """

    owner: Owner
    ask: Ask
    repeats: int = 0
    setbacks: int = 0
    flying: Attempt | None = None
    late: list[Attempt] = field(default_factory=list)


class PendingAsks(Generic[Owner]):
    """Everything that is pending, with the window and the time-outs that bound it.

    What is forgotten here has to be forgotten by the bus as well: methods that drop something
    return or pass on its tokens.

    Args:
        window: Bounds the bytes outstanding.
        shortest: Seconds to wait for an answer at least.
        longest: Seconds to wait for an answer at most, unless answers are known to take longer.
        forget: Called with each token whose answer does not matter any more.
    """

    def __init__(
        self, window: Window, *, shortest: float, longest: float, forget: Callable[[int], object]
    ) -> None:
        self.window = window
        self._shortest = shortest
        self._longest = longest
        self._forget = forget
        self._trips: dict[str, RoundTrip] = {}
        self._waiting: WaitingLine[Pending[Owner]] = WaitingLine()
        self._flying: Deadlines[Pending[Owner]] = Deadlines()
        self._by_owner: dict[int, dict[Pending[Owner], None]] = {}
        self._by_token: dict[int, tuple[Pending[Owner], Attempt]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether nothing more may be added for now."""
        return self._count >= MOST_PENDING

    @property
    def room(self) -> int:
        """Bytes that new requests may cost; what waits to be sent again comes first."""
        room = self.window.size - self.window.in_flight - self._waiting.cost
        return max(0, room)

    def restart(self, window: Window) -> None:
        """Begin with a new window and measure anew; everything that flies has to be sent again."""
        for pending in self._flying:
            self._land(pending)
            self._wait(pending)
        self.window = window
        self._trips.clear()
        self._flying.restart()

    def add(self, owner: Owner, ask: Ask) -> None:
        """Add a request, which waits to be sent."""
        pending = Pending(owner, ask)
        # By identity: whether two owners are equal is their own affair.
        self._by_owner.setdefault(id(owner), {})[pending] = None
        self._count += 1
        self._waiting.add(pending, ask.cost)

    def ready(self, now: float) -> Iterator[Pending[Owner]]:
        """Yield what is to be sent now, each after the one before has been."""
        return self._waiting.ready(now, self.window.fits)

    def sent(self, pending: Pending[Owner], token: int, now: float) -> None:
        """Note that a request was sent."""
        self._waiting.remove(pending)
        departure = self.window.sent(pending.ask.cost, now)
        timeout = self._trip(pending.ask).timeout(pending.repeats)
        attempt = pending.flying = Attempt(token, departure)
        self._flying.add(pending, now, timeout)
        self._by_token[token] = pending, attempt

    def answered(self, token: int, now: float) -> Pending[Owner] | None:
        """Return whose answer has come, and learn from it.

        Call :meth:`done` if the answer settles the request, else :meth:`again`.
        """
        found = self._take(token)
        if found is None:
            return None
        pending, attempt = found
        self.window.arrived(attempt.departure, now)
        self._trip(pending.ask).measured(now - attempt.departure.at)
        self._flying.answered(attempt.departure.at, now)
        return pending

    def refused(
        self, token: int, now: float, *, passing: bool, slow: bool
    ) -> Pending[Owner] | None:
        """Return whose error has come; it stays pending, waiting.

        Args:
            token: What the error bears.
            now: The time.
            passing: Whether the same request may go through later. If so, an error to an attempt
                that was given up before means nothing.
            slow: Whether the error asks for less traffic.

        Returns:
            The request; ``None`` if there is none, or nothing follows for it.
        """
        found = self._take(token, keep_newer=passing)
        if found is None:
            return None
        pending, attempt = found
        self.window.dropped(attempt.departure)
        if slow:
            self.window.slow(attempt.departure, now)
        if pending.flying is not None:
            return None
        if pending not in self._waiting:
            self._wait(pending)
        return pending

    def done(self, pending: Pending[Owner]) -> None:
        """Drop a request that is settled; may be repeated."""
        owned = self._by_owner.get(id(pending.owner), {})
        if pending not in owned:
            return
        if pending.flying is not None:
            self._land(pending)
        self._waiting.remove(pending)
        if pending.late:
            for attempt in pending.late:
                self._lose_token(attempt)
            pending.late.clear()
        del owned[pending]
        if not owned:
            del self._by_owner[id(pending.owner)]
        self._count -= 1

    def again(self, pending: Pending[Owner], at: float) -> None:
        """Have a request sent again, not before a certain time."""
        pending.setbacks += 1
        self._wait(pending, at)

    def expire(self, now: float) -> int:
        """Give up waiting for what has taken too long, to have it sent again.

        Returns:
            How many requests that were.
        """
        overdue = self._flying.overdue(now)
        if not overdue:
            return 0
        for pending in overdue:
            if pending.flying is not None:
                self.window.lost(pending.flying.departure, now)
            self._landed(pending)
            pending.repeats += 1
            self._wait(pending)
        return len(overdue)

    def drop(self, owner: Owner) -> None:
        """Drop all requests of an owner."""
        for pending in list(self._by_owner.get(id(owner), ())):
            self.done(pending)

    def clear(self) -> None:
        """Drop all requests."""
        for owned in list(self._by_owner.values()):
            for pending in list(owned):
                self.done(pending)

    def due(self, now: float) -> float:
        """When to look again though no answer has come; infinite for never."""
        # What waits for room needs no clock: the room comes with an answer or a time-out.
        return min(self._flying.due(), self._waiting.due(now))

    def _trip(self, ask: Ask) -> RoundTrip:
        # Each verb has its own: some write to the disk, others only look something up.
        verb = ask.inner or ask.verb
        if verb not in self._trips:
            self._trips[verb] = RoundTrip(shortest=self._shortest, longest=self._longest)
        return self._trips[verb]

    def _take(
        self, token: int, *, keep_newer: bool = False
    ) -> tuple[Pending[Owner], Attempt] | None:
        """Return the attempt with a token, which has none any more, and whose it was.

        The request flies no more then, unless a newer attempt of it does and ``keep_newer`` is set.
        """
        found = self._by_token.pop(token, None)
        if found is None:
            return None
        pending, attempt = found
        if pending.flying is attempt:
            pending.flying = None
            self._flying.remove(pending)
        else:
            pending.late.remove(attempt)
            if not keep_newer:
                self._land(pending)
        return found

    def _land(self, pending: Pending[Owner]) -> None:
        """Let a request fly no more; the answer to its attempt stays welcome."""
        if pending.flying is not None:
            self._flying.remove(pending)
            self._landed(pending)

    def _landed(self, pending: Pending[Owner]) -> None:
        if pending.flying is None:
            return
        self.window.dropped(pending.flying.departure)
        pending.late.append(pending.flying)
        pending.flying = None
        if len(pending.late) > MOST_LATE:
            self._lose_token(pending.late.pop(0))

    def _wait(self, pending: Pending[Owner], at: float = -math.inf) -> None:
        self._waiting.add(pending, pending.ask.cost, at)

    def _lose_token(self, attempt: Attempt) -> None:
        if self._by_token.pop(attempt.token, None) is not None:
            self._forget(attempt.token)
