"""Which transfer sends next. No input or output; time is passed in.

A destination's lanes share what it sends by their weights, as far as they have something to send:
start-time fair queueing. A lane that pauses earns nothing by it. Within a lane, the lower priority
number goes first, and among equal ones the older transfer. Everybody has told beforehand what its
next message costs, so that nothing is promised that would exceed a rate.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferservice.courier.limiter import Limit, RateLimiter
from dxlfiletransferservice.courier.segmenting import message_size

WAITING_PART: Final = 0.05
"""Part of what a lane sends that goes to the transfer that has waited longest, whatever its
priority, so that none waits for ever behind others that keep coming."""

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True, eq=False)
class _Transfer(Generic[K]):
    """A transfer.

    Attributes:
        key: Its key.
        lane: Name of its lane.
        rank: Priority and age; the smallest goes first.
        limiter: Its own rate.
        served: When it has sent last, or was added.
        cost: Bytes of its next message; ``None`` if there is none at the moment.
    """

    key: K
    lane: str
    rank: tuple[int, int]
    limiter: RateLimiter
    served: float
    cost: int | None = None

    def may_send(self, now: float) -> bool:
        """Whether it has something to send, and its own rate allows it."""
        return self.cost is not None and self.limiter.ready(self.cost, now)


@dataclass(slots=True, eq=False)
class _Lane(Generic[K]):
    """A lane.

    Attributes:
        weight: Its part of what is sent; 0 for the idle lane.
        transfers: The transfers in it.
        active: Whether it had something to send when it was last looked at.
        tag: When its next message begins, in virtual time.
        credit: Bytes that are due to the transfer that has waited longest.
    """

    weight: float
    transfers: dict[K, _Transfer[K]] = field(default_factory=dict)
    active: bool = False
    tag: float = 0.0
    credit: float = 0.0

    def candidate(self, now: float) -> _Transfer[K] | None:
        """Return the transfer that sends next, if there is one that may."""
        if not self.transfers:
            return None
        ready = [each for each in self.transfers.values() if each.may_send(now)]
        if not ready:
            return None
        first = min(ready, key=_rank)
        if self.credit <= 0 or len(ready) == 1:
            return first
        return min((each for each in ready if each is not first), key=_served)

    def sent(self, transfer: _Transfer[K], cost: int, now: float) -> None:
        """Take account of what a transfer of this lane sends."""
        transfers = self.transfers.values()
        waiting = [each for each in transfers if each is not transfer and each.may_send(now)]
        if not waiting:
            self.credit = 0.0  # nothing is saved up for a time in which nobody waits
        elif transfer is min([*waiting, transfer], key=_rank):
            self.credit += WAITING_PART * cost
        else:
            self.credit -= (1 - WAITING_PART) * cost
        self.credit = max(-SEGMENT_SIZE, min(self.credit, SEGMENT_SIZE))
        if self.weight:
            self.tag += cost / self.weight
        transfer.served = now


class Scheduler(Generic[K]):
    """Says which transfer sends its next message, within the rates.

    Args:
        lanes: Lanes and their weights; that with 0 sends only while there is no transfer in others.
        limits: What bounds all of them together.

    Example:
        >>> scheduler = Scheduler({"High": 0.75, "Low": 0.25})
        >>> for number, lane in enumerate(["High", "Low"]):
        ...     scheduler.add(number, lane=lane, priority=100, age=number, rate=None, now=0.0)
        ...     scheduler.wants(number, 1000)
        >>> scheduler.turn(0.0), scheduler.sent(0, 0.0), scheduler.turn(0.0)
        (0, True, 1)
    """

    def __init__(self, lanes: Mapping[str, float], *, limits: Sequence[Limit] = ()) -> None:
        self._lanes: dict[str, _Lane[K]] = {name: _Lane(lanes[name]) for name in lanes}
        self._limits = tuple(limits)
        self._transfers: dict[K, _Transfer[K]] = {}
        self._virtual = 0.0

    def __contains__(self, key: object) -> bool:
        return key in self._transfers

    def relane(self, lanes: Mapping[str, float]) -> None:
        """Set other lanes or weights; transfers of a lane that is gone go to the first one."""
        before, self._lanes = self._lanes, {}
        for name, weight in lanes.items():
            lane = self._lanes[name] = before.get(name) or _Lane(weight, tag=self._virtual)
            if not lane.weight:
                lane.tag = max(lane.tag, self._virtual)
            lane.weight = weight
        for transfer in self._transfers.values():
            if transfer.lane not in self._lanes:
                self._enter(transfer, transfer.lane)

    def add(
        self, key: K, *, lane: str, priority: int, age: int, rate: float | None, now: float
    ) -> None:
        """Take part in a transfer, which has nothing to send at first.

        Args:
            key: Its key.
            lane: Its lane.
            priority: Lower goes first.
            age: Lower goes first among those of the same priority.
            rate: Bytes per second at most; ``None`` for no limit.
            now: The time.
        """
        transfer = _Transfer(key, lane, (priority, age), RateLimiter(rate), now)
        self._transfers[key] = transfer
        self._enter(transfer, lane)

    def change(self, key: K, *, lane: str, priority: int, rate: float | None, now: float) -> None:
        """Set what may change of a transfer while it is sent."""
        transfer = self._transfers[key]
        transfer.rank = priority, transfer.rank[1]
        transfer.limiter.change(rate, now)
        if lane != transfer.lane:
            del self._lanes[transfer.lane].transfers[key]
            self._enter(transfer, lane)

    def remove(self, key: K) -> None:
        """Forget a transfer, if it is there."""
        transfer = self._transfers.pop(key, None)
        if transfer is not None:
            del self._lanes[transfer.lane].transfers[key]

    def wants(self, key: K, cost: int) -> None:
        """Note that a transfer has something to send.

        Args:
            key: The transfer.
            cost: Bytes of its next message.
        """
        self._transfers[key].cost = cost

    def passed(self, key: K) -> None:
        """Note that a transfer has nothing to send at the moment."""
        self._transfers[key].cost = None

    def size(self, key: K) -> int:
        """Return how many bytes the next message of a transfer should have at most."""
        transfer = self._transfers[key]
        share = self._lanes[transfer.lane].weight
        size = message_size(transfer.limiter.rate)
        for limit in self._limits:
            if limit.rate is not None:
                size = min(size, message_size(limit.rate, share))
        return size

    def turn(self, now: float) -> K | None:
        """Return which transfer may send its next message now; ``None`` if none may."""
        chosen = self._chosen(now)
        if chosen is None:
            return None
        for limit in self._limits:
            if not limit.ready(chosen.cost or 0, now):
                return None
        return chosen.key

    def sent(self, key: K, now: float) -> bool:
        """Note that a transfer, whose turn it is, sends its next message now.

        It has nothing to send then, until it says so.

        Returns:
            Whether it may; not if somebody else was faster who shares one of the limits.
        """
        transfer = self._transfers[key]
        cost = transfer.cost or 0
        taken: list[Limit] = []
        for limit in self._limits:
            if not limit.claim(cost, now):
                for each in taken:
                    each.take(-cost, now)
                return False
            taken.append(limit)
        transfer.limiter.take(cost, now)
        lane = self._lanes[transfer.lane]
        if lane.weight:
            self._virtual = max(self._virtual, lane.tag)
        lane.sent(transfer, cost, now)
        transfer.cost = None
        return True

    def charge(self, key: K, cost: int, now: float) -> None:
        """Take account of what a transfer sends without its turn: what has to be repeated."""
        for limit in self._limits:
            limit.take(cost, now)
        transfer = self._transfers.get(key)
        if transfer is None:
            return
        transfer.limiter.take(cost, now)
        lane = self._lanes[transfer.lane]
        if lane.weight:
            lane.tag += cost / lane.weight

    def due(self, now: float) -> float:
        """When to ask again whose turn it is though nothing changes; infinite for never."""
        held = (
            each.limiter.due(each.cost, now)
            for lane in self._open_lanes()
            for each in lane.transfers.values()
            if each.cost is not None and not each.may_send(now)
        )
        chosen = self._chosen(now)
        if chosen is None:
            return min(held, default=math.inf)
        cost = chosen.cost or 0
        own = max((limit.due(cost, now) for limit in self._limits), default=now)
        return min([own, *held])

    def _chosen(self, now: float) -> _Transfer[K] | None:
        """Return the transfer whose turn it is, by lanes and ranks and its own rate."""
        found: _Transfer[K] | None = None
        least = math.inf
        for lane in self._open_lanes():
            candidate = lane.candidate(now)
            if candidate is not None and not lane.active:
                lane.tag = max(lane.tag, self._virtual)
            lane.active = candidate is not None
            if candidate is not None and (found is None or lane.tag < least):
                found, least = candidate, lane.tag
        return found

    def _open_lanes(self) -> list[_Lane[K]]:
        """Return the lanes that may send: the idle one only if there is no transfer in others."""
        lanes = self._lanes.values()
        busy = [lane for lane in lanes if lane.weight and lane.transfers]
        return [lane for lane in lanes if bool(lane.weight) == bool(busy)]

    def _enter(self, transfer: _Transfer[K], lane: str) -> None:
        transfer.lane = lane if lane in self._lanes else next(iter(self._lanes))
        self._lanes[transfer.lane].transfers[transfer.key] = transfer


def _rank(transfer: _Transfer[K]) -> tuple[int, int]:
    return transfer.rank


def _served(transfer: _Transfer[K]) -> float:
    return transfer.served
