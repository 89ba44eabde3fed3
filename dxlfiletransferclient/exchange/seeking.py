"""Carries the questions of a search over a bus, and their answers back."""

from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.exchange.recovery import Question, Search


class Seeker:
    """Drives a :class:`~.recovery.Search`.

    Args:
        bus: What it asks on.
        search: The search.
    """

    def __init__(self, bus: Bus, search: Search) -> None:
        self.search = search
        self._bus = bus
        self._questions: dict[int, Question] = {}

    def ask(self, now: float) -> None:
        """Ask what there is to ask now.

        Raises:
            NotConnectedError: There is no connection (any more).
        """
        for question in self.search.questions(now):
            token = self._bus.ask(question.topic, question.parcel, service_id=question.service_id)
            self._questions[token] = question
        self._forget(before=self.search.oldest_round)

    def hear(self, reply: Reply, now: float) -> bool:
        """Take a reply, if it belongs to the search.

        Returns:
            Whether it does.
        """
        question = self._questions.pop(reply.token, None)
        if question is None:
            return False
        if reply.refusal:
            self.search.refused(question, reply.refusal, now)
        else:
            self.search.answered(question, reply.parcel, reply.service_id, now)
        return True

    def close(self) -> None:
        """Forget what was asked."""
        self._forget(before=self.search.rounds + 1)

    def _forget(self, *, before: int) -> None:
        for token in [each for each, q in self._questions.items() if q.round < before]:
            del self._questions[token]
            self._bus.forget(token)
