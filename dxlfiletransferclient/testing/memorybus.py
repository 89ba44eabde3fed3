"""A whole fabric in memory, in virtual time: client, broker and services in one thread."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from dxlfabric.topics import SERVICE_QUERY
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC, MESSAGE_LIMIT
from dxlfiletransferclient.errors import NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.protocol.coding import decode_refusal, encode_refusal
from dxlfiletransferclient.protocol.desk import ALL_VERBS
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.faults import Dice, Direction, Faults, Harm, PlannedHarm
from dxlfiletransferclient.testing.memorybroker import MemoryBroker
from dxlfiletransferclient.testing.memorylink import Letter, MemoryLink
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferclient.testing.timeline import Timeline
from dxlfiletransferclient.testing.traffic import OTHER, REGISTRY, TrafficLog

EPOCH: Final = 1_700_000_000.0
"""The time in seconds since 1970 when a bus begins."""

END: Final = 24 * 3600.0
"""Seconds of virtual time that a bus lives by default: more than any time-out of this package, so
what lasts longer hangs."""

MAX_EVENTS: Final = 5_000_000
"""Messages and other events in the life of a bus by default; takes about a minute to reach."""

_MAINTENANCE: Final = 1.0
_ID_BITS: Final = 128
_NOTHING: Final = Parcel({})


class MemoryBus(Bus):
    """A fabric for tests: brokers, services and one client, with faults and without waiting.

    Time is virtual: it passes only in :meth:`wait` and :meth:`run`, from one event to the next, so
    that an hour of time-outs takes milliseconds. Everything happens in the one thread that calls,
    and the same each time for the same seed and the same calls. (A receiver writes to the disk in a
    thread of its own, so when it asks for the next file is not quite the same each time.) Services
    answer in no time; what takes time is the way. Of version 1 nothing is understood.

    Args:
        seed: Decides all that happens by chance.
        faults: How probable which faults are. The attribute of the same name may be set any time.
        bandwidth: Bytes that the client's connection carries per second in each direction; ``None``
            for no limit.
        end: Seconds of virtual time after which :class:`~.timeline.EndOfTimeError` is raised
            instead of waiting on.
        max_events: Events after which it is raised.

    Attributes:
        log: What has travelled, counted and written down.

    Example:
        >>> bus = MemoryBus(seed=7, faults=Faults(lose=0.05))
        >>> service = bus.serve(MemoryStore())
        >>> bus.when(Verb.SEGMENT, service.crash, skip=10)
        >>> bus.at(5.0, service.restart)
        >>> Sender(bus, DEFAULT_STORE_TOPIC).send([Path("report.pdf")], "")  # doctest: +SKIP
        >>> bus.log.of(Verb.SEGMENT).request_bytes  # doctest: +SKIP
        1048576
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        faults: Faults = Faults(),  # noqa: B008 - a frozen value
        bandwidth: float | None = None,
        end: float = END,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.log = TrafficLog()
        # Chance, not secrets: the same seed has to give the same.
        self._dice = Dice(faults, Random(seed))  # noqa: S311
        self._ids = Random(seed)  # noqa: S311
        self._timeline = Timeline(end=end, max_events=max_events)
        self._link = MemoryLink(self._timeline, self._dice, self.log, bandwidth)
        self._broker = MemoryBroker()
        self._asked = 0
        self._replies: deque[Reply] = deque()
        self._woken = False
        self._timeline.at(_MAINTENANCE, self._maintain)

    # What the engine sees.

    def now(self) -> float:
        """Return the virtual time in seconds; it begins with 0."""
        return self._timeline.now

    @property
    def connected(self) -> bool:
        """Whether the client has a connection."""
        return self._link.connected

    def ask(self, topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        """Send a request; see :meth:`~dxlfiletransferclient.exchange.bus.Bus.ask`.

        Raises:
            NotConnectedError: The connection is lost at the moment.
            ValueError: The message is larger than brokers take; a real one would cut the connection
                without a word.
        """
        if not self.connected:
            raise NotConnectedError("the client has no connection to the fabric")
        copied = Parcel(dict(parcel.fields), bytes(parcel.payload))
        size = _size(topic, copied)
        if size > MESSAGE_LIMIT:
            raise ValueError(f"a message of {size} bytes is over the limit of {MESSAGE_LIMIT}")
        service = self._broker.route(topic, service_id)
        self._asked += 1
        letter = Letter(
            token=self._asked,
            name=_name_of(topic),
            direction=Direction.REQUEST,
            topic=topic,
            service=service,
            connection=service.connection if service else 0,
        )
        self._link.send(letter, copied, size, partial(self._request_arrives, letter))
        return letter.token

    def wait(self, until: float) -> Sequence[Reply]:
        """Let time pass; see :meth:`~dxlfiletransferclient.exchange.bus.Bus.wait`.

        Raises:
            EndOfTimeError: Too much time or too many events have passed.
        """
        connected = self.connected
        while not self._replies and not self._woken and self.connected == connected:
            if not self._timeline.step(until):
                break
        self._woken = False
        found = tuple(self._replies)
        self._replies.clear()
        return found

    def forget(self, token: int) -> None:
        """Drop the reply to a request, should it still come."""
        self._link.forget(token)
        self._replies = deque(reply for reply in self._replies if reply.token != token)

    def wake(self) -> None:
        """End the :meth:`wait` that is going on, or the next one."""
        self._woken = True

    # What a test does to it.

    @property
    def faults(self) -> Faults:
        """How probable which faults are."""
        return self._dice.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._dice.faults = faults

    @property
    def services(self) -> Sequence[MemoryService]:
        """The services, in the order in which they were added."""
        return self._broker.services

    def time(self) -> float:
        """Return the time in seconds since 1970: what a store takes as its clock."""
        return EPOCH + self.now()

    def serve(
        self,
        store: Store,
        store_topic: str = DEFAULT_STORE_TOPIC,
        *,
        verbs: frozenset[Verb] = ALL_VERBS,
    ) -> MemoryService:
        """Add an instance of the service.

        Args:
            store: What answers; ``maintain`` is called every second of virtual time.
            store_topic: The topic below which it takes version 2.
            verbs: What it offers; ``hello`` always.

        Raises:
            ValueError: If another store with the same id is served already.
        """
        service = MemoryService(store, store_topic, verbs, self._new_id)
        self._broker.add(service)
        store.maintain(self.time())
        return service

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Have something done at a time on the clock of :meth:`now`."""
        self._timeline.at(time, action)

    def when(
        self,
        verb: Verb,
        action: Callable[[], object],
        *,
        direction: Direction = Direction.REQUEST,
        skip: int = 0,
    ) -> None:
        """Have something done once, just before a message arrives.

        Args:
            verb: The verb of the message.
            action: What is done.
            direction: Whether a request or an answer is meant.
            skip: Messages that arrive before.
        """
        self._link.trigger(verb, direction, action, skip)

    def harm(
        self,
        verb: Verb,
        harm: Harm,
        *,
        direction: Direction = Direction.REQUEST,
        skip: int = 0,
        count: int = 1,
    ) -> None:
        """Have something happen to certain messages, whatever chance says.

        Args:
            verb: Their verb.
            harm: What happens.
            direction: Whether requests or answers are meant.
            skip: Messages that are spared before.
            count: To how many it happens.

        Example:
            >>> bus = MemoryBus()
            >>> bus.harm(Verb.FINISH, Harm.LOSE, direction=Direction.ANSWER)
        """
        self._dice.planned.append(PlannedHarm(verb, direction, harm, skip, count))

    def cut(self, seconds: float = 1.0) -> None:
        """Cut the client's connection: all in flight is lost, and it is back after some seconds."""
        self._link.cut(seconds)
        self._replies.clear()

    def abandon(self) -> None:
        """Forget what was asked, as when the client's process dies; requests still arrive."""
        self._link.forget()
        self._replies.clear()
        self._woken = False

    def run(self, seconds: float) -> None:
        """Let time pass; replies are kept for the next :meth:`wait`."""
        until = self.now() + seconds
        while self._timeline.step(until):
            pass

    def _request_arrives(self, letter: Letter, parcel: Parcel) -> None:
        try:
            answer = self._answer(letter, parcel)
        except RefusedError as error:
            self._send_answer(replace(letter, refusal=True), encode_refusal(error))
        else:
            if answer is not None:
                self._send_answer(letter, Parcel(dict(answer.fields), bytes(answer.payload)))

    def _answer(self, letter: Letter, parcel: Parcel) -> Parcel | None:
        if letter.service is not None:
            return letter.service.answer(letter.service.topics[letter.topic], parcel)
        if letter.topic == SERVICE_QUERY:
            return self._broker.answer_query(parcel)
        raise RefusedError(ErrorCode.NO_SERVICE, "unable to locate service for request")

    def _send_answer(self, request: Letter, parcel: Parcel) -> None:
        size = _size(request.topic, parcel)
        if size > MESSAGE_LIMIT:
            msg = f"an answer to {request.name!r} of {size} bytes is over the limit of brokers"
            raise ValueError(msg)
        letter = replace(request, direction=Direction.ANSWER)
        self._link.send(letter, parcel, size, partial(self._answer_arrives, letter))

    def _answer_arrives(self, letter: Letter, parcel: Parcel) -> None:
        if not self._link.awaits(letter.token):
            return
        error = decode_refusal(parcel) if letter.refusal else None
        found = _NOTHING if letter.refusal else parcel
        self._replies.append(Reply(letter.token, found, error, letter.service_id))

    def _maintain(self) -> None:
        self._timeline.at(self.now() + _MAINTENANCE, self._maintain)
        for service in self._broker.services:
            service.maintain(self.time())

    def _new_id(self) -> str:
        return f"{{{UUID(int=self._ids.getrandbits(_ID_BITS), version=4)}}}"


def _name_of(topic: str) -> str:
    if topic == SERVICE_QUERY:
        return REGISTRY
    ending = topic.rpartition("/v2/")[2]
    return ending if ending in set(Verb) else OTHER


def _size(topic: str, parcel: Parcel) -> int:
    """Return about how many bytes a message takes on the wire, without its envelope."""
    fields = sum(len(name) + len(value) for name, value in parcel.fields.items())
    return len(topic) + fields + len(parcel.payload)
