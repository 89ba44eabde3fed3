"""All couriers of a server: one for each destination that has something to send."""

import logging
import threading
import time
from collections import OrderedDict, deque
from typing import Final
from weakref import WeakValueDictionary

from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.courier.courier import Courier
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.limiter import SharedLimiter
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.seams import (
    DestinationPlan,
    DestinationState,
    Progress,
    Work,
)

CLOSE_SECONDS: Final = 2.0
"""Seconds in which couriers end. One that is still dialling then is left to itself: it has nothing
under way, and its thread does not keep the process."""

LOOK_SECONDS: Final = 10.0
"""Seconds after which the database is asked for destinations though nobody says that there are any,
and unused connections are ended."""

MOST_STATES: Final = 1000
"""Destinations whose last state is remembered though nothing is sent to them."""

_logger = logging.getLogger(__name__)


class DestinationCouriers:
    """The couriers of a server; a ``courier.seams.CourierService``.

    Args:
        work: Says what there is to send.
        key: Key of this server.
        dialling: Provides connections; it is closed with this.
        options: What may be chosen.

    Example:
        >>> couriers = DestinationCouriers(work, key, Dialling(own, fabrics))  # doctest: +SKIP
        >>> couriers.start()  # doctest: +SKIP
        >>> couriers.refresh(destination_id)  # doctest: +SKIP
        >>> couriers.close()  # doctest: +SKIP
    """

    def __init__(
        self,
        work: Work,
        key: PrivateKey,
        dialling: Dialling,
        *,
        options: CourierOptions | None = None,
    ) -> None:
        self._work = work
        self._key = key
        self._dialling = dialling
        self._options = options or CourierOptions()
        self._records = Records(work)
        self._log = BoundedLog(_logger)
        self._guard = threading.Lock()
        self._running: dict[int, Courier] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._waiting: deque[int] = deque()
        self._resting: OrderedDict[int, Courier] = OrderedDict()
        self._limits: WeakValueDictionary[int, SharedLimiter] = WeakValueDictionary()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="dxlft-couriers", daemon=True)

    def start(self) -> None:
        """Go on with all active transfers."""
        self._keeper.start()
        for destination_id in self._work.destinations():
            self.refresh(destination_id)

    def close(self) -> None:
        """Stop within some seconds; what is under way is gone on with at the next start."""
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._guard:
            self._closing.set()
            couriers = list(self._running.values())
            threads = list(self._threads.values())
            self._waiting.clear()
        for courier in couriers:
            courier.close()
        self._dialling.refuse()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._keeper.ident is not None:
            self._keeper.join(CLOSE_SECONDS)
        self._flush()
        self._dialling.close()

    def refresh(self, destination_id: int) -> None:
        """Look again at a destination and its transfers: something has changed."""
        with self._guard:
            self._called(destination_id)

    def ping(self, destination_id: int, count: int) -> None:
        """Have pings sent to a destination, between what else is sent."""
        with self._guard:
            self._called(destination_id, pings=count)

    def progress(self, transfer_id: int) -> Progress | None:
        """Return how far a transfer is; ``None`` if no courier has it, so the database knows."""
        return self._records.get(transfer_id)

    def state(self, destination_id: int) -> DestinationState:
        """Return how a destination is at the moment."""
        with self._guard:
            courier = self._running.get(destination_id) or self._resting.get(destination_id)
        return DestinationState() if courier is None else courier.state

    def _called(self, destination_id: int, *, pings: int = 0) -> None:
        """Tell the courier of a destination that there is something to do; the guard is held."""
        if self._closing.is_set():
            return
        courier = self._running.get(destination_id) or self._resting.get(destination_id)
        if courier is None:
            courier = self._resting[destination_id] = self._new_courier(destination_id)
        # With the guard held, so that one that is about to end hears of it, or has ended.
        if pings:
            courier.ping(pings)
        courier.refresh()
        if destination_id not in self._running and destination_id not in self._waiting:
            self._waiting.append(destination_id)
            self._start_next()

    def _new_courier(self, destination_id: int) -> Courier:
        return Courier(
            destination_id,
            self._work,
            key=self._key,
            dialling=self._dialling,
            records=self._records,
            limit_of=self._limit_of,
            options=self._options,
        )

    def _limit_of(self, plan: DestinationPlan) -> SharedLimiter:
        with self._guard:
            limit = self._limits.get(plan.connection_id)
            if limit is None:
                limit = self._limits[plan.connection_id] = SharedLimiter(plan.connection_rate)
        limit.change(plan.connection_rate, time.monotonic())
        return limit

    def _start_next(self) -> None:
        """Start threads for those who wait, as far as there may be more; the guard is held."""
        while self._waiting and len(self._running) < self._options.most_threads:
            destination_id = self._waiting.popleft()
            courier = self._resting.pop(destination_id)
            self._running[destination_id] = courier
            name = f"dxlft-courier-{destination_id}"
            thread = threading.Thread(
                target=self._serve, args=(destination_id, courier), name=name, daemon=True
            )
            self._threads[destination_id] = thread
            thread.start()

    def _serve(self, destination_id: int, courier: Courier) -> None:
        more = True
        while more:
            more = courier.run(self._crowded)
            with self._guard:
                if not self._closing.is_set() and (more or courier.changed):
                    more = not self._waiting
                    if more:
                        continue
                    self._waiting.append(destination_id)
                more = False
                del self._running[destination_id], self._threads[destination_id]
                self._rest(destination_id, courier)
                if not self._closing.is_set():
                    self._start_next()

    def _rest(self, destination_id: int, courier: Courier) -> None:
        """Remember a courier that has nothing to do, for its state."""
        self._resting[destination_id] = courier
        spare = len(self._resting) - len(self._waiting) - MOST_STATES
        for each in list(self._resting)[: max(0, spare)]:
            if each not in self._waiting:
                del self._resting[each]

    def _crowded(self) -> bool:
        with self._guard:
            return bool(self._waiting)

    def _keep(self) -> None:
        """Write down now and then how far everything is, and see to it that all have a turn."""
        looked = time.monotonic()
        while not self._closing.wait(self._options.write_every):
            self._flush()
            self._make_way()
            self._fail_overdue()
            if time.monotonic() >= looked + LOOK_SECONDS:
                looked = time.monotonic()
                self._look()

    def _make_way(self) -> None:
        with self._guard:
            couriers = list(self._running.values()) if self._waiting else []
        for courier in couriers:
            if courier.served_for > self._options.slice:
                courier.make_way()

    def _fail_overdue(self) -> None:
        with self._guard:
            # Those that wait for their turn too: they may have lost the connection in the last one.
            waiting = [self._resting[each] for each in self._waiting]
            couriers = [*self._running.values(), *waiting]
        for courier in couriers:
            courier.fail_overdue()

    def _look(self) -> None:
        # By itself: progress is to be written down though a broker that has vanished takes seconds.
        threading.Thread(target=self._dialling.maintain, name="dxlft-lines", daemon=True).start()
        try:
            destinations = self._work.destinations()
        except Exception as error:  # noqa: BLE001 - the database may be gone for a while
            self._log.write(logging.WARNING, "Could not look for destinations: %s", error)
            return
        for destination_id in destinations:
            with self._guard:
                known = destination_id in self._running or destination_id in self._waiting
            if not known:
                self.refresh(destination_id)

    def _flush(self) -> None:
        try:
            self._records.flush()
        except Exception as error:  # noqa: BLE001 - the next time it may go through
            self._log.write(logging.WARNING, "Could not write down progress: %s", error)
