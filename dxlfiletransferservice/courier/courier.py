"""Serves one destination: connects, sends, and tries again for as long as there is something."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.courier.delivery import Delivery
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.failures import unreachable
from dxlfiletransferservice.courier.limiter import SharedLimiter
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.receivers import ReceiverAwayError
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.seams import (
    ConnectionState,
    DestinationPlan,
    DestinationState,
    Status,
    Work,
)
from dxlfiletransferservice.courier.watching import Touch

FIRST_PAUSE: Final = 0.25
"""Seconds before the second attempt to reach a destination; each pause is twice as long."""

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks whether a transfer has waited long enough for a connection."""

LOOKED_AT: Final = 100
"""Transfers of a lane that are looked at then; when they have failed, the next ones are."""

AWAY_SECONDS: Final = 60.0
"""Seconds for which the receiver that has files of a transfer is waited for though another one is
there, which would need all of them anew: a machine is back by then if it was only started again."""

_logger = logging.getLogger(__name__)


class Courier:
    """Serves one destination, in whatever thread runs it.

    Args:
        destination_id: The destination.
        work: Says what there is to send.
        key: Key of this server.
        dialling: Provides connections.
        records: Is told how far transfers are.
        limit_of: Returns the limit that the destinations of a connection share.
        options: What may be chosen.
    """

    def __init__(
        self,
        destination_id: int,
        work: Work,
        *,
        key: PrivateKey,
        dialling: Dialling,
        records: Records,
        limit_of: Callable[[DestinationPlan], SharedLimiter],
        options: CourierOptions,
    ) -> None:
        self._destination_id = destination_id
        self._work = work
        self._key = key
        self._dialling = dialling
        self._records = records
        self._limit_of = limit_of
        self._options = options
        self._touch = Touch()
        self._seen: dict[int, float] = {}
        self._pause = self._new_pause()
        self._log = BoundedLog(_logger)
        self._guard = threading.Lock()
        self._looking = threading.Lock()
        self._delivery: Delivery | None = None
        self._stopping = threading.Event()
        self._making_way = threading.Event()
        self._changed = False
        self._pings = 0
        self._away_since: float | None = None
        self._began = time.monotonic()
        self.state = DestinationState()

    # From any thread.

    @property
    def changed(self) -> bool:
        """Whether there may be something to do that :meth:`run` has not looked at."""
        with self._guard:
            return self._changed or self._pings > 0

    @property
    def served_for(self) -> float:
        """Seconds since :meth:`run` has begun."""
        return time.monotonic() - self._began

    def refresh(self) -> None:
        """Look at the database again."""
        with self._guard:
            self._changed = True
            delivery = self._delivery
        if delivery is not None:
            delivery.refresh()

    def fail_overdue(self) -> None:
        """Give up transfers that have waited for a connection for as long as they are to.

        Call it about every second: connecting may take longer than a transfer waits. Those that are
        being sent are looked after by whoever sends them.
        """
        with self._guard:
            delivery = self._delivery
        with self._looking:
            self._fail_overdue(delivery.in_hand if delivery is not None else ())

    def ping(self, count: int) -> None:
        """Have some pings sent."""
        with self._guard:
            delivery = self._delivery
            if delivery is None:
                self._pings += count
        if delivery is not None:
            delivery.ping(count)

    def close(self) -> None:
        """Stop in order; what is under way is gone on with by another courier."""
        self._stopping.set()
        self._close_delivery()

    def make_way(self) -> None:
        """Stop in order for the time being, because others wait."""
        self._making_way.set()
        self._close_delivery()

    # From the thread that runs it.

    def run(self, crowded: Callable[[], bool]) -> bool:
        """Serve the destination until there is nothing to do, or others are to be served.

        Args:
            crowded: Whether other destinations wait to be served.

        Returns:
            Whether there is more to do.
        """
        self._began = time.monotonic()
        self._making_way.clear()
        while not self._stopping.is_set():
            try:
                if not self._serve():
                    self.state = replace(self.state, state=ConnectionState.DISCONNECTED, rate=0.0)
                    return False
            except TransferCancelledError as error:
                _logger.debug("destination %d: %s", self._destination_id, error)
            except Exception as error:  # noqa: BLE001 - a courier goes on whatever happens
                self._lost(error)
                others_wait = crowded()
                self._rest(FIRST_PAUSE if others_wait else math.inf)
                if others_wait:
                    return True
            if self._making_way.is_set():
                return True
        return False

    def _serve(self) -> bool:
        """Deliver what there is to deliver, once; returns whether there was anything."""
        with self._guard:
            self._changed = False
            pings, self._pings = self._pings, 0
        plan = self._work.destination(self._destination_id)
        if plan is None or not (pings or self._has_work(plan)):
            return False
        self.state = replace(self.state, state=ConnectionState.NEGOTIATING)
        self._touch.cut(time.monotonic())
        self.fail_overdue()  # whoever waits does so from now on
        with (
            self._dialling.client(plan.address, plan.port) as client,
            DxlBus(client) as bus,
        ):
            delivery = Delivery(
                plan,
                self._work,
                bus,
                key=self._key,
                records=self._records,
                touch=self._touch,
                shared=self._limit_of(plan),
                publish=self._publish,
                options=self._options,
                patient=self._is_patient(),
            )
            if pings:
                delivery.ping(pings)
            self._run(delivery)
        return True

    def _run(self, delivery: Delivery) -> None:
        with self._guard:
            self._delivery = delivery
            pings, self._pings = self._pings, 0
        if pings:  # they have come while it was dialled
            delivery.ping(pings)
        if self._stopping.is_set() or self._making_way.is_set():
            delivery.close()
        try:
            delivery.run()
        finally:
            with self._guard:
                self._delivery = None

    def _has_work(self, plan: DestinationPlan) -> bool:
        return any(self._work.next_transfers(plan.id, lane, 1) for lane in plan.lanes)

    def _publish(self, state: DestinationState) -> None:
        self.state = state
        if state.state is ConnectionState.CONNECTED:
            self._pause = self._new_pause()
            self._away_since = None

    def _is_patient(self) -> bool:
        """Whether the receiver that has files of a transfer is still waited for."""
        away = self._away_since
        return away is None or time.monotonic() < away + AWAY_SECONDS

    def _lost(self, error: Exception) -> None:
        """Note that the destination cannot be reached."""
        if self._stopping.is_set():
            return  # that is why, and nobody's business
        self._touch.cut(time.monotonic())
        if isinstance(error, ReceiverAwayError) and self._away_since is None:
            self._away_since = time.monotonic()
        # It is tried again every few seconds, for days perhaps.
        news = self.state.error_message != _shown(error)
        text = "Destination %d cannot be reached: %s"
        self._log.write(
            logging.WARNING if news else logging.DEBUG, text, self._destination_id, error
        )
        self.state = replace(
            self.state,
            state=ConnectionState.DISCONNECTED,
            error=type(error).__name__,
            error_message=_shown(error),
            rate=0.0,
        )

    def _rest(self, most: float) -> None:
        """Wait before the next attempt, so many seconds at most."""
        now = time.monotonic()
        over = min(self._pause.over(now), now + most)
        while (rest := over - time.monotonic()) > 0 and not self._making_way.is_set():
            self.fail_overdue()
            if self._stopping.wait(min(rest, LOOK_SECONDS)):
                return
        self.fail_overdue()

    def _fail_overdue(self, in_hand: Collection[int]) -> None:
        since = self._touch.lost_since
        if since is None:
            self._seen.clear()
            return
        if time.monotonic() < since + LOOK_SECONDS:
            return  # it has answered just now, or nobody knows yet whether it will
        try:
            plan = self._work.destination(self._destination_id)
            if plan is None:
                return
            now = time.monotonic()
            seen, self._seen = self._seen, {}
            for lane in plan.lanes:
                for each in self._work.next_transfers(plan.id, lane, LOOKED_AT):
                    first = self._seen[each.id] = seen.get(each.id, now)
                    if each.id in in_hand:
                        continue
                    if each.timeout_seconds and now - max(since, first) >= each.timeout_seconds:
                        reason = self.state.error_message or "it does not answer"
                        text = unreachable(each.timeout_seconds, reason)
                        self._records.ended(each.id, Status.ERROR, text, each.progress)
        except Exception as error:  # noqa: BLE001 - the database may be gone for a while
            text = "Could not look at the transfers of destination %d: %s"
            self._log.write(logging.WARNING, text, self._destination_id, error)

    def _close_delivery(self) -> None:
        with self._guard:
            delivery = self._delivery
        if delivery is not None:
            delivery.close()

    def _new_pause(self) -> Pause:
        return Pause(first=FIRST_PAUSE, longest=self._options.longest_pause)


def _shown(error: Exception) -> str:
    """Return what may be told to users of the server about an error."""
    if isinstance(error, ConfigurationError):
        # It names files that are nobody's business but the administrator's.
        return (
            "the server has no usable client configuration for this broker; its log tells what is "
            "wrong with it"
        )
    return str(error) or type(error).__name__
