"""What the tests of couriers have in common: a destination on a bus in memory, in virtual time."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.protocol.desk import Desk, ServerIdentity
from dxlfiletransferclient.protocol.messages import RetrieveRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferservice.courier.delivery import Delivery
from dxlfiletransferservice.courier.limiter import SharedLimiter
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.seams import DestinationState, ManifestFile
from dxlfiletransferservice.courier.watching import Touch
from tests.unit.service.admitting import ALICE, BOB, PEER, Receiver
from tests.unit.service.fakework import FakeWork, manifest_of

KIB = 1024
MIB = 1024 * KIB


class World:
    """A destination, and what is to be sent there.

    Args:
        directory: Holds the files that are sent.
        bus: The bus; a perfect one by default.
        store: What is behind the bus; ``None`` for nothing.
        destination: What is special about the destination.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bus: MemoryBus | None = None,
        store: Store | None = None,
        **destination: Any,
    ) -> None:
        self.directory = directory
        self.bus = bus or MemoryBus()
        self.store: Store = store or MemoryStore()
        self.work = FakeWork()
        self.work.add_destination(**destination)
        self.states: list[DestinationState] = []
        self.records = Records(self.work)
        self.touch = Touch()
        self.options = CourierOptions()
        self.shared = SharedLimiter()

    def serve(self) -> MemoryService:
        """Begin to answer."""
        return self.bus.serve(self.store)

    def manifest(self, number: int, files: Mapping[str, int | bytes]) -> list[ManifestFile]:
        """Make files, by their names and sizes or contents, and a manifest of them."""
        root = self.directory / f"manifest-{number}"
        root.mkdir(parents=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content_of(content, name))
        found = manifest_of(root)
        self.work.add_manifest(number, found)
        return found

    def source(self, manifest: int, name: str) -> Path:
        return self.directory / f"manifest-{manifest}" / name

    def delivery(self, *, patient: bool = False) -> Delivery:
        """Return what sends, as a courier makes it."""
        self.touch = Touch()
        plan = self.work.plans[1]
        self.shared.change(plan.connection_rate, self.bus.now())
        return Delivery(
            plan,
            self.work,
            self.bus,
            key=ALICE,
            records=self.records,
            touch=self.touch,
            shared=self.shared,
            publish=self.states.append,
            options=self.options,
            patient=patient,
        )

    def suspend(self, number: int, delivery: Delivery) -> None:
        """Suspend a transfer, and say so."""
        self.work.suspend(number)
        delivery.refresh()

    def run(self) -> Delivery:
        """Send everything."""
        delivery = self.delivery()
        delivery.run()
        return delivery

    def stored(self, name: str) -> bytes:
        """Return the content of a stored file."""
        found = bytearray()
        while True:
            request = RetrieveRequest(name=name, offset=len(found), length=MIB // 2)
            answer = self.store.retrieve(request)
            found += answer.payload
            if len(found) >= answer.size:
                return bytes(found)

    def check_stored(self, manifest: int, prefix: str = "") -> None:
        """Check that all files of a manifest are stored as they are here."""
        for file in self.work.manifests[manifest]:
            if not file.directory:
                assert self.stored(prefix + file.dest) == Path(file.src).read_bytes(), file.dest


class SessionService(MemoryService):
    """A service that answers in sessions alone.

    Args:
        receiver: Answers there.
        bus: The bus.
    """

    def __init__(self, receiver: Receiver, bus: MemoryBus) -> None:
        self.receiver = receiver
        self.begun = False
        super().__init__(receiver.store, DEFAULT_STORE_TOPIC, STORE_VERBS, bus._new_id)
        self.begun = True
        bus._broker.add(self)

    def _start(self, store: Store) -> None:
        if self.begun:
            self.receiver.stop()
            self.receiver.start()
        super()._start(self.receiver.store)
        self._desk = _SessionDesk(lambda: self.receiver)  # type: ignore[assignment]


class _SessionDesk:
    def __init__(self, receiver: Callable[[], Receiver]) -> None:
        self._receiver = receiver
        self.verbs = frozenset({Verb.HELLO, Verb.ADMIT, Verb.SEALED})

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        receiver = self._receiver()
        if verb is Verb.ADMIT:
            return receiver.desk.admit(request, PEER)
        if verb is Verb.SEALED:
            return receiver.desk.sealed(request, PEER)
        identity = ServerIdentity(BOB.public, "the-uid", "the receiver")
        return Desk(receiver.store, identity=identity).answer(verb, request)


def content_of(size: int, seed: str = "") -> bytes:
    """Return bytes of which no two pieces of some length are the same."""
    return random.Random(seed).randbytes(size)
