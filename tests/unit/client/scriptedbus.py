"""A bus in virtual time whose services do what a test says, and jobs to drive over it."""

import heapq
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC, SERVICE_TYPE
from dxlfiletransferclient.errors import NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.instances import REGISTRY_TOPIC
from dxlfiletransferclient.exchange.jobs import Ask, Job
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer, HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of

Outcome = Parcel | RefusedError | None
"""What comes of a request: an answer, an error, or nothing at all."""

DONE = encode(DoneAnswer())
ALL_VERBS = " ".join(Verb)


def damaged(parcel: Parcel = DONE) -> Parcel:
    return Parcel({**parcel.fields, "extra": "1"}, parcel.payload)


@dataclass
class Asked:
    at: float
    topic: str
    service_id: str
    parcel: Parcel
    token: int

    @property
    def verb(self) -> str:
        return self.topic.rpartition("/")[2]


@dataclass
class FakeInstance:
    """A service; ``answer`` says what comes of a request, ``hello`` of a hello."""

    store_id: str
    window: int = 64 * 2**20
    segment_size: int = 1000
    verbs: str = ALL_VERBS
    topic: str = DEFAULT_STORE_TOPIC
    answer: Callable[[Asked], Outcome] = lambda _asked: DONE
    hello: Callable[[Asked], Outcome] | None = None

    def outcome(self, asked: Asked) -> Outcome:
        if asked.verb != Verb.HELLO:
            return self.answer(asked)
        if self.hello is not None:
            return self.hello(asked)
        return encode(
            HelloAnswer(
                revision=0,
                store_id=self.store_id,
                segment_size=self.segment_size,
                window=self.window,
                verbs=self.verbs,
            )
        )


class ScriptedBus(Bus):
    """A bus with a registry, in virtual time.

    ``delay`` is the time of one way in seconds, ``rate`` what a line carries in bytes per second
    that all requests share, one after the other.
    """

    MOST_WAITS = 200_000

    def __init__(self, *, delay: float = 0.005, rate: float = 1e12) -> None:
        self.time = 1000.0
        self.delay = delay
        self.rate = rate
        self.online = True
        self.registry = True
        self.instances: dict[str, FakeInstance] = {}
        self.asked: list[Asked] = []
        self.outstanding: set[int] = set()
        self.waits = 0
        self.lose: Callable[[Asked], bool] = lambda _asked: False
        self.lose_reply: Callable[[Asked], bool] = lambda _asked: False
        self.extra_delay: Callable[[Asked], float] = lambda _asked: 0.0
        self.copies: Callable[[Asked], int] = lambda _asked: 1
        self._line_free = 0.0
        self._round_robin = itertools.count()
        self._tokens = itertools.count(1)
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._replies: list[Reply] = []
        self._woken = False
        self._was_online = True

    def serve(self, service_id: str, store_id: str = "store", **more: object) -> FakeInstance:
        instance = FakeInstance(store_id, **more)  # type: ignore[arg-type]
        self.instances[service_id] = instance
        return instance

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something when so many seconds of virtual time have passed."""
        self._schedule(self.time + seconds, action)

    def sleep(self, seconds: float) -> None:
        """Let time pass as whoever does something else does; replies wait."""
        until = self.time + seconds
        while self._events and self._events[0][0] <= until:
            self.time = max(self.time, self._events[0][0])
            self._run_events()
        self.time = until

    def cut(self, seconds: float) -> None:
        """Lose the connection now, for a while."""
        self.online = False

        def back() -> None:
            self.online = True

        self.at(seconds, back)

    def verbs(self) -> list[str]:
        return [each.verb for each in self.asked if each.topic != REGISTRY_TOPIC]

    def asks_of(self, verb: Verb) -> list[Asked]:
        return [each for each in self.asked if each.topic == topic_of(verb)]

    def now(self) -> float:
        return self.time

    @property
    def connected(self) -> bool:
        return self.online

    def ask(self, topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        if not self.online:
            raise NotConnectedError("offline")
        asked = Asked(self.time, topic, service_id, parcel, next(self._tokens))
        self.asked.append(asked)
        self.outstanding.add(asked.token)
        if not self.lose(asked):
            size = len(parcel.payload)
            self._line_free = max(self._line_free, self.time) + size / self.rate
            arrival = self._line_free + self.delay + self.extra_delay(asked)
            for _ in range(self.copies(asked)):
                self._schedule(arrival, lambda: self._arrive(asked))
        return asked.token

    def wait(self, until: float) -> Sequence[Reply]:
        self.waits += 1
        assert self.waits < self.MOST_WAITS, "the engine spins"
        assert until < self.time + 3600
        while True:
            self._run_events()
            changed = self.online != self._was_online
            if self._replies or self._woken or changed or self.time >= until:
                self._was_online = self.online
                self._woken = False
                replies, self._replies = self._replies, []
                return replies
            next_event = self._events[0][0] if self._events else until
            self.time = max(self.time, min(next_event, until))

    def forget(self, token: int) -> None:
        self.outstanding.discard(token)
        self._replies = [reply for reply in self._replies if reply.token != token]

    def wake(self) -> None:
        self._woken = True

    def _schedule(self, at: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (at, next(self._order), action))

    def _run_events(self) -> None:
        while self._events and self._events[0][0] <= self.time:
            heapq.heappop(self._events)[2]()

    def _arrive(self, asked: Asked) -> None:
        if not self.online:
            return
        if asked.topic == REGISTRY_TOPIC:
            if self.registry:
                self._answer(asked, Parcel({}, self._registered()), "")
            return
        service_id = asked.service_id or self._pick(asked.topic)
        instance = self.instances.get(service_id)
        if instance is None:
            self._answer(asked, RefusedError(ErrorCode.NO_SERVICE, "unable to locate service"), "")
            return
        outcome = instance.outcome(asked)
        if outcome is not None and not self.lose_reply(asked):
            self._answer(asked, outcome, service_id)

    def _answer(self, asked: Asked, outcome: Parcel | RefusedError, service_id: str) -> None:
        if isinstance(outcome, RefusedError):
            reply = Reply(asked.token, Parcel({}), outcome, service_id)
        else:
            reply = Reply(asked.token, outcome, None, service_id)
        self._schedule(self.time + self.delay, lambda: self._deliver(reply))

    def _deliver(self, reply: Reply) -> None:
        if self.online and reply.token in self.outstanding:
            self.outstanding.remove(reply.token)
            self._replies.append(reply)

    def _pick(self, topic: str) -> str:
        serving = [
            service_id
            for service_id, each in self.instances.items()
            if topic.startswith(each.topic + "/")
        ]
        return serving[next(self._round_robin) % len(serving)] if serving else ""

    def _registered(self) -> bytes:
        services = {
            service_id: {
                "serviceType": SERVICE_TYPE,
                "requestChannels": [topic_of(verb, each.topic) for verb in Verb],
            }
            for service_id, each in self.instances.items()
        }
        return json.dumps({"services": services}).encode() + b"\0"


@dataclass
class Upload:
    """A job that brings some segments, and remembers what happened to it."""

    segments: int = 1
    cost: int = 1000
    name: str = "file"
    verb: Verb = Verb.SEGMENT
    payload: bool = False
    acknowledged: set[int] = field(default_factory=set)
    refusals: list[RefusedError] = field(default_factory=list)
    error: BaseException | None = None
    moves: int = 0
    most_outstanding: int = 0
    rooms: list[int] = field(default_factory=list)
    _asked: set[int] = field(default_factory=set)

    @property
    def finished(self) -> bool:
        return self.error is not None or len(self.acknowledged) == self.segments

    @property
    def complete(self) -> bool:
        return self.error is None and len(self.acknowledged) == self.segments

    def next(self, room: int, now: float) -> Ask | None:
        self.rooms.append(room)
        if room < self.cost and self._asked:
            return None
        for number in range(self.segments):
            if number not in self._asked and number not in self.acknowledged:
                self._asked.add(number)
                self.most_outstanding = max(self.most_outstanding, len(self._asked))
                return Ask(self.verb, partial(self.parcel, number), self.cost, number)
        return None

    def parcel(self, number: int) -> Parcel:
        content = bytes(self.cost) if self.payload else b""
        return sealed({"number": str(number), "name": self.name}, content)

    def due(self) -> float | None:
        return None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        decode(DoneAnswer, answer)
        assert isinstance(ask.note, int)
        assert ask.note in self._asked, "an answer to what was not asked, or a second one"
        self._asked.remove(ask.note)
        self.acknowledged.add(ask.note)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        self.refusals.append(error)
        raise error

    def moved(self, now: float) -> None:
        self.moves += 1
        self._asked.clear()

    def failed(self, error: BaseException) -> None:
        assert self.error is None, "a job fails once"
        self.error = error


def uploads(count: int, segments: int = 3) -> Iterator[Upload]:
    return (Upload(segments, name=f"file-{number}") for number in range(count))


def run(bus: ScriptedBus, *jobs: Job, **options: Any) -> Engine:
    engine = Engine(bus, options=EngineOptions(**options))
    engine.run(jobs)
    return engine


def once(outcome: Outcome, *, times: int = 1) -> Callable[[Asked], Outcome]:
    """Answer the first requests with something else."""
    seen: dict[str, int] = {}

    def answer(asked: Asked) -> Outcome:
        number = asked.parcel.fields.get("number", "")
        seen[number] = seen.get(number, 0) + 1
        return outcome if seen[number] <= times else DONE

    return answer


def never(_asked: Asked) -> Outcome:
    return None


def restart(
    bus: ScriptedBus, *, old: str = "{one}", new: str = "{two}", store: str = "store"
) -> None:
    bus.instances.pop(old, None)
    bus.serve(new, store)
