"""The requests that were asked for and not answered yet. No input or output."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.window import Departure, RoundTrip, Window
from dxlfiletransferclient.protocol.verbs import Verb

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
        timeout: Seconds to wait for the answer.
    """

    token: int
    departure: Departure
    timeout: float


@dataclass(slots=True, eq=False)
class Pending(Generic[Owner]):
    """A request without an answer: flying, or waiting to be sent (again).

    Attributes:
        owner: Whose it is.
        ask: What is asked.
        repeats: How often it was sent in vain.
        setbacks: How often in a row it was refused for the time being, or damaged.
        not_before: When it may be sent.
        flying: The last attempt, while its answer may still come in time.
        late: Earlier attempts, whose answers count if they come after all.
    """

    owner: Owner
    ask: Ask
    repeats: int = 0
    setbacks: int = 0
    not_before: float = -math.inf
    flying: Attempt | None = None
    late: list[Attempt] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        """The tokens of all attempts whose answers may come."""
        attempts = [*self.late, self.flying] if self.flying else self.late
        return [attempt.token for attempt in attempts]


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
        self._trips: dict[Verb, RoundTrip] = {}
        self._waiting: dict[Pending[Owner], None] = {}
        self._flying: dict[Pending[Owner], None] = {}
        self._by_token: dict[int, tuple[Pending[Owner], Attempt]] = {}
        self._front = (-math.inf, -math.inf)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flying)

    @property
    def full(self) -> bool:
        """Whether nothing more may be added for now."""
        return len(self) >= MOST_PENDING

    @property
    def room(self) -> int:
        """Bytes that new requests may cost; what waits to be sent again comes first."""
        waiting = sum(each.ask.cost for each in self._waiting)
        return max(0, self.window.size - self.window.in_flight - waiting)

    def restart(self, window: Window) -> None:
        """Begin with a new window and measure anew; everything that flies has to be sent again."""
        for pending in list(self._flying):
            self._land(pending)
            self._wait(pending, -math.inf)
        self.window = window
        self._trips.clear()
        self._front = (-math.inf, -math.inf)

    def add(self, owner: Owner, ask: Ask) -> None:
        """Add a request, which waits to be sent."""
        self._waiting[Pending(owner, ask)] = None

    def ready(self, now: float) -> Iterator[Pending[Owner]]:
        """Yield what is to be sent now, each after the one before has been."""
        blocked = False
        for pending in list(self._waiting):
            if pending.not_before > now or pending not in self._waiting:
                continue
            if self.window.fits(pending.ask.cost) and not (blocked and pending.ask.cost):
                yield pending
            else:
                blocked = True  # or smaller ones would pass a large one for ever

    def sent(self, pending: Pending[Owner], token: int, now: float) -> None:
        """Note that a request was sent."""
        del self._waiting[pending]
        departure = self.window.sent(pending.ask.cost, now)
        timeout = self._trip(pending.ask.verb).timeout(pending.repeats)
        attempt = pending.flying = Attempt(token, departure, timeout)
        self._flying[pending] = None
        self._by_token[token] = pending, attempt

    def answered(self, token: int, now: float) -> Pending[Owner] | None:
        """Return whose answer has come, and learn from it; it stays pending, waiting.

        Call :meth:`done` if the answer settles the request, else :meth:`again`.
        """
        found = self._take(token)
        if found is None:
            return None
        pending, attempt = found
        self.window.arrived(attempt.departure, now)
        self._trip(pending.ask.verb).measured(now - attempt.departure.at)
        self._front = max(self._front, (attempt.departure.at, now))
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
        return pending if pending.flying is None else None

    def done(self, pending: Pending[Owner]) -> None:
        """Drop a request that is settled."""
        self._land(pending)
        self._waiting.pop(pending, None)
        for attempt in pending.late:
            self._lose_token(attempt)
        pending.late.clear()

    def again(self, pending: Pending[Owner], at: float) -> None:
        """Have a request sent again, not before a certain time."""
        pending.setbacks += 1
        self._wait(pending, at)

    def expire(self, now: float) -> int:
        """Give up waiting for what has taken too long, to have it sent again.

        Returns:
            How many requests that were.
        """
        overdue = [each for each in self._flying if self._deadline(each) <= now]
        for pending in overdue:
            if pending.flying:
                self.window.lost(pending.flying.departure, now)
            self._land(pending)
            pending.repeats += 1
            self._wait(pending, -math.inf)
        return len(overdue)

    def drop(self, owner: Owner) -> None:
        """Drop all requests of an owner."""
        for pending in [*self._waiting, *self._flying]:
            if pending.owner is owner:
                self.done(pending)

    def clear(self) -> None:
        """Drop all requests."""
        for pending in [*self._waiting, *self._flying]:
            self.done(pending)

    def due(self, now: float) -> float:
        """When to look again though no answer has come; infinite for never."""
        overdue = [self._deadline(each) for each in self._flying]
        # What waits for room needs no clock: the room comes with an answer or a time-out.
        ready = [each.not_before for each in self._waiting if each.not_before > now]
        return min([*overdue, *ready], default=math.inf)

    def _trip(self, verb: Verb) -> RoundTrip:
        # Each verb has its own: some write to the disk, others only look something up.
        if verb not in self._trips:
            self._trips[verb] = RoundTrip(shortest=self._shortest, longest=self._longest)
        return self._trips[verb]

    def _deadline(self, pending: Pending[Owner]) -> float:
        attempt = pending.flying
        if attempt is None:
            return math.inf
        asked, heard = self._front
        # As long as what was sent before is being answered, this one is only waiting its turn.
        begin = max(attempt.departure.at, heard if asked <= attempt.departure.at else -math.inf)
        return begin + attempt.timeout

    def _take(
        self, token: int, *, keep_newer: bool = False
    ) -> tuple[Pending[Owner], Attempt] | None:
        """Return the attempt with a token, which has none any more, and whose it was.

        The request waits then, unless a newer attempt of it flies and ``keep_newer`` is set.
        """
        found = self._by_token.pop(token, None)
        if found is None:
            return None
        pending, attempt = found
        if pending.flying is attempt:
            pending.flying = None
            del self._flying[pending]
        else:
            pending.late.remove(attempt)
            if not keep_newer:
                self._land(pending)
        if pending.flying is None:
            self._waiting[pending] = None
        return found

    def _land(self, pending: Pending[Owner]) -> None:
        """Let a request fly no more; the answer to its attempt stays welcome."""
        if pending.flying is None:
            return
        self.window.dropped(pending.flying.departure)
        pending.late.append(pending.flying)
        pending.flying = None
        del self._flying[pending]
        if len(pending.late) > MOST_LATE:
            self._lose_token(pending.late.pop(0))

    def _wait(self, pending: Pending[Owner], at: float) -> None:
        pending.not_before = at
        self._waiting[pending] = None

    def _lose_token(self, attempt: Attempt) -> None:
        if self._by_token.pop(attempt.token, None) is not None:
            self._forget(attempt.token)
