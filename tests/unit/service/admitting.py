"""What the tests of sessions have in common: a server's desk, and peers that talk to it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    BatchAnswer,
    BatchEntry,
    BatchRequest,
    DoneAnswer,
    EntryResult,
    FinishRequest,
    Message,
    OpenRequest,
    SegmentRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import (
    AdmitAnswer,
    AdmitRequest,
    LeaveRequest,
    Outcome,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import (
    Admission,
    Admitted,
    Cipher,
    SessionPurpose,
    TransferNote,
)
from dxlfiletransferclient.sealing.channel import RequestingChannel
from dxlfiletransferclient.sealing.handshake import Initiator
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.admission.receptions import Receptions
from dxlfiletransferservice.admission.sandboxstores import SandboxStores
from dxlfiletransferservice.admission.seams import Peer, Purpose, Visit
from dxlfiletransferservice.admission.transfers import TransferPurpose
from tests.unit.client.cataloguing import sha256
from tests.unit.service.identities import Control, controlled

ALICE = PrivateKey.from_bytes(bytes(range(32)))
BOB = PrivateKey.from_bytes(bytes(range(32, 64)))
MALLORY = PrivateKey.from_bytes(bytes(range(64, 96)))
START = 1_700_000_000.0
PEER = "{11111111-1111-1111-1111-111111111111}"

M = TypeVar("M", bound=Message)


class Seconds:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@contextmanager
def denied(code: ErrorCode, match: str | None = None) -> Iterator[None]:
    """Expect a refusal whose text names no path of this machine."""
    with pytest.raises(RefusedError, match=match) as raised:
        yield
    assert raised.value.code == code, raised.value
    assert "/tmp" not in raised.value.message


class Conversation:
    """A peer that talks to a desk.

    Args:
        desk: The desk.
        key: Its key.
        client_id: Its client of the fabric.
    """

    def __init__(self, desk: AdmissionDesk, key: PrivateKey = ALICE, client_id: str = PEER) -> None:
        self.desk = desk
        self.key = key
        self.client_id = client_id
        self.channel: RequestingChannel | None = None

    def knock(self, admission: Admission) -> tuple[Initiator, Parcel]:
        """Return a handshake, and the request that carries it."""
        initiator = Initiator(self.key, BOB.public)
        return initiator, encode(AdmitRequest(payload=initiator.write(admission.to_bytes())))

    def enter(self, admission: Admission) -> "Conversation":
        """Be admitted."""
        initiator, request = self.knock(admission)
        return self.read(initiator, admission, self.desk.admit(request, self.client_id))

    def read(self, initiator: Initiator, admission: Admission, answer: Parcel) -> "Conversation":
        """Take the answer to a handshake."""
        text, keys = initiator.read(decode(AdmitAnswer, answer).payload)
        admitted = Admitted.from_bytes(text)
        assert admitted.cipher >= admission.cipher
        self.channel = RequestingChannel(admitted.session, admitted.cipher, keys)
        return self

    def sealed(self, verb: Verb, message: Message) -> tuple[int, Parcel]:
        """Seal a request."""
        assert self.channel is not None
        return self.channel.seal(verb, encode(message))

    def ask(self, verb: Verb, message: Message, kind: type[M]) -> M:
        """Ask something, and return the answer or raise what it is refused with."""
        assert self.channel is not None
        number, request = self.sealed(verb, message)
        answer = self.desk.sealed(request, self.client_id)
        return decode(kind, self.channel.open(answer, [number]))

    # Of a transfer.

    def open(self, file_id: str, name: str, **more: Any) -> TransferAnswer:
        request = OpenRequest(file_id=file_id, name=name, **more)
        return self.ask(Verb.OPEN, request, TransferAnswer)

    def write(self, file_id: str, payload: bytes, offset: int = 0) -> TransferAnswer:
        request = SegmentRequest(file_id=file_id, offset=offset, payload=payload)
        return self.ask(Verb.SEGMENT, request, TransferAnswer)

    def finish(self, file_id: str, content: bytes) -> TransferAnswer:
        request = FinishRequest(file_id=file_id, size=len(content), sha256=sha256(content))
        return self.ask(Verb.FINISH, request, TransferAnswer)

    def send(self, file_id: str, name: str, content: bytes, **more: Any) -> TransferAnswer:
        """Send a file in one part."""
        self.open(file_id, name, size=len(content), **more)
        self.write(file_id, content)
        return self.finish(file_id, content)

    def put(self, *entries: BatchEntry) -> tuple[EntryResult, ...]:
        return self.ask(Verb.BATCH, BatchRequest(entries=entries), BatchAnswer).results

    def leave(self, outcome: Outcome = Outcome.COMPLETE, text: str = "") -> None:
        self.ask(Verb.LEAVE, LeaveRequest(outcome=outcome, text=text), DoneAnswer)


_numbers = itertools.count(1)


def transfer(
    transfer_id: str = "17",
    *,
    cipher: Cipher = Cipher.AES_128,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    **note: Any,
) -> Admission:
    """An admission to send a transfer."""
    return Admission(
        admission_id=f"a{next(_numbers)}",
        purpose=SessionPurpose.TRANSFER,
        cipher=cipher,
        user=user,
        password=password,
        token=token,
        transfer=TransferNote(transfer_id=transfer_id, **note),
    )


@dataclass
class RecordingVisit:
    """Says what it is told to, and remembers what it was asked."""

    peer: Peer
    admission: Admission
    outcome: Parcel | Exception = field(default_factory=lambda: encode(DoneAnswer()))
    asked: list[tuple[Verb, Parcel]] = field(default_factory=list)
    endings: list[tuple[Outcome | None, str]] = field(default_factory=list)

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        self.asked.append((verb, request))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def left(self, outcome: Outcome | None, text: str) -> None:
        self.endings.append((outcome, text))


@dataclass
class RecordingPurpose:
    """Lets everybody in, or nobody."""

    refusal: Exception | None = None
    visits: list[RecordingVisit] = field(default_factory=list)
    asked: int = 0

    def admit(self, admission: Admission, peer: Peer, session: str) -> Visit:
        assert len(session) == 32
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        visit = RecordingVisit(peer, admission)
        self.visits.append(visit)
        return visit


@dataclass
class ListedSenders:
    """A list of senders."""

    restricted: bool = False
    listed: set[str] = field(default_factory=set)

    def allows(self, public_key: str) -> bool:
        return public_key in self.listed


class Receiver:
    """The receiving side of a server, with the users ann and bob.

    Attributes:
        told: What was told of receptions: whether they have started or ended, and the structure.
    """

    def __init__(self, directory: Path, control: Control, *, required: bool = False) -> None:
        self.control = control
        self.directory = directory
        self.storage = directory / "home" / "storage"
        self.clock = Seconds()
        self.senders = ListedSenders()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.options = StoreOptions(checkpoint_seconds=3600)
        self.required = required
        self.start()

    def start(self) -> None:
        self.store = LocalStore(self.storage, options=self.options)
        self.sandbox_stores = SandboxStores(
            self.store,
            self.storage,
            options=self.options,
            private=[self.directory / "home", self.store.layout.working],
            clock=self.clock,
        )
        self.receptions = Receptions(
            self.control.database,
            on_started=lambda found: self.told.append(("started", dict(found))),
            on_ended=lambda found: self.told.append(("ended", dict(found))),
            clock=self.clock,
        )
        self.purpose: Purpose = TransferPurpose(
            self.sandbox_stores,
            self.control.access,
            self.control.sandboxes,
            self.senders,
            self.receptions,
            private_key=BOB,
            require_authentication=self.required,
            clock=self.clock,
        )
        self.desk = AdmissionDesk(BOB, {SessionPurpose.TRANSFER: self.purpose}, clock=self.clock)

    def stop(self) -> None:
        self.desk.close()
        self.receptions.close()
        self.sandbox_stores.close()
        self.store.close()

    def peer(self, key: PrivateKey = ALICE) -> Conversation:
        return Conversation(self.desk, key)

    def stored(self, directory: Path | None = None) -> dict[str, bytes]:
        """All stored files by their names."""
        root = directory or self.storage
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and ".workdir" not in path.parts
        }


@contextmanager
def receiver(directory: Path, *, required: bool = False) -> Iterator[Receiver]:
    with controlled(directory, stored=True) as control:
        made = Receiver(directory, control, required=required)
        try:
            yield made
        finally:
            made.stop()
