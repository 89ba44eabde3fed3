"""Looks for an instance of the service: at the start, and when the one in use was lost.

No input or output: :class:`Search` says what to ask and hears what came of it.
"""

import logging
import math
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.exchange.instances import (
    REGISTRY_TOPIC,
    Instance,
    choose,
    registry_query,
    service_ids,
)
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import HelloAnswer, HelloRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError, Remedy

logger = logging.getLogger(__name__)

FIRST_WAIT: Final = 1.0
"""Seconds that the first questions wait for their answers; twice as long in each further round.

A broker answers in milliseconds and a service in some tens, so this is the price of an answer that
was lost or of an instance that hangs, paid once.
"""

LONGEST_WAIT: Final = 4.0
"""Seconds that questions wait at most, also after many rounds."""

FIRST_PAUSE: Final = 0.25
"""Seconds between the first rounds: a service is back about one second after its broker."""

LONGEST_PAUSE: Final = 1.0
"""Seconds between rounds at most; each costs every instance one small message."""

PATIENT_ROUNDS: Final = 2
"""Rounds at the start in which the instances that the registry tells of are waited for, before the
choice is made among the others: one lost message or a restart must not change it."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Something to ask in the search.

    Attributes:
        topic: Where to.
        parcel: What it carries.
        service_id: The instance; empty for whichever the broker chooses.
        round: In which round it is asked.
    """

    topic: str
    parcel: Parcel
    service_id: str
    round: int


class Search:
    """The search for an instance, in rounds.

    A round asks the broker's registry who serves the topic, and says hello to each of them. At the
    start it says hello to whomever the broker chooses at the same time, which saves a round trip
    where there is one instance; later it does so where the registry knows nobody.

    Args:
        hello_topic: The topic of ``hello``.
        begin: When to begin, on the clock of all times here.
        key: What the instance is needed for; the choice among several depends on it.
        lost: The instance that was in use, if there was one. It, or another one with the same
            store, is taken at once.
        leaving: Ids of instances that are ending, which are not asked; it may grow meanwhile.
        failover_after: Seconds after which any instance will do in place of the lost one.
    """

    def __init__(
        self,
        hello_topic: str,
        begin: float,
        *,
        key: str = "",
        lost: Instance | None = None,
        leaving: Set[str] = frozenset(),
        failover_after: float = 0.0,
    ) -> None:
        self._hello_topic = hello_topic
        self._begin = self._next_round = begin
        self._key = key
        self._lost = lost
        self._leaving = leaving
        self._failover_at = begin + failover_after
        self._pause = Pause(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        self._queue: list[Question] = []
        self._open: dict[Question, float] = {}
        self._asked: set[str] = set()
        self._silent = False
        self._claimed = False
        self._alive: dict[str, tuple[int, Instance]] = {}
        self._found: Instance | None = None
        self.rounds = 0
        self.refusal: RefusedError | None = None

    @property
    def oldest_round(self) -> int:
        """The oldest round whose answers still count."""
        return self.rounds - 1

    def questions(self, now: float) -> list[Question]:
        """Return what to ask now; gives up waiting for what was asked too long ago."""
        for question in [each for each, end in self._open.items() if end <= now]:
            self._missed(question)
        if self._over and now >= self._next_round and self.outcome(now) is None:
            self._begin_round(now)
        asked, self._queue = self._queue, []
        wait = min(FIRST_WAIT * 2.0 ** min(self.rounds - 1, 10), LONGEST_WAIT)
        self._open.update(dict.fromkeys(asked, now + wait))
        return asked

    def answered(self, question: Question, parcel: Parcel, service_id: str, now: float) -> None:
        """Hear the answer to a question, which may come late; it is not verified yet."""
        if question.topic == REGISTRY_TOPIC:
            self._registered(service_ids(parcel.payload, self._hello_topic))
        else:
            try:
                hello = decode(HelloAnswer, parcel)
            except RefusedError as error:
                self.refused(question, error, now)
                return
            if question.round == self.rounds:
                self._asked.add(service_id)
            self._greeted(Instance(question.service_id or service_id, hello))
        self._close(question, now)

    def refused(self, question: Question, error: RefusedError, now: float) -> None:
        """Hear that a question was answered with an error."""
        if question.topic == REGISTRY_TOPIC:
            logger.debug("the broker does not tell its services: %s", error)
            self._registered(())
        elif error.remedy is Remedy.REPEAT:
            self._silent |= question in self._open
        else:
            self.refusal = error
            self._alive.pop(question.service_id, None)
        self._close(question, now)

    def due(self) -> float:
        """When to call :meth:`questions` again though nothing was heard."""
        if self._lost is None and (self.nobody or self.outcome(self._begin)):
            return self._begin  # it is clear already, perhaps since an answer was given up
        return min([self._next_round] if self._over else self._open.values(), default=math.inf)

    def outcome(self, now: float) -> Instance | None:
        """Return the instance to use, as soon as that is clear."""
        if self._found or not self._alive or not self._over or not self.rounds:
            return self._found
        if self._lost is None:
            if not self._silent or self.rounds >= PATIENT_ROUNDS:
                return choose((instance for _, instance in self._alive.values()), self._key)
        elif now >= self._failover_at:
            fresh = [each for heard, each in self._alive.values() if heard == self.rounds]
            return choose(fresh, self._key) if fresh else None
        return None

    @property
    def alive(self) -> tuple[Instance, ...]:
        """The instances that have answered, in the order of their ids."""
        return tuple(instance for _, (_, instance) in sorted(self._alive.items()))

    @property
    def nobody(self) -> bool:
        """Whether it is sure that there is no instance at this moment."""
        if not (self._over and self.rounds) or self._alive or self._silent:
            return False
        # One that the registry told of, and that is gone, may be starting anew.
        return not self._claimed or self.rounds >= PATIENT_ROUNDS

    @property
    def _unpinned(self) -> list[Question]:
        greetings = (each for each in self._open if each.topic == self._hello_topic)
        return [each for each in greetings if not each.service_id]

    @property
    def _over(self) -> bool:
        return not self._open and not self._queue

    def _begin_round(self, now: float) -> None:
        self.rounds += 1
        self._next_round = now
        self._asked.clear()
        self._silent = False
        self._queue.append(Question(REGISTRY_TOPIC, registry_query(), "", self.rounds))
        if self._lost is not None:
            # The registry may not know it for the moment, or never.
            self._greet(self._lost.service_id)
        elif self.rounds == 1:
            self._greet("")

    def _close(self, question: Question, now: float) -> None:
        was_open = self._open.pop(question, None) is not None
        if was_open and self._over:
            self._next_round = self._pause.over(now)

    def _registered(self, ids: tuple[str, ...]) -> None:
        self._claimed = bool(ids)
        if len(ids) == 1 and self._unpinned:
            return  # a hello is on its way to it already
        for service_id in ids:
            self._greet(service_id)
        if not ids:
            self._greet("")
        elif self._queue:
            # Each is asked itself: the hello to any of them is not worth waiting for if it is lost.
            for question in self._unpinned:
                del self._open[question]

    def _greet(self, service_id: str) -> None:
        if service_id in self._asked or service_id in self._leaving:
            return
        self._asked.add(service_id)
        hello = encode(HelloRequest())
        self._queue.append(Question(self._hello_topic, hello, service_id, self.rounds))

    def _greeted(self, instance: Instance) -> None:
        if instance.service_id in self._leaving:
            return
        self._alive[instance.service_id] = self.rounds, instance
        if self._lost is None:
            return
        if instance.service_id == self._lost.service_id:
            self._found = instance
        elif instance.hello.store_id == self._lost.hello.store_id:
            logger.info("the store is served by %s now", brief(instance.service_id))
            self._found = instance

    def _missed(self, question: Question) -> None:
        if question.topic == REGISTRY_TOPIC:
            self._registered(())
        else:
            self._silent = True
        self._close(question, self._open[question])
