"""Sends the transfers of one destination over one connection, until it is lost or idle."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.courier.consignment import Consignment
from dxlfiletransferservice.courier.failures import unreachable
from dxlfiletransferservice.courier.hand import Hand
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

RECONCILE_SECONDS: Final = 0.05
"""Seconds between two comparisons with the database, however often something changes."""

LOOK_SECONDS: Final = 10.0
"""Seconds after which the database is looked at though nobody says that something has changed."""

PUBLISH_SECONDS: Final = 0.2
"""Seconds between two looks at the figures for those who ask."""

CONTACT_SECONDS: Final = 5.0
"""Seconds between two notes of when something was sent and heard."""

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
    ) -> None:
        self._plan = plan
        self._work = work
        self._key = key
        self._records = records
        self._touch = touch
        self._publish = publish
        self._options = options
        self._cancel = Cancellation()
        self._bus = WatchedBus(bus, touch)
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
            clock=self._bus.now,
        )
        self._notes = ContactNotes(work, plan.id, touch)
        self._extra: deque[Job] = deque()
        self._ping: PingJob | None = None
        self._round_trip: float | None = None
        self._guard = threading.Lock()
        self._changed = True
        self._closing = False
        self._pings = 0
        self._running = False
        self._over = False
        self._goodbye_until = math.inf
        self._looked = -math.inf
        self._idle_since = self._published = self._noted = self._bus.now()

    # From any thread.

    def refresh(self) -> None:
        """Look at the database again: something has changed."""
        with self._guard:
            self._changed = True
        self._bus.wake()

    def ping(self, count: int) -> None:
        """Send some pings."""
        with self._guard:
            self._pings += count
        self._bus.wake()

    def close(self) -> None:
        """End in order, within about a second; transfers are to be gone on with."""
        with self._guard:
            self._closing = True
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
        self._engine.connect()
        choose_receiver(self._engine, self._plan.instance)
        self._running = True
        try:
            with self._stopping_all():
                self._round()
            self._engine.run(self._jobs(), each_round=self._safe_round)
        finally:
            self._hand.settle()
            self._hand.let_all_go()
            self._notes.write(self._engine, self._bus.now())

    def _jobs(self) -> Iterator[Job | None]:
        while not self._over:
            with self._stopping_all():
                job = self._take()
            yield job
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

    def _safe_round(self) -> None:
        with self._stopping_all():
            self._round()

    @contextmanager
    def _stopping_all(self) -> Iterator[None]:
        """Stop everything if this fails: the engine would charge the files under way with it."""
        try:
            yield
        except Exception:
            self._hand.stop_all()
            raise

    def _round(self) -> None:
        now = self._bus.now()
        self._hand.settle()
        if now >= self._goodbye_until:
            self._cancel.cancel()
        if self._over:
            return
        self._look(now)
        if not self._over:
            self._hand.fill()
            self._fail_silent(now)
            self._check_idle(now)
        self._tell(now)

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
            limits=_Limits(self._engine, self._turns, plan.id),
            turns=self._turns,
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

    def _check_idle(self, now: float) -> None:
        pinging = self._ping is not None and not self._ping.finished
        if len(self._hand) or pinging:
            self._idle_since = now
        elif now >= self._idle_since + self._options.idle:
            self._over = True

    def _fail_silent(self, now: float) -> None:
        """Give up transfers that are not to wait so long for the receiver."""
        since = self._touch.lost_since
        if since is None:
            return
        for consignment in self._hand:
            timeout = consignment.plan.timeout_seconds
            if timeout and now - max(since, consignment.began) >= timeout:
                consignment.fail(unreachable(timeout, "it does not answer"))

    def _tell(self, now: float) -> None:
        for consignment in self._hand:
            self._extra.extend(consignment.checkpoints(now))
        if now >= self._published + PUBLISH_SECONDS:
            self._published = now
            self._records.put(self._hand.progress())
            self._publish(self._state(now))
        if now >= self._noted + CONTACT_SECONDS:
            self._noted = now
            self._notes.write(self._engine, now)

    def _state(self, now: float) -> DestinationState:
        connected = self._bus.connected
        return DestinationState(
            state=ConnectionState.CONNECTED if connected else ConnectionState.DISCONNECTED,
            error=None if connected else "NotConnectedError",
            error_message="" if connected else "the connection to the broker was lost",
            public_key=self._engine.hello.public_key,
            rate=self._turns.rate(now),
            round_trip=self._round_trip,
        )


class _Limits:
    """What the receiver and the rates allow a transfer at the moment; ``packing.Limits``."""

    def __init__(self, engine: Engine, turns: Turns, transfer_id: int) -> None:
        self._engine = engine
        self._turns = turns
        self._transfer_id = transfer_id

    def largest(self) -> int:
        return self._engine.hello.segment_size

    def size(self) -> int:
        return self._turns.size(self._transfer_id)

    def granted(self, window: int) -> None:
        self._engine.limit(window)


def _place(plan: DestinationPlan) -> tuple[object, ...]:
    """Return what cannot change without another connection."""
    return plan.connection_id, plan.address, plan.port, plan.instance, plan.public_key
