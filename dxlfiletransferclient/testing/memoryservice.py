"""A service on a memory bus: what a test can do to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.storage.interface import Store


@runtime_checkable
class CrashableStore(Protocol):
    """A store that can tell what a crash would leave of it."""

    def crashed(self) -> Store:
        """Return a store with what outlives a crash at this moment."""
        ...


@dataclass(slots=True)
class _PlannedRefusal:
    verb: Verb
    error: RefusedError
    skip: int
    count: int


class MemoryService:
    """One instance of the service. :meth:`MemoryBus.serve` makes it.

    Args:
        store: What answers.
        store_topic: Its topic for version 1; those of version 2 lie below.
        verbs: What it offers.
        new_id: Makes service ids.

    Attributes:
        store: What answers at the moment.
        service_id: Its id on the fabric; another one after each restart.
        registered: Whether the broker has it in its registry.
        alive: Whether it is running and connected.
        connection: Counts its connections: what was sent over an older one is lost.
    """

    def __init__(
        self, store: Store, store_topic: str, verbs: frozenset[Verb], new_id: Callable[[], str]
    ) -> None:
        self.connection = 0
        self._verbs = verbs
        self._new_id = new_id
        self._hanging = False
        self._refusals: list[_PlannedRefusal] = []
        self._start(store)
        self.topics = {topic_of(verb, store_topic): verb for verb in self._desk.verbs}
        self.store_topic = store_topic

    @property
    def registration(self) -> dict[str, object]:
        """What the registry of the broker tells about it."""
        return {
            "serviceType": SERVICE_TYPE,
            "serviceGuid": self.service_id,
            "requestChannels": [self.store_topic, *sorted(self.topics)],
        }

    def crash(self) -> None:
        """Kill it: what is in flight to and from it is lost, and so is what was not durable.

        As on a real fabric its registration outlives it: the next request that the broker gives it
        is answered with ``NO_SERVICE``, and then the broker forgets it.
        """
        self.alive = False

    def stop(self) -> None:
        """End it in order: it takes leave of the broker, and its store is closed."""
        self.registered = False
        self.alive = False
        self.store.close()

    def restart(self, store: Store | None = None) -> None:
        """Start it again, under a new service id.

        Args:
            store: What answers from now on. By default what a crash leaves of the store it has, if
                that is a :class:`~.memorystore.MemoryStore`; other stores go on as they are.
        """
        left = self.store.crashed() if isinstance(self.store, CrashableStore) else self.store
        self._start(store or left)

    def leave(self) -> None:
        """Lose the connection: the broker does not know it until :meth:`come_back`."""
        self.registered = False
        self.alive = False

    def come_back(self) -> None:
        """Be connected and registered again, with the same service id and nothing forgotten."""
        self.registered = True
        self.alive = True
        self.connection += 1

    def hang(self, *, hanging: bool = True) -> None:
        """Take requests and neither answer nor carry them out, or end that."""
        self._hanging = hanging

    def refuse(self, verb: Verb, error: RefusedError, *, skip: int = 0, count: int = 1) -> None:
        """Answer coming requests with an error, without asking the store.

        Args:
            verb: Which requests.
            error: With what.
            skip: Requests of the verb that are carried out before.
            count: How many are refused.
        """
        self._refusals.append(_PlannedRefusal(verb, error, skip, count))

    def answer(self, verb: Verb, request: Parcel) -> Parcel | None:
        """Carry out a request.

        Returns:
            The answer, or nothing while the service hangs.

        Raises:
            RefusedError: What the service answers. Any other exception is a bug of the store and
                goes to the test.
        """
        if self._hanging:
            return None
        for planned in self._refusals:
            if planned.verb != verb or not planned.count:
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            planned.count -= 1
            raise planned.error
        return self._desk.answer(verb, request)

    def maintain(self, now: float) -> None:
        """Have the store do what is due, if the service runs."""
        if self.alive and not self._hanging:
            self.store.maintain(now)

    def _start(self, store: Store) -> None:
        self.store = store
        self._desk = Desk(store, self._verbs)
        self.service_id = self._new_id()
        self._hanging = False
        self.come_back()
