"""Sends the transfers of one destination over one connection, until it is lost or idle."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from dxlfiletransferclient.errors import FileTransferError, NoAnswerError, NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import REGISTRY_TOPIC
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.courier.allowances import Allowances
from dxlfiletransferservice.courier.consignment import Consignment
from dxlfiletransferservice.courier.failures import unreachable
from dxlfiletransferservice.courier.hand import IN_HAND, Hand
from dxlfiletransferservice.courier.limiter import RateLimiter, SharedLimiter
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.pings import PingJob
from dxlfiletransferservice.courier.receivers import ContactNotes, choose_receiver
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.scheduler import Scheduler
from dxlfiletransferservice.courier.seams import (
    ConnectionState,
    DestinationPlan,
    DestinationState,
    TransferPlan,
    Work,
)
from dxlfiletransferservice.courier.terms import agree
from dxlfiletransferservice.courier.turns import Turns
from dxlfiletransferservice.courier.watching import Touch, WatchedBus

T = TypeVar("T")

RECONCILE_SECONDS: Final = 0.05
"""Seconds between two comparisons with the database, however often something changes."""

ROUND_SECONDS: Final = 0.01
"""Seconds between two looks at what is in no hurry as long as nobody calls: whether somebody is
silent, idle or due. Each message makes a round of the engine or two, and would pay for it."""

LOOK_SECONDS: Final = 10.0
"""Seconds after which the database is looked at though nobody says that something has changed."""

PUBLISH_SECONDS: Final = 0.1
"""Seconds between two looks at the figures for those who ask. Who waits for a transfer reckons by
them when it ends."""

CONTACT_SECONDS: Final = 5.0
"""Seconds between two notes of when something was sent and heard."""

SILENT_SECONDS: Final = 5.0
"""Seconds without an answer after which a destination is said to be out of reach. It is looked for
meanwhile, and given up and dialled anew after the engine's patience."""

QUIET_SECONDS: Final = 1.0
"""The same after which no other transfers are begun: they could only wait, and who gives up those
that wait would take them for begun just now."""

GOODBYE_SECONDS: Final = 1.0
"""Seconds in which leave is taken at the end; the receiver forgets sessions by itself."""


class Delivery:
    """Sends the transfers of one destination over one connection.

    Args:
        plan: The destination.
        work: Says what there is to send.
        bus: A bus behind which the receiver is.
        key: Key of this server.
        records: Is told how far transfers are.
        touch: Is told whether the receiver answers.
        shared: The rate of the connection, which other destinations share.
        publish: Is called with how the destination is.
        options: What may be chosen.
        patient: Whether to give up, with a ``ReceiverAwayError``, rather than send everything anew
            to another receiver than the one that has files of a transfer.
    """

    def __init__(
        self,
        plan: DestinationPlan,
        work: Work,
        bus: Bus,
        *,
        key: PrivateKey,
        records: Records,
        touch: Touch,
        shared: SharedLimiter,
        publish: Callable[[DestinationState], object],
        options: CourierOptions,
        patient: bool = False,
    ) -> None:
        self._plan = plan
        self._work = work
        self._key = key
        self._records = records
        self._touch = touch
        self._publish = publish
        self._options = options
        self._patient = patient
        self._cancel = Cancellation()
        self._service_id: str | None = None
        self._store_id = ""
        self._bus = WatchedBus(
            bus,
            touch,
            lambda: self._service_id,
            (topic_of(Verb.HELLO, options.store_topic), REGISTRY_TOPIC),
        )
        self._engine = Engine(
            self._bus,
            options.store_topic,
            key=f"destination {plan.id}",
            options=options.engine,
            cancel=self._cancel,
        )
        self._limit = RateLimiter(plan.rate)
        self._shared = shared
        self._scheduler: Scheduler[int] = Scheduler(plan.lanes, limits=(self._limit, shared))
        self._turns = Turns(self._scheduler, self._bus.now)
        self._hand = Hand(
            plan.id,
            work,
            records,
            scheduler=self._scheduler,
            turns=self._turns,
            begin=self._begin,
            store_id=lambda: self._store_id,
            clock=self._bus.now,
        )
        self._notes = ContactNotes(work, plan.id, touch)
        self._extra: deque[Job] = deque()
        self._ping: PingJob | None = None
        self._round_trip: float | None = None
        self._guard = threading.Lock()
        self._changed = self._called = True
        self._closing = False
        self._pings = 0
        self._running = False
        self._over = False
        self._goodbye_until = math.inf
        self._looked = self._rounded = -math.inf
        self._idle_since = self._published = self._noted = self._bus.now()

    # From any thread.

    @property
    def begun(self) -> bool:
        """Whether the receiver has answered."""
        return self._running

    @property
    def in_hand(self) -> tuple[int, ...]:
        """Numbers of the transfers that are looked after by :meth:`run`; others wait."""
        return self._hand.numbers

    def refresh(self) -> None:
        """Look at the database again: something has changed."""
        with self._guard:
            self._changed = self._called = True
        self._bus.wake()

    def ping(self, count: int) -> None:
        """Send some pings."""
        with self._guard:
            self._pings += count
            self._called = True
        self._bus.wake()

    def close(self) -> None:
        """End in order, within about a second; transfers are to be gone on with."""
        with self._guard:
            self._closing = self._called = True
            running = self._running
        if running:
            self._bus.wake()
        else:
            self._cancel.cancel()

    # From the thread of the courier.

    def run(self) -> None:
        """Send, until there is nothing more to send for a while, or :meth:`close`.

        Raises:
            FileTransferError: The receiver cannot be reached (any more), or it was closed and did
                not end in time. What was under way is to be gone on with.
        """
        begun = self._begun_at()
        self._engine.connect()
        choose_receiver(self._engine, self._plan.instance, begun_at=begun, patient=self._patient)
        self._store_id = self._engine.hello.store_id
        self._check_receiver(self._bus.now())
        self._running = True
        try:
            self._look_after()
            self._engine.run(self._jobs(), each_round=self._look_after)
        finally:
            self._hand.settle()
            self._hand.let_all_go()
            self._notes.write(self._engine, self._bus.now())

    def _jobs(self) -> Iterator[Job | None]:
        while not self._over:
            yield self._stopping_all(self._take)
        while (farewell := self._hand.farewell()) is not None:
            yield farewell

    def _take(self) -> Job | None:
        if self._extra:
            return self._extra.popleft()
        farewell = self._hand.farewell()
        if farewell is not None:
            return farewell
        hurried = False
        for consignment in self._hand:
            job = consignment.take()
            if job is not None:
                return job
            hurried = hurried or consignment.hurried
        if hurried:
            self._bus.wake()  # nothing would happen otherwise until something is heard
        return None

    def _look_after(self) -> None:
        self._stopping_all(self._round)

    def _stopping_all(self, step: Callable[[], T]) -> T:
        """Stop everything if a step fails: the engine would charge the files under way with it."""
        try:
            return step()
        except Exception:
            self._hand.stop_all()
            raise

    def _round(self) -> None:
        now = self._bus.now()
        self._check_receiver(now)
        self._hand.settle()
        if now >= self._goodbye_until:
            self._cancel.cancel()
        if self._over:
            return
        if now >= self._rounded + ROUND_SECONDS or self._called or self._hand.lacking:
            self._rounded = now
            self._whole_round(now)

    def _whole_round(self, now: float) -> None:
        self._called = False
        self._look(now)
        if not self._over:
            if self._silent_for(now) < QUIET_SECONDS:
                self._hand.fill()
            self._fail_silent(now)
            self._check_idle(now)
        self._tell(now)

    def _begun_at(self) -> frozenset[str]:
        """Return the store ids of the receivers that have files of the transfers that come next."""
        lanes = self._plan.lanes
        plans = (self._work.next_transfers(self._plan.id, lane, IN_HAND) for lane in lanes)
        return frozenset(each.receiver for found in plans for each in found if each.receiver)

    def _check_receiver(self, now: float) -> None:
        """See which service answers now.

        Raises:
            FileTransferError: It has another store: what is through is not there.
        """
        if self._engine.hello.store_id != self._store_id:
            raise FileTransferError("another server answers now, which has nothing of all that")
        if self._engine.service_id != self._service_id:
            self._service_id = self._engine.service_id
            self._touch.answered(now)

    def _silent_for(self, now: float) -> float:
        """Return for how many seconds the receiver has not answered though it should have."""
        since = self._touch.lost_since
        return 0.0 if since is None else now - since

    def _look(self, now: float) -> None:
        """See what others have changed."""
        with self._guard:
            closing, pings, self._pings = self._closing, self._pings, 0
            look = now >= self._looked + (RECONCILE_SECONDS if self._changed else LOOK_SECONDS)
            if look:
                self._changed = False
        if pings:
            self._send_pings(pings)
        if closing:
            self._end(now)
        elif look:
            self._looked = now
            self._reconcile(now)

    def _reconcile(self, now: float) -> None:
        plan = self._work.destination(self._plan.id)
        if plan is None or _place(plan) != _place(self._plan):
            self._end(now)
            return
        self._limit.change(plan.rate, now)
        if plan != self._plan:
            self._shared.change(plan.connection_rate, now)
            self._scheduler.relane(plan.lanes)
            self._turns.changed()
            self._plan = plan
        self._hand.reconcile(plan.lanes)

    def _end(self, now: float) -> None:
        self._hand.let_all_go()
        self._over = True
        self._goodbye_until = now + GOODBYE_SECONDS

    def _begin(self, plan: TransferPlan) -> Consignment:
        terms = agree(
            plan, lambda: self._engine.hello, key=self._key, peer_key=self._plan.public_key
        )
        return Consignment(
            plan,
            iter(self._work.files(plan.manifest_id, plan.progress.position)),
            terms=terms,
            limits=Allowances(self._engine, self._turns, plan.id),
            turns=self._turns,
            touch=self._touch,
            now=self._bus.now(),
        )

    def _send_pings(self, count: int) -> None:
        if self._ping is not None and not self._ping.finished:
            self._ping.more(count)
        else:
            self._ping = PingJob(count, self._pinged)
            self._extra.append(self._ping)

    def _pinged(self, seconds: float) -> None:
        self._round_trip = seconds
        self._notes.pinged(self._engine.service_id)
        self._noted = -math.inf

    @property
    def _pinging(self) -> bool:
        return self._ping is not None and not self._ping.finished

    def _check_idle(self, now: float) -> None:
        if len(self._hand) or self._pinging:
            self._idle_since = now
        elif now >= self._idle_since + self._options.idle:
            self._end(now)

    def _fail_silent(self, now: float) -> None:
        """Give up transfers that are not to wait so long for the receiver."""
        since = self._touch.lost_since
        if since is None:
            return
        others = 0
        for consignment in self._hand:
            timeout = consignment.plan.timeout_seconds
            if timeout and now - max(since, consignment.began) >= timeout:
                consignment.give_up(unreachable(timeout, "it does not answer"))
                # Nobody waits for what it has asked any more, and still there is no answer.
                self._touch.cut(now)
            else:
                others += 1
        if others < len(self._hand) and others and not self._pinging:
            self._send_pings(1)  # they may have nothing to ask for long

    def _tell(self, now: float) -> None:
        for consignment in self._hand:
            self._extra.extend(consignment.checkpoints(now))
        if now >= self._published + PUBLISH_SECONDS:
            self._published = now
            self._records.put(self._hand.progress())
            self._publish(self._state(now))
        if now >= self._noted + CONTACT_SECONDS or self._notes.due(self._engine):
            self._noted = now
            self._notes.write(self._engine, now)

    def _state(self, now: float) -> DestinationState:
        error, message = self._trouble(now)
        return DestinationState(
            state=ConnectionState.DISCONNECTED if error else ConnectionState.CONNECTED,
            error=error,
            error_message=message,
            public_key=self._engine.hello.public_key,
            rate=self._turns.rate(now),
            round_trip=self._round_trip,
        )

    def _trouble(self, now: float) -> tuple[str | None, str]:
        """Return what is wrong with the connection, as kind of error and text, if anything is."""
        if not self._bus.connected:
            return NotConnectedError.__name__, "the connection to the broker was lost"
        if (silent := self._silent_for(now)) > SILENT_SECONDS:
            return NoAnswerError.__name__, f"it has not answered for {silent:.0f} seconds"
        return None, ""


def _place(plan: DestinationPlan) -> tuple[object, ...]:
    """Return what cannot change without another connection."""
    return plan.connection_id, plan.address, plan.port, plan.instance, plan.public_key
