"""One small question and its answer, as a job."""

from typing import Generic, TypeVar

from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import Message
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

M = TypeVar("M", bound=Message)


class QuestionJob(Generic[M]):
    """Asks one thing once; implements :class:`~.jobs.Job`.

    Args:
        verb: What is asked.
        request: With which arguments.
        answer: Class of the answer.
    """

    def __init__(self, verb: Verb, request: Message, answer: type[M]) -> None:
        parcel = encode(request)
        self._ask = Ask(verb, lambda: parcel)
        self._kind = answer
        self._asked = False
        self._answer: M | None = None
        self._error: BaseException | None = None

    @property
    def finished(self) -> bool:
        """Whether it is answered or failed."""
        return self._answer is not None or self._error is not None

    def next(self, room: int, now: float) -> Ask | None:  # noqa: ARG002 - as every job
        """Return the question, once."""
        if self._asked or self.finished:
            return None
        self._asked = True
        return self._ask

    def due(self) -> float | None:
        """Nothing is ever due."""
        return None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:  # noqa: ARG002
        """Read the answer."""
        self._answer = decode(self._kind, answer)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:  # noqa: ARG002
        """Fail."""
        raise error

    def moved(self, now: float) -> None:  # noqa: ARG002
        """Ask again."""
        self._asked = False

    def failed(self, error: BaseException) -> None:
        """Keep why."""
        self._error = error

    def result(self) -> M:
        """Return the answer, or raise what it failed by."""
        if self._error is not None:
            raise self._error
        if self._answer is None:
            raise RuntimeError("the question is not answered yet")
        return self._answer
