"""The stores behind one topic: what is not in the one may be in another."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferclient.protocol.messages import StatAnswer, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.questions import Questions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was found under a name.

    Attributes:
        instance: The instance that has it; or one of those that do not.
        found: What is there, or why that is not known.
    """

    instance: Instance
    found: StatAnswer | BaseException


class Stores:
    """The stores behind the topic of an engine.

    Instances of a service may have a store in common, or one each. Where all have the same, as
    where there is only one, nothing is asked of anybody but the one in use.

    Args:
        engine: A connected engine.
        verbs: What an instance has to offer.
    """

    def __init__(self, engine: Engine, verbs: Collection[Verb]) -> None:
        self._engine = engine
        self._verbs = tuple(verbs)

    @property
    def in_use(self) -> Instance:
        """The instance that the engine uses."""
        return Instance(self._engine.service_id, self._engine.hello)

    def turns(self) -> Iterator[Instance]:
        """Have the engine use an instance of each store, the one in use first."""
        first = self.in_use
        others: dict[str, Instance] = {}
        for each in self._engine.instances:
            if all(each.offers(verb) for verb in self._verbs):
                others.setdefault(each.hello.store_id, each)
        others.pop(first.hello.store_id, None)
        yield first
        for each in others.values():
            self._engine.pin(each)
            yield each

    def first_that_knows(self, ask: Callable[[], T]) -> T:
        """Ask one store after the other about a name, until one has something of that name.

        The engine uses that one from then on.

        Args:
            ask: Asks the one that the engine uses.

        Raises:
            RefusedError: ``NOT_FOUND`` if none has.
            Exception: What else ``ask`` raises, which ends it.
        """
        unknown: RefusedError | None = None
        for _ in self.turns():
            try:
                return ask()
            except RefusedError as error:
                if not _is_unknown(error):
                    raise
                unknown = unknown or error
        assert unknown is not None  # noqa: S101 - there is one store at least
        raise unknown

    def find(
        self, names: Sequence[str], *, each_round: Callable[[], object] | None = None
    ) -> list[Sighting]:
        """Look for names, all at once, in one store after the other.

        Args:
            names: The names.
            each_round: Called some times per second meanwhile.

        Returns:
            What there is under each, in the same order.

        Raises:
            FileTransferError: What :meth:`Engine.run` raises.
        """
        sightings: dict[str, Sighting] = {}
        left = list(dict.fromkeys(names))
        for instance in self.turns():
            requests = [StatRequest(name=name) for name in left]
            questions = Questions(Verb.STAT, requests, StatAnswer)
            self._engine.run([questions], each_round=each_round)
            for name, found in zip(left, questions.outcomes, strict=True):
                before = sightings.get(name)
                if before is None or not _is_unknown(found):
                    sightings[name] = Sighting(instance, found)
            left = [name for name in left if _is_unknown(sightings[name].found)]
            if not left:
                break
        return [sightings[name] for name in names]


def _is_unknown(found: object) -> bool:
    return isinstance(found, RefusedError) and found.means(ErrorCode.NOT_FOUND)
