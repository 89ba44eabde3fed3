"""The transfers of a destination that are being sent."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferservice.courier.consignment import Consignment
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.scheduler import Scheduler
from dxlfiletransferservice.courier.seams import Progress, Status, TransferPlan, Work
from dxlfiletransferservice.courier.turns import Turns

IN_HAND: Final = 4
"""Transfers of a lane that are sent at once, beside the oldest one: while one waits for an answer,
others send. Each has a session with the receiver."""

MOST_SLOW: Final = 28
"""Further ones of a lane, in place of those that have a rate of their own: they leave the others
most of the time, and must not keep them waiting. More have to wait for one of them to end."""

MOST_IN_HAND: Final = 2 * (IN_HAND + 1)
"""The same at most, after others have come that go first."""


class Hand:
    """Takes the transfers of a destination in hand, as many as are needed, and lets go of them.

    Args:
        destination_id: The destination.
        work: Says what there is to send.
        records: Is told how far it is.
        scheduler: Shares what is sent.
        turns: Hands its turns on.
        begin: Begins to send a transfer; raises ``RefusedError`` if that makes no sense.
        store_id: Returns the store id of the receiver.
        clock: Returns the time.
    """

    def __init__(
        self,
        destination_id: int,
        work: Work,
        records: Records,
        *,
        scheduler: Scheduler[int],
        turns: Turns,
        begin: Callable[[TransferPlan], Consignment],
        store_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._destination_id = destination_id
        self._work = work
        self._records = records
        self._scheduler = scheduler
        self._turns = turns
        self._begin = begin
        self._store_id = store_id
        self._clock = clock
        self._held: dict[int, Consignment] = {}
        self._lanes: Mapping[str, float] = {}
        self._unseen: set[str] = set()
        self._farewells: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Consignment]:
        """Yield them in the order in which they go first."""
        return iter(sorted(self._held.values(), key=_rank))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Their numbers; other threads may ask too."""
        return tuple(self._held)

    @property
    def lacking(self) -> bool:
        """Whether :meth:`fill` may find something: something may have come or gone."""
        # The idle lane has its turn when something in the others goes, which is seen by itself.
        return any(self._lanes.get(lane) for lane in self._unseen)

    def farewell(self) -> Job | None:
        """Return what takes leave of the receiver for one of those that are through, once each."""
        return self._farewells.popleft() if self._farewells else None

    def reconcile(self, lanes: Mapping[str, float]) -> None:
        """Compare with the database: what is to be sent, and how.

        Args:
            lanes: The lanes of the destination.
        """
        self._lanes = lanes
        self._unseen = set(lanes)
        plans = self._work.transfers(list(self._held)) if self._held else {}
        for transfer_id in list(self._held):
            plan = plans.get(transfer_id)
            if plan is None:
                self.let_go(transfer_id, Outcome.PAUSED)
            else:
                self._change(self._held[transfer_id], plan)

    def fill(self) -> None:
        """Take in hand what comes next, where something may have come or gone."""
        for lane, weight in self._lanes.items():
            if lane not in self._unseen or (not weight and self._busy):
                continue
            self._unseen.discard(lane)
            slow = self._slow(lane)
            found = self._work.next_transfers(self._destination_id, lane, IN_HAND + slow)
            for plan in found:
                if plan.id not in self._held:
                    self._take(plan)
            self._trim(lane)
            if self._slow(lane) > slow:
                self._unseen.add(lane)

    def settle(self) -> None:
        """Look which ones are through, and write that down."""
        for transfer_id, consignment in list(self._held.items()):
            farewell = consignment.settle()
            if farewell is not None:
                self._farewells.append(farewell)
            verdict = consignment.verdict
            if verdict is not None:
                self._drop(consignment)
                progress = consignment.progress
                self._records.ended(transfer_id, verdict.status, verdict.message, progress)
            elif consignment.interrupted:
                self.let_go(transfer_id, Outcome.PAUSED)

    def let_go(self, transfer_id: int, outcome: Outcome, text: str = "") -> None:
        """Stop sending a transfer, and write down how far it is."""
        consignment = self._held[transfer_id]
        farewell = consignment.stop(outcome, text)
        if farewell is not None:
            self._farewells.append(farewell)
        self._drop(consignment)
        self._records.dropped(transfer_id, consignment.progress)

    def stop_all(self) -> None:
        """Stop sending all of them, and write nothing down."""
        for consignment in self._held.values():
            consignment.stop(Outcome.PAUSED)

    def let_all_go(self) -> None:
        """Stop sending all of them; they may be gone on with."""
        for transfer_id in list(self._held):
            self.let_go(transfer_id, Outcome.PAUSED)

    def progress(self) -> dict[int, Progress]:
        """Return how far each is."""
        return {each.plan.id: each.progress for each in self._held.values()}

    @property
    def _busy(self) -> bool:
        """Whether there is something in a lane with weight."""
        return any(self._lanes.get(each.plan.lane, 1.0) for each in self._held.values())

    def _slow(self, lane: str) -> int:
        """Return how many of a lane make room for others, since they have a rate of their own."""
        plans = [each.plan for each in self._held.values()]
        return min(MOST_SLOW, sum(each.lane == lane and each.rate is not None for each in plans))

    def _take(self, plan: TransferPlan) -> None:
        receiver = self._store_id()
        if plan.receiver == receiver:
            active = self._work.started(plan.id)
        else:
            active = self._work.started(plan.id, receiver)
            plan = replace(plan, receiver=receiver, progress=plan.progress.anew())
        if not active:
            return
        try:
            consignment = self._begin_scheduled(plan)
        except (RefusedError, ValueError) as error:
            self._scheduler.remove(plan.id)
            self._records.ended(plan.id, Status.ERROR, str(error), plan.progress)
            self._unseen.add(plan.lane)
            return
        self._held[plan.id] = consignment

    def _begin_scheduled(self, plan: TransferPlan) -> Consignment:
        self._scheduler.add(
            plan.id,
            lane=plan.lane,
            priority=plan.priority,
            age=plan.id,
            rate=plan.rate,
            now=self._clock(),
        )
        self._turns.changed()
        return self._begin(plan)

    def _change(self, consignment: Consignment, plan: TransferPlan) -> None:
        before = consignment.plan
        consignment.change(plan)
        if plan.status is not Status.SENDING:
            self._work.started(plan.id)
        if (plan.lane, plan.priority, plan.rate) != (before.lane, before.priority, before.rate):
            self._scheduler.change(
                plan.id, lane=plan.lane, priority=plan.priority, rate=plan.rate, now=self._clock()
            )
            self._turns.changed()

    def _trim(self, lane: str) -> None:
        """Let those go that have come to be too many."""
        mine = [each for each in self if each.plan.lane == lane]
        oldest = min((each.plan.id for each in mine), default=0)
        for consignment in mine[MOST_IN_HAND + self._slow(lane) :]:
            if consignment.plan.id != oldest:
                self.let_go(consignment.plan.id, Outcome.PAUSED)

    def _drop(self, consignment: Consignment) -> None:
        del self._held[consignment.plan.id]
        self._scheduler.remove(consignment.plan.id)
        self._turns.changed()
        self._unseen.add(consignment.plan.lane)


def _rank(consignment: Consignment) -> tuple[int, int]:
    return consignment.plan.priority, consignment.plan.id
