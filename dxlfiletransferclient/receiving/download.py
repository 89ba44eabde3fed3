"""One call: what is wanted, job by job, and what became of it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from dxlfiletransferclient.calls.ledger import Ledger
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.outcomes import TransferReport
from dxlfiletransferclient.protocol.messages import Entry, Kind, StatAnswer
from dxlfiletransferclient.receiving.call import Call
from dxlfiletransferclient.receiving.filejob import FileJob
from dxlfiletransferclient.receiving.finding import Finder
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.publishing import Publisher
from dxlfiletransferclient.receiving.stores import Sighting, Stores
from dxlfiletransferclient.receiving.wanted import Wanted

_ROOT: Final = Entry(name="", kind=Kind.DIRECTORY, size=0, modified_ns=0)


@dataclass(slots=True)
class _Group:
    """What is received from one instance.

    Attributes:
        instance: The instance.
        wanted: What is wanted, and what was found of it.
    """

    instance: Instance
    wanted: list[tuple[Wanted, StatAnswer | BaseException]] = field(default_factory=list)


class Download:
    """Receives what one call wants. Made for one call.

    What callers pass in to be called is called between the rounds of the engine, so that whatever
    it raises ends the call.

    Args:
        bus: The bus.
        engine: A connected engine on it, for this call only.
        stores: The stores that it can reach.
        store_topic: Topic on which the service takes store requests.
        ledger: What is told of the call.
        options: What the caller has chosen.
    """

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        stores: Stores,
        store_topic: str,
        ledger: Ledger,
        *,
        options: GetOptions,
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._stores = stores
        self._ledger = ledger
        self._segment_size = options.segment_size
        # One thread: flushes of one disk do not get faster by being many.
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="dxlft-flush")
        self._call = Call(
            store_topic=store_topic,
            segment_size=engine.hello.segment_size,
            options=options,
            flusher=self._flusher,
            publisher=Publisher(self._flusher),
            ledger=ledger,
        )

    def run(self, wanted: Sequence[Wanted]) -> TransferReport:
        """Receive everything.

        Returns:
            What became of the files.

        Raises:
            TransferCancelledError: The call was cancelled.
            NotConnectedError: The fabric cannot be reached any more.
            NoAnswerError: The service cannot be reached any more.
        """
        finder = Finder(self._engine, self._call)
        try:
            groups = self._groups(wanted)
            for group in groups:
                self._receive(finder, group, last=group is groups[-1])
        except BaseException:
            self._give_up()
            raise
        else:
            self._call.publisher.close()
            self._ledger.pass_on()
        finally:
            finder.close()
            self._flusher.shutdown()
        return self._ledger.close(self._bus.now())

    def _groups(self, wanted: Sequence[Wanted]) -> list[_Group]:
        """Ask what the names stand for, and which instance has which."""
        first = self._stores.in_use
        names = [each.name for each in wanted if each.parts]
        sightings = iter(self._stores.find(names, each_round=self._round) if names else ())
        root = Sighting(first, StatAnswer(entry=(_ROOT,)))
        groups: dict[str, _Group] = {}
        for each in wanted:
            sighting = next(sightings) if each.parts else root
            store_id = sighting.instance.hello.store_id
            group = groups.setdefault(store_id, _Group(sighting.instance))
            group.wanted.append((each, sighting.found))
        return list(groups.values())

    def _receive(self, finder: Finder, group: _Group, *, last: bool) -> None:
        """Receive what one instance has."""

        def jobs() -> Iterator[Job]:
            yield from finder.jobs(group.wanted)
            self._call.found.complete = last

        self._engine.pin(group.instance)
        largest = group.instance.hello.segment_size
        self._call.segment_size = min(self._segment_size or largest, largest)
        self._engine.run(jobs(), each_round=self._round)
        while self._call.again:
            self._engine.run(self._again(), each_round=self._round)

    def _again(self) -> Iterator[Job]:
        while self._call.again:
            yield FileJob(self._call.again.popleft(), self._call)

    def _give_up(self) -> None:
        """Keep what can be gone on with, and give what is whole its name."""
        for part in list(self._call.open_parts):
            self._call.close_part(part)
        self._call.publisher.close()
        self._ledger.pass_on()

    def _round(self) -> None:
        now = self._bus.now()
        self._call.publisher.tick(now)
        self._ledger.pass_on()
        self._ledger.expect(self._call.found.totals)
        self._ledger.meter.tick(now)
