"""The conversation about one batch of small files. No input or output."""

import math
from collections.abc import Callable

from dxlfiletransferclient.errors import MalformedAnswerError
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import BatchAnswer, BatchRequest, EntryResult
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError, Remedy
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.batching import Batch
from dxlfiletransferclient.sending.pacing import ENTRY_PAUSE, MAX_ENTRY_REPEATS


class BatchJob:
    """Sends one batch; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    Entries that the service could not take at the moment are sent again by themselves.

    Args:
        batch: The batch; let go of as its entries are through.
        on_entry: Is called for each entry, by its number in the batch, once: with its result, or
            with the error that ended the job; and with the seconds that it took. It must not raise.
    """

    def __init__(
        self,
        batch: Batch,
        on_entry: Callable[[int, EntryResult | BaseException, float], object],
    ) -> None:
        self._entries = batch.entries
        self._size = batch.size
        self._on_entry = on_entry
        self._waiting = list(range(len(batch.entries)))
        self._parcel: Parcel | None = None
        self._outstanding = False
        self._due: float | None = None
        self._pause = Pause(first=ENTRY_PAUSE, longest=math.inf)
        self._repeats = 0
        self._began: float | None = None
        self._now = 0.0

    @property
    def finished(self) -> bool:
        """Whether the job has ended."""
        return not self._waiting

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened."""
        return self._due

    def next(self, room: int, now: float) -> Ask | None:  # noqa: ARG002 - it is the only ask
        """Return the ask, unless it is on its way; see :meth:`Job.next`."""
        self._began = now if self._began is None else self._began
        if self._outstanding or self.finished or (self._due is not None and now < self._due):
            return None
        self._due = None
        self._outstanding = True
        return Ask(Verb.BATCH, self._encoded, self._size)

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:  # noqa: ARG002
        """Hear what became of the entries; see :meth:`Job.answered`."""
        results = decode(BatchAnswer, answer).results
        self._now = now
        self._outstanding = False
        seconds = self._seconds
        if len(results) != len(self._waiting):
            msg = f"the service answered {len(results)} results to {len(self._waiting)} entries"
            raise MalformedAnswerError(msg)
        again: list[int] = []
        may_repeat = self._repeats < MAX_ENTRY_REPEATS
        for number, result in zip(self._waiting, results, strict=True):
            if result.code is not None and may_repeat and _may_go_through(result.code):
                again.append(number)
            else:
                self._on_entry(number, result, seconds)
        self._waiting = again
        self._parcel = None
        if again:
            self._due = self._pause.over(now)
            self._repeats += 1

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:  # noqa: ARG002
        """End: none of the entries was taken."""
        self._now = now
        raise error

    def moved(self, now: float) -> None:
        """Send it again: entries that were stored are stored once more, which does no harm."""
        self._now = now
        self._outstanding = False
        self._due = None

    def failed(self, error: BaseException) -> None:
        """End, because the engine gives the job up."""
        waiting, self._waiting = self._waiting, []
        self._parcel = None
        for number in waiting:
            self._on_entry(number, error, self._seconds)

    @property
    def _seconds(self) -> float:
        return 0.0 if self._began is None else max(0.0, self._now - self._began)

    def _encoded(self) -> Parcel:
        # The same bytes however often they are sent, so that any of the answers fits.
        if self._parcel is None:
            entries = tuple(self._entries[number] for number in self._waiting)
            self._parcel = encode(BatchRequest(entries=entries))
        return self._parcel


def _may_go_through(code: int) -> bool:
    return RefusedError(code, "").remedy is not Remedy.NONE
