"""A control plane in memory, for couriers."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dxlfiletransferclient.control.constants import (
    DEFAULT_TRANSFER_FLAGS,
    MIN_CIPHER_NONE,
    OVERWRITE_ALWAYS,
)
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.courier.seams import (
    Contact,
    DestinationPlan,
    Login,
    ManifestFile,
    Progress,
    Status,
    TransferPlan,
)

LANES = {"High": 0.70, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}


@dataclass
class Guard:
    """Lets everything be read but some paths."""

    forbidden: set[str] = field(default_factory=set)

    def check(self, path: str) -> None:
        if path in self.forbidden:
            raise CommandError(f"{path!r} must not be read", ErrorKind.NOT_ALLOWED)


@dataclass
class Row:
    """A transfer in the fake database."""

    plan: TransferPlan
    destination_id: int
    status: Status = Status.PENDING
    message: str = ""


class FakeWork:
    """A ``courier.seams.Work`` in memory, with what a test does to it."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.lock = threading.RLock()
        self.plans: dict[int, DestinationPlan] = {}
        self.rows: dict[int, Row] = {}
        self.manifests: dict[int, list[ManifestFile]] = {}
        self.contacts: dict[int, Contact] = {}
        self.writes: list[dict[int, Progress]] = []
        self.begun: list[int] = []
        self.finished: list[int] = []
        self.read_from: list[tuple[int, int]] = []
        self.asked_lanes = 0
        self.failures: list[Exception] = []

    # What tests do.

    def add_destination(
        self,
        number: int = 1,
        *,
        port: int = 8886,
        lanes: Mapping[str, float] = LANES,
        rate: float | None = None,
        connection_rate: float | None = None,
        instance: str | None = None,
        public_key: str | None = None,
        connection_id: int = 1,
    ) -> DestinationPlan:
        plan = self.plans[number] = DestinationPlan(
            id=number,
            connection_id=connection_id,
            address="127.0.0.1",
            port=port,
            instance=instance,
            public_key=public_key,
            rate=rate,
            connection_rate=connection_rate,
            lanes=lanes,
        )
        return plan

    def add_manifest(self, number: int, files: list[ManifestFile]) -> None:
        self.manifests[number] = files

    def add_transfer(
        self,
        number: int,
        manifest_id: int,
        *,
        destination_id: int = 1,
        destination_path: str = "",
        lane: str = "Normal",
        priority: int = 100,
        rate: float | None = None,
        flags: int = DEFAULT_TRANSFER_FLAGS,
        checkpoint_seconds: float | None = None,
        overwrite_mode: int = OVERWRITE_ALWAYS,
        min_cipher: int = MIN_CIPHER_NONE,
        time_resolution_us: int = 0,
        timeout_seconds: float = 0,
        login: Login = Login(),  # noqa: B008 - a frozen value
    ) -> Row:
        files = self.manifests[manifest_id]
        plan = TransferPlan(
            id=number,
            manifest_id=manifest_id,
            status=Status.PENDING,
            destination_path=destination_path,
            lane=lane,
            priority=priority,
            rate=rate,
            flags=flags,
            checkpoint_seconds=checkpoint_seconds,
            overwrite_mode=overwrite_mode,
            min_cipher=min_cipher,
            time_resolution_us=time_resolution_us,
            timeout_seconds=timeout_seconds,
            login=login,
            total_files=len(files),
            total_bytes=sum(file.size for file in files),
            progress=Progress(),
            guard=self.guard,
        )
        with self.lock:
            row = self.rows[number] = Row(plan, destination_id)
        return row

    def change(self, number: int, **values: object) -> None:
        with self.lock:
            row = self.rows[number]
            row.plan = replace(row.plan, **values)  # type: ignore[arg-type]

    def suspend(self, number: int) -> None:
        with self.lock:
            self.rows[number].status = Status.SUSPENDED

    def resume(self, number: int) -> None:
        with self.lock:
            self.rows[number].status = Status.RESUMING

    def status(self, number: int) -> Status:
        return self.rows[number].status

    def progress(self, number: int) -> Progress:
        return self.rows[number].plan.progress

    @property
    def all_ended(self) -> bool:
        with self.lock:
            return not any(row.status.active for row in self.rows.values())

    # What couriers do.

    def destinations(self) -> list[int]:
        with self.lock:
            self._fail()
            found = {row.destination_id for row in self.rows.values() if row.status.active}
        return sorted(found)

    def destination(self, destination_id: int) -> DestinationPlan | None:
        with self.lock:
            self._fail()
            return self.plans.get(destination_id)

    def next_transfers(self, destination_id: int, lane: str, count: int) -> list[TransferPlan]:
        with self.lock:
            self.asked_lanes += 1
            mine = [
                replace(row.plan, status=row.status)
                for row in self.rows.values()
                if row.status.active
                and row.destination_id == destination_id
                and row.plan.lane == lane
            ]
        first = sorted(mine, key=lambda plan: (plan.priority, plan.id))[:count]
        oldest = min(mine, key=lambda plan: plan.id, default=None)
        return first if oldest is None or oldest in first else [*first, oldest]

    def transfers(self, transfer_ids: list[int]) -> dict[int, TransferPlan]:
        with self.lock:
            return {
                each: replace(self.rows[each].plan, status=self.rows[each].status)
                for each in transfer_ids
                if self.rows[each].status.active
            }

    def started(self, transfer_id: int, receiver: str | None = None) -> bool:
        with self.lock:
            row = self.rows[transfer_id]
            if not row.status.active:
                return False
            if receiver is not None:
                progress = row.plan.progress.anew()
                row.plan = replace(row.plan, receiver=receiver, progress=progress)
            if row.status is not Status.SENDING:
                self.begun.append(transfer_id)
            row.status = Status.SENDING
        return True

    def progressed(self, progress: Mapping[int, Progress]) -> None:
        with self.lock:
            self._fail()
            self.writes.append(dict(progress))
            for number, each in progress.items():
                row = self.rows[number]
                if row.status not in (Status.COMPLETE, Status.ERROR):
                    row.plan = replace(row.plan, progress=each)

    def ended(self, transfer_id: int, status: Status, message: str, progress: Progress) -> None:
        with self.lock:
            row = self.rows[transfer_id]
            row.plan = replace(row.plan, progress=progress)
            if row.status.active:
                row.status, row.message = status, message
                self.finished.append(transfer_id)

    def contacted(self, destination_id: int, contact: Contact) -> None:
        with self.lock:
            self.contacts[destination_id] = contact

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        self.read_from.append((manifest_id, position))
        return iter(self.manifests[manifest_id][position:])

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def manifest_of(root: Path) -> list[ManifestFile]:
    """Return the files of a directory as a manifest has them."""
    found: list[ManifestFile] = []
    for path in sorted(root.rglob("*")):
        if path.is_dir() and any(path.iterdir()):
            continue
        status = path.stat()
        found.append(
            ManifestFile(
                number=len(found),
                src=str(path),
                dest=path.relative_to(root).as_posix(),
                size=0 if path.is_dir() else status.st_size,
                directory=path.is_dir(),
                executable=not path.is_dir() and bool(status.st_mode & 0o100),
                modified_us=None if path.is_dir() else status.st_mtime_ns // 1000,
            )
        )
    return found


def write_files(root: Path, sizes: list[int]) -> list[ManifestFile]:
    """Make files of some sizes, and return them as a manifest has them."""
    root.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        content = bytes((number + place) % 251 for place in range(min(size, 1000)))
        whole = (content * (size // max(1, len(content)) + 1))[:size]
        (root / f"{number:05}.bin").write_bytes(whole)
    return manifest_of(root)
