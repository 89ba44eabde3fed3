"""How far transfers are, for everybody who asks, and now and then for the database."""

import threading
from collections.abc import Mapping

from dxlfiletransferservice.courier.seams import Progress, Status, Work


class Records:
    """Keeps how far transfers are, of all couriers. For several threads.

    Whoever asks never waits for the database; writes happen one after another, so that none is
    overtaken by what was known before.

    Args:
        work: Writes it down.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._live: dict[int, Progress] = {}
        self._unwritten: set[int] = set()

    def get(self, transfer_id: int) -> Progress | None:
        """Return how far a transfer is, if a courier has it."""
        with self._lock:
            return self._live.get(transfer_id)

    def put(self, progress: Mapping[int, Progress]) -> None:
        """Note how far some transfers are; the database hears of it at the next :meth:`flush`."""
        with self._lock:
            for transfer_id, each in progress.items():
                if self._live.get(transfer_id) != each:
                    self._live[transfer_id] = each
                    self._unwritten.add(transfer_id)

    def flush(self) -> None:
        """Write down what has changed, all at once."""
        with self._writing:
            with self._lock:
                changed = {each: self._live[each] for each in self._unwritten}
                self._unwritten.clear()
            if not changed:
                return
            try:
                self._work.progressed(changed)
            except BaseException:
                with self._lock:
                    self._unwritten.update(each for each in changed if each in self._live)
                raise

    def dropped(self, transfer_id: int, progress: Progress) -> None:
        """Write down how far a transfer is that no courier has any more."""
        with self._writing:
            self._forget(transfer_id)
            self._work.progressed({transfer_id: progress})

    def ended(self, transfer_id: int, status: Status, message: str, progress: Progress) -> None:
        """Write down how a transfer has ended."""
        with self._writing:
            self._forget(transfer_id)
            self._work.ended(transfer_id, status, message, progress)

    def _forget(self, transfer_id: int) -> None:
        with self._lock:
            self._live.pop(transfer_id, None)
            self._unwritten.discard(transfer_id)
