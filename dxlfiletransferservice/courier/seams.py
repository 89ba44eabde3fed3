"""What couriers and the control plane need of each other.

The database is the truth: a courier reads from it what there is to send and writes there how far it
is; whoever changes something calls :meth:`Couriers.refresh`, and the courier reads again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Status(StrEnum):
    """How far a transfer is."""

    PENDING = "pending"
    """It waits for its turn."""

    SENDING = "sending"
    """Its files are being sent."""

    RESUMING = "resuming"
    """It was suspended, and waits for its turn again."""

    SUSPENDED = "suspended"
    """It was stopped, and can be resumed."""

    COMPLETE = "complete"
    """All its files are stored."""

    ERROR = "error"
    """It has failed."""

    @property
    def active(self) -> bool:
        """Whether the server works at it, or is going to."""
        return self in ACTIVE


ACTIVE = frozenset({Status.PENDING, Status.SENDING, Status.RESUMING})
"""What a transfer is in as long as it is processed."""


class SourceGuard(Protocol):
    """Says which files of this machine may be read for somebody."""

    def check(self, path: str) -> None:
        """Look at a path, just before it is opened, with all links in it followed.

        Raises:
            CommandError: It must not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """Where to send, and how fast.

    Attributes:
        id: Number of the destination.
        connection_id: Number of the connection.
        address: Broker to dial.
        port: Its port.
        instance: Name, persistent id, store id or service id of the instance on that fabric;
            ``None`` for the only one, or whichever.
        public_key: The key that it must have; ``None`` for any.
        rate: Bytes per second at most; ``None`` for no limit.
        connection_rate: The same for all destinations of the connection together.
        lanes: Lanes and their weights, which add up to 1; one may have 0.
    """

    id: int
    connection_id: int
    address: str
    port: int
    instance: str | None
    public_key: str | None
    rate: float | None
    connection_rate: float | None
    lanes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Login:
    """How a transfer is authenticated at the receiver; all empty for not at all."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What to send, and how.

    Attributes:
        id: Number of the transfer.
        manifest_id: Number of its manifest.
        status: One of the active ones.
        destination_path: Directory at the receiver, below which everything goes; may be empty.
        lane: Its lane.
        priority: Lower goes first.
        rate: Bytes per second at most; ``None`` for no limit.
        flags: ``TRANSFER_FLAG_…``.
        checkpoint_seconds: Seconds between checkpoints that are asked for; ``None`` or 0 for none.
        overwrite_mode: ``OVERWRITE_…``.
        min_cipher: ``MIN_CIPHER_…``.
        time_resolution_us: Microseconds by which modification times may differ and count as equal.
        timeout_seconds: Seconds without a connection after which it fails; 0 for never.
        login: How it is authenticated at the receiver.
        total_files: Files and empty directories of its manifest.
        total_bytes: Their bytes.
        progress: How far it is.
        guard: Says which files may be read.
        receiver: Store id of the receiver that has the files which are through; ``None`` if it was
            not begun.
    """

    id: int
    manifest_id: int
    status: Status
    destination_path: str
    lane: str
    priority: int
    rate: float | None
    flags: int
    checkpoint_seconds: float | None
    overwrite_mode: int
    min_cipher: int
    time_resolution_us: int
    timeout_seconds: float
    login: Login
    total_files: int
    total_bytes: int
    progress: "Progress"
    guard: SourceGuard
    receiver: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        position: Files of the manifest that are through, from the first on without a gap.
        files_sent: Files that are stored, or were kept or unchanged.
        files_failed: Files that have failed.
        first_failure: Why the first of them has; empty if none has.
        bytes_sent: Bytes of files that were handed to the bus, repeats included.
        bytes_acked: Bytes of files that the receiver holds, of those that are through or under way.
        bytes_received: Bytes of all answers.
        packets_sent: Requests.
        packets_received: Answers.
        bytes_retransmitted: Bytes of files that were sent again because they seemed lost.
        bytes_through: Bytes of the files before ``position`` that have not failed.
    """

    position: int = 0
    files_sent: int = 0
    files_failed: int = 0
    first_failure: str = ""
    bytes_sent: int = 0
    bytes_acked: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    bytes_retransmitted: int = 0
    bytes_through: int = 0

    def anew(self) -> "Progress":
        """Return it for a transfer that begins anew: only what has travelled stays counted."""
        return Progress(
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            packets_sent=self.packets_sent,
            packets_received=self.packets_received,
            bytes_retransmitted=self.bytes_retransmitted,
        )


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file or empty directory of a manifest.

    Attributes:
        number: Its number in the manifest, from 0.
        src: Its path on this machine.
        dest: Its path at the destination, ``/`` between the parts, none at the beginning.
        size: Its bytes.
        directory: Whether it is an empty directory.
        executable: Whether it is executable.
        modified_us: When it was modified, in microseconds since 1970; ``None`` if unknown.
    """

    number: int
    src: str
    dest: str
    size: int
    directory: bool
    executable: bool
    modified_us: int | None


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of the server behind a destination; ``None`` for what has not changed.

    Attributes:
        server_id: Service id of the instance, another one after each start.
        server_uid: Its persistent id.
        receiver_id: What the last ping was answered by.
        sent_us: When it was last sent something.
        received_us: When it last answered.
    """

    server_id: str | None = None
    server_uid: str | None = None
    receiver_id: str | None = None
    sent_us: int | None = None
    received_us: int | None = None


class Work(Protocol):
    """What couriers need of the control plane. All methods may be called from any thread."""

    def destinations(self) -> list[int]:
        """Return the destinations that have active transfers."""
        ...

    def destination(self, destination_id: int) -> DestinationPlan | None:
        """Return what is known of a destination; ``None`` if it was deleted."""
        ...

    def next_transfers(self, destination_id: int, lane: str, count: int) -> list[TransferPlan]:
        """Return the transfers of a lane that come first: those that are being sent, and others.

        The first ``count`` active ones by priority and age, and the oldest of all active ones.
        """
        ...

    def transfers(self, transfer_ids: list[int]) -> dict[int, TransferPlan]:
        """Return transfers by their numbers, without those that are not active any more."""
        ...

    def started(self, transfer_id: int, receiver: str | None = None) -> bool:
        """Note that a transfer is being sent.

        Args:
            transfer_id: Its number.
            receiver: Store id of the receiver, if it is not the one that has the files which are
                through: the transfer begins anew then, see :meth:`Progress.anew`.

        Returns:
            Whether it is still active.
        """
        ...

    def progressed(self, progress: Mapping[int, Progress]) -> None:
        """Note how far transfers are."""
        ...

    def ended(self, transfer_id: int, status: Status, message: str, progress: Progress) -> None:
        """Note that a transfer is complete or has failed, unless it is not active any more."""
        ...

    def contacted(self, destination_id: int, contact: Contact) -> None:
        """Note what is known of the server behind a destination."""
        ...

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        """Yield the files of a manifest from a position on; it reads them page by page."""
        ...


class ConnectionState(StrEnum):
    """How far the keys of a connection are agreed on."""

    DISCONNECTED = "disconnected"
    NEGOTIATING = "negotiating"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class DestinationState:
    """How a destination is at the moment.

    Attributes:
        state: Whether there is a session with it.
        error: Kind of the last error of the connection, if there is one now.
        error_message: The same as text.
        public_key: The key of the server behind it, if that is known.
        rate: Bytes per second at the moment.
        round_trip: Seconds that a small question takes; ``None`` if that is not known.
    """

    state: ConnectionState = ConnectionState.DISCONNECTED
    error: str | None = None
    error_message: str = ""
    public_key: str | None = None
    rate: float = 0.0
    round_trip: float | None = None


class Couriers(Protocol):
    """What the control plane needs of the couriers. All methods return at once."""

    def refresh(self, destination_id: int) -> None:
        """Look again at a destination and its transfers: something has changed."""
        ...

    def progress(self, transfer_id: int) -> Progress | None:
        """Return how far a transfer is; ``None`` if no courier has it, so the database knows."""
        ...

    def state(self, destination_id: int) -> DestinationState:
        """Return how a destination is at the moment."""
        ...

    def ping(self, destination_id: int, count: int) -> None:
        """Have pings sent to a destination, between what else is sent."""
        ...


class CourierService(Couriers, Protocol):
    """The couriers of a server, as whoever runs it sees them."""

    def start(self) -> None:
        """Go on with all active transfers."""
        ...

    def close(self) -> None:
        """Stop within seconds; what is under way is gone on with at the next start."""
        ...
