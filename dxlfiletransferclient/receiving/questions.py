"""Asks small questions, many at once, as a job. No input or output."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import Message
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

MOST_AT_ONCE: Final = 32
"""Questions that are outstanding at once: enough to hide the way, and no burden for a service."""

M = TypeVar("M", bound=Message)


class Questions(Generic[M]):
    """Asks some questions of one verb; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    The failure of one is none of the others'.

    Args:
        verb: What is asked.
        requests: With which arguments.
        kind: Class of the answers.
        not_yet: Whether an answer says that it has to be asked again later.
    """

    def __init__(
        self,
        verb: Verb,
        requests: Sequence[Message],
        kind: type[M],
        *,
        not_yet: Callable[[M], bool] = lambda _: False,
    ) -> None:
        self._verb = verb
        self._requests = requests
        self._kind = kind
        self._not_yet = not_yet
        self._todo = deque(range(len(requests)))
        self._outstanding: set[int] = set()
        self._later: list[tuple[float, int]] = []
        self._pause = Pause()
        self._outcomes: dict[int, M | BaseException] = {}

    @property
    def finished(self) -> bool:
        """Whether all is answered or failed."""
        return len(self._outcomes) == len(self._requests)

    @property
    def outcomes(self) -> list[M | BaseException]:
        """The answers, or why there are none, in the order of the requests; once finished."""
        return [self._outcomes[number] for number in range(len(self._requests))]

    def next(self, room: int, now: float) -> Ask | None:  # noqa: ARG002 - questions cost nothing
        """Return the next question; see :meth:`Job.next`."""
        while self._later and self._later[0][0] <= now:
            self._todo.append(self._later.pop(0)[1])
        if not self._todo or len(self._outstanding) >= MOST_AT_ONCE:
            return None
        number = self._todo.popleft()
        self._outstanding.add(number)
        return Ask(self._verb, lambda: encode(self._requests[number]), note=number)

    def due(self) -> float | None:
        """When to ask again; see :meth:`Job.due`."""
        return self._later[0][0] if self._later else None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hear an answer; see :meth:`Job.answered`."""
        number = self._number_of(ask)
        try:
            found = decode(self._kind, answer)
        except RefusedError as error:
            if error.means(ErrorCode.CORRUPT):
                raise
            self._end(number, error)
            return
        if self._not_yet(found):
            self._outstanding.discard(number)
            self._later.append((self._pause.over(now), number))
            self._later.sort()
        else:
            self._end(number, found)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:  # noqa: ARG002
        """Hear that a question failed; see :meth:`Job.refused`."""
        self._end(self._number_of(ask), error)

    def moved(self, now: float) -> None:  # noqa: ARG002
        """Ask again what is not answered; see :meth:`Job.moved`."""
        self._todo.extendleft(sorted(self._outstanding, reverse=True))
        self._outstanding.clear()

    def failed(self, error: BaseException) -> None:
        """Give up what is not answered; see :meth:`Job.failed`."""
        for number in range(len(self._requests)):
            self._outcomes.setdefault(number, error)

    def _end(self, number: int, outcome: M | BaseException) -> None:
        self._outstanding.discard(number)
        self._outcomes[number] = outcome

    @staticmethod
    def _number_of(ask: Ask) -> int:
        assert isinstance(ask.note, int)  # noqa: S101 - set above
        return ask.note
