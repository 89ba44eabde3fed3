"""The instance in use: found at the start, and found again when it was lost."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dxlfiletransferclient.errors import FileTransferError, NoAnswerError, NotConnectedError, brief
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.exchange.pausing import delay
from dxlfiletransferclient.exchange.recovery import Search
from dxlfiletransferclient.exchange.seeking import Seeker
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of

logger = logging.getLogger(__name__)

LONGEST_ROUND: Final = 0.25
"""Seconds after which a wait ends though nothing happened: progress displays are called then, and a
lost connection is noticed."""


class Found(Enum):
    """What became of the search for an instance that was lost."""

    SLOW = auto()
    """It is the same one, and it was only slow: what it was asked, it will answer."""

    SAME = auto()
    """It is the same one, but what it was asked may not have reached it."""

    OTHER = auto()
    """It is another one, or the same one started again: it knows only what is durable."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """Why an instance is being looked for.

    Attributes:
        reason: In words.
        silence: Whether nothing but missing answers speaks for it.
    """

    reason: str
    silence: bool


class Pin:
    """The instance in use.

    Args:
        bus: What it asks on.
        store_topic: The store topic of the service.
        key: What the instance is needed for.
        options: Sizes and times.

    Attributes:
        lost: Whether the instance is lost, and being looked for.
        verbs: What the instance offers.
        instances: All that have answered at the start, with what has become of the one in use.
    """

    def __init__(self, bus: Bus, store_topic: str, key: str, options: EngineOptions) -> None:
        self._bus = bus
        self._store_topic = store_topic
        self._key = key
        self._options = options
        self._instance: Instance | None = None
        self._loss: _Loss | None = None
        self._seeker: Seeker | None = None
        self._leaving: set[str] = set()
        self._losses = 0
        self._rounds = 0
        self._interrupted = False
        self.lost = False
        self.verbs: frozenset[str] = frozenset()
        self.instances: tuple[Instance, ...] = ()

    @property
    def instance(self) -> Instance:
        """The instance in use, or used last.

        Raises:
            FileTransferError: There was none yet.
        """
        if self._instance is None:
            raise FileTransferError("no service was looked for yet: connect first")
        return self._instance

    def connect(self, check: Callable[[], object]) -> bool:
        """Find an instance, if there is none yet.

        Args:
            check: Called in each round; what it raises ends the search.

        Returns:
            Whether there was none before.

        Raises:
            RefusedError: ``NO_SERVICE`` if nobody serves version 2 on the topic; another error if
                it is the only answer.
            NoAnswerError: There was no answer in time.
            NotConnectedError: There is no connection.
        """
        if self._instance is not None:
            return False
        if not self._bus.connected:
            raise NotConnectedError(
                "the DXL client is not connected to the fabric: connect it first"
            )
        begin = self._bus.now()
        self._rounds = 0
        try:
            while (instance := self._outcome(self._bus.now())) is None:
                check()
                self._check_start(begin)
                now = self._bus.now()
                self.seek(now)
                for reply in self._bus.wait(min(now + LONGEST_ROUND, self.due())):
                    self.hear(reply, self._bus.now())
            self._use(instance)
            if self._seeker is not None:
                self.instances = self._seeker.search.alive
        finally:
            self.stop()
        return True

    def change(self, instance: Instance) -> bool:
        """Use another instance from now on; returns whether it is another one."""
        if not self.lost and instance.service_id == self.instance.service_id:
            return False
        self._end_search()
        self._losses = 0
        self._use(instance)
        return True

    def lose(self, reason: str, *, silence: bool = False) -> bool:
        """Note that the instance does not serve any more.

        Args:
            reason: Why it seems so.
            silence: Whether nothing but missing answers speaks for it.

        Returns:
            Whether that is new.
        """
        if self._loss is not None:
            if not silence:
                self._loss = _Loss(reason, silence)
            return False
        logger.info("looking for the service on topic %s: %s", self._store_topic, reason)
        self._loss = _Loss(reason, silence)
        self.lost = True
        self._losses += 1
        self._rounds = 0
        return True

    def leaves(self) -> None:
        """Note that the instance is ending, so that it is not asked again."""
        self._leaving.add(self.instance.service_id)

    def answers(self) -> None:
        """Note that it has answered: it was not lost if that was only assumed."""
        if self._loss and self._loss.silence:
            self._end_search()

    def progressed(self) -> None:
        """Note that it does its work: the next loss has nothing to do with the ones before."""
        self._losses = 0

    def seek(self, now: float) -> None:
        """Go on looking for an instance.

        The search ends with the connection, since whatever was asked is lost with it. The next one
        begins at once when there is a connection again.
        """
        if not self._bus.connected:
            self._interrupt()
            return
        if self._seeker is None:
            # What was found and lost again at once is not asked at once once more.
            pause = 0.0 if self._interrupted else delay(self._losses - 1)
            self._interrupted = False
            self._seeker = Seeker(self._bus, self._new_search(now + pause))
        try:
            self._seeker.ask(now)
        except NotConnectedError as error:
            logger.debug("could not ask for the service: %s", error)
            self._interrupt()

    def hear(self, reply: Reply, now: float) -> bool:
        """Take a reply that belongs to the search; returns whether it does."""
        return self._seeker is not None and self._seeker.hear(reply, now)

    def due(self) -> float:
        """When to call :meth:`seek` again though nothing was heard; infinite for never."""
        return self._seeker.search.due() if self._seeker else math.inf

    def found(self, now: float) -> Found | None:
        """Use what was found; returns what that is, or ``None`` as long as it is lost."""
        instance = self._outcome(now)
        if instance is None or self._loss is None:
            return None
        logger.info("the service on topic %s is %s", self._store_topic, brief(instance.service_id))
        same = instance.service_id == self.instance.service_id
        silence = self._loss.silence
        gone = (self.instance.service_id, instance.service_id)
        others = [each for each in self.instances if each.service_id not in gone]
        self.instances = (*others, instance)
        self._end_search()
        self._use(instance)
        if not same:
            return Found.OTHER
        return Found.SLOW if silence else Found.SAME

    def stop(self) -> None:
        """Stop looking; :meth:`seek` begins again."""
        if self._seeker is not None:
            self._rounds += self._seeker.search.rounds
            self._seeker.close()
            self._seeker = None

    def failure(self, waited: str) -> FileTransferError:
        """Return the error to give up with while it is lost.

        Args:
            waited: For how long it was looked for.
        """
        if not self._bus.connected:
            return NotConnectedError(
                f"the connection to the fabric was lost and has not come back for {waited}: is the "
                "broker running, and the network up? Try again when they are"
            )
        reason = self._loss.reason if self._loss else "no answer"
        return NoAnswerError(
            f"the service on topic {self._store_topic} was lost ({reason}) and not found again "
            f"within {waited}, though the fabric was asked for it {self._times}: is it running "
            "and connected? Try again when it is"
        )

    def _use(self, instance: Instance) -> None:
        self._instance = instance
        self.verbs = frozenset(instance.hello.verbs.split())

    def _end_search(self) -> None:
        self.stop()
        self._loss = None
        self.lost = False

    def _new_search(self, begin: float) -> Search:
        return Search(
            topic_of(Verb.HELLO, self._store_topic),
            begin,
            key=self._key,
            lost=self._instance,
            leaving=self._leaving,
            failover_after=self._options.failover_after,
        )

    def _interrupt(self) -> None:
        self.stop()
        self._interrupted = True

    def _outcome(self, now: float) -> Instance | None:
        return self._seeker.search.outcome(now) if self._seeker else None

    @property
    def _times(self) -> str:
        """How often the fabric was asked since the instance was lost, or at the start."""
        rounds = self._rounds + (self._seeker.search.rounds if self._seeker else 0)
        return "once" if rounds == 1 else f"{rounds} times"

    def _of_the_topic(self, refusal: RefusedError) -> RefusedError:
        """Return the error of an instance so that it says what was asked."""
        text = f"the service on topic {self._store_topic} cannot be used: {refusal}"
        return RefusedError(refusal.code, text, refusal.retry_after)

    def _check_start(self, begin: float) -> None:
        search = self._seeker.search if self._seeker else None
        if search is not None and search.nobody:
            refusal = search.refusal
            if refusal is not None and not refusal.means(ErrorCode.NO_SERVICE, ErrorCode.CLOSING):
                raise self._of_the_topic(refusal)
            raise RefusedError(
                ErrorCode.NO_SERVICE,
                f"nobody serves files by version 2 on topic {self._store_topic}: is the service "
                "running and connected to this fabric, new enough, and set to this topic?",
            )
        if self._bus.now() - begin < self._options.connect_timeout:
            return
        waited = f"within {self._options.connect_timeout:g} seconds"
        if not self._bus.connected:
            raise NotConnectedError(
                f"the connection to the fabric was lost and did not come back {waited}: is the "
                "broker running, and the network up?"
            )
        raise NoAnswerError(
            f"no service on topic {self._store_topic} answered {waited}, though the fabric was "
            f"asked for it {self._times}: is it overloaded, or does it hang? Its log may tell"
        )
